# SPDX-License-Identifier: Apache-2.0
"""One conversion a step: a plain recurrent network, and a dense layer."""

from .exact_numbers import Columns, Numbers


def recurrent(n: Numbers, array: Columns, lines, x, h, c) -> dict:
    """h' = act(W·x + U·h + b)."""
    macs = array.macs("a", x=x, h=h, bias=n.bias)
    codes = n.codes("a", macs)
    return {"macs": macs, "codes": codes, "h": [n.row(n.value("a", code)) for code in codes]}


def dense(n: Numbers, array: Columns, lines, x, h, c) -> dict:
    """h' = act(W·x + b)."""
    macs = array.macs("a", x=x, bias=n.bias)
    codes = n.codes("a", macs)
    return {"macs": macs, "codes": codes, "h": [n.row(n.value("a", code)) for code in codes]}
