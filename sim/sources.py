# SPDX-License-Identifier: Apache-2.0
"""Where the SystemVerilog and C++ sources of the simulation models are."""

from pathlib import Path

#: The folder that holds the crossbars (``*.sv``), ``protocol.sv``, ``bulk_tb.sv`` and ``bulk_main.cpp``.
SOURCES = Path(__file__).parent
