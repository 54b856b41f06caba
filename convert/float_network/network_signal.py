# SPDX-License-Identifier: Apache-2.0
"""What a tensor of a foreign graph holds, as far as a network in hardware can compute it.

A reader of a graph starts with :func:`graph_input`, applies to a :class:`Signal` what each node does, and takes the
network from the signal that leaves the graph. Nothing here knows a format.

Three rules make more graphs readable than the layers alone would:

* Linear maps between layers (dense layers without an activation, normalizations, gains) are folded into the weights of
  the layer behind them, which is exact: W·(M·h + m) + b = (W·M)·h + (W·m + b).
* A layer of two directions is two signals side by side, however they came about: one node, or two with reversals.
* Which step is read out is judged once it is known of which direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from crossramp.golden.cell.description import BIAS, INPUT
from crossramp.golden.common.errors import InvalidValue

from .float_layer import FloatLayer
from .imported_network import FloatNetwork, hidden_of

#: Labels of dimensions. ONE has the length 1: a dimension that was inserted, or kept by a reduction.
BATCH, STEP, FEATURE, ONE = "batch", "step", "feature", "one"

#: What a signal is read out as, besides the readouts of a network: the first or the last step of an utterance, of which
#: it is open whether that is where its layer ends.
_START, _END = "start", "end"

Directions = tuple[FloatLayer, ...]


class Affine(NamedTuple):
    """v -> matrix · v + offset; float64, shapes (outputs, inputs) and (outputs,)."""

    matrix: np.ndarray
    offset: np.ndarray

    def after(self, before: "Affine | None") -> "Affine":
        """This one of the values that ``before`` gives; None: of those themselves."""
        if before is None:
            return self
        return Affine(self.matrix @ before.matrix, self.matrix @ before.offset + self.offset)


@dataclass(frozen=True, eq=False)
class Signal:
    """The values of one tensor of a graph.

    Methods that take ``node``, the name of a node for errors, give another signal.

    Attributes
    ----------
    source : str
        The input of the graph that it comes from.
    axes : tuple of str
        The label of each dimension. Those of an input are its numbers until a layer tells what they are.
    layers : tuple of tuples of FloatLayer
        The layers passed so far.
    affine : Affine or None
        What is applied to h of the last layer, or to x; None: nothing.
    backward : bool
        Whether the steps run from the end of an utterance.
    readout : str
        ``"step"``, ``"mean"`` or ``"last"``, as of a network; ``"start"`` and ``"end"``: the first and the last step
        of the utterance.
    """

    source: str
    axes: tuple[str, ...]
    layers: tuple[Directions, ...] = ()
    affine: Affine | None = None
    backward: bool = False
    readout: str = "step"

    # ---- shapes -----------------------------------------------------------------------------------------------------

    def permuted(self, order: Sequence[int], node: str) -> "Signal":
        """Dimensions in another order."""
        if sorted(dim % len(self.axes) for dim in order) != list(range(len(self.axes))):
            raise refusal(node, f"the order {tuple(order)} does not permute {len(self.axes)} dimensions")
        return replace(self, axes=tuple(self.axes[dim] for dim in order))

    def squeezed(self, dim: int, node: str) -> "Signal":
        """Without a dimension of length 1."""
        dim = self._dim(dim, node)
        if self.axes[dim] != ONE:
            raise refusal(node, f"the dimension {dim}, {self.axes[dim]}, is removed; only inserted ones can be")
        return replace(self, axes=self.axes[:dim] + self.axes[dim + 1 :])

    def unsqueezed(self, dim: int) -> "Signal":
        """With a dimension of length 1 in front of ``dim``; negative ones count from the end of the result."""
        dim %= len(self.axes) + 1
        return replace(self, axes=(*self.axes[:dim], ONE, *self.axes[dim:]))

    def flipped(self, dim: int, node: str) -> "Signal":
        """The steps from the other end."""
        dim = self._dim(dim, node)
        if self.axes[dim] in (BATCH, FEATURE, ONE) or (self.axes[dim] != STEP and STEP in self.axes):
            raise refusal(node, f"reverses the dimension {dim}, {self.axes[dim]}; only steps can be reversed")
        axes = (*self.axes[:dim], STEP, *self.axes[dim + 1 :])
        return replace(self, axes=axes, backward=not self.backward)

    # ---- values -----------------------------------------------------------------------------------------------------

    def linear(self, matrix, offset, node: str) -> "Signal":
        """matrix · v + offset over the last dimension; ``offset`` may be None.

        ``matrix`` has the shape (outputs, inputs).
        """
        named = self._features_last(node)
        matrix = np.asarray(matrix, np.float64)
        if matrix.ndim != 2 or (named.width is not None and matrix.shape[1] != named.width):
            expected = "2 dimensions" if named.width is None else f"(any, {named.width})"
            raise refusal(node, f"its matrix has the shape {matrix.shape}; expected {expected}")
        offset = np.zeros(len(matrix)) if offset is None else np.asarray(offset, np.float64)
        if offset.shape != (len(matrix),):
            raise refusal(node, f"its bias has the shape {offset.shape}; expected ({len(matrix)},)")
        if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
            raise refusal(node, "its weights are not finite; export finite weights")
        return replace(named, affine=Affine(matrix, offset).after(named.affine))

    def scaled(self, gain, offset, node: str) -> "Signal":
        """gain · v + offset, feature by feature; scalars, or arrays of shape (width,)."""
        named = self._features_last(node)
        shapes = {np.shape(value) for value in (gain, offset)} - {()}
        width = named.width if named.width is not None else max((shape[0] for shape in shapes), default=None)
        if width is None:
            raise refusal(node, "scales inputs of unknown number; scale what is given to the network instead")
        if not shapes <= {(width,)}:
            raise refusal(node, f"scales by arrays of the shapes {sorted(shapes)}; expected ({width},)")
        gain, offset = (np.broadcast_to(np.asarray(value, np.float64), (width,)) for value in (gain, offset))
        return named.linear(np.diag(gain), offset, node)

    def activated(self, activation: str, node: str) -> "Signal":
        """An activation of every value: with the linear map before it a layer of the cell ``dense``."""
        if self.readout == "mean":
            raise refusal(
                node,
                f"{activation} behind the mean over the steps; "
                "only a linear head can follow it: export the network with the activation in front of the mean",
            )
        self._features_last(node)
        before = self._resolved(node)
        if before.readout != "step" and len(before.layers[-1]) == 2:
            raise refusal(
                node,
                f"{activation} behind the last step of a layer of two directions, which end at different "
                "steps; only a linear head can follow it",
            )
        if before.width is None:
            raise refusal(node, f"{activation} of the inputs; apply it to what is given to the network instead")
        affine = before.affine or Affine(np.eye(before.width), np.zeros(before.width))
        # A dense layer keeps nothing, so its direction only says which step is its last: that of the layer before.
        reverse = bool(before.layers) and len(before.layers[-1]) == 1 and before.layers[-1][0].reverse
        layer = FloatLayer(
            "dense",
            {("a", INPUT): affine.matrix, ("a", BIAS): affine.offset},
            {"a": activation},
            reverse=reverse,
            name=node,
        )
        return replace(before, layers=(*before.layers, (layer,)), affine=None)

    def recurrent(self, directions: Directions, order: tuple[str, ...], node: str) -> "Signal":
        """h of a layer with one or two directions, at every step.

        Parameters
        ----------
        directions : tuple of FloatLayer
            As the node sees the steps: of a signal whose steps run from the end, a layer that is not ``reverse`` ends
            where the utterance begins.
        order : tuple of str
            The labels of the dimensions that the node expects, and gives.
        """
        named = self._named(order, node)
        if named.readout != "step":
            raise refusal(node, "a recurrent layer behind the readout; only a linear head can follow it")
        if named.width is not None and named.width != directions[0].inputs:
            raise refusal(node, f"takes {directions[0].inputs} inputs, but is given {named.width}")
        placed = tuple(
            replace(folded(layer, named.affine), reverse=layer.reverse != named.backward) for layer in directions
        )
        found = replace(named, layers=(*named.layers, placed), affine=None)
        if len(placed) == 1 or not named.backward:
            return found
        # The first of both is the backward one now; features stay where the node has them.
        first, second = (layer.hidden for layer in placed)
        return replace(found, layers=(*named.layers, placed[::-1]), affine=_swap(first, second))

    # ---- readouts ---------------------------------------------------------------------------------------------------

    def mean(self, dims: Sequence[int], keep: bool, node: str) -> "Signal":
        """The mean over the steps."""
        dims = [self._dim(dim, node) for dim in dims]
        if [self.axes[dim] for dim in dims] != [STEP] or self.readout != "step":
            over = ", ".join(f"{dim} ({self.axes[dim]})" for dim in dims)
            raise refusal(node, f"a mean over the dimensions {over}; only the mean over the steps can be taken")
        return self._read(dims[0], keep, "mean")

    def picked(self, dim: int, index: int, length: int | None, node: str, keep: bool = False) -> "Signal":
        """One step, counted from the end if ``index`` is negative; ``length``: how many there are, if known."""
        dim = self._dim(dim, node)
        if self.axes[dim] == ONE:
            return self.squeezed(dim, node) if not keep else self
        if self.axes[dim] != STEP or self.readout != "step":
            raise refusal(node, f"takes the element {index} of the dimension {dim}, {self.axes[dim]}")
        if index not in (0, -1) and (length is None or index != length - 1):
            raise refusal(node, f"takes the step {index}; only the last one can be read out")
        at_end = (index != 0) != self.backward
        return self._read(dim, keep, _END if at_end else _START)

    def features(self, start: int, stop: int, node: str) -> "Signal":
        """Some of the features; of a layer of two directions, those of one are that direction alone."""
        named = self._features_last(node)
        if named.width is None:
            raise refusal(node, "takes some of the inputs; give the network only those that it uses")
        stop = min(stop, named.width)
        if (start, stop) == (0, named.width):
            return named
        if named.affine is None and named.layers and len(named.layers[-1]) == 2:
            border = named.layers[-1][0].hidden
            for direction, ends in enumerate(((0, border), (border, named.width))):
                if (start, stop) == ends:
                    return replace(named, layers=(*named.layers[:-1], (named.layers[-1][direction],)))
        return named.linear(np.eye(named.width)[start:stop], None, node)

    # ---- the network ------------------------------------------------------------------------------------------------

    @property
    def width(self) -> int | None:
        """Number of features; None: of inputs of which nothing is known."""
        if self.affine is not None:
            return len(self.affine.matrix)
        return hidden_of(self.layers[-1]) if self.layers else None

    def network(self, node: str) -> FloatNetwork:
        """The network whose output this is; ``node`` names the output.

        Raises
        ------
        InvalidValue
            If no layer is in it, or if the steps come from the end or a step is read out at which the layer does not
            end.
        """
        if not any(layer.cell != "dense" for directions in self.layers for layer in directions):
            raise refusal(node, "no LSTM, GRU or RNN leads to it; export a network with a recurrent layer")
        read = self._resolved(node)
        if read.readout == "step" and read.backward:
            raise refusal(
                node,
                "its steps come from the end of the input; export the network with its outputs in the order "
                "of the inputs",
            )
        if read.affine is None:
            return FloatNetwork(read.layers, readout=read.readout)
        return FloatNetwork(read.layers, read.affine.matrix, read.affine.offset, read.readout)

    # ---- help -------------------------------------------------------------------------------------------------------

    def _read(self, dim: int, keep: bool, readout: str) -> "Signal":
        axes = (*self.axes[:dim], *([ONE] if keep else []), *self.axes[dim + 1 :])
        return replace(self, axes=axes, readout=readout)

    def _resolved(self, node: str) -> "Signal":
        """With a readout that networks have."""
        if self.readout not in (_START, _END):
            return self
        if not self.layers:
            raise refusal(node, "a step of the inputs is read out; export a network with a recurrent layer")
        ends = [_START if layer.reverse else _END for layer in self.layers[-1]]
        if all(end == self.readout for end in ends):
            return replace(self, readout="last")
        if len(ends) == 1:
            raise refusal(node, "reads out the first step of a layer; only its last one can be read out")
        raise refusal(
            node,
            f"reads out the {'last' if self.readout == _END else 'first'} step of both directions, of which "
            "one has seen no other input there; read out the last h of each direction, as h_n has them, or the mean",
        )

    def _dim(self, dim: int, node: str) -> int:
        if not -len(self.axes) <= dim < len(self.axes):
            raise refusal(node, f"dimension {dim} of a tensor with {len(self.axes)}")
        return dim % len(self.axes)

    def _features_last(self, node: str) -> "Signal":
        """With the last dimension known as that of the features."""
        if self.axes[-1] == FEATURE:
            return self
        if self.axes[-1] in (BATCH, STEP, ONE):
            raise refusal(node, f"acts on the dimension {self.axes[-1]}; only features, as the last one, can")
        return replace(self, axes=(*self.axes[:-1], FEATURE))

    def _named(self, order: tuple[str, ...], node: str) -> "Signal":
        """With the labels ``order``, as far as those that are known agree."""
        fits = len(self.axes) == len(order) and all(
            known == wanted or (known not in (BATCH, STEP, FEATURE, ONE) and wanted not in self.axes)
            for known, wanted in zip(self.axes, order, strict=True)
        )
        if not fits:
            raise refusal(node, f"takes ({', '.join(order)}), but is given ({', '.join(self.axes)})")
        return replace(self, axes=order)


def refusal(node: str, why: str) -> InvalidValue:
    """The error of a node that a network in hardware cannot do; ``why`` ends with what to do instead."""
    return InvalidValue(f"node {node!r}: {why}")


def graph_input(name: str, dimensions: int) -> Signal:
    """The signal of an input with that many dimensions."""
    return Signal(name, tuple(map(str, range(dimensions))))


def folded(layer: FloatLayer, affine: Affine | None) -> FloatLayer:
    """``layer`` of inputs to which ``affine`` is applied first."""
    if affine is None:
        return layer
    weights = dict(layer.weights)
    for (bank, group), matrix in layer.weights.items():
        if group == INPUT:
            weights[bank, BIAS] = weights[bank, BIAS] + matrix @ affine.offset
            weights[bank, group] = matrix @ affine.matrix
    return replace(layer, weights=weights)


def joined(signals: Sequence[Signal], dim: int, node: str) -> Signal:
    """Signals side by side: the two directions of one layer.

    Raises
    ------
    InvalidValue
        For signals that are not: both must take the same x, and only one go through it from the end.
    """
    if len(signals) == 1:
        return signals[0]
    read = [one._resolved(node) for one in signals]
    first = read[0]
    if not all(-len(one.axes) <= dim < len(one.axes) and one.axes[dim] == FEATURE for one in read):
        raise refusal(node, "joins tensors along another dimension than that of the features")
    # Where the steps begin counts only if steps leave.
    places = [
        (one.source, one.axes, one.layers[:-1], one.readout, one.readout == "step" and one.backward) for one in read
    ]
    ends = [layer.reverse for one in read for layer in (one.layers[-1] if one.layers else ())]
    if places[1:] != places[:-1] or len(read) != 2 or sorted(ends) != [False, True] or len(ends) != 2:
        raise refusal(
            node, "joins tensors that are not the two directions of one layer; only those can stand side by side"
        )
    order = np.argsort(ends)  # forward first
    layers = tuple(read[k].layers[-1][0] for k in order)
    hidden = [layer.hidden for layer in layers]
    plain = list(order) == [0, 1] and not any(one.affine for one in read)
    affine = None if plain else _side_by_side(read, order, hidden)
    return replace(first, layers=(*first.layers[:-1], layers), affine=affine)


def summed(signals: Sequence[Signal], factors: Sequence[float], node: str) -> Signal:
    """The sum of the two directions of one layer, each times its factor; raises as :func:`joined`."""
    both = joined(signals, len(signals[0].axes) - 1, node)
    widths = [one.width for one in signals]
    if len(set(widths)) > 1:
        raise refusal(node, f"adds {' and '.join(map(str, widths))} features")
    return both.linear(np.concatenate([factor * np.eye(widths[0]) for factor in factors], 1), None, node)


def _side_by_side(read: Sequence[Signal], order: Sequence[int], hidden: Sequence[int]) -> Affine:
    """The map from h of both directions, forward first, to the values of the signals in their own order."""
    starts = [0, *np.cumsum(hidden)]
    matrices, offsets = [], []
    for number, one in enumerate(read):
        place = list(order).index(number)
        own = one.affine or Affine(np.eye(hidden[place]), np.zeros(hidden[place]))
        wide = np.zeros((len(own.matrix), starts[-1]))
        wide[:, starts[place] : starts[place + 1]] = own.matrix
        matrices.append(wide)
        offsets.append(own.offset)
    return Affine(np.concatenate(matrices), np.concatenate(offsets))


def _swap(first: int, second: int) -> Affine:
    """From (second, first) values to (first, second)."""
    eye = np.eye(first + second)
    return Affine(np.concatenate([eye[second:], eye[:second]]), np.zeros(first + second))
