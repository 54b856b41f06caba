# SPDX-License-Identifier: Apache-2.0
"""cocotb: a bench around a generated macro or network, its drivers and monitors,
and the runner that builds and runs it.

Imports golden, and the rooms ``array``, ``checking`` and ``tools`` of sim.
"""
