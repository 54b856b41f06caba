# SPDX-License-Identifier: Apache-2.0
"""Every cell by its name. Adding one is an entry here, and a reference in ``tests/support/references``."""

from dataclasses import replace

from .cell_checks import check
from .description import FIXED, LINE, ROW, Bank, Cell, Conversion, Gate, Store

SIGMOID = Gate("sigmoid", 2.0)
TANH = Gate("tanh", 225 / 112)  # with 5-bit codes and a state cell of 7, one state pulse clock is exactly 1/16
RELU = Gate("clipped_relu", 2.0)
SPAN_4 = Gate("identity[-4,4]", 4.0)

_ALL = "x h 1"

LSTM = Cell(
    "lstm",
    banks={  # PyTorch's order
        "i": Bank(SIGMOID, _ALL),
        "f": Bank(SIGMOID, _ALL),
        "g": Bank(TANH, f"{_ALL} q."),
        "o": Bank(SIGMOID, _ALL),
    },
    values={"c": FIXED, "q": LINE, "h": ROW},
    program=(
        Conversion(_ALL, "i f g o"),
        Store("c", "f*c + i*g"),
        Store("q", "c"),
        Conversion("q", "g>t"),  # t: tanh(c), by the columns and the ramp of g
        Store("h", "o*t"),
    ),
)

#: Peepholes (Gers and Schmidhuber, IJCNN 2000): i and f also see the c before, and o sees the new c.
LSTM_PEEPHOLE = Cell(
    "lstm_peephole",
    banks={
        "i": Bank(SIGMOID, f"{_ALL} a*"),
        "f": Bank(SIGMOID, f"{_ALL} a*"),
        "g": Bank(TANH, f"{_ALL} q."),
        "o": Bank(SIGMOID, f"{_ALL} q*"),
    },
    values={"c": FIXED, "q": LINE, "h": ROW},
    program=(
        Conversion(f"{_ALL} a=q", "i f g"),  # o holds
        Store("c", "f*c + i*g"),
        Store("q", "c"),
        Conversion("q", "g>t o"),
        Store("h", "o*t"),
    ),
)

#: Coupled gates, f = 1 - i (Greff et al., IEEE TNNLS 28:2222, 2017).
LSTM_COUPLED = Cell(
    "lstm_coupled",
    banks={"i": Bank(SIGMOID, _ALL), "g": Bank(TANH, f"{_ALL} q."), "o": Bank(SIGMOID, _ALL)},
    values={"c": FIXED, "q": LINE, "h": ROW},
    program=(
        Conversion(_ALL, "i g o"),
        Store("c", "c + i*(g - c)"),
        Store("q", "c"),
        Conversion("q", "g>t"),
        Store("h", "o*t"),
    ),
    bounded=True,  # c lies between its last value and g, so it stays within ±1
)

#: The reset gate acts before the matrix product (Cho et al., arXiv:1406.1078).
GRU = Cell(
    "gru",
    banks={"r": Bank(SIGMOID, _ALL), "z": Bank(SIGMOID, _ALL), "n": Bank(TANH, "x k 1")},
    values={"s": FIXED, "k": ROW, "h": ROW},
    program=(
        Conversion(_ALL, "r z"),  # n holds
        Store("k", "r*s"),
        Conversion("k", "n"),
        Store("s", "n + z*(s - n)"),
        Store("h", "s"),
    ),
    bounded=True,  # s lies between its last value and n
)

#: The reset gate acts after the matrix product, on U·h + b: PyTorch's GRU, and Keras's with ``reset_after``.
GRU_RESET_AFTER = Cell(
    "gru_reset_after",
    banks={
        "r": Bank(SIGMOID, _ALL),
        "z": Bank(SIGMOID, _ALL),
        "m": Bank(SPAN_4, "h 1"),
        "n": Bank(TANH, "x 1 q."),
    },
    values={"s": FIXED, "q": LINE, "h": ROW},
    program=(
        Conversion(_ALL, "r z m"),  # n holds
        Store("q", "r*m"),
        Conversion("q", "n"),
        Store("s", "n + z*(s - n)"),
        Store("h", "s"),
    ),
    bounded=True,
)

#: Elman's network: one conversion a step.
RNN_TANH = Cell(
    "rnn_tanh",
    banks={"a": Bank(TANH, _ALL)},
    values={"h": ROW},
    program=(Conversion(_ALL, "a"), Store("h", "a")),
)

RNN_RELU = replace(RNN_TANH, name="rnn_relu", banks={"a": Bank(RELU, _ALL)})

#: No recurrence: a dense layer.
DENSE = Cell(
    "dense",
    banks={"a": Bank(TANH, "x 1")},
    values={"h": ROW},
    program=(Conversion("x 1", "a"), Store("h", "a")),
)

CELLS = {
    cell.name: check(cell)
    for cell in (LSTM, LSTM_PEEPHOLE, LSTM_COUPLED, GRU, GRU_RESET_AFTER, RNN_TANH, RNN_RELU, DENSE)
}
"""Every cell by its name."""
