# SPDX-License-Identifier: Apache-2.0
"""The LSTM cell: its gates, the order of their banks, and which banks each conversion of a step latches."""

GATES = ("i", "f", "g", "o")
"""The gates, each with a bank of columns, in the order of the columns (PyTorch's order)."""

STATE_GATE = "g"
"""The gate whose columns carry the state cells: c drives them, and its ramp converts c to tanh(c)."""

CONVERSIONS = (GATES, (STATE_GATE,))
"""For each conversion of a step: the gates whose columns it latches. The second one is driven by c."""
