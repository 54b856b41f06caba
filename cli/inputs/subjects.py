# SPDX-License-Identifier: Apache-2.0
"""What commands are about: MODEL or SPEC.toml (:func:`.options.add_subject`), and in which hardware."""

import argparse
import dataclasses
from pathlib import Path

import crossramp.boards
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.wording import suggestion
from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.layers.spec_file import load_spec
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.specification import Specification

from . import options

#: The shipped specifications.
SPECIFICATIONS = Path(crossramp.boards.__file__).parent / "specs"


def read_network(name: str) -> tuple[Model | None, AnySpecification]:
    """A model, or a specification alone, of commands that need no weights: a file, or a shipped one of this name."""
    if Path(name).suffix.lower() == ".toml":
        return None, load_spec(name)
    shipped = SPECIFICATIONS / f"{name}.toml"
    if Path(name).name == name and shipped.is_file() and not Path(name).exists():
        return None, load_spec(shipped)
    model = load_model(name)
    return model, model.spec


def one_macro(spec: AnySpecification, command: str) -> Specification:
    """``spec``, or UserError if it is of a network of several macros, for a command that takes one."""
    if isinstance(spec, NetworkSpecification):
        raise UserError(
            f"the network has the macros {', '.join(spec.macros)}; {command} takes networks of one macro, so give "
            "one of these"
        )
    return spec


def model_of_one_macro(name: str, command: str) -> Model:
    """A model whose network has one macro; UserError for another, and what load_model raises."""
    model = load_model(name)
    one_macro(model.spec, command)
    return model


def chosen_macro(spec: AnySpecification, wanted: str | None) -> str:
    """The name of the macro that ``--macro`` asks for; without it that of the first one.

    Raises
    ------
    UserError
        For a name that no macro has.
    """
    names = list(spec.macros)
    if wanted is None:
        return names[0]
    if names == [""]:
        raise UserError(f"--macro is {wanted!r}, but the network has one macro; leave it out")
    if wanted not in names:
        raise UserError(f"--macro is {wanted!r}, which names no macro; {suggestion(wanted, names)}")
    return wanted


def refuse_macro(args: argparse.Namespace) -> None:
    """UserError for ``--macro`` without ``--model``."""
    if args.macro is not None:
        raise UserError(f"--macro {args.macro} is a macro of a model; add --model MODEL")


def implemented(model: Model, args: argparse.Namespace) -> Model:
    """The same model with what the options ask for: the same answers, other hardware.

    Raises
    ------
    SpecificationError
        For a number out of range.
    """
    given = {name: getattr(args, name, None) for name in options.IMPLEMENTATION}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(model, spec=model.spec.implemented(**changes)) if changes else model
