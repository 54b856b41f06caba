# SPDX-License-Identifier: Apache-2.0
"""The gateware: the digital periphery of a crossbar macro, in Amaranth.

From the inside out: :mod:`.pulses` and :mod:`.loader` drive rows, :mod:`.ramp` counts ticks, :mod:`.capture` latches
and reads codes, :mod:`.update` computes c and h, :mod:`.sequencer` orders them; :mod:`.macro` is all of these behind
the analog boundary (:mod:`.boundary`). :mod:`.head` and :mod:`.network` add the dense head; :mod:`.emulator` is a
crossbar that synthesizes; :mod:`.hostlink` puts a UART before a network; :mod:`.verilog` writes Verilog. Imports
golden (sizes and ramps come from the specification) and amaranth; nothing here knows how it is simulated.
"""
