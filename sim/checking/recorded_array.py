# SPDX-License-Identifier: Apache-2.0
"""Conversions that an array recorded, as an array of golden: what the periphery must make of what it was shown."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.array.ramps import latched_codes
from crossramp.golden.spec.specification import Specification


class RecordedArray:
    """Returns the recorded conversions, one after the other, for any pulses that drive it.

    An :class:`~crossramp.golden.array.array_protocol.Array` of one utterance at a time (batch 1): its codes are what
    the capture banks latch from the recorded comparators, well-behaved or not.

    Parameters
    ----------
    spec : Specification
    conversions : sequence of array.Conversion
        As :meth:`.python_array.ArrayModel.finish` gives them.
    """

    def __init__(self, spec: Specification, conversions: Sequence):
        self.spec = spec
        self._conversions = iter(conversions)

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`~crossramp.golden.array.array_protocol.Array.convert`."""
        recorded, columns = next(self._conversions), self.spec.converted(len(windows) - 1)
        macs, comparators = recorded.macs[columns], recorded.comparators[:, columns]
        return np.asarray(macs)[None], latched_codes(self.spec, comparators, columns)[None]
