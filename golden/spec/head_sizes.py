# SPDX-License-Identifier: Apache-2.0
"""The head: widths, bounds and clocks of what sums up h and multiplies it, behind any layers."""

from typing import ClassVar


class HeadSizes:
    """Sizes that follow from the codes of h (``hidden``, ``streamed``, ``lanes``, ``input_bits``), and from a head.

    Those are ``classes``, ``head_weight_bits``, ``readout`` and ``max_steps``. A mixin of
    :class:`.specification.Specification` and of a network of several layers, so that golden head, gateware and benches
    are the same for both.
    """

    #: Whether the matrix of the head is the last layer's array, so that the head only adds up.
    head_in_array: ClassVar[bool] = False

    @property
    def output_bits(self) -> int:
        """Bits of a code of the h stream."""
        return self.input_bits

    @property
    def head_weight_max(self) -> int:
        """Full-scale weight of the head."""
        return (1 << (self.head_weight_bits - 1)) - 1

    @property
    def head_bias_bits(self) -> int:
        """Width of the head's biases: one full-scale weight on a full-scale h fits."""
        return self.head_weight_bits + self.input_bits - 1

    @property
    def head_bias_max(self) -> int:
        """Largest bias of the head, in (head weight step) x (h step)."""
        return (1 << (self.head_bias_bits - 1)) - 1

    @property
    def sum_max(self) -> int:
        """Largest magnitude of what the head sees of one unit: a sum of h over the steps, or one h."""
        return self.input_max * (self.max_steps if self.readout == "mean" else 1)

    @property
    def logit_max(self) -> int:
        """Bound on the magnitude of a logit."""
        if self.head_in_array:
            return self.sum_max
        count = self.max_steps if self.readout == "mean" else 1
        return self.hidden * self.head_weight_max * self.sum_max + self.head_bias_max * count

    @property
    def logit_bits(self) -> int:
        """Width of a signed logit."""
        return self.logit_max.bit_length() + 1

    @property
    def h_beats(self) -> int:
        """Groups of ``lanes`` codes in a step of the h stream, the last perhaps partly filled."""
        return -(-self.streamed // self.lanes)

    @property
    def head_lanes(self) -> int:
        """Products that the head makes in one clock: 1; ``lanes`` where every step needs its logits."""
        return self.lanes if self.readout == "step" else 1

    @property
    def head_clocks(self) -> int:
        """Of ``rtl.network.head.Head``: from the last h that it gets until it can take the next last one.

        All logits are taken at once. A class takes one clock for each ``head_lanes`` codes of h and one for the bias;
        from the last of these to the answer it is three, and the answer and the start take one each. Where the head is
        in an array, a class takes one clock, and from the last of these to the answer it is two.
        """
        if self.head_in_array:
            return self.classes + 4
        return self.classes * (-(-self.hidden // self.head_lanes) + 1) + 5
