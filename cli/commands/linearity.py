# SPDX-License-Identifier: Apache-2.0
"""``crossramp linearity``: INL, DNL, missing codes and errors of real ramps, over many chips."""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import array_seed
from crossramp.golden.analog.chip.ramp_cells import SCHEMES
from crossramp.golden.analog.chip.ramp_linearity import Linearity, linearity_of, probe, supply_errors, with_scheme
from crossramp.golden.analog.conversion.calibration import calibrates
from crossramp.golden.analog.conversion.calibration_setting import FOUND, NOMINAL, CalibrationSetting
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.array.ramps import ramps
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of
from crossramp.golden.network.layered_weights import weights_of_macro
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.activations import REGISTRY
from crossramp.golden.spec.specification import Specification

from ..inputs import cell_files, chip_options, options, subjects
from ..output.messages import Progress
from ..output.tables import as_json, table, wrote

DEFAULT_CHIPS = 100
DEFAULT_TECHNOLOGY = "rram"
_CHIPS_MOST = 100_000
_SUPPLY_CHIPS = 25
_SUPPLIES = np.linspace(0.75, 1.25, 11)

_EPILOG = f"""\
activations: {", ".join(REGISTRY)}; each also with its own output range; all: every one
Schemes: one-shot programs each cell to its own step, cumulative to what its threshold still lacks, and converted does
the same with thresholds that the columns read back. Each is measured before and after calibration by one point.
docs/ramp.md explains them. A model may have several arrays: all of them are measured, or those of the macro that
--macro names; the picture against the read voltage is of the first.

examples:
  crossramp linearity sigmoid tanh --bits 5 --plot linearity.png
  crossramp linearity all --bits 3-8 --technology pcm --chips 200 --json
  crossramp linearity --model kws --set operation.time=1e7 --calibration found
  crossramp linearity --model two_layers.npz --macro layer1 --plot linearity.png
"""


@dataclass(frozen=True, eq=False)
class Measured:
    """One array, whose ramps are measured.

    Parameters
    ----------
    spec : Specification
    weights : Weights, or int64 array, shape (rows, columns)
    name : str
        Of several; the only one has none.
    seed_of : callable
        Its seed, from the chip's.
    """

    spec: Specification
    weights: Weights | np.ndarray
    name: str = ""
    seed_of: Callable[[int], int] = int


@dataclass(frozen=True, eq=False)
class Variant:
    """One programming scheme under one calibration; scheme None: the ideal ramp."""

    scheme: str | None
    calibration: CalibrationSetting
    linearity: Linearity

    @property
    def name(self) -> str:
        """As tables and pictures call it."""
        return ramp_name(self.scheme or "ideal", str(self.calibration))


def ramp_name(scheme: str, calibration: str) -> str:
    """What tables and pictures call a ramp: its scheme, and how its bias cells are chosen if not nominally."""
    return scheme + {"nominal": "", "found": ", calibrated"}.get(calibration, f", cells {calibration}")


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "linearity",
        description="Samples chips of a technology and reports how linear their ramps are, by programming "
        "scheme, before and after calibration.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("activation", nargs="*", metavar="ACTIVATION", help="names, or all (default sigmoid tanh)")
    parser.add_argument("--bits", metavar="N", help="bits of a code: 5, or 3-8, or 4,6 (default 5)")
    options.add_model_option(parser, "take its ramps")
    options.add_macro(parser, "all of them")
    parser.add_argument("--scheme", choices=SCHEMES, action="append", help="measure only this scheme (may be repeated)")
    parser.add_argument(
        "--chips", type=int, default=DEFAULT_CHIPS, metavar="N", help="number of chips (default %(default)s)"
    )
    options.add_picture(parser, "staircases and INL")
    options.add_picture(parser, "the codes' error against the read voltage", "--supply-plot")
    parser.add_argument("--csv", metavar="FILE", help="write the table with all figures")
    options.add_json(parser)
    options.add_chip(parser, several=True)
    parser.set_defaults(run=run, technology=DEFAULT_TECHNOLOGY)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an InvalidValue) for what the user can put right."""
    integer("--chips", args.chips, 1, _CHIPS_MOST)
    for name in (args.plot, args.supply_plot):
        if name is not None:
            from ..plots.figures import check_format  # with matplotlib, which takes a second

            check_format(Path(name))
    model, arrays = _arrays(args)
    technology, switches = chip_options.technology_of(args)
    calibrations = chip_options.calibrations_of(args, *(array.spec for array in arrays))
    given = cell_files.given_of(args, technology, model)
    cells = None if given is None else given.cells
    chips = ChipSample(technology, args.chips, chip_options.seed_of(args), switches, calibrations, cells)
    schemes = _schemes(args.scheme, technology)
    found, rows = {}, []
    progress = Progress()
    try:
        for array in arrays:
            for name, bits, variants in _study(chips, array, schemes, progress):
                found[f"{array.name} {name}".lstrip(), bits] = variants
                of = {"array": array.name} if array.name else {}
                rows += [of | row(name, bits, variant) for variant in variants]
    finally:
        progress.clear()
    array = chip_options.array_of(technology, switches, given)
    content = {**array, "chip_seed": chips.first_seed, "chips": chips.count, "rows": rows}
    if args.plot:
        from ..plots.linearity_plot import plot_linearity

        _write(args.plot, lambda path: plot_linearity(path, found, _title(chips)))
        content["picture"] = args.plot
    if args.supply_plot:
        from ..plots.linearity_plot import plot_supply

        first = arrays[0]
        some = replace(chips, count=min(chips.count, _SUPPLY_CHIPS))
        errors = supply_errors(some, first.spec, first.weights, _SUPPLIES, first.seed_of)
        _write(args.supply_plot, lambda path: plot_supply(path, errors, first.spec, technology))
        content["supply_picture"] = args.supply_plot
    if args.csv:
        _write(args.csv, lambda path: _write_csv(path, rows))
        content["csv"] = args.csv
    print(as_json(content) if args.json else text(content) + wrote(content))
    return 0


def _arrays(args) -> tuple[Model | None, list[Measured]]:
    """The model, if one is given, and what to sample."""
    if args.model is not None:
        if args.activation or args.bits is not None:
            what = " ".join(args.activation) or f"--bits {args.bits}"
            raise UserError(f"{what} and --model {args.model} exclude each other; leave one out")
        model = load_model(args.model)
        return model, _arrays_of(model, args.macro)
    subjects.refuse_macro(args)
    names = args.activation or ["sigmoid", "tanh"]
    if "all" in names:
        names = list(REGISTRY)
    arrays = []
    for name in names:
        for bits in _bits(args.bits):
            spec = probe(name, bits)
            # Any weights do: they tell the columns' gain.
            limit = spec.weight_max
            weights = np.random.default_rng(0).integers(-limit, limit, (spec.rows, spec.columns), endpoint=True)
            arrays.append(Measured(spec, weights))
    return None, arrays


def _arrays_of(model: Model, macro: str | None) -> list[Measured]:
    """The arrays of a model, or of one of its macros, with the names of their boundaries where there are several."""
    spec, found = model.spec, []
    chosen = spec.macros if macro is None else [subjects.chosen_macro(spec, macro)]
    several = len(arrays_of(spec)) > 1
    for name in chosen:
        weights = weights_of_macro(model.weights, name)
        for number, (array, tile) in enumerate(arrays_by_macro(spec)[name].items()):
            held = weights if tile is spec.macros[name] else tile_weights(spec.macros[name], tile, weights)
            seed_of = partial(array_seed, spec, name, number)
            found.append(Measured(tile, held, array if several else "", seed_of))
    return found


def _bits(given: str | None) -> list[int]:
    found = []
    for part in (given or "5").split(","):
        low, _, high = part.partition("-")
        if not (low.strip().isdecimal() and (high or low).strip().isdecimal()):
            raise UserError(f"--bits is {given!r}; give a number, a range as 3-8, or several with commas")
        found += range(int(low), int(high or low) + 1)
    if not found or not all(2 <= bits <= 8 for bits in found):
        raise UserError(f"--bits is {given!r}; a ramp has 2 to 8")
    return list(dict.fromkeys(found))


def _schemes(asked: list[str] | None, technology: Technology) -> tuple[str, ...]:
    """The schemes to compare; UserError for one that means nothing to ``technology``."""
    programmed = technology.read_mode == "current" and technology.ramp_kind == "in-memory"
    schemes = tuple(dict.fromkeys(asked or (SCHEMES if programmed else SCHEMES[:1])))
    for scheme in schemes:
        if not programmed and scheme != SCHEMES[0]:
            raise UserError(
                f"--scheme {scheme}: the ramp of technology {technology.name} is not programmed cell by cell "
                f"({technology.read_mode} mode, {technology.ramp_kind} ramp); leave it out"
            )
    return schemes


def _study(chips: ChipSample, array: Measured, schemes: tuple[str, ...], progress: Progress):
    """For each ramp of an array: its activation, its bits, its variants."""
    spec = array.spec
    variants = [[Variant(None, NOMINAL, Linearity(ramp, ramp.thresholds[None], spec.latch))] for ramp in ramps(spec)]
    names = f"{array.name} {' and '.join(act.text for act in spec.ramps)}".lstrip()
    if len(chips.calibrations) > 1 and not calibrates(spec):
        chips = replace(chips, calibrations=tuple(c for c in chips.calibrations if c != FOUND))
    for scheme in schemes:
        heading = f"{names}, {spec.adc_bits} bits, {scheme}"
        found = linearity_of(
            replace(chips, technology=with_scheme(chips.technology, scheme)),
            spec,
            array.weights,
            seed_of=array.seed_of,
            progress=lambda done, heading=heading: progress.show(f"{heading}: {done} of {chips.count} chips"),
        )
        for calibration, each in found.items():
            for k, linearity in enumerate(each):
                variants[k].append(Variant(scheme, calibration, linearity))
    for act, each in zip(spec.ramps, variants, strict=True):
        yield act.text, each[0].linearity.ramp.bits, each


def row(name: str, bits: int, variant: Variant) -> dict:
    """One line of the table, with everything known, as JSON types."""
    return {
        "activation": name,
        "bits": bits,
        "scheme": variant.scheme or "ideal",
        "calibration": str(variant.calibration),
        **variant.linearity.summary(),
    }


#: Of the table.
HEADER = ("activation", "bits", "ramp", "INL max", "95 %", "INL rms", "DNL max", "95 %", "missing", "MSE", "95 %")


def cells(row: dict) -> tuple[str, ...]:
    """The entries of a row under :data:`HEADER`."""
    return (
        row["activation"],
        str(row["bits"]),
        ramp_name(row["scheme"], row["calibration"]),
        *(f"{row[name]:.3f}" for name in ("inl_max_lsb", "inl_max_lsb_95", "inl_rms_lsb")),
        *(f"{row[name]:.3f}" for name in ("dnl_max_lsb", "dnl_max_lsb_95")),
        f"{row['missing_codes']:.2f}",
        *(f"{row[name]:.2e}" for name in ("mse", "mse_95")),
    )


def text(content: dict) -> str:
    """The table and what it means."""
    several = "array" in content["rows"][0]
    header, lines = HEADER, [cells(row) for row in content["rows"]]
    if several:
        header = ("array", *header)
        lines = [(row["array"], *line) for row, line in zip(content["rows"], lines, strict=True)]
    off = ", ".join(content["effects_off"]) or "none"
    return "\n".join(
        [
            table(header, lines, right=tuple(range(len(header) - 8, len(header)))),
            "",
            f"technology {content['technology']}, {content['chips']} chips from seed {content['chip_seed']}, "
            f"effects off: {off}",
            "means over the chips, and what 95 % of them keep below; INL and DNL of a ramp in LSB of the output,",
            "largest magnitude and root mean square; MSE of the decoded activation against the function",
        ]
    )


def _title(chips: ChipSample) -> str:
    return f"{chips.count} chips of {chips.technology.name}"


def _write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write(name: str, write) -> None:
    path = Path(name)
    try:
        write(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another path") from None
