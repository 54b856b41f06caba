# SPDX-License-Identifier: Apache-2.0
"""``crossramp generate``: everything a hardware project needs of a model, in one folder."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.analog.cells.origin import window
from crossramp.golden.analog.cells.targets import below_window
from crossramp.golden.analog.conversion.calibration import REPEATS_LOG2, CalibrationPlan
from crossramp.golden.analog.technologies.technology import Technology, load
from crossramp.golden.array.tiled_array import weights_of_arrays
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import UserError
from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.layers.spec_file import save_spec
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.macro.initial_state import State
from crossramp.golden.network.model_file import Model, load_model, model_path
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.verilog.reserved_words import KEYWORDS

from ..inputs import chip_options, options, subjects
from ..output.conductance_maps import BASE, UNNAMED, unnamed, write_conductances, write_ramps
from ..output.input_text import MODEL_JSON, classes_text, inputs_text
from ..output.messages import LOGGER
from ..output.output_folder import MANIFEST, listed, written_folder
from ..output.tables import as_json, markdown
from . import info
from .info import describe, units

TOPS = ("network", "macro")

#: How the testbench's own modules begin.
_RESERVED = "crossramp_"

_EPILOG = """\
examples:
  crossramp generate kws -o build/kws --lanes 8
  crossramp generate kws -o build/kws --technology rram
  crossramp generate kws -o build/kws --calibrator --technology rram

DIR then holds NAME.v, ramps.csv, conductances.csv, specification.toml, model.json, ports.md, a self-checking testbench
(testbench/, runs with iverilog or verilator alone) and a README.md: the commands, the classes, and how x is made.
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "generate",
        description="Writes the Verilog of a model into a folder, with testbench, tables of cells and documentation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_output(parser, required=True)
    parser.add_argument(
        "--top",
        choices=TOPS,
        default="network",
        help="generate the network with its head (default), or the macro alone",
    )
    options.add_implementation(parser)
    parser.add_argument(
        "--name", metavar="NAME", help="name of the top module (default: the model's, with _macro for --top macro)"
    )
    parser.add_argument("--async-reset", action="store_true", help="generate an asynchronous reset")
    parser.add_argument(
        "--calibrator", action="store_true", help="add gateware that calibrates the ramps on request (calibrate_*)"
    )
    parser.add_argument(
        "--calibration-repeats",
        type=int,
        metavar="N",
        help=f"conversions of each setting, a power of 2, 1 to 256 (default {1 << REPEATS_LOG2})",
    )
    options.add_technology(
        parser,
        "cells to program: conductances.csv and ramps.csv are written for these cells, by default for 0 to 150 µS and "
        "single ramp cells; the calibrator moves these bias cells, by default those of rram",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the testbench's vectors (default 1)")
    options.add_force(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an InvalidValue) for what the user can put right."""
    model = load_model(args.model)
    model = subjects.implemented(model, args)
    name = args.name or module_name(model_path(args.model).stem, args.top)
    asked = chip_options.technology_of(args)
    technology = None if asked is None else asked[0]
    plan = calibration_plan(args, model, technology)
    wanted = GenerateOptions(name, args.top, args.async_reset, args.seed, plan, technology)
    files = generate(model, Path(args.output), wanted, args.force)
    spec = model.spec
    cells = technology or unnamed()
    cautions = [
        f"{macro}: {text}" if macro else text
        for macro, weights in info.weights_by_macro(model).items()
        if (text := below_window(cells, spec.macros[macro], weights)) is not None
    ]
    for text in cautions:
        LOGGER.warning("%s", text)
    if args.json:
        content = {
            "folder": args.output,
            "module": name,
            "top": args.top,
            "classes": list(model.class_names),
            "files": files,
            "technology": None if technology is None else technology.name,
            "window": window(cells),
            "warnings": cautions,
            "specification_hash": spec.content_hash,
            "hardware_hash": spec.hardware_hash,
            "clocks_per_step": spec.clocks_per_step,
            "analog_clocks_per_step": spec.analog_clocks_per_step,
        }
        if plan is not None:
            content["calibration"] = {
                "clocks": plan.clocks(),
                "settings": plan.settings,
                "repeats": plan.repeats,
                "shifts": plan.shifts,
            }
        print(as_json(content))
    else:
        columns = sum(macro.columns for macro in spec.macros.values())
        print(f"{args.output}: module {name}, {columns} columns, {spec.clocks_per_step} clocks a step")
        print("\n".join(f"  {file}" for file in files))
        print(f"cells to program: {_for(technology)}")
    return 0


def calibration_plan(args: argparse.Namespace, model: Model, technology: Technology | None) -> CalibrationPlan | None:
    """What ``--calibrator`` and the options that belong to it ask for; UserError or InvalidValue for what is wrong."""
    if not args.calibrator:
        if args.calibration_repeats is not None:
            raise UserError("--calibration-repeats belongs to --calibrator; add it, or leave both out")
        return None
    repeats = 1 << REPEATS_LOG2 if args.calibration_repeats is None else args.calibration_repeats
    if repeats not in [1 << k for k in range(9)]:
        raise UserError(f"--calibration-repeats is {repeats}; allowed: 1, 2, 4, 8, 16, 32, 64, 128, 256")
    technology = technology or load(BASE)
    return CalibrationPlan.of(
        subjects.one_macro(model.spec, "--calibrator"), technology["ramp.calibration_range"], repeats.bit_length() - 1
    )


def module_name(stem: str, top: str) -> str:
    """A Verilog identifier from a file's stem."""
    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_") or "network"
    name = name if name[0].isalpha() else f"m_{name}"
    name = f"{name}_{top}" if top == "macro" or name in KEYWORDS else name
    return f"m_{name}" if name.startswith(_RESERVED) else name


def component(model: Model, top: str, plan: CalibrationPlan | None = None):
    """The gateware of ``model``: the network, or the macro alone; with a calibrator for a ``plan``."""
    from crossramp.rtl.layers.layered_top import LayeredTop  # Amaranth takes a moment to import
    from crossramp.rtl.macro.macro import Macro
    from crossramp.rtl.network.calibrator import CalibratedMacro
    from crossramp.rtl.network.network_top import NetworkTop

    if isinstance(model.spec, NetworkSpecification):
        if top == "macro":
            subjects.one_macro(model.spec, "--top macro")
        return LayeredTop.of(model.network)
    if top == "macro":
        initial = State(model.weights.initial_register, model.weights.initial_h)
        weights = {"projection_weights": model.weights.projection, "initial": initial}
        return Macro(model.spec, **weights) if plan is None else CalibratedMacro(plan, **weights)
    return NetworkTop.of(model.network, plan)


@dataclass(frozen=True)
class GenerateOptions:
    """What is generated of a model.

    Attributes
    ----------
    name : str
        Of the Verilog module.
    top : str
        ``"network"`` or ``"macro"``.
    async_reset : bool
    seed : int
        Of the testbench's vectors.
    plan : CalibrationPlan or None
        With a calibrator for this plan.
    technology : Technology or None
        Of the tables of cells; None: for the window of :func:`.conductance_maps.unnamed`.
    """

    name: str
    top: str = "network"
    async_reset: bool = False
    seed: int = 1
    plan: CalibrationPlan | None = None
    technology: Technology | None = None


def generate(
    model: Model,
    folder: Path,
    wanted: GenerateOptions,
    force: bool = False,
) -> list[str]:
    """Write everything; the names of the files, relative to ``folder``.

    Raises
    ------
    UserError
        If the folder may not or cannot be written, or the name is one of the testbench's.
    InvalidValue
        If the module name is not a Verilog identifier.
    """
    from crossramp.rtl.verilog.verilog_writer import port_table, specification_header, to_verilog
    from crossramp.sim.bulk.selfcheck import write_testbench

    name, top, plan = wanted.name, wanted.top, wanted.plan
    cells = wanted.technology or unnamed()
    integer("--seed", wanted.seed, 0)
    if name.startswith(_RESERVED):
        raise UserError(f"--name is {name}; the testbench's modules begin with {_RESERVED}, give a name that does not")
    if top not in TOPS:
        raise UserError(f"top is {top!r}; allowed: {', '.join(TOPS)}")
    with written_folder(folder, force) as unfinished:
        hardware = component(model, top, plan)
        ports = port_table(hardware)
        header = f"Module {name}: the {top} of model {model.content_hash}.\n{specification_header(model.spec)}"
        verilog = to_verilog(hardware, name, async_reset=wanted.async_reset, header=header)
        (unfinished / f"{name}.v").write_text(verilog)
        rows = [(f"`{port.name}`", port.direction, port.width, port.meaning) for port in ports]
        (unfinished / "ports.md").write_text(
            f"# Ports of `{name}`\n\n{markdown(('port', 'direction', 'bits', 'meaning'), rows)}\n"
        )
        held = weights_of_arrays(model.network)
        for array, (ramps, conductances, tile) in _tables(model.spec).items():
            write_ramps(unfinished / ramps, tile, held[array], cells)
            write_conductances(unfinished / conductances, tile, held[array], cells)
        save_spec(unfinished / "specification.toml", model.spec)
        (unfinished / MODEL_JSON).write_text(as_json(describe(model)) + "\n")
        shown = ports if plan else None
        commands = write_testbench(unfinished, model, name=name, top=top, seed=wanted.seed, ports=shown)
        (unfinished / "README.md").write_text(_readme(model, wanted, commands))
        files = listed(unfinished)
    return files


def _tables(spec: AnySpecification) -> dict[str, tuple[str, str, Specification]]:
    """For each array by its name the names of its tables, of ramps and of other cells, and its specification."""
    found = {}
    for array, tile in arrays_of(spec).items():
        suffix = "" if array == "array" else f"_{array}"
        found[array] = (f"ramps{suffix}.csv", f"conductances{suffix}.csv", tile)
    return found


def _for(technology: Technology | None) -> str:
    """What the tables of cells are for, as part of a sentence."""
    if technology is not None:
        return f"technology {technology.name}, {window(technology)}"
    return f"no technology was named, so {window(unnamed())} and single ramp cells"


def _readme(model: Model, wanted: GenerateOptions, commands: dict[str, str]) -> str:
    name, top = wanted.name, wanted.top
    spec, tables = model.spec, _tables(model.spec)
    first, (ramps, conductances, _) = next(iter(tables.items()))
    each = f" of the array `{first}`; the others have tables like it" if len(tables) > 1 else ""
    shown = "\n\n".join(f"With {tool}:\n\n```sh\n{text}\n```" for tool, text in commands.items())
    return f"""# {name}

The {top} of model `{model.content_hash}`, specification `{spec.hashes}`:
{_sizes(spec)},
{spec.clocks_per_step} clocks a step. Reset is {"asynchronous" if wanted.async_reset else "synchronous"}, active high.
{_calibration(wanted.plan)}
| file | what it is |
| --- | --- |
| `{name}.v` | the hardware, Verilog-2005, top module `{name}` |
| `ports.md` | its ports |
| `specification.toml` | every parameter |
| `{MODEL_JSON}` | the same, the names of the classes, and the numbers of the front end |
| `{ramps}` | what to program into the cells of the ramps{each}, one line a cell: taps, start, calibration |
| `{conductances}` | what to program into the cells of the weights and the state cells{each}, one line a pair |
| `testbench/` | recorded vectors (`RUN.md` there documents them), a behavioral crossbar, the bench that compares |
| `{MANIFEST}` | checksums of all of these; `sha256sum -c {MANIFEST}` |

{classes_text(model, top)}

{inputs_text(model)}

## Check it

No Python is needed. In the folder `testbench` (`cd testbench`); a line says `PASS` or `FAIL`, and only a pass has the
exit status 0.

{shown}

## Program the cells

The two tables are for one window of conductances ({_for(wanted.technology)}).
{_program(wanted.technology) if not each else _PROGRAM_TILES}
"""


def _sizes(spec: AnySpecification) -> str:
    if isinstance(spec, NetworkSpecification):
        layers = ", ".join(
            f"{layer.macro.cell} of {units(layer.macro)}{' in two directions' if layer.bidirectional else ''}"
            for layer in spec.layers
        )
        return f"{info.layers_text(spec)}: {layers}"
    columns = f"{spec.columns} columns of {info.column_bits(spec)} bits"
    return f"{spec.inputs} inputs, {units(spec)}, {spec.classes} classes, {columns}"


_PROGRAM_TILES = """In them, columns are counted within the array, and units within the network.
Simulations of a network with several arrays draw all cells: they take no tables."""


def _program(technology: Technology | None) -> str:
    files = "--conductances conductances.csv --conductances ramps.csv"
    if technology is not None:
        return f"""Put what you measured after programming in place of the targets, and give the tables to
`crossramp simulate`, with the same `--technology` and `--set`, as
`{files}`."""
    options = " ".join(f"--set {constant}={value:g}" for constant, value in UNNAMED.items())
    return f"""Other technologies refuse these tables: `crossramp generate --technology NAME` writes them for yours.
The options that simulate an array with these very cells are:

```sh
--technology {BASE} {options} \\
    {files}
```"""


def _calibration(plan: CalibrationPlan | None) -> str:
    if plan is None:
        return ""
    conversions = f"{plan.repeats} conversion{'s' * (plan.repeats > 1)}"
    return f"""
`calibrate_start`, for one clock, calibrates the ramps: {plan.clocks()} clocks, {plan.settings} settings of
the bias cells, {conversions} of each. Then `calibrate_failed` says which ramps are beyond their reach.
"""
