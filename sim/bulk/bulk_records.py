# SPDX-License-Identifier: Apache-2.0
"""The records of the free-running bench: their layout, read from a trace, or written as expected vectors."""

from pathlib import Path

import numpy as np
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import prefixed
from crossramp.golden.macro.initial_state import Starts, initial_words, joined, streaming_macros
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import Record, Slot, expected_records, step_records
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification

#: What the bench logs beside the groups of a step: the clock of each step's last beat of h.
CLOCKS = Record("clocks", (Slot("clock", 32),))


def log_records(spec: Specification) -> dict[str, Record]:
    """The record of each log of ``bulk_tb.sv``, by its name."""
    return step_records(spec) | {CLOCKS.name: CLOCKS}


def read_log(folder: Path, record: Record, first: int = 0) -> dict[str, np.ndarray]:
    """A log in ``folder``, from record number ``first`` on: for each field an int64 array, shape (records, count).

    A record that is not complete at the end of the file is left out.
    """
    words = -(-record.bits // 32)
    data = np.fromfile(folder / f"{record.name}.bin", "<u4", offset=4 * words * first)
    return record.unpack(data[: len(data) // words * words].reshape(-1, words))


def write_expected(folder: Path, spec: Specification, traces: list[Trace], *, head: bool = True):
    """Write every record of golden ``traces``, in the order the hardware makes them, one hexadecimal line each."""
    records = step_records(spec)
    lines: dict[str, list[str]] = {name: [] for name in records}
    for trace in traces:
        for name, values in expected_records(spec, trace).items():
            digits = -(-records[name].bits // 4)
            lines[name] += [f"{number:0{digits}x}\n" for number in records[name].pack(values)]
    for group in step_groups(spec):  # a macro alone has no answers
        (folder / f"{group.name}.hex").write_text("".join(lines[group.name]) if head or not group.answer else "")


def write_stimulus(path: Path, batches: list[np.ndarray], keep: np.ndarray):
    """x codes for recording: two bytes a code; the second is 1 with the last step's codes, 5 if the state is kept.

    Parameters
    ----------
    keep : bool array, shape (utterances,)
    """
    with path.open("wb") as file:
        for x, place in zip(batches, joined(batches), strict=True):
            data = _stimulus(x)
            data[:, -1, :, 1] = 1 + 4 * keep[place, None]
            file.write(data.tobytes())


def write_initial(folder: Path, spec: AnySpecification, starts: Starts):
    """Beats of each stream of initial states, a hexadecimal line each: ``initial.hex``, or ``layer0_initial.hex``."""
    for name, macro in streaming_macros(spec).items():
        words = initial_words(macro, starts.of_macro(name))
        (folder / f"{prefixed(name, 'initial')}.hex").write_text("".join(f"{word:x}\n" for word in words))


def step_stimulus(x: np.ndarray, last: bool, keep: bool = False) -> bytes:
    """One step's codes for a bench that reads standard input, and reads on only when the answer has come.

    Parameters
    ----------
    x : integer array, shape (inputs,)
    last : bool
        Whether the step is its utterance's last one.
    keep : bool
        With ``last``: whether the next utterance goes on from it.
    """
    data = _stimulus(x)
    data[..., 1] = last | 4 * keep
    data[-1, 1] |= 2
    return data.tobytes()


def _stimulus(x: np.ndarray) -> np.ndarray:
    data = np.zeros((*x.shape, 2), np.uint8)
    data[..., 0] = x.astype(np.int8).view(np.uint8)
    return data


def write_stimulus_hex(path: Path, spec: Specification, batches: list[np.ndarray], keep: np.ndarray):
    """x codes for checking: hexadecimal {keep, last, code} a line."""
    with path.open("w") as file:
        for x, place in zip(batches, joined(batches), strict=True):
            words = x & ((1 << spec.input_bits) - 1)
            words[:, -1] |= (1 + 2 * keep[place, None]) << spec.input_bits
            file.write("".join(f"{word:x}\n" for word in words.ravel().tolist()))
