# SPDX-License-Identifier: Apache-2.0
"""Proofs of what stands between the macros of several layers. Imports the rooms engine of this one and rtl."""
