# SPDX-License-Identifier: Apache-2.0
"""``crossramp info``: what a model is, and what its hardware takes."""

import argparse
import json

from crossramp.golden.array.weights import Weights
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.network.model_file import Model, load_model, model_path
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import topmost_argument

from ..inputs import options
from ..output.tables import as_json, table


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Add the command to argparse's ``subparsers``."""
    parser = subparsers.add_parser(
        "info",
        description="Prints a model's specification, clocks, devices, classes and provenance.",
        epilog="example:\n  crossramp info kws --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_model(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do the command; 0, or ModelFileError."""
    model = load_model(args.model)
    if args.json:
        print(as_json(describe(model)))
    else:
        print(_text(model, model_path(args.model).name))
    return 0


def describe(model: Model) -> dict:
    """Everything there is to know, as JSON types; clock counts are per step, devices are memristors."""
    spec = model.spec
    macros = {name: _macro_facts(macro) for name, macro in spec.macros.items()}
    return {
        "specification": spec.to_dict(),
        "specification_hash": spec.content_hash,
        "hardware_hash": spec.hardware_hash,
        "model_hash": model.content_hash,
        "clocks_per_step": spec.clocks_per_step,
        "analog_clocks_per_step": spec.analog_clocks_per_step,
        **(macros[""] if tuple(macros) == ("",) else {"macros": macros}),
        "devices": spec.devices,
        "weights_used": sum(int((weights.macro != 0).sum()) for weights in weights_by_macro(model).values()),
        "classes": list(model.class_names),
        **({} if model.output_unit is None else {"output_unit": model.output_unit}),
        "features": model.features,
        "provenance": model.provenance,
    }


def _macro_facts(spec: Specification) -> dict:
    """What there is to know of one macro and is not in its parameters."""
    return {
        **_line_scale(spec),
        "rows": spec.rows,
        "columns": spec.columns,
        "ramps": [act.text for act in spec.ramps],
        "capture_flip_flops": spec.code_bits,
    }


def weights_by_macro(model: Model) -> dict[str, Weights]:
    """The weights of each macro by its name."""
    return {"": model.weights} if isinstance(model.weights, Weights) else dict(model.weights.macros)


def column_bits(spec: Specification) -> str:
    """Bits of the columns' codes: "5", or "4 to 6" where ramps have bits of their own."""
    found = sorted(set(map(spec.gate_bits, spec.gate_names)))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _ticks(spec: Specification) -> str:
    return " and ".join(map(str, dict.fromkeys(walk.ticks for walk in spec.ramp_walks)))


def _line_scale(spec: Specification) -> dict[str, float]:
    """The full scale of the lines, and what the topmost code needs where their value alone is converted."""
    if not spec.layout.line_value:
        return {}
    found = {"state_full_scale": spec.state_full_scale}
    if spec.state_gate not in spec.layout.held and not spec.turns(spec.state_gate):
        act, bits = spec.activation(spec.state_gate), spec.gate_bits(spec.state_gate)
        found["topmost_code_needs"] = topmost_argument(act, bits)
    return found


def units(spec: Specification) -> str:
    """How many units there are, and what they are projected to."""
    return f"{spec.units} units" + (f" projected to {spec.projection}" if spec.projection else "")


def _text(model: Model, name: str) -> str:
    spec = model.spec
    ratio = spec.clocks_per_step / spec.analog_clocks_per_step
    facts = [("model", f"{name}, content {model.content_hash}, specification {spec.hashes}")]
    if isinstance(spec, NetworkSpecification):
        facts.append(("network", layers_text(spec)))
        for number, layer in enumerate(spec.layers):
            ways = ", two directions" if layer.bidirectional else ""
            facts.append(
                (f"layer {number}", f"{_cell(layer.macro)}, {layer.macro.inputs} inputs, {units(layer.macro)}{ways}")
            )
            facts += _of_macro(layer.macro)
    else:
        facts.append(("network", f"{_cell(spec)}, {spec.inputs} inputs, {units(spec)}, {spec.classes} classes"))
        facts += _of_macro(spec)
    facts += [
        ("memristors", ", ".join(f"{count:,} {use}" for use, count in spec.devices.items())),
        ("clocks per step", f"{spec.clocks_per_step}, {ratio:.3f} of the array's own {spec.analog_clocks_per_step}"),
        ("classes" if model.output_unit is None else "outputs", " ".join(model.class_names)),
    ]
    if model.output_unit is not None:
        mean = " over the number of steps" if spec.readout == "mean" else ""
        facts.append(("", f"numbers: a logit{mean} times {model.output_unit:.6g}"))
    settings = model.feature_settings
    if settings is not None:
        rate = f"{settings.sample_rate} Hz, {settings.clip_samples} samples"
        facts.append(("features", f"{settings.meaning}, {settings.steps} steps, from {rate}"))
    text = model.text_settings
    if text is not None:
        fed = "one-hot" if text.embedding is None else f"an embedding of {text.inputs} codes"
        facts.append(("features", f"text of {len(text.vocabulary)} characters, {fed}"))
    facts += [(str(key), _short(value)) for key, value in model.provenance.items()]
    return table(("", ""), facts).strip("\n ")


def _cell(spec: Specification) -> str:
    return spec.cell.upper().replace("_", " ")


def layers_text(spec: NetworkSpecification) -> str:
    """A network of several layers in a few words."""
    return f"{len(spec.layers)} layers, {spec.inputs} inputs, {spec.hidden} codes for the head, {spec.classes} classes"


def _of_macro(spec: Specification) -> list[tuple[str, str]]:
    """The lines of one macro."""
    own = {g: f" of {spec.gate_bits(g)} bits" * (spec.gate(g).bits is not None) for g in spec.gate_names}
    gates = ", ".join(f"{g} {spec.activation(g).text}{own[g]}" for g in spec.gate_names)
    return [
        ("gates", gates),
        ("bits", f"{spec.adc_bits} ramp, {spec.input_bits} pulse code, {spec.weight_bits} weight"),
        *_cell_values(spec),
        *_starts(spec),
        *_partial_sums(spec),
        ("crossbar", f"{spec.rows} rows x {spec.columns} columns, {len(spec.ramps)} ramps of {_ticks(spec)} ticks"),
        ("lanes", f"{spec.lanes}"),
        ("capture", f"{spec.code_bits} flip-flops, {column_bits(spec)} a column"),
    ]


def _partial_sums(spec: Specification) -> list[tuple[str, str]]:
    """What other arrays add up, if any."""
    if not spec.row_sums:
        return []
    names = ", ".join(one.name for one in spec.row_sums)
    return [("sums from", f"{names}: ramps of {spec.partial_bits} bits, cells of {spec.partial_cell} levels")]


def _cell_values(spec: Specification) -> list[tuple[str, str]]:
    """The format of the register, and the full scale of what drives lines; a cell may have neither."""
    cell, found = spec.layout, []
    if cell.register:
        limit = f"up to {spec.state_limit:.4g}"
        found.append(
            ("register", f"{cell.register}: {spec.state_bits} bits, {spec.state_frac_bits} behind the point, {limit}")
        )
    if cell.line_value:
        driven = cell.register if cell.line_value_is_state else cell.line_value
        pulse = f"pulse code of {spec.state_pulse_bits} bits on {spec.state_cell} levels"
        line = f"{pulse}: full scale {spec.state_full_scale:.3g}"
        if needed := _line_scale(spec).get("topmost_code_needs"):
            line += f"; the topmost code of {spec.activation(spec.state_gate).text}({driven}) needs {needed:.3g}"
        found.append(("cell state" if cell.line_value_is_state else f"line {driven}", line))
    return found


def _starts(spec: Specification) -> list[tuple[str, str]]:
    """What utterances start from, unless each starts from zero."""
    words = {"zero": "zero", "constant": "constants", "stream": "a state that comes through a stream"}
    found = [] if spec.initial == "zero" else [("starts from", words[spec.initial])]
    if spec.keeps_state:
        found.append(("state", "kept for the next utterance, where an utterance says so"))
    return found


def _short(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
