# SPDX-License-Identifier: Apache-2.0
"""A technology: what cells, lines and converters are made of, as constants that each have a unit and a source."""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.common.checks import real, told

from ...common.content_hash import json_hash
from ...common.errors import InvalidValue
from ...common.wording import suggestion
from .constants import CONSTANTS, PAIRS, RAMP_KINDS, READ_MODES, WHOLE

FOLDER = Path(__file__).parent
_CHOICES = {"read_mode": READ_MODES, "pair": PAIRS, "ramp": RAMP_KINDS}
_ENTRY = ("value", "unit", "source")
_DEFAULT = "ours: unless asked for"


class TechnologyError(InvalidValue):
    """A technology file or constant is wrong; the message names file and constant and quotes the value."""


@dataclass(frozen=True)
class Technology:
    """Constants of one technology; immutable and checked. :data:`.constants.CONSTANTS` says what each means.

    Parameters
    ----------
    name, description : str
    read_mode : str
        ``"current"``: a column integrates the currents of its cells; ``"charge"``: it gathers their charges.
    pair : str
        ``"differential"``: two cells a weight; ``"single-ended"``: one, and one reference column for all.
    ramp_kind : str
        ``"in-memory"``: steps made by cells, driven by the read voltage; ``"external"``: a conventional ramp in volts.
    values : dict
        Constant to its value in SI units; a tuple where it has several numbers.
    sources : dict
        Constant to where its value comes from.

    Raises
    ------
    TechnologyError
        For a constant that is missing, unknown, out of range, or without source.
    """

    name: str
    description: str
    read_mode: str
    pair: str
    ramp_kind: str
    values: dict
    sources: dict

    def __post_init__(self):
        for name, (value, allowed) in {
            "read_mode": (self.read_mode, READ_MODES),
            "pair": (self.pair, PAIRS),
            "ramp": (self.ramp_kind, RAMP_KINDS),
        }.items():
            if value not in allowed:
                raise self._wrong(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
        if self.read_mode == "charge" and self.pair != "differential":
            raise self._wrong(f"charge mode has differential pairs only, not {self.pair}")
        needed = [name for name, constant in CONSTANTS.items() if self.read_mode in constant.modes]
        for name in self.values:
            if name not in needed:
                raise self._wrong(_unknown(name, needed, self.read_mode))
        values, sources = {}, {}
        for name in needed:
            default = CONSTANTS[name].default
            if name not in self.values and default is not None:
                values[name], sources[name] = self._checked(name, default), _DEFAULT
                continue
            if name not in self.values:
                raise self._wrong(f"{name} is missing ({CONSTANTS[name].meaning}); give it value, unit and source")
            values[name] = self._checked(name, self.values[name])
            source = self.sources.get(name, "")
            if not isinstance(source, str):
                raise self._wrong(f"the source of {name} is {source!r}; expected text")
            if not source.strip():
                raise self._wrong(f"{name} has no source; say where {values[name]} comes from")
            sources[name] = source
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "sources", sources)
        if self.read_mode == "current" and not values["cell.g_min"] < values["cell.g_max"]:
            raise self._wrong(
                f"cell.g_min is {values['cell.g_min']:g} S, not below cell.g_max, {values['cell.g_max']:g} S"
            )
        if values.get("cell.levels") == 1:
            raise self._wrong("cell.levels is 1; give 0 for any conductance, or 2 and more levels")
        if values["integrator.saturation"] < values["integrator.swing"]:
            raise self._wrong(
                f"integrator.saturation is {values['integrator.saturation']:g} V, below "
                f"integrator.swing, {values['integrator.swing']:g} V: the ramp's ends could not be reached"
            )

    def _wrong(self, message: str) -> TechnologyError:
        return TechnologyError(f"technology {self.name}: {message}")

    def _checked(self, name: str, value):
        constant = CONSTANTS[name]
        numbers = list(value) if isinstance(value, list | tuple) else [value]
        if len(numbers) != constant.length:
            raise self._wrong(f"{name} has {len(numbers)} numbers; expected {constant.length} ({constant.meaning})")
        for number in numbers:
            unit = "" if constant.unit == "1" else f" {constant.unit}"
            value = real(number)
            if value is None or value != value:
                raise self._wrong(f"{name} is {told(number)}; expected a number" + (unit and f" in{unit}"))
            inside = constant.low <= value <= constant.high and not (constant.positive and value == 0)
            if not inside or (name in WHOLE and value != int(value)):
                low = f"above {constant.low:g}" if constant.positive else f"{constant.low:g}"
                kind = "whole, " if name in WHOLE else ""
                shown = f"{value:g}" if abs(value) < math.inf or isinstance(number, float) else "far too large"
                raise self._wrong(f"{name} is {shown}{unit}; allowed: {kind}{low} to {constant.high:g}")
        numbers = tuple(float(number) for number in numbers)
        return numbers if constant.length > 1 else numbers[0]

    def __getitem__(self, name: str):
        """The value of a constant in SI units: float, or tuple of floats."""
        try:
            return self.values[name]
        except KeyError:
            raise self._wrong(f"{_unknown(name, list(self.values), self.read_mode)}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """The constants it has."""
        return tuple(self.values)

    @staticmethod
    def unit(name: str) -> str:
        """The SI unit of a constant."""
        return CONSTANTS[name].unit

    def source(self, name: str) -> str:
        """Where the value of a constant comes from."""
        self[name]
        return self.sources[name]

    def replace(self, changes: dict, source: str = "changed by the user") -> "Technology":
        """A copy with other values, checked again. ``read_mode``, ``pair`` and ``ramp`` can be changed likewise.

        Raises
        ------
        TechnologyError
            For an unknown name or a value out of range.
        """
        values, sources = dict(self.values), dict(self.sources)
        fields = {"read_mode": self.read_mode, "pair": self.pair, "ramp": self.ramp_kind}
        for name, value in changes.items():
            if name in fields:
                fields[name] = value
                continue
            self[name]
            if values[name] != (tuple(value) if isinstance(value, list) else value):
                values[name], sources[name] = value, source
        return Technology(
            self.name, self.description, fields["read_mode"], fields["pair"], fields["ramp"], values, sources
        )

    def to_dict(self) -> dict:
        """Everything as JSON types."""
        head = {"name": self.name, "description": self.description}
        head |= {"read_mode": self.read_mode, "pair": self.pair, "ramp": self.ramp_kind}
        constants = {
            name: {"value": value, "unit": self.unit(name), "source": self.sources[name]}
            for name, value in self.values.items()
        }
        return {"technology": head, "constants": constants}

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits of what decides results: all but names, texts and sources."""
        values = {name: value for name, value in self.values.items() if value != CONSTANTS[name].default}
        content = [self.read_mode, self.pair, self.ramp_kind, values]
        return json_hash(content)


def shipped() -> list[str]:
    """Names of the technologies that come with crossramp."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str | Path) -> Technology:
    """A shipped technology by its name, or one from a TOML file.

    Raises
    ------
    TechnologyError
        For a name that is neither, a file that cannot be read, or wrong content.
    """
    path = FOLDER / f"{name}.toml" if str(name) in shipped() else Path(name)
    if not path.is_file():
        raise TechnologyError(
            f"there is no technology {str(name)!r}; shipped: {', '.join(shipped())}; or give a TOML file"
        )
    try:
        return parse(path.read_text(encoding="utf-8"), str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise TechnologyError(f"technology {name}: cannot be read ({error})") from None


def parse(text: str, where: str) -> Technology:
    """The technology that ``text``, TOML, describes; ``where`` names it in messages.

    Table ``technology`` has name, description, read_mode, pair and ramp; each constant is a table ``group.name`` with
    value, unit and source.

    Raises
    ------
    TechnologyError
        If the text is not TOML, or its content is wrong.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TechnologyError(f"technology {where}: no TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, tables within tables
        raise TechnologyError(f"technology {where}: no TOML that can be read; copy a shipped one") from None
    head = content.pop("technology", None)
    if not isinstance(head, dict):
        raise TechnologyError(
            f"technology {where}: the table [technology] is missing; it has name, read_mode, pair, ramp"
        )
    for key in ("name", "description", *_CHOICES):
        if not isinstance(head.get(key), str):
            allowed = f"; one of {', '.join(_CHOICES[key])}" if key in _CHOICES else ""
            raise TechnologyError(f"technology {where}: technology.{key} is {head.get(key)!r}; expected text{allowed}")
    for key in head:
        if key not in ("name", "description", *_CHOICES):
            raise TechnologyError(f"technology {where}: technology.{key} is unknown")
    values, sources = {}, {}
    for group, table in content.items():
        if not isinstance(table, dict):
            raise TechnologyError(f"technology {where}: {group} is {table!r}; expected tables [{group}.NAME]")
        for key, entry in table.items():
            name = f"{group}.{key}"
            if name not in CONSTANTS:
                raise TechnologyError(f"technology {where}: {_unknown(name, list(CONSTANTS), head['read_mode'])}")
            if not isinstance(entry, dict) or set(entry) != set(_ENTRY):
                raise TechnologyError(f"technology {where}: {name} needs value, unit and source, and nothing else")
            if entry["unit"] != CONSTANTS[name].unit:
                raise TechnologyError(
                    f"technology {where}: {name} is in {entry['unit']!r}; write its value in {CONSTANTS[name].unit}"
                )
            values[name], sources[name] = entry["value"], entry["source"]
    return Technology(head["name"], head["description"], head["read_mode"], head["pair"], head["ramp"], values, sources)


def _unknown(name: str, known: list[str], read_mode: str) -> str:
    if name in CONSTANTS:
        return f"{name} has no meaning in {read_mode} mode; leave it out"
    return f"{name} is unknown; {suggestion(name, known)}"
