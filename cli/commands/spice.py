# SPDX-License-Identifier: Apache-2.0
"""``crossramp spice``: columns and ramps of one step in ngspice, against the behavioral model."""

import argparse
import copy
import dataclasses
from pathlib import Path

import numpy as np
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue, UserError
from crossramp.golden.common.wording import printable
from crossramp.golden.layers.tile import arrays_by_macro, tiles_of
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.specification import Specification

from ..inputs import chip_options, network_inputs, options, subjects
from ..output.messages import Progress
from ..output.output_folder import check_folder, written_folder
from ..output.tables import as_json, table, wrote

DEFAULT_COLUMNS = 8
DEFAULT_STEP = 1
DEFAULT_SEED = 1
#: What is drawn where no technology is given: the arithmetic of ideal cells, in these units.
IDEAL_TECHNOLOGY = "rram"

_EPILOG = """\
The pins that drive the deck are those of a simulation of the gateware, with the same chip behind it: every clock of
step T, both conversions. Without recordings or features the step is one of a random utterance. Noise is off on both
sides: it is drawn anew in every conversion. Without --technology the cells are ideal ones. In a network of several
layers the chip is behind every macro, and the deck is of one of them; a backward macro counts its steps from the end of
the utterance. docs/spice.md has the circuits and their equations.

examples:
  crossramp spice kws --technology rram --columns 32 --plot step.png
  crossramp spice kws recordings/yes/1.wav --step 24 --columns i0,f3,g7,g8,o31 --technology charge --chip-seed 7
  crossramp spice kws --technology rram --no wires --columns 4 -o deck --deck-only
  crossramp spice two_layers.npz --macro layer1 --columns n0,n3

Exit status: 0 if they agree, 1 for a difference that nothing explains, 2 for invalid input or without ngspice, 3 if
ngspice fails.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "spice",
        description="Writes a netlist of columns, their ramps, integrators and comparators, drives it with the pins of "
        "a simulated step, runs ngspice, and compares every voltage and every tick with the behavioral model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_utterances(parser)
    options.add_tiles(parser)
    options.add_macro(parser)
    parser.add_argument(
        "--step", type=int, default=DEFAULT_STEP, metavar="T", help="number of the step, from 0 (default 1)"
    )
    parser.add_argument(
        "--columns",
        default=str(DEFAULT_COLUMNS),
        metavar="WHICH",
        help=f"names, as in i0,f3,g7; or how many, drawn with --seed (default {DEFAULT_COLUMNS})",
    )
    options.add_chip(parser)
    options.add_output(parser, "keep the netlists and the comparison there")
    parser.add_argument("--deck-only", action="store_true", help="write the netlists into -o, do not run them")
    options.add_force(parser)
    options.add_picture(parser, "integrators, ramp and comparators")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, 1 for a difference that nothing explains, or UserError (or an error of ours)."""
    from crossramp.golden.analog.chip.translate import to_device
    from crossramp.sim.amaranth.step_trace import trace_step
    from crossramp.sim.spice.agreement import report
    from crossramp.sim.spice.ngspice import find_ngspice
    from crossramp.sim.spice.spice_step import NOISE, decks, golden_answers, simulate, spice_answers

    if args.deck_only:
        if args.output is None:
            raise UserError("--deck-only writes netlists; say where with -o DIR")
        if args.plot is not None:
            raise UserError("--plot needs what ngspice computes; leave out --deck-only")
    else:
        find_ngspice()
        if args.plot is not None:
            from ..plots.figures import check_format  # with matplotlib, which takes a second

            check_format(Path(args.plot))
    if args.output is not None:
        check_folder(args.output, args.force)
    model = subjects.implemented(load_model(args.model), args)
    macro = subjects.chosen_macro(model.spec, args.macro)
    chip = chip_options.from_arguments(args, model)
    if chip is None:
        chip = chip_options.Devices(load(IDEAL_TECHNOLOGY), options.DEVICE_SEED, frozenset())
    chip = dataclasses.replace(chip, switches=chip.switches - NOISE)
    tile, columns = choose(model.spec.macros[macro], args.columns, DEFAULT_SEED if args.seed is None else args.seed)
    name, codes = _utterance(model, args)
    array = chip.arrays(model, macro)[tile]
    device, setup = to_device(array), chip.placed(model).setup
    place = list(arrays_by_macro(model.spec)[macro])[tile]
    progress = Progress()
    try:
        progress.show(f"gateware: steps 0 to {args.step}")
        waves = trace_step(model.network, codes, args.step, setup, place)
        title = f"step {args.step} of {name}" + (f", {macro}" if macro else "")
        texts = decks(array, device, waves, columns, title=title)
        if args.deck_only:
            _write(args, texts, None)
            progress.clear()
            content = {"decks": len(texts), "folder": args.output}
            print(as_json(content) if args.json else wrote(content).lstrip())
            return 0
        progress.show(f"ngspice: 0 of {len(texts)} decks")
        results = simulate(texts, progress=lambda done: progress.show(f"ngspice: {done} of {len(texts)} decks"))
    finally:
        progress.clear()
    spice = spice_answers(array, waves, texts, results)
    golden = golden_answers(array, device, waves, columns)
    content = {"model": args.model, "utterance": name, "step": args.step, **chip.to_dict()}
    if macro:
        content["macro"] = macro
    content |= {"decks": len(texts), **report(array, waves, texts, spice, golden)}
    if args.output is not None:
        _write(args, texts, content)
        content["folder"] = args.output
    if args.plot is not None:
        of = f"{Path(args.model).stem} on {chip.technology.name}, chip {chip.seed}"
        _draw(args.plot, array, waves, texts, results, golden, f"{of}, {title}")
        content["picture"] = args.plot
    print(as_json(content) if args.json else text(content) + wrote(content))
    return 0 if content["agrees"] else 1


def choose(spec: Specification, which: str, seed: int) -> tuple[int, list[int]]:
    """The number of an array of a macro and some of its columns: by name, or a number of them drawn, of the first one.

    Raises UserError (or the InvalidValue of parse_columns).
    """
    from crossramp.golden.spec.bank_columns import parse_columns

    tiles = tiles_of(spec)
    if not which.strip().lstrip("+-").isdecimal():
        columns = parse_columns(spec, [name.strip() for name in which.split(",") if name.strip()])
        places = [next(k for k, tile in enumerate(tiles) if spec.unit_of_column(c) in tile.unit_range) for c in columns]
        for column, place in zip(columns, places, strict=True):
            if place != places[0]:
                raise UserError(
                    f"columns {spec.column_name(columns[0])} and {spec.column_name(column)} are in the arrays "
                    f"{places[0]} and {place}; name columns of one array"
                )
        return places[0], parse_columns(tiles[places[0]], [spec.column_name(column) for column in columns])
    count = tiles[0].columns
    if not 1 <= int(which) <= count:
        where = "macro" if len(tiles) == 1 else "first array"
        raise UserError(
            f"--columns is {which}; the {where} has {count}: give 1 to {count}, "
            f"or names as in {tiles[0].column_name(0)},{tiles[0].column_name(count - 1)}"
        )
    integer("--seed", seed, 0)
    return 0, sorted(np.random.default_rng(seed).choice(count, int(which), replace=False).tolist())


def _utterance(model: Model, args: argparse.Namespace) -> tuple[str, np.ndarray]:
    args = copy.copy(args)
    integer("--step", args.step, 0)
    if not args.audio and args.features is None and args.random is None:
        args.random, args.steps = 1, args.step + 1 if args.steps is None else args.steps
    if args.random is None:
        args.seed = None  # of the columns alone
    utterances = network_inputs.from_arguments(model, args)
    if len(utterances.codes) != 1:
        raise UserError(f"{len(utterances.codes)} utterances are given; a deck is one step of one: give one")
    steps = utterances.codes.shape[1]
    if args.step >= steps:
        raise UserError(f"--step is {args.step}; {utterances.names[0]} has steps 0 to {steps - 1}")
    return printable(utterances.names[0]), utterances.codes[0]


def _write(args: argparse.Namespace, texts, content: dict | None) -> None:
    with written_folder(args.output, args.force) as folder:
        for number, deck in enumerate(texts):
            (folder / f"deck_{number}.cir").write_text(deck.text, encoding="ascii")
        if content is not None:
            (folder / "comparison.json").write_text(as_json(content) + "\n", encoding="ascii")


def _draw(name: str, *what) -> None:
    from ..plots.spice_plot import plot_step  # matplotlib takes a second to import

    try:
        plot_step(name, *what)
    except OSError as error:
        raise UserError(f"{name}: cannot be written ({error.strerror or error}); choose another path") from None
    except InvalidValue as error:
        raise UserError(f"{name}: {error}") from None


def text(content: dict) -> str:
    """The table and its summary."""
    rows = []
    for part in content["conversions"]:
        for row in part["rows"]:
            same = row["spice_code"] == row["golden_code"] == row["gateware_code"]
            rows.append(
                (
                    row["column"],
                    "second" if part["second"] else "first",
                    row["spice_code"],
                    row["golden_code"],
                    row["gateware_code"],
                    "" if same else "differ",
                    f"{row['spice_volts'] * 1e3:.4f}",
                    f"{row['golden_volts'] * 1e3:.4f}",
                    f"{row['difference_microvolts']:.2f}",
                    f"{row['explained_microvolts']:.2f}",
                    f"{row['spice_margin_microvolts']:.1f}",
                    f"{row['golden_margin_microvolts']:.1f}",
                )
            )
    header = (
        "column",
        "conversion",
        "SPICE",
        "golden",
        "gateware",
        "",
        "SPICE mV",
        "golden mV",
        "apart µV",
        "explained µV",
        "margin µV",
        "golden µV",
    )
    off = ", ".join(content["effects_off"]) or "none"
    volts, step = content["microvolts_per_mac"], content["smallest_ramp_step_mac"]
    first = content["conversions"]
    columns, ramps = (max(part[name] for part in first) for name in ("column_mac", "ramp_mac"))
    facts = [("macro", content["macro"])] if "macro" in content else []
    facts += [
        ("step", f"{content['step']} of {content['utterance']}, {content['decks']} decks"),
        ("chip", f"{content['technology']}, seed {content['chip_seed']}; off: {off}"),
        ("codes", f"{content['codes_differ']} of {content['codes']} differ"),
        ("columns apart", f"at most {columns * volts:.2f} µV, {columns:.4f} MAC ({columns / step:.2%} of a code)"),
        ("ramps apart", f"at most {ramps * volts:.2f} µV, {ramps:.4f} MAC"),
        ("not explained", f"at most {content['unexplained_mac'] * volts:.2f} µV, {content['unexplained_mac']:.4f} MAC"),
        ("agreement", "yes" if content["agrees"] else "NO: see docs/spice.md"),
    ]
    return f"{table(header, rows, right=(2, 3, 4, 6, 7, 8, 9, 10, 11))}\n\n{table(('', ''), facts).lstrip()}"
