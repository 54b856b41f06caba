# SPDX-License-Identifier: Apache-2.0
"""FPGA boards: platforms, tops, the host driver. Nothing is here yet; it will import rtl and golden, and only cli it."""
