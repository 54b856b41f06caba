# SPDX-License-Identifier: Apache-2.0
"""From a specification to a bitstream: the core, the top of each board, synthesis, placement, reports.

Imports golden, rtl, sim, and the room ``definitions`` of boards.
"""
