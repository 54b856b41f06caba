# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that a training run depends on but its data, as one TOML file with a hash.

Tables ``hardware``, ``features``, ``augmentation``, ``float``, ``quantized`` and, for training on device instances,
``devices``; before them ``task``, ``seed`` and ``words``. What a file leaves out has the value of :class:`Recipe`'s
defaults, which are those of the shipped recipe ``kws``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..golden.analog.technology import Technology
from ..golden.features import FeatureSettings
from .datasets import WORDS
from .settings import Augmentation, Devices, Hardware, Phase, RecipeError, check, unknown

__all__ = ["FOLDER", "Recipe", "load_recipe", "parse_recipe", "shipped_recipes"]

FOLDER = Path(__file__).parent / "recipes"
_TASKS = ("kws",)
_FITTED = ("band_offset", "band_gain")  # of the features: computed from the training clips


@dataclass(frozen=True)
class Recipe:
    """Settings of a run; immutable and checked.

    Raises
    ------
    RecipeError
        For a value that is wrong; the message quotes key and value.
    """

    task: str = "kws"
    seed: int = field(default=1, metadata={"low": 0, "high": 2**31 - 1, "meaning": "of everything random"})
    words: tuple[str, ...] = WORDS
    hardware: Hardware = field(default_factory=Hardware)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    float_phase: Phase = field(default_factory=lambda: Phase("float"))
    quantized_phase: Phase = field(default_factory=lambda: Phase("quantized", 60, 0.005, distillation=0.5))
    devices: Devices | None = None
    folder: Path = field(default=Path(), compare=False)  # where its technology file may be; not part of it

    def __post_init__(self) -> None:
        check(self, "")
        if self.task not in _TASKS:
            raise RecipeError(f"task is {self.task!r}; allowed: {', '.join(_TASKS)}")
        words = self.words
        right = isinstance(words, list | tuple) and bool(words) and len(set(map(str, words))) == len(words)
        if not right or not all(isinstance(w, str) and w.strip() == w != "" and w.isprintable() for w in words):
            raise RecipeError(f"words is {words!r}; expected a list of different words")
        object.__setattr__(self, "words", tuple(words))
        if self.float_phase.distillation:
            share = self.float_phase.distillation
            raise RecipeError(f"float.distillation is {share:g}; must be 0: the float network has no teacher")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types, named as in the file."""
        tables: dict[str, Any] = {"task": self.task, "seed": self.seed, "words": list(self.words)}
        features = {name: value for name, value in self.features.to_dict().items() if name not in _FITTED}
        tables |= {"hardware": dataclasses.asdict(self.hardware), "features": features}
        tables["augmentation"] = dataclasses.asdict(self.augmentation)
        for phase in (self.float_phase, self.quantized_phase):
            tables[phase.name] = {name: value for name, value in dataclasses.asdict(phase).items() if name != "name"}
        if self.devices is not None:
            tables["devices"] = dataclasses.asdict(self.devices)
        return json.loads(json.dumps(tables))

    def technology(self) -> Technology | None:
        """What the chips are made of, or None without devices.

        Raises
        ------
        RecipeError
            For a technology that is not there or wrong, or a constant it has not.
        """
        return None if self.devices is None else self.devices.load(self.folder)

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits of :meth:`to_dict`."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_toml(self) -> str:
        """The recipe as text that :func:`parse_recipe` reads back to an equal one."""
        lines: list[str] = []
        _write_table(lines, "", self.to_dict())
        return "\n".join(lines).strip() + "\n"


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
        For text that is no TOML, a key that is unknown, or a value that is wrong.
    """
    try:
        return _recipe(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {where}: no TOML: {error}") from None
    except RecipeError as error:
        raise RecipeError(f"recipe {where}: {error}") from None


def _recipe(content: dict[str, Any]) -> Recipe:
    base = Recipe()
    known = [*base.to_dict(), "devices"]
    for key in content:
        if key not in known:
            raise RecipeError(f"{key} is unknown; {unknown(key, known)}")
    fields: dict[str, Any] = {key: content[key] for key in ("task", "seed", "words") if key in content}
    defaults = {
        "hardware": base.hardware,
        "augmentation": base.augmentation,
        "float": base.float_phase,
        "quantized": base.quantized_phase,
        "features": base.features,
        "devices": Devices(),
    }
    for table, default in defaults.items():
        if table not in content:
            continue
        given = content[table]
        if not isinstance(given, dict):
            raise RecipeError(f"{table} is {given!r}; expected a table [{table}]")
        allowed = [item.name for item in dataclasses.fields(default) if item.name not in ("name", *_FITTED)]
        for key in given:
            if key not in allowed:
                raise RecipeError(f"{table}.{key} is unknown; {unknown(key, allowed)}")
        try:
            # The front end's fitted fields depend on its bands: not replaced, but made anew.
            made = FeatureSettings(**given) if table == "features" else dataclasses.replace(default, **given)
        except RecipeError:
            raise
        except ValueError as error:  # the front end's own check
            raise RecipeError(f"{table}: {error}") from None
        fields[f"{table}_phase" if table in ("float", "quantized") else table] = made
    return Recipe(**fields)


def _write_table(lines: list[str], name: str, table: dict[str, Any]) -> None:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if name:
        lines += ["", f"[{name}]"]
    for key, value in table.items():
        if key not in inner:
            lines.append(f"{key if key.replace('_', '').isalnum() else json.dumps(key)} = {json.dumps(value)}")
    for key, value in inner.items():
        if value:
            _write_table(lines, f"{name}.{key}" if name else key, value)
