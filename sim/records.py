# SPDX-License-Identifier: Apache-2.0
"""The records of the free-running bench: their layout, read from a trace, or written as expected vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crossramp.golden.network import NetworkTrace
from crossramp.golden.specification import Specification

from .bench_verilog import answer_bits


@dataclass(frozen=True)
class Field:
    """``count`` signed or unsigned numbers of ``bits`` bits each, lowest first."""

    name: str
    bits: int
    count: int
    signed: bool = False


def layouts(spec: Specification) -> dict[str, tuple[Field, ...]]:
    """For each log of ``bulk_tb.sv``: the fields of a record, lowest bits first."""
    n, lanes = spec.adc_bits, spec.lanes
    return {
        "gates": (Field("i", n, lanes), Field("f", n, lanes), Field("g", n, lanes)),
        "state": (Field("c", spec.state_bits, lanes, True), Field("q", spec.state_pulse_bits, lanes, True)),
        "output": (Field("o", n, lanes), Field("t", n, lanes)),
        "h": (Field("h", spec.input_bits, lanes, True), Field("end", 1, 1), Field("last", 1, 1)),
        "logits": (Field("value", spec.logit_bits, 1, True), Field("last", 1, 1)),
        "answers": (Field("index", answer_bits(spec), 1), Field("too_long", 1, 1)),
        "clocks": (Field("clock", 32, 1),),
    }


def record_bits(fields: tuple[Field, ...]) -> int:
    """Bits of a record."""
    return sum(field.bits * field.count for field in fields)


def read_log(path: Path, fields: tuple[Field, ...], first: int = 0) -> dict[str, np.ndarray]:
    """The records in a trace file, from number ``first`` on: for each field an int64 array, shape (records, count).

    A record that is not complete at the end of the file is left out.
    """
    width = record_bits(fields)
    words = -(-width // 32)
    data = np.fromfile(path, "<u4", offset=4 * words * first)
    data = data[: len(data) // words * words].reshape(-1, words)
    values = {field.name: np.empty((len(data), field.count), np.int64) for field in fields}
    # Each number is cut from two neighboring words, so that nothing is ever spread into single bits.
    wide = np.concatenate([data, np.zeros((len(data), 1), np.uint32)], axis=1).astype(np.int64)
    offset = 0
    for field in fields:
        for k in range(field.count):
            word, shift = divmod(offset, 32)
            number = (wide[:, word] | wide[:, word + 1] << 32) >> shift & ((1 << field.bits) - 1)
            if field.signed:
                number -= (number >> (field.bits - 1)) << field.bits
            values[field.name][:, k] = number
            offset += field.bits
    return values


def units_of(beats: np.ndarray, spec: Specification, count: int | None = None) -> np.ndarray:
    """Beats of ``lanes`` numbers as steps of ``count`` (None: units) of them; an incomplete last step is left out."""
    count = spec.units if count is None else count
    each = -(-count // spec.lanes)
    steps = len(beats) // each
    return beats[: steps * each].reshape(steps, each * spec.lanes)[:, :count]


def write_expected(folder: Path, spec: Specification, traces: list[NetworkTrace], *, head: bool = True):
    """Write every record of golden ``traces``, in the order the hardware makes them, one hexadecimal line each."""
    logs = layouts(spec)
    lines: dict[str, list[str]] = {name: [] for name in logs if name != "clocks"}

    def beats(values: np.ndarray) -> np.ndarray:
        # (batch, steps, units) to (records, lanes), the lanes beyond the last unit zero
        count = values.shape[-1]
        spread = np.zeros((*values.shape[:-1], -(-count // spec.lanes) * spec.lanes), np.int64)
        spread[..., :count] = values
        return spread.reshape(-1, spec.lanes)

    for trace in traces:
        steps = trace.steps
        batch, count = steps.h.shape[:2]
        banks = steps.codes.reshape(batch, count, 4, spec.units)
        ends = np.tile(np.arange(spec.h_beats) == spec.h_beats - 1, batch * count)
        lasts = np.tile(np.repeat(np.arange(count) == count - 1, spec.h_beats), batch)
        content = {
            "gates": [beats(banks[:, :, k]) for k in range(3)],
            "state": [beats(steps.c), beats(steps.state_pulses)],
            "output": [beats(banks[:, :, 3]), beats(steps.state_codes)],
            "h": [beats(steps.h), ends[:, None], lasts[:, None]],
            "logits": [
                trace.logits.reshape(-1, 1),
                np.tile(np.arange(spec.classes) == spec.classes - 1, trace.answers.size)[:, None],
            ],
            "answers": [trace.answers.reshape(-1, 1), np.zeros((trace.answers.size, 1), np.int64)],
        }
        for name, arrays in content.items():
            lines[name] += _pack(logs[name], arrays)
    for name, text in lines.items():
        # A macro alone has no answers.
        kept = text if head or name not in ("logits", "answers") else []
        (folder / f"{name}.hex").write_text("".join(kept))


def _pack(fields: tuple[Field, ...], arrays: list[np.ndarray]) -> list[str]:
    width = record_bits(fields)
    digits = -(-width // 4)
    texts = []
    for row in zip(*(np.asarray(array, np.int64).tolist() for array in arrays), strict=True):
        value, offset = 0, 0
        for field, numbers in zip(fields, row, strict=True):
            for number in numbers:
                value |= (number & ((1 << field.bits) - 1)) << offset
                offset += field.bits
        texts.append(f"{value:0{digits}x}\n")
    return texts


def write_stimulus(path: Path, batches: list[np.ndarray]):
    """x codes for recording: two bytes a code, the second is 1 with the last step's codes."""
    with path.open("wb") as file:
        for x in batches:
            data = _stimulus(x)
            data[:, -1, :, 1] = 1
            file.write(data.tobytes())


def step_stimulus(x: np.ndarray, last: bool) -> bytes:
    """One step's codes for a bench that reads standard input, and reads on only when the answer has come.

    Parameters
    ----------
    x : integer array, shape (inputs,)
    last : bool
        Whether the step is its utterance's last one.
    """
    data = _stimulus(x)
    data[..., 1] = last
    data[-1, 1] |= 2
    return data.tobytes()


def _stimulus(x: np.ndarray) -> np.ndarray:
    data = np.zeros((*x.shape, 2), np.uint8)
    data[..., 0] = x.astype(np.int8).view(np.uint8)
    return data


def write_stimulus_hex(path: Path, spec: Specification, batches: list[np.ndarray]):
    """x codes for checking: hexadecimal {last, code} a line."""
    with path.open("w") as file:
        for x in batches:
            words = x & ((1 << spec.input_bits) - 1)
            words[:, -1] |= 1 << spec.input_bits
            file.write("".join(f"{word:x}\n" for word in words.ravel().tolist()))
