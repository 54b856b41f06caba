# SPDX-License-Identifier: Apache-2.0
"""``crossramp ramp``: the steps, conductances, linearity and errors of an activation's ramp."""

import argparse
import csv
from pathlib import Path

from crossramp.golden.analog.cells.conductance_window import G_MAX
from crossramp.golden.analog.cells.ramp_report import RampReport, gate_report, ramp_report
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.cell.library import CELLS
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.activations import REGISTRY, activation

from ..inputs import options, subjects
from ..output.tables import as_json, wrote

#: Gates of any cell.
_GATES = tuple(dict.fromkeys(gate for cell in CELLS.values() for gate in cell.gates))

DEFAULT_BITS = 5
#: Of 5-bit pulse codes and weights with a full-scale weight of 2: the specification's default.
DEFAULT_SCALE = 2 / (15 * 15)

_EPILOG = f"""\
activations: {", ".join(REGISTRY)}; each also with its own output range, as "softplus[0,1]"

examples:
  crossramp ramp sigmoid --bits 5 --plot ramp.png
  crossramp ramp --model kws --gate g --csv ramp.csv
  crossramp ramp --model two_layers.npz --macro layer1 --gate n
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "ramp",
        description="Prints the ramp that makes a conversion an activation: its steps, the conductance of each, "
        "INL, DNL, and the error of the activation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("activation", nargs="?", metavar="ACTIVATION", help="its name, or name[low,high]; see below")
    parser.add_argument("--bits", type=int, metavar="N", help=f"bits of a code, 2 to 9 (default {DEFAULT_BITS})")
    parser.add_argument(
        "--scale", type=float, metavar="S", help=f"real pre-activation of one MAC unit (default {DEFAULT_SCALE:.4g})"
    )
    options.add_model_option(parser, "take its ramp")
    options.add_macro(parser)
    parser.add_argument("--gate", choices=_GATES, help="the gate of the model whose ramp is printed")
    parser.add_argument(
        "--g-max",
        type=float,
        default=G_MAX * 1e6,
        metavar="µS",
        help="conductance of the largest step (default 150)",
    )
    options.add_picture(parser, "staircase, steps and linearity")
    parser.add_argument("--csv", metavar="FILE", help="write one row per tick, with units")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or UserError (or an InvalidValue) for what the user can put right."""
    report = _report(args)
    content = report.to_dict()
    if args.plot:
        from ..plots.ramp_plot import plot_ramp  # matplotlib takes a second to import

        _write(args.plot, lambda path: plot_ramp(path, report))
        content["picture"] = args.plot
    if args.csv:
        _write(args.csv, lambda path: _write_csv(path, report))
        content["csv"] = args.csv
    print(as_json(content) if args.json else _table(report) + wrote(content))
    return 0


def _report(args: argparse.Namespace) -> RampReport:
    g_max = args.g_max * 1e-6
    if args.model is None:
        if args.gate is not None:
            raise UserError(f"--gate {args.gate} is a gate of a model; add --model MODEL")
        subjects.refuse_macro(args)
        if args.activation is None:
            raise UserError("which ramp? give an activation, as in: crossramp ramp sigmoid; or --model MODEL --gate g")
        bits = DEFAULT_BITS if args.bits is None else args.bits
        scale = DEFAULT_SCALE if args.scale is None else args.scale
        return ramp_report(Ramp(activation(args.activation), bits, scale), g_max)
    for name in ("activation", "bits", "scale"):
        value = getattr(args, name)
        if value is not None:
            raise UserError(f"{name} {value} and --model {args.model} exclude each other; leave one out")
    network = load_model(args.model).spec
    spec = network.macros[subjects.chosen_macro(network, args.macro)]
    if args.gate is None:
        *others, last = spec.gate_names
        raise UserError(f"which ramp of {args.model}? add --gate {', --gate '.join(others)} or --gate {last}")
    if args.gate not in spec.gate_names:
        raise UserError(f"--gate is {args.gate}; gates of the cell {spec.cell} are {', '.join(spec.gate_names)}")
    return gate_report(spec, args.gate, g_max)


def _write(name: str, write) -> None:
    path = Path(name)
    try:
        write(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another path") from None


def _columns(report: RampReport) -> dict[str, list]:
    """One entry per tick; DNL is that of the code between this tick and the next, which the last tick lacks."""
    scale = report.ramp.scale
    return {
        "tick": list(range(1, len(report.floors) + 1)),
        "border": report.borders.tolist(),
        "threshold_mac": report.thresholds.tolist(),
        "threshold_preactivation": (report.thresholds * scale).tolist(),
        "step_mac": report.steps.tolist(),
        "step_preactivation": (report.steps * scale).tolist(),
        "conductance_siemens": report.conductances.tolist(),
        "inl_lsb": report.inl.tolist(),
        "dnl_lsb": [*report.dnl.tolist(), None],
    }


def _write_csv(path: Path, report: RampReport) -> None:
    columns = _columns(report)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _table(report: RampReport) -> str:
    ramp = report.ramp
    lines = [
        f"{ramp.activation.text}, {ramp.bits} bits, 1 MAC unit = {ramp.scale:.6g} of pre-activation, "
        f"1 LSB = {report.lsb:.6g}",
        "",
        "tick    border   threshold        pre-     step        pre-  conductance     INL     DNL",
        "                     [MAC]  activation    [MAC]  activation         [µS]   [LSB]   [LSB]",
    ]
    for k, y, mac, pre, step, step_pre, siemens, inl, dnl in zip(*_columns(report).values(), strict=True):
        last = f"{dnl:8.3f}" if dnl is not None else " " * 8
        lines.append(
            f"{k:4d}  {y:8.4f}  {mac:10.1f}  {pre:10.4f}  {step:7.0f}  {step_pre:10.4f}  {siemens * 1e6:11.2f}"
            f"{inl:8.3f}{last}"
        )
    lowest = report.conductances[report.conductances > 0].min() * 1e6
    missing = ", ".join(map(str, report.missing)) or "none"
    direction = "negative" if report.start < 0 else "positive"
    lines += [
        "",
        f"start           {report.start:g} MAC ({report.start * ramp.scale:.4f}), made from 0 by bias cells of "
        f"{abs(report.bias_conductance) * 1e6:.1f} µS together, driven {direction}",
        f"conductance     {lowest:.3g} to {report.g_max * 1e6:.3g} µS: G_max/G_min {report.conductance_ratio:.2f}, "
        f"{report.siemens_per_mac * 1e6:.4g} µS a MAC unit",
        f"zero steps      {report.zero_steps} of {len(report.steps)}",
        f"missing codes   {missing}",
        f"linearity       INL within {abs(report.inl).max():.3f} LSB, DNL within {abs(report.dnl).max():.3f} LSB",
        f"error           at most {report.max_error:.5f}, RMS {report.rms_error:.5f}, for pre-activations from "
        f"{report.grid_low:.3f} to {report.grid_high:.3f} (half an LSB is {report.lsb / 2:.5f})",
    ]
    return "\n".join(lines)
