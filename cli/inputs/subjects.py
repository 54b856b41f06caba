# SPDX-License-Identifier: Apache-2.0
"""What commands are about: MODEL or SPEC.toml (:func:`.options.add_subject`), and in which hardware."""

import argparse
import dataclasses
from pathlib import Path

import crossramp.boards
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.spec_file import load_spec
from crossramp.golden.spec.specification import Specification

from . import options

#: The shipped specifications.
SPECIFICATIONS = Path(crossramp.boards.__file__).parent / "specs"


def read_subject(name: str) -> tuple[Model | None, Specification]:
    """A model, or a specification alone, of commands that need no weights: a file, or a shipped one of this name."""
    if Path(name).suffix.lower() == ".toml":
        return None, load_spec(name)
    shipped = SPECIFICATIONS / f"{name}.toml"
    if Path(name).name == name and shipped.is_file() and not Path(name).exists():
        return None, load_spec(shipped)
    model = load_model(name)
    return model, model.spec


def implemented(model: Model, args: argparse.Namespace) -> Model:
    """The same model with what the options ask for: the same answers, other hardware.

    Raises
    ------
    SpecificationError
        For a number out of range.
    """
    given = {name: getattr(args, name, None) for name in options.IMPLEMENTATION}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(model, spec=model.spec.replace(**changes)) if changes else model
