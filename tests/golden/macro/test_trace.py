# SPDX-License-Identifier: Apache-2.0
"""Traces: their quantities are those of the step record, and steps and utterances join as they should."""

from dataclasses import fields

import numpy as np
import pytest
from crossramp.golden.cell.library import CELLS
from crossramp.golden.macro.step_groups import shown_quantities, step_groups
from crossramp.golden.macro.step_record import framing
from crossramp.golden.macro.trace import QUANTITIES, Trace
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=2, classes=3, adc_bits=3, input_bits=3)


@pytest.mark.parametrize("cell", CELLS)
def test_the_quantities_are_those_of_the_step_record(cell, seed):
    """Every field of a record is a part of one quantity, or frames the record; a trace has what is shown."""
    spec = Specification(inputs=3, units=2, classes=3, adc_bits=3, input_bits=3, cell=cell)
    trace = network_of(spec, seed).run(inputs_of(spec, seed))
    shown = shown_quantities(spec)
    assert {*shown, "macs", "sums"} == set(trace.known())
    if cell == "lstm":
        assert shown == QUANTITIES
        assert tuple(field.name for field in fields(Trace))[: len(QUANTITIES)] == QUANTITIES
    rest = {(group.name, field.name) for group in step_groups(spec) for field in group.fields if not field.quantity}
    assert rest == set(framing(spec, np.array([True])))


@pytest.mark.parametrize("readout", ["mean", "step"])
def test_a_trace_cut_into_steps_and_utterances_is_whole_again(readout, seed):
    spec = SPEC.replace(readout=readout)
    trace = network_of(spec, seed).run(inputs_of(spec, seed, batch=3, steps=2))
    assert set(trace.known()) == {*QUANTITIES, "macs", "sums"}
    again = Trace.join([trace.utterances(slice(k, k + 1)) for k in range(3)])
    answered = 6 if readout == "step" else 3
    flat = {}
    for name in trace.known():
        values, whole = getattr(trace, name), getattr(again, name)
        np.testing.assert_array_equal(whole, values)
        batch_axes = 1 if name in ("logits", "answers", "sums") and readout != "step" else 2
        flat[name] = values.reshape(-1, *values.shape[batch_axes:])
    assert (len(flat["h"]), len(flat["logits"])) == (6, answered)
    again = Trace.of_steps(flat, 3, 2, answer_each_step=readout == "step")
    for name in trace.known():
        np.testing.assert_array_equal(getattr(again, name), getattr(trace, name))
    steps = [Trace(h=trace.h[:, t], c=trace.c[:, t]) for t in range(2)]
    np.testing.assert_array_equal(Trace.stack(steps).h, trace.h)
    assert Trace.stack(steps).known() == ["c", "h"]


def test_clocks_are_counted_within_utterances():
    trace = Trace(end_clocks=np.array([[10, 30, 50], [70, 95, 120]]))
    assert trace.step_clocks.tolist() == [20, 20, 25, 25]
