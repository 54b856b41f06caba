# SPDX-License-Identifier: Apache-2.0
"""The plan of a sweep: what is varied, over how many chips, and what is measured; a TOML file, see docs/sweep.md."""

import itertools
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.analog.conversion.calibration_setting import CalibrationSetting
from crossramp.golden.analog.technologies.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, load
from crossramp.golden.common.crossramp_cache import expanded
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import suggestion

#: What can be measured of a device instance; the worse end of each is the larger value, but for accuracy.
METRICS = {
    "accuracy": "share of the labeled recordings that are answered right",
    "flips": "share of the recordings that are answered otherwise than by an ideal array",
    "code_error": "root mean square error of single conversions, given the ideal array's pulses, in LSB",
    "inl": "largest integral non-linearity of any ramp, in LSB",
    "dnl": "largest differential non-linearity of any ramp, in LSB",
    "missing_codes": "codes that no MAC converts to, of all ramps",
}
#: Axes that are not constants of the technology.
OTHER_AXES = ("technology", "adc_bits", "calibration", "switches", "pair", "ramp", "read_mode")
_FIELDS = ("model", "data", "technology", "chips", "seed", "metrics", "switches", "axes", "constants", "plot")
_PLOT = ("metric", "x", "curves")
_TIMES = "times "
_INSTANCES_MOST = 1_000_000
_POINTS_MOST = 100_000


class PlanError(InvalidValue):
    """A plan is wrong; the message names the key and quotes the value."""


@dataclass(frozen=True)
class Point:
    """One combination of the axes' values.

    Attributes
    ----------
    technology : Technology
    adc_bits : int or None
        None: the model's own.
    calibration : CalibrationSetting
    switches : frozenset of str
        Effects that are on.
    values : dict
        Axis to its value, as the results show it.
    """

    technology: Technology
    adc_bits: int | None
    calibration: CalibrationSetting
    switches: frozenset
    values: dict


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes
    ----------
    text : str
        The file's content.
    model, data : str
        As written; relative paths are relative to ``folder``.
    folder : Path
    instances, seed : int
        Instance k is the chip with the seed ``seed`` + k.
    metrics : tuple of str
    axes : dict
        Name to tuple of values.
    points : tuple of Point
    plot : dict
        What the picture shows: metric, x, curves; whichever are given.
    """

    text: str
    model: str
    data: str
    folder: Path
    instances: int
    seed: int
    metrics: tuple[str, ...]
    axes: dict
    points: tuple[Point, ...]
    plot: dict

    def path(self, text: str) -> Path:
        """A path of the plan; InvalidValue for a home that is not known, as in ``~nobody/data``."""
        return self.folder / expanded(text)

    @property
    def device_seeds(self) -> range:
        """The seed of each instance."""
        return range(self.seed, self.seed + self.instances)


def load_plan(path: str | Path) -> Plan:
    """Read a plan.

    Raises
    ------
    PlanError
        For a file that cannot be read, or wrong content.
    TechnologyError
        For a technology or a constant that is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror or error}); give a plan, a TOML file") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path}: is not UTF-8 text; give a plan, a TOML file") from None
    return parse_plan(text, str(path), path.parent)


def parse_plan(text: str, where: str, folder: Path) -> Plan:
    """The plan that ``text`` describes; ``where`` names it in messages; raises what :func:`load_plan` does."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{where}: no TOML: {error}") from None
    return _Reader(content, where, folder).plan(text)


class _Reader:
    def __init__(self, content: dict, where: str, folder: Path):
        self.content, self.where, self.folder = content, where, folder

    def wrong(self, message: str) -> PlanError:
        return PlanError(f"{self.where}: {message}")

    def plan(self, text: str) -> Plan:
        for key in self.content:
            if key not in _FIELDS:
                raise self.wrong(unknown(key, _FIELDS))
        model = self.of_type("model", str, "kws")
        data = self.of_type("data", str, None)
        instances = self.number("chips", 1, _INSTANCES_MOST, None)
        seed = self.number("seed", 0, (1 << 63) - _INSTANCES_MOST - 1, 1)
        axes = self.axes()
        self.sets = self.switch_sets()
        points = self.points(axes)
        return Plan(
            text, model, data, self.folder, instances, seed, self.metrics(), axes, points, self.plot(axes)
        )  # fmt: skip

    def of_type(self, key: str, kind: type, default):
        if key not in self.content:
            if default is None:
                raise self.wrong(f"{key} is missing; see docs/sweep.md for a plan to start from")
            return default
        value = self.content[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.wrong(f"{key} is {value!r}; expected {'a text' if kind is str else 'a whole number'}")
        return value

    def number(self, key: str, low: int, high: int, default: int | None) -> int:
        value = self.of_type(key, int, default)
        if not low <= value <= high:
            raise self.wrong(f"{key} is {value}; allowed: {low} to {high}")
        return value

    def table(self, key: str) -> dict:
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(f"{key} is {value!r}; expected a table, [{key}]")
        return value

    def metrics(self) -> tuple[str, ...]:
        names = self.content.get("metrics", ["accuracy", "flips", "code_error", "inl"])
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise self.wrong(f"metrics is {names!r}; expected a list of: {', '.join(METRICS)}")
        for name in names:
            if name not in METRICS:
                raise self.wrong(f"metrics: {unknown(name, METRICS)}")
        return tuple(dict.fromkeys(names))

    def switch_sets(self) -> dict[str, frozenset]:
        sets = {"all": frozenset(SWITCHES), "none": frozenset()}
        for effect in SWITCHES:
            sets[f"only {effect}"] = frozenset({effect})
            sets[f"without {effect}"] = frozenset(SWITCHES) - {effect}
        for name, effects in self.table("switches").items():
            if not isinstance(effects, list):
                raise self.wrong(f"switches.{name} is {effects!r}; expected a list of effects that are on")
            for effect in effects:
                if effect not in SWITCHES:
                    raise self.wrong(f"switches.{name}: {unknown(str(effect), SWITCHES)}")
            sets[name] = frozenset(effects)
        return sets

    def axes(self) -> dict:
        found = {}
        for name, values in _flat(self.table("axes")).items():
            constant = name.removeprefix(_TIMES)
            if name not in OTHER_AXES and constant not in CONSTANTS:
                raise self.wrong(f"axes: {unknown(name, [*OTHER_AXES, *CONSTANTS])}")
            if not isinstance(values, list) or not values:
                raise self.wrong(f'axes."{name}" is {values!r}; expected a list of values')
            plain = [tuple(value) if isinstance(value, list) else value for value in values]
            if len(set(plain)) < len(plain):
                raise self.wrong(f'axes."{name}" has a value twice: {values!r}')
            found[name] = tuple(plain)
        count = math.prod(map(len, found.values()))
        if count > _POINTS_MOST:
            raise self.wrong(f"axes make {count} points; allowed: 1 to {_POINTS_MOST}")
        return found

    def points(self, axes: dict) -> tuple[Point, ...]:
        base = self.of_type("technology", str, "rram")
        flat = _flat(self.table("constants"))
        technologies, points = {}, []
        for values in itertools.product(*axes.values()):
            chosen = dict(zip(axes, values, strict=True))
            name = chosen.get("technology", base)
            if not isinstance(name, str):
                raise self.wrong(f"axes.technology has {name!r}; expected names or files of technologies")
            if name not in technologies:
                local = self.folder / name
                technologies[name] = load(local if local.is_file() else name).replace(flat, f"plan {self.where}")
            points.append(self.point(technologies[name], chosen))
        return tuple(points)

    def point(self, technology: Technology, chosen: dict) -> Point:
        changes = {}
        for name, value in chosen.items():
            if name.startswith(_TIMES):
                constant = name.removeprefix(_TIMES)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise self.wrong(f'axes."{name}" has {value!r}; expected factors')
                old = technology[constant]
                changes[constant] = tuple(value * v for v in old) if isinstance(old, tuple) else value * old
            elif name in CONSTANTS or name in ("pair", "ramp", "read_mode"):
                changes[name] = value
        bits = chosen.get("adc_bits")
        if bits is not None and (isinstance(bits, bool) or bits not in range(2, 9)):
            raise self.wrong(f"axes.adc_bits has {bits!r}; allowed: 2 to 8")
        try:
            calibration = CalibrationSetting.parse(chosen.get("calibration"))
        except InvalidValue as error:
            raise self.wrong(f"axes.{error}") from None
        switches = chosen.get("switches", "all")
        if switches not in self.sets:
            raise self.wrong(f"axes.switches: {unknown(str(switches), self.sets)}")
        changed = technology.replace(changes, f"plan {self.where}")
        return Point(changed, bits, calibration, self.sets[switches], chosen)

    def plot(self, axes: dict) -> dict:
        plot = self.table("plot")
        for key, value in plot.items():
            if key not in _PLOT:
                raise self.wrong(f"plot: {unknown(key, _PLOT)}")
            known = METRICS if key == "metric" else axes
            if value not in known:
                raise self.wrong(f"plot.{key}: {unknown(str(value), known)}")
        if "metric" in plot and plot["metric"] not in self.metrics():
            raise self.wrong(f"plot.metric is {plot['metric']!r}, which is not among metrics")
        return plot


def _flat(tables: dict) -> dict:
    """Constants by full name, however they are written: ``"cell.g_max" = 1e-4`` or a table of the group."""
    found = {}
    for name, value in tables.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            found[name] = value
    return found


def unknown(name: str, known) -> str:
    """The message about a name that is not in ``known``."""
    return f"{name!r} is unknown; {suggestion(name, known)}"
