# SPDX-License-Identifier: Apache-2.0
"""The one object every other number is derived from."""

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from ..cell.description import Gate
from ..cell.library import CELLS
from ..common.checks import integer
from ..common.content_hash import content_hash
from ..common.declared import check, declarations
from ..common.errors import InvalidValue
from .bank_columns import BankColumns
from .converter_parameters import ConverterParameters
from .gates import SpecificationError, checked_gates, gates_from
from .head_sizes import HeadSizes
from .implementation import ImplementationParameters
from .network_parameters import NetworkParameters
from .update_formats import store_rule

FORMAT = 2
"""The format of new specifications: their content hash leaves the implementation out."""

# The parameters of format 1, in the order in which its files and headers list them. All of them are in its hash.
_FORMAT_1 = (
    *("inputs", "units", "classes", "bias_rows", "adc_bits", "input_bits", "weight_bits", "gates", "state_bits"),
    *("state_frac_bits", "state_pulse_bits", "state_cell", "lanes", "latch", "settle_clocks", "calibration_cells"),
    *("readout", "head_weight_bits", "max_steps", "cell", "projection"),
    *("comparator_registers", "tile_rows", "tile_columns", "initial", "keeps_state"),
    *("projection_in", "projection_bits", "projection_range"),
    *("partial_rows", "partial_bits", "partial_cell"),
)

PARTS = (NetworkParameters, ConverterParameters, ImplementationParameters)
"""What a specification is composed of, in the order of its parameters."""


@dataclass(frozen=True, kw_only=True)
class Specification(ImplementationParameters, ConverterParameters, NetworkParameters, BankColumns, HeadSizes):
    """Every parameter of one network and its hardware; immutable, checked, and the source of all derived sizes.

    Its parameters are those of its parts, given by keyword and read as attributes:
    :class:`.network_parameters.NetworkParameters` and :class:`.converter_parameters.ConverterParameters`, on which
    answers depend, and :class:`.implementation.ImplementationParameters`, on which they do not.

    Parameters
    ----------
    format : int
        How the content hash is made: 2 for new specifications, 1 for those of files that have no such number. Two
        specifications that differ in it alone are equal.

    Raises
    ------
    SpecificationError
        For any parameter out of range, one that the cell has no use for, and for a full scale of the line's pulse code
        (``state_full_scale``) below 1.

    Warns
    -----
    SpecificationWarning
        If the full scale of c's pulse code does not reach the topmost code of its ramp.
    """

    format: int = dataclasses.field(default=FORMAT, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "format", integer("format", self.format, 1, FORMAT, SpecificationError))
        check(self, SpecificationError)
        gates = self.layout.default_gates if self.gates is None else self.gates
        object.__setattr__(self, "gates", checked_gates(gates, self.layout, self.adc_bits))
        self._check_initial()
        self._check_projection()
        self._settle_partial_sums()
        self._settle_state()
        self._settle_state_scale()
        if 0 < self.tile_columns < len(self.gate_names):
            raise SpecificationError(
                f"tile_columns is {self.tile_columns}, but a unit of the cell {self.cell} has {len(self.gate_names)} "
                f"columns, which stay in one array: {', '.join(self.gate_names)}; allowed: 0 for no limit, or "
                f"{len(self.gate_names)} and up"
            )
        for stores in self.layout.stores:
            for store in stores:
                try:
                    store_rule(self, store)
                except InvalidValue as error:
                    raise SpecificationError(str(error)) from None

    def _check_initial(self) -> None:
        """SpecificationError for parameters of the state that a step hands on, in a cell without one."""
        for name, neutral in (("initial", "zero"), ("keeps_state", 0)):
            value = getattr(self, name)
            if value != neutral and not self.base_cell.has_state:
                raise SpecificationError(
                    f"{name} is {value!r}, but the cell {self.cell} keeps nothing from one step to the next; "
                    f"write {neutral!r}, or leave it out"
                )

    def _check_projection(self) -> None:
        """SpecificationError for a projection in an array where there can be none, and for its sizes without one."""
        if self.array_projects:
            if self.classes:
                raise SpecificationError(
                    f"projection_in is 'array' and classes is {self.classes}: such a macro is a layer of a network; "
                    "write it as a table of layers, or set projection_in to 'digital'"
                )
            if self.initial != "zero":
                raise SpecificationError(
                    f"initial is {self.initial!r}, but h comes from a projection in an array, which is not loaded; "
                    "write 'zero', or set projection_in to 'digital'"
                )
            return
        neutral = {"projection_bits": None, "projection_range": 1.0}
        if not self.projection:
            neutral["projection_in"] = "digital"
        for name, value in neutral.items():
            if getattr(self, name) != value:
                missing = "projection_in is 'digital'" if self.projection else "projection is 0"
                raise SpecificationError(f"{name} is {getattr(self, name)!r}, but {missing}; leave it out")

    def _settle_partial_sums(self) -> None:
        """Choose what was left out of partial sums; SpecificationError where there can be none."""
        if not self.partial_rows:
            for name in ("partial_bits", "partial_cell"):
                if getattr(self, name) is not None:
                    raise SpecificationError(f"{name} is {getattr(self, name)}, but partial_rows is 0; leave it out")
            return
        if self.classes:
            raise SpecificationError(
                f"partial_rows is {self.partial_rows} and classes is {self.classes}: such a macro is a layer of a "
                "network; write it as a table of layers, or leave partial_rows out"
            )
        if self.keeps_state:
            raise SpecificationError(
                "keeps_state is 1, but arrays of partial sums start every utterance from zero; write 0, or leave "
                "partial_rows out"
            )
        if self.initial != "zero":
            raise SpecificationError(
                f"initial is {self.initial!r}, but arrays of partial sums get h from the macro and are not loaded; "
                "write 'zero', or leave partial_rows out"
            )
        if self.partial_bits is None:
            object.__setattr__(self, "partial_bits", self.adc_bits)
        if self.partial_cell is None:
            # As many levels as bring the reach nearest to a pre-activation of 4.
            levels = round(4 / (self.scale(self.gate_names[0]) * (1 << self.partial_bits)))
            object.__setattr__(self, "partial_cell", min(max(levels, 1), self.weight_max))

    @cached_property
    def projection_macro(self) -> "Specification | None":
        """The macro that projects h in an array, a dense one with a linear ramp; None where no array does.

        Its inputs are the codes of the cell's output, its units those of h, without bias rows. Its update has no more
        groups than the cell's, so that it costs no more clocks.
        """
        if not self.array_projects:
            return None
        shared = ("input_bits", "weight_bits", "latch", "calibration_cells", "settle_clocks", "comparator_registers")
        return Specification(
            cell="dense",
            inputs=self.units,
            units=self.projection,
            classes=0,
            bias_rows=0,
            adc_bits=self.projection_bits or self.adc_bits,
            gates=(Gate("identity", self.projection_range),),
            lanes=-(-self.projection // self.beats),
            **{name: getattr(self, name) for name in (*shared, "tile_rows", "tile_columns")},
        )

    # ---- sizes to which several parts contribute ----------------------------------------------------------------

    @cached_property
    def mac_max(self) -> int:
        """Largest magnitude of a MAC, of any conversion: the charge of all windows that a bank holds by then."""
        return max(map(self.bank_reach, self.gate_names))

    def bank_reach(self, gate: str) -> int:
        """Largest magnitude of a MAC in the bank of a gate, of any conversion that latches it."""
        cell, sizes = self.layout, self.row_sizes
        bank, largest = cell.banks[gate], 0
        for number in (k for k, codes in enumerate(cell.conversions) if gate in codes):
            charge = 0
            for window in cell.windows(gate, number):
                driven = cell.steps[window][0].driven
                charge += sum(sizes[group] for group in bank.rows if group in driven) * self._row_charge
                charge += sum(
                    self.line_level(line, trained) * self.pulse_max(driven[line])
                    for line, trained in bank.lines.items()
                    if line in driven
                )
            largest = max(largest, charge)
        return largest

    @property
    def _row_charge(self) -> int:
        """The largest charge that one row brings to a column."""
        return self.weight_max * self.input_max

    @property
    def mac_bits(self) -> int:
        """Width of a signed MAC, and of a threshold clipped to ±(mac_max + 1)."""
        return (self.mac_max + 1).bit_length() + 1

    def given_sizes(self, source: str) -> tuple[int, int]:
        """Codes that a stream of another macro brings in a step, and how many in a clock."""
        values = len(self.layout.given[source].values)
        return values * self.units, values * self.lanes

    @property
    def devices(self) -> dict[str, int]:
        """Memristors by use: differential weight pairs, state pairs, ramp taps and calibration cells."""
        return {
            "weights": 2 * int(self.placed.sum()),
            "state": 2 * self.line_cell_count,
            "ramp": sum(walk.ticks for walk in self.ramp_walks),
            "calibration": len(self.ramps) * self.calibration_cells,
        }

    #: A macro goes through an utterance in one direction.
    bidirectional: ClassVar[bool] = False

    @property
    def macros(self) -> dict[str, "Specification"]:
        """The macros of this network by their names: its only one, which has no name."""
        return {"": self}

    @property
    def most_steps(self) -> int | None:
        """The longest utterance, or None where nothing bounds it."""
        return None if self.readout == "step" else self.max_steps

    def silent_steps(self, steps: int) -> int:
        """Most steps in which nothing enters or leaves the network, in utterances of ``steps`` steps."""
        return 1

    # ---- stored forms and hashes ------------------------------------------------------------------------------------

    def replace(self, **changes) -> "Specification":
        """A copy with some parameters changed, checked anew; its format is the same."""
        return dataclasses.replace(self, **changes)

    def converting(self, adc_bits: int) -> "Specification":
        """A copy with conversions of other bits, checked anew."""
        return self.replace(adc_bits=adc_bits)

    def implemented(self, **changes) -> "Specification":
        """A copy with these parameters of the implementation, checked anew."""
        return self.replace(**changes)

    def to_dict(self) -> dict:
        """Parameters as plain ints, strings and nested dicts; gates keyed by name.

        ``format`` comes first, except in format 1, which has no such key. A parameter that is neutral, such as a
        projection of 0, is left out: networks that were made before there was one keep their hash. So is one that the
        cell has no use for.
        """
        declared = dict(declarations(type(self)))
        first, names = ({}, _FORMAT_1) if self.format == 1 else ({"format": self.format}, declared)
        content = first | {name: getattr(self, name) for name in names}
        for name in names:
            if content[name] is None or content[name] == declared[name].neutral:
                del content[name]
        content["gates"] = {
            name: {"activation": gate.activation, "weight_range": float(gate.weight_range)}
            | ({} if gate.bits is None else {"bits": gate.bits})
            for name, gate in zip(self.gate_names, self.gates, strict=True)
        }
        return content

    @classmethod
    def from_dict(cls, content: dict) -> "Specification":
        """The specification that :meth:`to_dict` described; SpecificationError for unknown or missing names."""
        if not isinstance(content, dict):
            raise SpecificationError(f"a specification is a table of parameters, not {type(content).__name__}")
        content = {"format": 1} | content
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name in content:
            if name not in known:
                raise SpecificationError(f"unknown parameter {name!r}; known: {', '.join(known)}")
        for name, parameter in known.items():
            if name not in content and parameter.default is dataclasses.MISSING:
                raise SpecificationError(f"parameter {name!r} is missing")
        if "gates" in content:
            # A cell that is not known is refused with the other parameters.
            cell = CELLS.get(content.get("cell"), CELLS[known["cell"].default])
            content["gates"] = gates_from(content["gates"], cell.gates)
        return cls(**content)

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits that change with any parameter on which answers depend, and with nothing else.

        The same on every machine. In format 1 they change with every parameter.
        """
        content = self.to_dict()
        if self.format != 1:
            for name, _ in declarations(ImplementationParameters):
                content.pop(name, None)
        return _hash(content)

    @cached_property
    def hardware_hash(self) -> str:
        """16 hex digits that change with any parameter, implementation included: what identifies generated hardware.

        Independent of the format; in format 1 the same as :attr:`content_hash`.
        """
        content = self.to_dict()
        content.pop("format", None)
        return _hash(content)

    @property
    def hashes(self) -> str:
        """The content hash as files about generated hardware show it, with the hardware hash where that is another."""
        same = self.content_hash == self.hardware_hash
        return self.content_hash + ("" if same else f", hardware {self.hardware_hash}")


def _hash(content: dict) -> str:
    exact = {
        name: gate | {"weight_range": float(gate["weight_range"]).hex()} for name, gate in content["gates"].items()
    }
    text = json.dumps(content | {"gates": exact}, sort_keys=True, separators=(",", ":"))
    return content_hash(text)
