# SPDX-License-Identifier: Apache-2.0
"""The bench's files, bit by bit: what it reads and writes is what numpy says."""

import numpy as np
from crossramp.golden.macro.step_record import Record, Slot, step_records, units_of
from crossramp.golden.spec.specification import Specification
from crossramp.sim.bulk.bulk_records import (
    read_log,
    step_stimulus,
    write_expected,
    write_stimulus,
    write_stimulus_hex,
)

from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=4, weight_bits=4)


def test_fields_that_cross_words(tmp_path, rng):
    """Records of 100 bits in four words, lowest bits first; the end of the file is in the middle of one."""
    fields = (Slot("a", 3, 5), Slot("b", 31, 1, True), Slot("c", 1, 2), Slot("d", 13, 4, True))
    record = Record("log", fields)
    assert record.bits == 15 + 31 + 2 + 52
    limits = {
        field.name: (-(1 << (field.bits - 1)) if field.signed else 0, 1 << (field.bits - field.signed))
        for field in fields
    }
    expected = {field.name: rng.integers(*limits[field.name], (7, field.count)) for field in fields}
    data = b""
    for k in range(7):
        bits = ""
        for field in fields:
            for number in expected[field.name][k]:
                bits = f"{int(number) % (1 << field.bits):0{field.bits}b}" + bits
        data += int(bits, 2).to_bytes(16, "little")
    (tmp_path / "log.bin").write_bytes(data + b"\1" * 13)
    for first in (0, 3):
        found = read_log(tmp_path, record, first)
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values[first:].tolist() for name, values in expected.items()
        }


def test_beats_are_steps_of_units():
    beats = np.arange(14).reshape(7, 2)  # two steps of three beats, and one of the next
    assert units_of(beats, SPEC).tolist() == [[0, 1, 2, 3, 4], [6, 7, 8, 9, 10]]
    assert units_of(beats, SPEC, 3).tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]


def test_stimulus_of_batches(tmp_path):
    """Two bytes a code, the second is 1 with every code of an utterance's last step, 5 where its state is kept."""
    batches = [np.array([[[1, -2, 3], [-4, 5, -6]], [[7, -7, 0], [1, 1, 1]]]), np.array([[[2, 2, 2]]])]
    keep = np.array([False, True, False])
    write_stimulus(tmp_path / "x.bin", batches, keep)
    pairs = np.frombuffer((tmp_path / "x.bin").read_bytes(), np.int8).reshape(-1, 2)
    assert pairs[:, 0].tolist() == [1, -2, 3, -4, 5, -6, 7, -7, 0, 1, 1, 1, 2, 2, 2]
    assert pairs[:, 1].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 5, 5, 5, 1, 1, 1]
    write_stimulus_hex(tmp_path / "x.hex", SPEC, batches, keep)
    words = [int(line, 16) for line in (tmp_path / "x.hex").read_text().split()]
    assert [word & 15 for word in words] == [code % 16 for code in pairs[:, 0].tolist()]
    # {keep, last, code}: the last step's flags stand with all of its codes.
    assert [word >> 4 for word in words] == [0] * 3 + [1] * 3 + [0] * 3 + [3] * 3 + [1] * 3


def test_stimulus_of_a_step():
    """Bit 0 with the last step's codes, bit 1 with the code after which the bench waits."""
    assert step_stimulus(np.array([1, -2, 3]), False) == bytes([1, 0, 254, 0, 3, 2])
    assert step_stimulus(np.array([1, -2, 3]), True) == bytes([1, 1, 254, 1, 3, 3])
    assert step_stimulus(np.array([1, -2, 3]), True, True) == bytes([1, 5, 254, 5, 3, 7])


def test_expected_records_are_the_golden_trace(tmp_path, seed):
    """Each line by hand, from its fields: numbers of lanes, zeros beyond the last unit, ends and lasts."""
    network = network_of(SPEC, seed)
    traces = [network.run(inputs_of(SPEC, seed + k, batch=2, steps=3 - k)) for k in range(2)]
    write_expected(tmp_path, SPEC, traces)
    lines = {}
    for name, layout in step_records(SPEC).items():
        fields = layout.slots
        text = (tmp_path / f"{name}.hex").read_text().split()
        assert {len(line) for line in text} == {-(-layout.bits // 4)}
        lines[name] = []
        for line in text:
            value, record = int(line, 16), {}
            for field in fields:
                record[field.name] = []
                for _ in range(field.count):
                    number, value = value % (1 << field.bits), value >> field.bits
                    record[field.name].append(
                        number - (1 << field.bits) * (field.signed and number >> (field.bits - 1))
                    )
            assert value == 0
            lines[name].append(record)

    def of(name, field):
        return [record[field] for record in lines[name]]

    steps = [(trace, k, step) for trace in traces for k in range(2) for step in range(trace.h.shape[1])]
    padded = lambda values: [[*values, 0][place : place + 2] for place in (0, 2, 4)]  # noqa: E731
    banks = {"i": ("gates", 0), "f": ("gates", 1), "g": ("gates", 2), "o": ("output", 3)}
    for field, (name, bank) in banks.items():
        values = [trace.codes[k, step, 5 * bank : 5 * bank + 5].tolist() for trace, k, step in steps]
        assert of(name, field) == [beat for one in values for beat in padded(one)]
    others = [("state", "c", "c"), ("state", "q", "state_pulses"), ("output", "t", "state_codes"), ("h", "codes", "h")]
    for name, field, quantity in others:
        values = [getattr(trace, quantity)[k, step].tolist() for trace, k, step in steps]
        assert of(name, field) == [beat for one in values for beat in padded(one)]
    assert of("h", "end") == [[0], [0], [1]] * len(steps)
    lasts = [step == trace.h.shape[1] - 1 for trace, _, step in steps]
    assert of("h", "last") == [[int(last)] for last in lasts for _ in range(3)]
    logits = np.concatenate([trace.logits.ravel() for trace in traces])
    assert of("logits", "value") == [[int(value)] for value in logits]
    assert of("logits", "last") == [[0], [0], [1]] * 4
    assert of("answers", "index") == [[int(answer)] for trace in traces for answer in trace.answers]
    assert of("answers", "too_long") == [[0]] * 4
