# SPDX-License-Identifier: Apache-2.0
"""ngspice decks of some columns and their ramp, driven by pins recorded from gateware: level 5 of the ladder.

Imported by the command line and tests; imports golden and sim.
"""
