# SPDX-License-Identifier: Apache-2.0
"""Which array stands behind the periphery: the ideal one, or a device instance of a technology; for every command."""

import argparse
import sys
from dataclasses import dataclass

from crossramp.errors import UserError
from crossramp.golden.analog.conductancefile import Conductances
from crossramp.golden.analog.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.device import DeviceInstance
from crossramp.golden.analog.physical import PhysicalArray
from crossramp.golden.analog.technology import Technology, load, shipped
from crossramp.golden.modelfile import Model

DEFAULT_SEED = 1


@dataclass(frozen=True, eq=False)
class Given:
    """Cells that files give in place of drawn ones, with a warning if they are not what the array needs.

    Attributes
    ----------
    cells : Conductances
    files : tuple of str
    gains : dict of str to float
        Least-squares gains, see :func:`crossramp.golden.analog.targets.gains`.
    warning : str or None
        What :meth:`of` has shown on stderr.
    """

    cells: Conductances
    files: tuple[str, ...]
    gains: dict[str, float]
    warning: str | None

    @classmethod
    def of(
        cls, files: tuple[str, ...], technology: Technology, model, g_max: float | None, shown: bool = True
    ) -> "Given":
        """Read files for a model (or network); ConductanceError for what does not fit it."""
        from crossramp.golden.analog.conductancetables import load_conductances
        from crossramp.golden.analog.targets import gains, warning

        spec, weights = model.spec, model.weights
        cells = load_conductances(files, spec, technology, weights, g_max)
        found = gains(cells, technology, spec, weights)
        said = warning(cells, found, technology)
        if said is not None and shown:
            print(f"crossramp: warning: {said}", file=sys.stderr, flush=True)
        return cls(cells, files, found, said)

    def to_dict(self) -> dict:
        """As JSON types, for reports."""
        return {
            "conductances": list(self.files),
            "conductance_gains": {name: round(gain, 6) for name, gain in self.gains.items()},
            "warnings": [] if self.warning is None else [self.warning],
        }


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
    given : Given or None
        Cells from files.
    """

    technology: Technology
    seed: int
    switches: frozenset
    given: Given | None = None

    @property
    def conductances(self) -> Conductances | None:
        """The given cells."""
        return None if self.given is None else self.given.cells

    def array(self, model: Model) -> PhysicalArray:
        """The sampled array, in SI units."""
        from crossramp.golden.analog.sampling import sample

        options = {"switches": self.switches, "conductances": self.conductances}
        return sample(self.technology, model.spec, model.weights, self.seed, **options)

    def instance(self, model: Model) -> DeviceInstance:
        """The same in MAC units, as golden model and array models compute with it."""
        from crossramp.golden.analog.translate import to_device

        return to_device(self.array(model))

    def to_dict(self) -> dict:
        """As JSON types, for reports."""
        return array_of(self.technology, self.switches, self.given) | {"device_seed": self.seed}


def array_of(technology: Technology, switches: frozenset, given: Given | None = None) -> dict:
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
    add_conductances(group)


def add_conductances(group) -> None:
    """Add the arguments that :func:`given_of` reads to a parser, or a group of arguments."""
    group.add_argument(
        "--conductances",
        action="append",
        metavar="FILE",
        help="cells as measured: .npz or .csv, or AIHWKit's CSV; more than once",
    )
    group.add_argument(
        "--conductances-g-max", type=float, metavar="µS", help="full-scale weight in AIHWKit's CSV (default its own)"
    )


#: Options that mean nothing without a technology.
CONDUCTANCES = ("conductances", "conductances_g_max")


def files_of(args: argparse.Namespace) -> tuple[tuple[str, ...], float | None]:
    """Files of given cells, and the g_max of AIHWKit's in siemens; UserError for what is wrong."""
    g_max = args.conductances_g_max
    if g_max is not None and not 0 < g_max < 1e6:
        raise UserError(f"--conductances-g-max is {g_max:g} µS; expected a conductance above 0")
    if g_max is not None and not args.conductances:
        raise UserError("--conductances-g-max belongs to --conductances; add a file, or leave it out")
    return tuple(args.conductances or ()), None if g_max is None else g_max * 1e-6


def given_of(args: argparse.Namespace, technology: Technology, model: Model | None) -> Given | None:
    """The cells that the arguments' files give ``model``; what is unlikely right is told on stderr.

    Raises
    ------
    UserError, ConductanceError
        For what is wrong; also for files without a model.
    """
    files, g_max = files_of(args)
    if not files:
        return None
    if model is None:
        raise UserError("--conductances are those of one array; add --model MODEL")
    return Given.of(files, technology, model, g_max)


def from_arguments(args: argparse.Namespace, model: Model | None) -> Devices | None:
    """What the arguments ask for, None: the ideal array; UserError or a ValueError of ours for what is wrong."""
    asked = technology_of(args, ("device_seed", *CONDUCTANCES))
    if asked is None:
        return None
    technology, switches = asked
    seed = DEFAULT_SEED if args.device_seed is None else args.device_seed
    if not 0 <= seed < 1 << 63:
        raise UserError(f"--device-seed is {seed}; allowed: 0 to 2**63 - 1")
    return Devices(technology, seed, switches, given_of(args, technology, model))


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
