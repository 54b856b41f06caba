# SPDX-License-Identifier: Apache-2.0
"""ngspice decks of some columns and their ramp, driven by the pins of simulated gateware: level 5 of the ladder of
proof.

Imports golden and the room ``amaranth`` of sim.
"""
