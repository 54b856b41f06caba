# SPDX-License-Identifier: Apache-2.0
"""The macros that convert partial sums: their arrays have some rows of another macro, and columns of all its banks."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..cell.description import BIAS, Cell, Gate
from .row_sums import RowSum, sum_cell
from .specification import Specification

#: The largest range of a gate's weights.
_RANGE_MAX = 2**10


@dataclass(frozen=True, kw_only=True)
class RowTile(Specification):
    """The macro of one of ``whole.row_sums``; made by :func:`row_tiles_of`.

    Its columns are those of the banks that its rows cross, ``whole.units`` each. It takes the whole x of its macro, and
    h or another value that its rows need, of which it drives its own part. Its output is the codes themselves.

    Parameters
    ----------
    whole : Specification
    number : int
        Which one.
    """

    whole: Specification
    number: int

    @property
    def sum(self) -> RowSum:
        """What it adds up."""
        return self.whole.row_sums[self.number]

    @cached_property
    def layout(self) -> Cell:
        """The description of its cell."""
        return sum_cell(self.whole.base_cell, self.sum, _gate(self.whole))

    @property
    def hidden(self) -> int:
        """Codes of the h that it takes."""
        return self.whole.hidden

    @property
    def streamed(self) -> int:
        """Codes that it gives in a step."""
        return self.units

    @property
    def row_parts(self) -> dict[str, range]:
        """Which codes of each group have rows here."""
        return self.sum.parts

    def given_sizes(self, source: str) -> tuple[int, int]:
        """Codes of h, or of another row value of its macro, and how many of them leave it in a clock."""
        whole = self.whole
        if source == whole.base_cell.output:
            return whole.hidden, (whole.projection_macro or whole).lanes
        return whole.units, whole.lanes

    @property
    def code_pulse_bits(self) -> int:
        """Of the pulse codes that it gives."""
        return self.whole.code_pulse_bits

    def to_dict(self) -> dict:
        """Parameters of its array, and which sums of which macro it makes."""
        return super().to_dict() | {"sums_of": self.whole.hardware_hash, "sums": self.number}


def _gate(whole: Specification) -> Gate:
    """A linear ramp whose thresholds lie 2 · ``partial_cell`` MAC units apart, exactly: all numbers are dyadic."""
    unit, full = 1.0, whole.weight_max * whole.input_max
    while full * unit > _RANGE_MAX:
        unit /= 2
    reach = (whole.partial_cell << whole.partial_bits) * unit
    return Gate(f"identity[{-reach!r},{reach!r}]", full * unit, whole.partial_bits)


@lru_cache(maxsize=256)
def row_tiles_of(spec: Specification) -> dict[str, RowTile]:
    """The macros that convert partial sums of another one, by the names of the sums: none where it has no such tiles.

    Their updates have as many groups as its own.
    """
    names = ("inputs", "adc_bits", "input_bits", "weight_bits", "latch", "calibration_cells", "settle_clocks")
    shared = {name: getattr(spec, name) for name in (*names, "comparator_registers", "tile_rows", "tile_columns")}
    return {
        one.name: RowTile(
            cell="dense",
            units=len(one.banks) * spec.units,
            lanes=len(one.banks) * spec.lanes,
            classes=0,
            bias_rows=len(one.parts.get(BIAS, ())),
            whole=spec,
            number=number,
            **shared,
        )
        for number, one in enumerate(spec.row_sums)
    }
