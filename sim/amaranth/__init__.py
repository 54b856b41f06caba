# SPDX-License-Identifier: Apache-2.0
"""The network in Amaranth's own simulator, with a Python array behind it; needs no compiler.

Imports golden, rtl, and the rooms ``array``, ``checking`` and ``tools`` of sim.
"""
