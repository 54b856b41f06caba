# SPDX-License-Identifier: Apache-2.0
"""Wire resistance: what is left of each cell's current when the lines drop voltage.

Rows that are not driven are held at zero volts and columns end in virtual grounds,
so the network of cells and wire segments is linear.
The current of a column is Σ_r T[r, c]·V_r, with one matrix T for all pulses.
``T`` here is the product of two exact solutions (ours):
each row as a ladder that its cells load, and each column as a ladder that its cells shunt.
With either wire ideal it is exact.
With both resistive, second-order terms are missing; docs/devices.md has the error relative to the full network.
"""

import numpy as np


def ladder(conductance: np.ndarray, resistance: float) -> np.ndarray:
    """Voltages along a wire driven with 1 V at the end before element 0.

    Element j hangs between node j and ground; a segment of ``resistance`` lies before each node.

    Parameters
    ----------
    conductance : float64 array, shape (..., elements)
        S, 0 or more.
    resistance : float
        Ohm of a segment.

    Returns
    -------
    float64 array, shape of ``conductance``
        V at each node, 0 to 1. By reciprocity also the share of a current, driven into node j from a source behind
        element j at 1 V, that reaches a virtual ground at the wire's end.
    """
    # Conductance seen into node j from before it, from the far end on: Y_j = G_j + Y_(j+1) / (1 + R·Y_(j+1)).
    elements = conductance.shape[-1]
    seen = np.empty_like(conductance)
    after = np.zeros(conductance.shape[:-1])
    for j in reversed(range(elements)):
        seen[..., j] = conductance[..., j] + after / (1 + resistance * after)
        after = seen[..., j]
    drop = 1 / (1 + resistance * seen)
    return np.cumprod(drop, axis=-1)


def effective(cells: np.ndarray, row_resistance: float, column_resistance: float) -> np.ndarray:
    """Conductances with the wires' drops in them.

    Parameters
    ----------
    cells : float64 array, shape (..., rows, wires)
        S. Rows are driven from wire 0's side; columns end below the last row.
    row_resistance, column_resistance : float
        Ohm between two cells (and to the first from the driver, from the last to the virtual ground).

    Returns
    -------
    float64 array, shape of ``cells``
    """
    result = np.array(cells, float)
    if row_resistance:
        result *= ladder(cells, row_resistance)
    if column_resistance:
        along = np.swapaxes(cells, -1, -2)[..., ::-1]  # from the virtual ground up
        result *= np.swapaxes(ladder(along, column_resistance)[..., ::-1], -1, -2)
    return result


def exact(cells: np.ndarray, row_resistance: float, column_resistance: float) -> np.ndarray:
    """The matrix T of the full network by one dense solution: for small arrays, as a reference.

    Parameters
    ----------
    cells : float64 array, shape (rows, wires)
        S; 2·rows·wires unknowns.
    row_resistance, column_resistance : float
        Ohm, above 0.

    Returns
    -------
    float64 array, shape (rows, wires)
        Such that a wire's current is ``V @ T``.
    """
    rows, wires = cells.shape
    count = rows * wires
    upper, lower = np.arange(count).reshape(rows, wires), count + np.arange(count).reshape(rows, wires)
    matrix, drive = np.zeros((2 * count, 2 * count)), np.zeros((2 * count, rows))

    def connect(a, b, conductance):
        for at, other in ((a, b), (b, a)):
            np.add.at(matrix, (at, at), conductance)
            np.add.at(matrix, (at, other), -conductance)

    connect(upper.ravel(), lower.ravel(), cells.ravel())
    connect(upper[:, 1:].ravel(), upper[:, :-1].ravel(), np.full(rows * (wires - 1), 1 / row_resistance))
    connect(lower[1:].ravel(), lower[:-1].ravel(), np.full((rows - 1) * wires, 1 / column_resistance))
    np.add.at(matrix, (upper[:, 0], upper[:, 0]), 1 / row_resistance)
    np.add.at(matrix, (lower[-1], lower[-1]), 1 / column_resistance)
    drive[upper[:, 0], np.arange(rows)] = 1 / row_resistance
    voltages = np.linalg.solve(matrix, drive)
    return voltages[lower[-1]].T / column_resistance
