# SPDX-License-Identifier: Apache-2.0
"""The format of a testbench's vector files in words, from the layouts that write them."""

from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import step_records
from crossramp.golden.spec.specification import Specification

_TEXT = """\
Text; one record a line, in the order of the hardware: utterance by utterance, step by step, unit 0 first. A line is
one number in hexadecimal digits. Its fields are packed from the lowest bit on, and signed fields are two's complement.
A field of {lanes} x n bits holds {lanes} units, the lowest unit in the lowest bits; units beyond the last are 0.

{table}

- `x`: `x_last` is 1 with every code of an utterance's last step.
{fields}

`vectors/array/` is what the behavioral crossbar holds, in MAC units (one weight level for one clock): a word of
32 bits a line, two's complement, row by row. A ramp stands at its start, plus the bias cells that are selected, plus
the steps that were taken; a comparator is high while its column exceeds that.

{arrays}"""


def vectors_text(spec: AnySpecification, head: bool) -> str:
    """What is in ``vectors/``, as Markdown; ``head``: of a network, which has logits and answers."""
    answer = "step" if spec.readout == "step" else "utterance"
    rows = [("x", "1 a code", spec.input_bits + 1, f"code {spec.input_bits} signed, x_last 1")]
    fields = []
    for group, record in zip(step_groups(spec), step_records(spec).values(), strict=True):
        if head or not group.answer:
            parts = [f"{s.name} {f'{s.count} x ' * (s.count > 1)}{s.bits}{' signed' * s.signed}" for s in record.slots]
            each = f"a{'n' * (answer == 'utterance')} {answer}" if group.answer else "a step"
            rows.append((group.name, f"{record.beats} {each}", record.bits, ", ".join(parts)))
            fields += [f"- `{group.name}`: " + "; ".join(f"`{field.name}`: {field.meaning}" for field in group.fields)]
    arrays = {}
    for array, part in arrays_of(spec).items():
        folder, ramps = "" if array == "array" else f"{array}/", len(part.ramps)
        arrays |= {
            f"{folder}weights": f"{part.rows} rows x {part.columns} columns",
            f"{folder}state_cells": _line_cells(part),
            f"{folder}ramp_start": f"{ramps} ramps",
            f"{folder}ramp_steps": f"{ramps} ramps x {part.ticks} ticks",
            f"{folder}calibration_cells": f"{ramps} ramps x {part.calibration_cells} cells",
        }
    return _TEXT.format(
        table=_table(
            ("file", "lines", "bits", "fields, lowest first"), [(f"`{row[0]}.hex`", *row[1:]) for row in rows]
        ),
        arrays=_table(("file", "words"), [(f"`{name}.hex`", shape) for name, shape in arrays.items()]),
        fields="\n".join(fields),
        lanes=spec.lanes if tuple(spec.macros) == ("",) else "k",
    )


def _line_cells(spec: Specification) -> str:
    """What the words of the cells of lines are."""
    if not spec.line_cells:
        return "a zero that nothing reads: the cell has no lines"
    if len(spec.line_cells) == 1:
        return f"{spec.units} units"
    names = ", ".join(f"{cell.line} on bank {cell.bank}" for cell in spec.line_cells)
    return f"{len(spec.line_cells)} cells of lines ({names}) x {spec.units} units"


def _table(header, rows) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
