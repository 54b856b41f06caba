# SPDX-License-Identifier: Apache-2.0
"""Recurrent cells as descriptions: their banks, what drives these, their conversions, and the program of their update.

Sizes, clocks, wires, arithmetic and gateware of a cell are derived from its description; :mod:`.library` has every
cell. Imports :mod:`crossramp.golden.common`; everything else may import it.
"""
