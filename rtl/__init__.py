# SPDX-License-Identifier: Apache-2.0
"""The gateware: the digital periphery of a crossbar macro, in Amaranth.

From the inside out: :mod:`.macro` is everything between the rows and the codes of one crossbar,
:mod:`.network` adds the head and the calibrator, :mod:`.link` puts a UART in front of a network,
:mod:`.emulation` is a crossbar that synthesizes, and :mod:`.verilog` writes Verilog-2005 from any of them.

Imports golden (sizes and ramps come from the specification) and Amaranth.
Nothing here knows how it is simulated.
"""
