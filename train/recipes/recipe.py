# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that a training run depends on, apart from its data, as one TOML file with a hash.

Before all tables there are ``task`` and ``seed``.
The tables are ``hardware``, ``float``, ``quantized`` and, for training on device instances, ``devices``.
The task ``kws`` has ``words``, the tables ``features`` and ``augmentation``, and a ``teacher`` with tables of its own,
and the task ``text`` has a table ``text``.
What a file leaves out has the value of the task's shipped recipe, ``kws`` or ``text``.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.common.content_hash import json_hash
from crossramp.golden.common.declared import check, declared
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import suggestion
from crossramp.golden.inputs.features import FeatureSettings

from .settings import Augmentation, Devices, Hardware, Phase, RecipeError, Teacher, Text

__all__ = ["FOLDER", "Recipe", "default_recipe", "load_recipe", "parse_recipe", "shipped_recipes"]

FOLDER = Path(__file__).parent
_PHASES = ("float", "quantized", "devices")
# What a file of each task holds, in this order; teacher and devices may be missing.
_KEYS = {
    "kws": ("task", "seed", "words", "hardware", "features", "augmentation", "teacher", *_PHASES),
    "text": ("task", "seed", "hardware", "text", *_PHASES),
}
_FIELDS = {"float": "float_phase", "quantized": "quantized_phase"}  # tables whose field has another name
_FITTED = ("band_offset", "band_gain")  # of the features: computed from the training clips

#: The ten words of the keyword task that Google Speech Commands is usually read with.
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


@dataclass(frozen=True)
class Recipe:
    """Settings of a run; immutable and checked. The defaults are those of the task ``kws``.

    Raises
    ------
    RecipeError
        For a value that is wrong; the message quotes key and value.
    """

    task: str = "kws"
    seed: int = declared("of everything random", 0, 2**31 - 1, default=1)
    words: tuple[str, ...] = WORDS
    hardware: Hardware = field(default_factory=Hardware)
    features: FeatureSettings = field(default_factory=lambda: FeatureSettings(cepstra=20, deltas=20))
    augmentation: Augmentation = field(default_factory=Augmentation)
    text: Text = field(default_factory=Text)
    float_phase: Phase = field(default_factory=lambda: Phase("float"))
    quantized_phase: Phase = field(default_factory=lambda: Phase("quantized", 60, 0.005, distillation=0.5))
    teacher: Teacher | None = None
    devices: Devices | None = None
    folder: Path = field(default=Path(), compare=False)  # where its technology file may be; not part of it

    def __post_init__(self) -> None:
        check(self, RecipeError)
        if not isinstance(self.task, str) or self.task not in _KEYS:
            raise RecipeError(f"task is {self.task!r}; allowed: {', '.join(_KEYS)}")
        words = self.words
        right = isinstance(words, list | tuple) and bool(words) and len(set(map(str, words))) == len(words)
        if not right or not all(isinstance(w, str) and w.strip() == w != "" and w.isprintable() for w in words):
            raise RecipeError(f"words is {words!r}; expected a list of different words")
        object.__setattr__(self, "words", tuple(words))
        if self.float_phase.distillation and self.teacher is None:
            share = self.float_phase.distillation
            raise RecipeError(f"float.distillation is {share:g}; must be 0: there is no [teacher] of the float network")

    def to_dict(self) -> dict[str, Any]:
        """All that the task knows as JSON types, named as in the file."""
        content: dict[str, Any] = {"task": self.task, "seed": self.seed, "words": list(self.words)}
        features = {name: value for name, value in self.features.to_dict().items() if name not in _FITTED}
        content |= {"hardware": self.hardware.to_dict(), "features": features}
        content |= {"augmentation": dataclasses.asdict(self.augmentation), "text": dataclasses.asdict(self.text)}
        for phase in (self.float_phase, self.quantized_phase):
            content[phase.name] = phase.to_dict()
        if self.teacher is not None:
            content["teacher"] = self.teacher.to_dict()
        if self.devices is not None:
            content["devices"] = dataclasses.asdict(self.devices)
        return json.loads(json.dumps({key: content[key] for key in _KEYS[self.task] if key in content}))

    def technology(self) -> Technology | None:
        """What the chips are made of, or None without devices.

        Raises
        ------
        RecipeError
            If the technology does not exist or is wrong, or does not have a constant.
        """
        return None if self.devices is None else self.devices.load(self.folder)

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits of :meth:`to_dict`."""
        return json_hash(self.to_dict())

    def to_toml(self) -> str:
        """The recipe as text that :func:`parse_recipe` reads back to an equal one."""
        lines: list[str] = []
        _write_table(lines, "", self.to_dict())
        return "\n".join(lines).strip() + "\n"


def default_recipe(task: str) -> Recipe:
    """What the shipped recipe named like a task holds.

    Raises
    ------
    RecipeError
        For a task that is unknown.
    """
    if task != "text":
        return Recipe(task)
    return Recipe(
        task,
        hardware=Hardware(units=128, sigmoid_range=3.0, lanes=32),
        float_phase=Phase("float", 20, 0.03, 32, warm_up=100, label_smoothing=0.0, averaging=0.99),
        quantized_phase=Phase("quantized", 8, 0.01, 32, 0.01, 100, 0.0, distillation=0.5, averaging=0.99),
    )


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with crossramp."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by its name, or one from a TOML file; a technology file is looked for beside it too.

    Raises
    ------
    RecipeError
        For a name that is neither, a file that cannot be read, or wrong content.
    """
    text = str(name)
    path = FOLDER / f"{text}.toml" if text in shipped_recipes() else Path(name)
    if not path.is_file():
        raise RecipeError(f"there is no recipe {text!r}; shipped: {', '.join(shipped_recipes())}; or give a TOML file")
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {text}: cannot be read ({error})") from None
    return dataclasses.replace(parse_recipe(content, text), folder=path.parent)


def parse_recipe(text: str, where: str) -> Recipe:
    """The recipe that ``text``, TOML, describes; ``where`` names it in messages.

    Raises
    ------
    RecipeError
        If the text is not TOML, a key is unknown, or a value is wrong.
    """
    try:
        return _recipe(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {where}: no TOML: {error}") from None
    except RecipeError as error:
        raise RecipeError(f"recipe {where}: {error}") from None


def _recipe(content: dict[str, Any]) -> Recipe:
    base = default_recipe(content.get("task", "kws"))
    known = _KEYS[base.task]
    for key in content:
        if key not in known:
            raise RecipeError(f"{key} is unknown; {suggestion(key, known)}")
    fields: dict[str, Any] = {key: content[key] for key in ("task", "seed", "words") if key in content}
    defaults = {
        "hardware": base.hardware,
        "augmentation": base.augmentation,
        "text": base.text,
        "float": base.float_phase,
        "quantized": base.quantized_phase,
        "features": base.features,
        "devices": Devices(),
    }
    for table, default in defaults.items():
        if table in content:
            fields[_FIELDS.get(table, table)] = _settings(table, content[table], default)
    if "teacher" in content:
        fields["teacher"] = _teacher(content["teacher"])
    return dataclasses.replace(base, **fields)


def _teacher(given: Any) -> Teacher:
    """The tables ``teacher.hardware`` and ``teacher.float``; left out, they are those of ``kws``."""
    parts = Teacher()
    for key in _table("teacher", given):
        if key not in ("hardware", "float"):
            raise RecipeError(f"teacher.{key} is unknown; {suggestion(key, ('hardware', 'float'))}")
    made = {
        name: _settings(table, given[table], getattr(parts, name), "teacher.")
        for table, name in (("hardware", "hardware"), ("float", "float_phase"))
        if table in given
    }
    return Teacher(**made)


def _settings(table: str, given: Any, default: Any, inside: str = "") -> Any:
    """``default`` with the keys that a table gives."""
    allowed = [item.name for item in dataclasses.fields(default) if item.name not in ("name", *_FITTED)]
    for key in _table(f"{inside}{table}", given):
        if key not in allowed:
            raise RecipeError(f"{inside}{table}.{key} is unknown; {suggestion(key, allowed)}")
    try:
        return _front_end(given, default) if table == "features" else dataclasses.replace(default, **given)
    except RecipeError as error:
        raise RecipeError(f"{inside}{error}") from None
    except InvalidValue as error:  # the front end's own check
        raise RecipeError(f"{table}: {error}") from None


def _table(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RecipeError(f"{name} is {given!r}; expected a table [{name}]")
    return given


def _front_end(given: dict[str, Any], default: FeatureSettings) -> FeatureSettings:
    """The fitted fields depend on the number of inputs: they are made again instead of replaced."""
    content = {name: value for name, value in default.to_dict().items() if name not in _FITTED}
    return FeatureSettings(**(content | given))


def _write_table(lines: list[str], name: str, table: dict[str, Any]) -> None:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if name:
        lines += ["", f"[{name}]"]
    for key, value in table.items():
        if key not in inner:
            lines.append(f"{key if key.replace('_', '').isalnum() else json.dumps(key)} = {_inline(value)}")
    for key, value in inner.items():
        if value:
            _write_table(lines, f"{name}.{key}" if name else key, value)


def _inline(value: Any) -> str:
    """A value on one line; within lists, tables too."""
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {_inline(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value)
