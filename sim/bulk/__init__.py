# SPDX-License-Identifier: Apache-2.0
"""Free-running benches in Verilog simulators: whole utterances without a Python call per clock.

:mod:`.bulk_simulation` runs them, :mod:`.interactive` steps them one by one,
and :mod:`.selfcheck` writes a testbench that needs no Python.
Imports golden, rtl, and the rooms ``array``, ``checking``, ``amaranth`` and ``tools`` of sim.
"""
