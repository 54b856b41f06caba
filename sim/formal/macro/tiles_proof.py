# SPDX-License-Identifier: Apache-2.0
"""The boundary of a macro whose columns are in several arrays: wires, and ready of them all."""

from amaranth import Array, Module, Signal
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.boundary import ArraySignature, array_members, split_array

from ..engine.entry import Entry
from ..engine.proof import Proof
from ..engine.solver import Mode


class TilesProof(Proof):
    """The boundary of the whole macro beside those of its arrays.

    Environment: everything is free.

    Claims, for a bank, a line of the cell and a unit that stand for all of them:

    - Every array sees each row and each control line of the macro.
    - The wires of the unit's lines are at the place of the unit in its own array.
    - The macro sees the comparator of the unit's column there, and is ready while all arrays are.
    - The calibration cells of an array are its own, array after array.

    Parameters
    ----------
    spec : Specification
        With several arrays.
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, members = self.spec, array_members(self.spec)
        whole = ArraySignature(spec).flip().create(path=("whole",))
        tiles = [member.signature.create(path=(name,)) for name, member in members.items()]
        m.submodules.dut = inner = Module()
        split_array(inner, whole, tiles, spec)
        unit, cells = self.choice(m, spec.units, "unit"), len(spec.ramps) * spec.calibration_cells
        own, place = Signal(range(len(tiles)), name="own_array"), Signal(range(spec.units), name="place_in_array")
        for number, units in enumerate(spec.unit_tiles):
            with m.If((unit >= units.start) & (unit < units.stop)):
                m.d.comb += [own.eq(number), place.eq(unit - units.start)]

        def at(values, sizes, group):
            """The unit's bit of a bus of each array, of whose groups each has so many bits."""
            found = (value.bit_select(group * len(size) + place, 1) for value, size in zip(values, sizes, strict=True))
            return Array(found)[own]

        for wire in BOUNDARY:
            ours, theirs = getattr(whole, wire.name), [getattr(tile, wire.name) for tile in tiles]
            for signal in [ours] if wire.to_array else theirs:
                if len(signal):
                    m.d.comb += signal.eq(self.free(m, len(signal), f"{signal.name}_any"))
            if wire.size in ("state_lines", "columns"):
                lines = wire.size == "state_lines"
                for group in range(len(spec.layout.lines) if lines else len(spec.gate_names)):
                    bit = ours.bit_select(group * spec.units + unit, 1)
                    self.claim(m, at(theirs, spec.unit_tiles, group) == bit, f"{wire.name}: those of the unit")
            elif wire.size == "calibration":
                for number, signal in enumerate(theirs):
                    part = ours[number * cells : (number + 1) * cells]
                    if cells:
                        self.claim(m, signal == part, f"{wire.name}: array after array")
            elif wire.name != "ready":
                for signal in theirs:
                    if len(signal):
                        self.claim(m, signal == ours, f"{wire.name}: at every array")
        ready = whole.ready
        for number, tile in enumerate(tiles):
            with m.If(~tile.ready):
                self.claim(m, ~ready, "not ready while an array is not")
            self.cover(m, ~tile.ready & ~ready, f"array {number} waits")
        waiting = Signal(name="an_array_waits")
        for tile in tiles:
            with m.If(~tile.ready):
                m.d.comb += waiting.eq(1)
        self.claim(m, ready | waiting, "ready while all arrays are")


def proofs(spec: Specification) -> list[Entry]:
    """The proof at the sizes of ``spec``; of one array there is nothing to split."""
    if len(spec.unit_tiles) == 1:
        return []
    claim = "every array has the control lines and its own units' wires; the macro waits for all arrays"
    return [Entry("tiles", claim, lambda: TilesProof(spec), Mode.BOUNDED, 1, complete=True)]
