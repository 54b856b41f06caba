# SPDX-License-Identifier: Apache-2.0
"""Boards without hardware: the synthesized core or its netlist in a simulator, behind a port.

Imports golden, rtl, sim, and the other rooms of boards.
"""
