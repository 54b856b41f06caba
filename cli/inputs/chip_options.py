# SPDX-License-Identifier: Apache-2.0
"""Which array stands behind the periphery: the ideal one, or a device instance of a technology; for every command."""

import argparse
from dataclasses import dataclass

from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.chip.placed_chip import PlacedChip, macro_seed
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting
from crossramp.golden.analog.technologies.constants import CONSTANTS, SWITCHES
from crossramp.golden.analog.technologies.technology import Technology, load, shipped
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.layered_weights import weights_of_macro
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.array_setup import ArraySetup

from . import cell_files
from .options import DEVICE_SEED

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
    calibration : CalibrationSetting
        How its bias cells are chosen.
    """

    technology: Technology
    seed: int
    switches: frozenset
    given: cell_files.Given | None = None
    calibration: CalibrationSetting = NOMINAL

    @property
    def conductances(self) -> Conductances | None:
        """The given cells."""
        return None if self.given is None else self.given.cells

    def arrays(self, model: Model, macro: str) -> list[PhysicalArray]:
        """The sampled arrays of a macro, in SI units."""
        from crossramp.golden.analog.chip.sampling import sample_tiles

        seed = macro_seed(model.spec, macro, self.seed)
        options = {"switches": self.switches, "conductances": self.conductances}
        held = weights_of_macro(model.weights, macro)
        return sample_tiles(self.technology, model.spec.macros[macro], held, seed, **options)

    def placed(self, model: Model) -> "Array":
        """The device instances of the whole network with their bias cells chosen."""
        sample = ChipSample(self.technology, switches=self.switches, conductances=self.conductances)
        return Array(self, PlacedChip.of(model.spec, model.weights, sample, self.seed, self.calibration))

    def to_dict(self) -> dict:
        """As JSON types, for reports."""
        return array_of(self.technology, self.switches, self.given) | {"chip_seed": self.seed}


@dataclass(frozen=True, eq=False)
class Array:
    """A device instance behind the hardware, ready to convert.

    Attributes
    ----------
    devices : Devices
        What was asked for.
    chip : PlacedChip
    """

    devices: Devices
    chip: PlacedChip

    @property
    def setup(self) -> ArraySetup:
        """What the simulators take."""
        return ArraySetup.of_chip(self.chip)

    def to_dict(self) -> dict:
        """As JSON types."""
        return self.devices.to_dict() | {
            "calibration": self.chip.shown_port,
            "calibration_failed": self.chip.failed,
        }


def array_of(technology: Technology, switches: frozenset, given: cell_files.Given | None = None) -> dict:
    """What arrays are made of, as JSON types."""
    return (_NOTHING_GIVEN if given is None else given.to_dict()) | {
        "technology": technology.name,
        "technology_hash": technology.content_hash,
        "effects_off": [name for name in SWITCHES if name not in switches],
    }


def technology_of(args: argparse.Namespace, others: tuple[str, ...] = ()) -> tuple[Technology, frozenset] | None:
    """The technology and its effects that are on, None: the ideal array.

    Raises
    ------
    UserError, TechnologyError
        For what is wrong; also where one of these arguments, or of ``others``, is given without a technology.
    """
    if args.technology is None:
        for option in ("set", "no", *others):
            value = getattr(args, option, None)
            if value is not None:
                given = f"--{option.replace('_', '-')} {' '.join(value) if isinstance(value, list) else value}"
                raise UserError(f"{given} belongs to a technology; add --technology {shipped()[-1]}, or leave it out")
        return None
    technology = load(args.technology)
    if args.set:
        technology = technology.replace(dict(map(changed, args.set)))
    return technology, switched(args.no or [])


def from_arguments(args: argparse.Namespace, model: Model | None) -> Devices | None:
    """What the options of :func:`.options.add_chip` ask for, None: the ideal array.

    Raises
    ------
    UserError, InvalidValue
        For what is wrong.
    """
    asked = technology_of(args, ("chip_seed", "calibration", *cell_files.OPTIONS))
    if asked is None:
        return None
    technology, switches = asked
    setting = calibration_of(args)
    if model is not None:
        for macro in model.spec.macros.values():
            setting.check(macro)
    return Devices(technology, seed_of(args), switches, cell_files.given_of(args, technology, model), setting)


def array_from_arguments(args: argparse.Namespace, model: Model) -> Array | None:
    """The array that the same options ask for, sampled and with its bias cells chosen; None: the ideal array."""
    asked = from_arguments(args, model)
    return None if asked is None else asked.placed(model)


def seed_of(args: argparse.Namespace) -> int:
    """What ``--chip-seed`` asks for."""
    return DEVICE_SEED if args.chip_seed is None else integer("--chip-seed", args.chip_seed, 0, (1 << 63) - 1)


def calibration_of(args: argparse.Namespace) -> CalibrationSetting:
    """What ``--calibration`` asks for; nominal without it."""
    return CalibrationSetting.parse(getattr(args, "calibration", None))


def calibrations_of(args: argparse.Namespace, *specs: Specification) -> tuple[CalibrationSetting, ...]:
    """The same of a command that takes ``both`` too: its default if the ramps of all ``specs`` have bias cells."""
    if args.calibration is None and not all(spec.calibration_cells for spec in specs):
        return (NOMINAL,)
    settings = (NOMINAL, FOUND) if args.calibration in (None, "both") else (calibration_of(args),)
    for setting in settings:
        for spec in specs:
            setting.check(spec)
    return settings


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
        raise UserError(f"--set {text}: {value!r} is not a number{unit}") from None
    return name, numbers if len(numbers) > 1 else numbers[0]
