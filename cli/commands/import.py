# SPDX-License-Identifier: Apache-2.0
"""``crossramp import``: a network that another library trained, and some data, become a model file."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from crossramp.convert.float_network.imported_network import FloatNetwork
from crossramp.convert.formats.read_network import read_network
from crossramp.convert.quantization.quantization_report import advice, float_and_integers, report
from crossramp.convert.quantization.quantizer import quantized
from crossramp.convert.quantization.quantizer_settings import NAIVE, QuantizerSettings
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model, save_model

from ..inputs import options
from ..inputs.calibration_file import Calibration, read_calibration
from ..output.messages import Progress
from ..output.tables import as_json, table

_EPILOG = """\
examples:
  crossramp import net.pt2 --calibrate data.npz -o net.npz
  crossramp import lstm.onnx --calibrate data.npz -o lstm.npz --bits 4 --classes yes,no,stop
  crossramp import weights.pt --readout mean --calibrate data.npz -o net.npz

NETWORK is a program of torch.export (.pt2), a state_dict of torch.save (.pt, .pth), an ONNX file or a model of Keras
(.keras, .h5). DATA is a .npz file with the array features, (utterances, steps, inputs), real, and perhaps labels and
lengths: docs/import.md."""

_CALIBRATED_MOST = 256


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "import",
        description="Reads a trained network, chooses ranges and formats by some data, and writes a model file for "
        "every other command. Nothing is trained, and nothing in a file is run or unpickled.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("network", metavar="NETWORK", type=Path, help="file of the trained network")
    add("--calibrate", metavar="DATA", type=Path, required=True, help="data like that of use, .npz or .npy")
    add("-o", "--output", metavar="MODEL", type=Path, required=True, help="model file to write, .npz")
    add(
        "--utterances",
        metavar="N",
        type=int,
        default=_CALIBRATED_MOST,
        help="calibrate on the first N of DATA (%(default)s)",
    )
    add("--bits", metavar="N", type=int, help="bits of ramps, pulse codes and weights alike (5)")
    add("--adc-bits", metavar="N", type=int, help="bits of the ramps")
    add("--input-bits", metavar="N", type=int, help="bits of pulse codes, with sign")
    add("--weight-bits", metavar="N", type=int, help="bits of weights, with sign")
    add("--head-bits", metavar="N", type=int, dest="head_weight_bits", help="bits of the head's weights (8)")
    add("--max-steps", metavar="N", type=int, help="longest utterance (that of DATA, up to a power of two)")
    add("--lanes", metavar="N", type=int, help="units updated in one clock (1)")
    add("--naive", action="store_true", help="largest values as ranges and nearest levels, to compare with")
    add("--numbers", action="store_true", help="the outputs are numbers, not classes")
    add("--classes", metavar="A,B,...", help="names of the outputs (0, 1, ...)")
    add("--readout", choices=("mean", "last", "step"), help="what the head of a state_dict sees, which it does not say")
    add("--nonlinearity", choices=("tanh", "relu"), help="of the RNN of a state_dict, which it does not say")
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or the errors of the readers and of the quantizer."""
    if args.output.suffix != ".npz":
        raise UserError(f"{args.output}: a model file's name ends in .npz")
    if not args.output.parent.is_dir():
        raise UserError(f"{args.output.parent}: no such folder; make it first")
    if args.utterances < 1:
        raise UserError(f"--utterances is {args.utterances}; allowed: 1 and up")
    settings = _settings(args)
    progress = Progress()
    progress.stage(f"reading {args.network}")
    network = read_network(args.network, args.readout, args.nonlinearity)
    data = read_calibration(args.calibrate)
    progress.stage("quantizing")
    few = slice(args.utterances)
    lengths = None if data.lengths is None else data.lengths[few]
    if args.classes is not None:
        network = _named(network, args.classes)
    source = {"source": args.network.name, "calibration": args.calibrate.name}
    made = quantized(network, data.features[few], lengths, settings, args.numbers, source)
    layers = report(made, data.features[few], lengths)
    progress.stage("comparing")
    scores = _scores(network, made.model, data)
    progress.clear()
    save_model(args.output, made.model)
    told = advice(layers)
    if args.json:
        content = {"model": str(args.output), "model_hash": made.model.content_hash, "layers": layers}
        print(as_json(content | {"scores": scores, "advice": told}))
    else:
        print(_text(layers, scores, args.numbers))
        print(*(f"advice: {line}" for line in told), f"wrote {args.output}", sep="\n")
    return 0


def _settings(args: argparse.Namespace) -> QuantizerSettings:
    alike = ("adc_bits", "input_bits", "weight_bits")
    given: dict[str, Any] = {} if args.bits is None else dict.fromkeys(alike, args.bits)
    for name in ("adc_bits", "input_bits", "weight_bits", "head_weight_bits", "max_steps", "lanes"):
        if getattr(args, name) is not None:
            given[name] = getattr(args, name)
    return QuantizerSettings(**given, **(NAIVE if args.naive else {}))


def _named(network: FloatNetwork, text: str) -> FloatNetwork:
    return dataclasses.replace(network, class_names=tuple(name.strip() for name in text.split(",")))


def _scores(network: FloatNetwork, model: Model, data: Calibration) -> dict[str, float] | None:
    """Of all utterances of the data; None where they have no labels."""
    if data.labels is None:
        return None
    numbers, every_step = model.output_unit is not None, model.spec.readout == "step"
    labels = data.labels
    if numbers and model.spec.classes == 1 and labels.ndim == 1 + every_step:
        labels = labels[..., None]
    shape = data.features.shape[: 1 + every_step] + ((model.spec.classes,) if numbers else ())
    if labels.shape != shape or (not numbers and labels.dtype.kind == "f"):
        what = "real numbers" if numbers else "classes, integers"
        raise UserError(f"labels are {labels.dtype} of the shape {labels.shape}; expected {what}, {shape}")
    scored = labels
    if every_step and data.lengths is not None:
        scored = labels[np.arange(labels.shape[1]) < data.lengths[:, None]]
    if not numbers and (scored.min() < 0 or scored.max() >= model.spec.classes):
        raise UserError(
            f"labels reach from {scored.min()} to {scored.max()}; the network has classes 0 to {model.spec.classes - 1}"
        )
    return float_and_integers(network, model, data.features, data.lengths, labels)


def _text(layers: list[dict[str, Any]], scores: dict[str, float] | None, numbers: bool) -> str:
    rows = []
    for layer in layers:
        name = layer["macro"] or "macro"
        about = f"{layer['cell']}, {layer['inputs']} → {layer['units']}"
        for place, bank in enumerate(layer["banks"]):
            first = (name, about) if place == 0 else ("", "")
            figures = f"{bank['weight_range']:.3g}", f"{bank['clipped']:.1%}", f"{bank['error']:.1%}"
            rows.append((*first, bank["bank"], bank["activation"], *figures))
    head = ("", "layer", "bank", "activation", "weight range", "clipped", "error")
    lines = [table(head, rows, right=(4, 5, 6)).lstrip(), ""]
    for layer in layers:
        lines.append(
            f"{layer['macro'] or 'macro'}: {layer['clocks_per_step']:,} clocks a step, {layer['memristors']:,} "
            f"memristors; beyond full scale: {layer['h_beyond']:.1%} of h, {layer['state_beyond']:.1%} of the state"
        )
    if scores is not None and numbers:
        lines.append(f"root mean squared error: float {scores['float']:.4g}, integers {scores['integers']:.4g}")
    elif scores is not None:
        lines.append(f"accuracy on DATA: float {scores['float']:.2%}, integers {scores['integers']:.2%}")
    return "\n".join(lines)
