# SPDX-License-Identifier: Apache-2.0
"""What a step of every cell adds up on its columns, written by hand from the tables of docs/networks.md.

Nothing here is taken from the descriptions in :mod:`crossramp.golden.cell.library` or from the gateware.
:mod:`crossramp.sim.formal.update.cell_equations` has what the updates make of the codes.
"""

from dataclasses import dataclass

#: By the name of each code of a conversion: the bank whose ramp counts it, and the terms of its sum.
Codes = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class CellStep:
    """A step of one cell.

    Attributes
    ----------
    banks : str
        In the order of their columns.
    rows : str
        Groups of rows in their order: ``x``, ``h``, ``k`` and the bias rows ``1``.
    conversions : tuple of Codes
        One or two, each followed by the update of its number. A sum has a term for each group of rows that has brought
        charge to the column by then. The pulse code ``q`` of the unit is a term as well, which a line drives, and
        ``before`` is that of the step before: ``.q`` acts on a cell of state_cell levels, ``*q`` and ``*before`` on a
        trained one.
    trained : str
        The codes whose sums have a trained cell, in the order in which a model file has its levels.
    """

    banks: str
    rows: str
    conversions: tuple[Codes, ...]
    trained: str = ""


def _all(banks: str) -> Codes:
    """Codes of banks that all rows of an LSTM drive."""
    return {bank: (bank, "x h 1") for bank in banks}


_TANH_OF_C = {"t": ("g", ".q")}
_RECURRENT = CellStep("a", "x h 1", (_all("a"),))

#: The step of each cell.
STEPS = {
    "lstm": CellStep("ifgo", "x h 1", (_all("ifgo"), _TANH_OF_C)),
    "lstm_peephole": CellStep(
        "ifgo",
        "x h 1",
        (
            {"i": ("i", "x h 1 *before"), "f": ("f", "x h 1 *before"), "g": ("g", "x h 1")},
            _TANH_OF_C | {"o": ("o", "x h 1 *q")},
        ),
        trained="ifo",
    ),
    "lstm_coupled": CellStep("igo", "x h 1", (_all("igo"), _TANH_OF_C)),
    "gru": CellStep("rzn", "x h k 1", (_all("rz"), {"n": ("n", "x k 1")})),
    "gru_reset_after": CellStep("rzmn", "x h 1", (_all("rz") | {"m": ("m", "h 1")}, {"n": ("n", "x 1 .q")})),
    "rnn_tanh": _RECURRENT,
    "rnn_relu": _RECURRENT,
    "dense": CellStep("a", "x 1", ({"a": ("a", "x 1")},)),
}
