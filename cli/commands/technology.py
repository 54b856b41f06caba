# SPDX-License-Identifier: Apache-2.0
"""``crossramp technology``: the constants of a technology, each with its unit and where it comes from."""

import argparse
import textwrap

import numpy as np
from crossramp.golden.analog.chip.sampling import sample_tiles
from crossramp.golden.analog.technologies.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, load, shipped
from crossramp.golden.network.layered_weights import weights_of_macro
from crossramp.golden.network.model_file import Model, load_model

from ..inputs import options, subjects
from ..inputs.chip_options import changed
from ..output.tables import as_json, table

_WIDTH = 100


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "technology",
        description="Prints every constant of a device technology with its unit and source, and checks a TOML file "
        "that you wrote; begin with a copy of a shipped one (--toml).",
        epilog="examples:\n  crossramp technology\n  crossramp technology rram --model kws\n"
        "  crossramp technology rram --toml > mine.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "technology",
        metavar="NAME",
        nargs="?",
        help="a shipped technology, or a TOML file (default: list the shipped ones)",
    )
    options.add_changes(parser)
    options.add_model_option(parser, "also what follows for it: capacitors, volts, currents")
    options.add_macro(parser)
    form = parser.add_mutually_exclusive_group()
    options.add_json(form)
    form.add_argument("--toml", action="store_true", help="print it as a TOML file to edit")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or TechnologyError and ModelFileError."""
    if args.technology is None:
        print(_list() if not args.json else as_json([load(name).to_dict()["technology"] for name in shipped()]))
        return 0
    tech = load(args.technology)
    if args.set:
        tech = tech.replace(dict(map(changed, args.set)))
    derived = []
    if args.model:
        model = load_model(args.model)
        derived = consequences(tech, model, subjects.chosen_macro(model.spec, args.macro))
    else:
        subjects.refuse_macro(args)
    if args.toml:
        print(to_toml(tech), end="")
    elif args.json:
        content = tech.to_dict() | {"effects": list(SWITCHES)}
        content |= (
            {"derived": {name: {"value": value, "unit": unit} for name, value, unit, _ in derived}} if derived else {}
        )
        print(as_json(content))
    else:
        print(_text(tech, derived))
    return 0


def to_toml(tech: Technology) -> str:
    """The technology as a file that :func:`~.technology.load` reads back."""
    head = tech.to_dict()["technology"]
    lines = ["[technology]", *(f"{key} = {_quoted(value)}" for key, value in head.items())]
    for name, value in tech.values.items():
        number = list(value) if isinstance(value, tuple) else value
        lines += ["", f"# {CONSTANTS[name].meaning}", f"[{name}]", f"value = {number}"]
        lines += [f"unit = {_quoted(tech.unit(name))}", f"source = {_quoted(tech.source(name))}"]
    return "\n".join(lines) + "\n"


def consequences(tech: Technology, model: Model, macro: str) -> list[tuple[str, float, str, str]]:
    """What the constants come to for a macro of a model, in all of its arrays: (name, value, unit, meaning)."""
    spec = model.spec.macros[macro]
    arrays = sample_tiles(tech, spec, weights_of_macro(model.weights, macro), 1, switches=frozenset())
    array = arrays[0]  # ramps, and what is sized for them, are alike in all
    volts = array.volts_per_mac
    found = [
        ("mac", volts, "V", "of one MAC unit at an integrator"),
        ("swing", volts * spec.mac_max, "V", "that the largest MAC there can be would ask for"),
        ("column_capacitor", float(array.column_capacitance[0]), "F", "of each column"),
    ]
    for act, value in zip(spec.ramps, array.ramp_capacitance, strict=True):
        found.append((f"ramp_capacitor_{act.text}", float(value), "F", f"of the {act.text} ramp"))
    if tech.read_mode == "current":
        used = max((part.positive + part.negative).sum(axis=1).max() for part in arrays) * array.read_voltage
        found.append(("row_current", float(used), "A", "of the busiest row while it is driven"))
        smallest = np.min(np.where(array.ramp > 0, array.ramp - array.ramp_negative, np.inf))
        found.append(("smallest_step", float(smallest), "S", "difference that the smallest step of a ramp takes"))
    clocks = model.spec.clocks_per_step
    found.append(("step", clocks * tech["read.clock"], "s", f"of the network: {clocks} clocks"))
    found.append(("offset", tech["comparator.offset"] / volts, "MAC", "standard deviation of a comparator's offset"))
    found.append(("decision_noise", tech["comparator.noise"] / volts, "MAC", "standard deviation of a decision"))
    return found


def _list() -> str:
    rows = [(name, (tech := load(name)).read_mode, tech.pair, tech.ramp_kind, tech.description) for name in shipped()]
    return table(("technology", "read mode", "cells", "ramp", ""), rows)


def _text(tech: Technology, derived) -> str:
    facts = f"{tech.name}: {tech.description}\nread mode {tech.read_mode}, {tech.pair} cells, {tech.ramp_kind} ramp"
    parts = [facts, f"content {tech.content_hash}; effects: {', '.join(SWITCHES)}", ""]
    for name, value in tech.values.items():
        numbers = ", ".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))
        unit = "" if tech.unit(name) == "1" else f" {tech.unit(name)}"
        parts.append(f"{name} = {numbers}{unit}: {CONSTANTS[name].meaning}")
        parts += textwrap.wrap(tech.source(name), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    if derived:
        rows = [(name, f"{value:.4g} {unit}", meaning) for name, value, unit, meaning in derived]
        parts += ["", table(("follows", "", ""), rows)]
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
