# SPDX-License-Identifier: Apache-2.0
"""FPGA boards: platforms, tops, the host driver. Empty as yet.

It may import sim, rtl and golden; only cli may import it.
"""
