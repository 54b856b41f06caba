# SPDX-License-Identifier: Apache-2.0
"""Tiles: the columns of one macro in several arrays, where one array of all of them would be too wide.

A macro keeps its periphery. Its boundary is split: the array of a tile has the columns of some units, of every bank,
the wires that lines have for these units, all rows, and ramps of its own. What it converts does not depend on the other
tiles, so codes are those of one large array in every bit.

An array's rows may be split as well, among crossbars whose columns are joined (``row_tiles``): their currents or
charges add on one integrator, and the boundary does not show it.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

from ..cell.description import Cell
from ..spec.gates import SpecificationError
from ..spec.row_sums import RowSum
from ..spec.specification import Specification
from .network_specification import AnySpecification


@dataclass(frozen=True, kw_only=True)
class Tile(Specification):
    """The array of some units of a macro: a specification for everything that stands behind a boundary.

    It has the rows, ramps, clocks and formats of the macro, and the columns and wires of its own units. ``units`` is
    their number; names of columns have the numbers of the units in the network. Make it by :func:`tiles_of`.

    Parameters
    ----------
    whole : Specification
        Of the macro.
    first : int
        The number of the first unit.
    """

    whole: Specification
    first: int

    def __post_init__(self):
        super().__post_init__()
        if self.unit_range not in self.whole.unit_tiles:
            raise SpecificationError(
                f"units {self.unit_range[0]} to {self.unit_range[-1]} are no tile of the macro; make tiles by tiles_of"
            )

    def _settle_state_scale(self) -> None:
        """The macro's has been settled, and a caution has been given."""

    @property
    def first_unit(self) -> int:
        """The number of the first unit in the network."""
        return self.first

    @property
    def hidden(self) -> int:
        """Width of h, of the whole macro."""
        return self.whole.hidden

    @property
    def layout(self) -> Cell:
        """The cell as the whole macro has it."""
        return self.whole.layout

    @property
    def row_sums(self) -> tuple[RowSum, ...]:
        """What other arrays add up of the whole macro's rows."""
        return self.whole.row_sums

    @property
    def row_parts(self) -> dict[str, range]:
        """Which codes have rows: those of the whole macro cross every tile."""
        return self.whole.row_parts

    @property
    def code_pulse_bits(self) -> int:
        """Of the whole macro."""
        return self.whole.code_pulse_bits

    def to_dict(self) -> dict:
        """Parameters of the tile, and which tile of which macro it is."""
        return super().to_dict() | {"tile_of": self.whole.hardware_hash, "first_unit": self.first}


@lru_cache(maxsize=256)
def tiles_of(spec: Specification) -> tuple[Specification, ...]:
    """The specification of each array of a macro, in the order of its units; of one array, the macro's own."""
    if len(spec.unit_tiles) == 1:
        return (spec,)
    shared = {field.name: getattr(spec, field.name) for field in fields(Specification)}
    # What belongs to the periphery, or has been applied.
    shared |= {"lanes": 1, "projection": 0, "projection_in": "digital", "tile_columns": 0}
    shared |= {"projection_bits": None, "projection_range": 1.0}
    return tuple(
        Tile(**(shared | {"units": len(units), "whole": spec, "first": units.start})) for units in spec.unit_tiles
    )


def arrays_of(spec: AnySpecification) -> dict[str, Specification]:
    """The arrays behind the boundaries of a network: name to specification.

    ``array``, or ``array0``, ``array1``, ...: names of the members of signatures, and prefixes of ports; of several
    macros ``layer0_array``, ...
    """
    return {name: tile for arrays in arrays_by_macro(spec).values() for name, tile in arrays.items()}


def arrays_by_macro(spec: AnySpecification) -> dict[str, dict[str, Specification]]:
    """The same for each macro by its name."""
    found = {}
    for macro, part in spec.macros.items():
        tiles = tiles_of(part)
        names = ["array"] if len(tiles) == 1 else [f"array{number}" for number in range(len(tiles))]
        found[macro] = {prefixed(macro, name): tile for name, tile in zip(names, tiles, strict=True)}
    return found


def prefixed(macro: str, name: str) -> str:
    """The name of something that belongs to one macro of several: ``layer0_calibration``."""
    return f"{macro}_{name}" if macro else name


def need_one_array(spec: AnySpecification, what: str) -> None:
    """SpecificationError unless ``spec`` has one macro with its columns in one array, as ``what`` must have."""
    if tuple(spec.macros) != ("",):
        raise SpecificationError(
            f"the network has the macros {', '.join(spec.macros)}; {what} has one; give a network of one macro"
        )
    count = len(spec.unit_tiles)
    if count > 1:
        raise SpecificationError(
            f"tile_columns is {spec.tile_columns}, which makes {count} arrays; {what} has one; set it to 0"
        )
