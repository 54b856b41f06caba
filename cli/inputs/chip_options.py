# SPDX-License-Identifier: Apache-2.0
"""Which array stands behind the periphery: the ideal one, or a device instance of a technology; for every command."""

import argparse
from dataclasses import dataclass

from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.technologies.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, load, shipped
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model

from . import cell_files

DEFAULT_SEED = 1


_NOTHING_GIVEN = {"conductances": [], "conductance_gains": {}, "warnings": []}


@dataclass(frozen=True, eq=False)
class Devices:
    """The device instance that a command's arguments ask for.

    Attributes
    ----------
    technology : Technology
    seed : int
    switches : frozenset of str
        The effects that are on.
    given : cell_files.Given or None
        Cells from files.
    """

    technology: Technology
    seed: int
    switches: frozenset
    given: cell_files.Given | None = None

    @property
    def conductances(self) -> Conductances | None:
        """The given cells."""
        return None if self.given is None else self.given.cells

    def array(self, model: Model) -> PhysicalArray:
        """The sampled array, in SI units."""
        from crossramp.golden.analog.chip.sampling import sample

        options = {"switches": self.switches, "conductances": self.conductances}
        return sample(self.technology, model.spec, model.weights, self.seed, **options)

    def instance(self, model: Model) -> DeviceInstance:
        """The same in MAC units, as golden model and array models compute with it."""
        from crossramp.golden.analog.chip.translate import to_device

        return to_device(self.array(model))

    def to_dict(self) -> dict:
        """As JSON types, for reports."""
        return array_of(self.technology, self.switches, self.given) | {"device_seed": self.seed}


def array_of(technology: Technology, switches: frozenset, given: cell_files.Given | None = None) -> dict:
    """What arrays are made of, as JSON types."""
    return (_NOTHING_GIVEN if given is None else given.to_dict()) | {
        "technology": technology.name,
        "technology_hash": technology.content_hash,
        "effects_off": [name for name in SWITCHES if name not in switches],
    }


def add_technology(
    parser: argparse.ArgumentParser,
    about: str = "what stands behind the periphery; an ideal array without --technology",
):
    """Add the arguments that :func:`technology_of` reads; the group, for more of them."""
    group = parser.add_argument_group("array", about)
    group.add_argument(
        "--technology", "--tech", metavar="NAME", help=f"a shipped technology ({', '.join(shipped())}), or a TOML file"
    )
    group.add_argument(
        "--set", action="append", metavar="CONSTANT=VALUE", help="change a constant, in its SI unit; more than once"
    )
    group.add_argument(
        "--no", action="append", metavar="EFFECT", help="switch an effect off; more than once, or with commas, or all"
    )
    return group


def technology_of(args: argparse.Namespace, others: tuple[str, ...] = ()) -> tuple[Technology, frozenset] | None:
    """The technology and its effects that are on, None: the ideal array.

    Raises
    ------
    UserError, TechnologyError
        For what is wrong; also where one of these arguments, or of ``others``, is given without a technology.
    """
    if args.technology is None:
        for option in ("set", "no", *others):
            if getattr(args, option) is not None:
                name = "--" + option.replace("_", "-")
                raise UserError(f"{name} belongs to a technology; add --technology {shipped()[-1]}, or leave it out")
        return None
    technology = load(args.technology)
    if args.set:
        technology = technology.replace(dict(map(changed, args.set)))
    return technology, switched(args.no or [])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`from_arguments` reads."""
    group = add_technology(parser)
    group.add_argument("--device-seed", type=int, metavar="S", help=f"which chip of it (default {DEFAULT_SEED})")
    cell_files.add_conductances(group)


def from_arguments(args: argparse.Namespace, model: Model | None) -> Devices | None:
    """What the arguments ask for, None: the ideal array; UserError or an InvalidValue for what is wrong."""
    asked = technology_of(args, ("device_seed", *cell_files.OPTIONS))
    if asked is None:
        return None
    technology, switches = asked
    seed = DEFAULT_SEED if args.device_seed is None else args.device_seed
    if not 0 <= seed < 1 << 63:
        raise UserError(f"--device-seed is {seed}; allowed: 0 to 2**63 - 1")
    return Devices(technology, seed, switches, cell_files.given_of(args, technology, model))


def switched(off: list[str]) -> frozenset:
    """The effects that are on when ``off``, names or lists of them with commas, are off; UserError for unknown ones."""
    names = [name.strip() for text in off for name in text.split(",") if name.strip()]
    if "all" in names:
        return frozenset()
    for name in names:
        if name not in SWITCHES:
            raise UserError(f"--no {name}: no such effect; known: {', '.join(SWITCHES)}, all")
    return frozenset(SWITCHES) - frozenset(names)


def changed(text: str) -> tuple[str, float | tuple | str]:
    """(name, value) of ``name=value`` or ``name=a,b,c``; UserError for what is neither."""
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign:
        raise UserError(f"--set {text}: write it as CONSTANT=VALUE, such as --set cell.read_noise=0.02")
    if name in ("read_mode", "pair", "ramp"):
        return name, value
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        unit = f" in {CONSTANTS[name].unit}" if name in CONSTANTS else ""
        raise UserError(f"--set {text}: {value!r} is no number{unit}") from None
    return name, numbers if len(numbers) > 1 else numbers[0]
