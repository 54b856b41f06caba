# SPDX-License-Identifier: Apache-2.0
"""Proofs of the results and of the address spaces: drawn sizes, shipped boards; covers; planted faults."""

import pytest
from crossramp.golden.link.board_memory import Build
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.link import results_proof, spaces_proof
from crossramp.sim.formal.link.results_proof import ResultsProof
from crossramp.sim.formal.link.spaces_proof import SpacesProof

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

from .test_boundary import sized

RESULTS, SPACES = "rtl/link/results.py", "rtl/link/spaces.py"
#: Three words of h and three logits, so that no counter wraps by itself.
SMALL = sized(units=5, lanes=2, classes=3)


def build(spec: Specification, columns_per_clock: int = 2) -> Build:
    """A board for ``spec``; with 0 columns a clock, one whose array is on pins."""
    return Build("proof", spec, columns_per_clock, 12_000_000)


#: An answer in each step, and the weights of a projection and of lines.
EVERY_STEP = sized(units=5, lanes=2, classes=3, readout="step", projection=3)
PEEPHOLES = sized(cell="lstm_peephole", units=5, lanes=2, classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("proofs", [results_proof.proofs, spaces_proof.proofs])
@pytest.mark.parametrize("model", ["kws", "text"])
def test_boards_of_shipped_models(model, proofs):
    all_hold(proofs(load_model(model).spec))


@pytest.mark.parametrize("spec", few([EVERY_STEP, PEEPHOLES], (0,)))
def test_boards_with_more_weights(spec):
    holds(ResultsProof(spec), Mode.PROVE, 2)
    holds(SpacesProof(build(spec)), Mode.PROVE, 2)


@pytest.mark.slow
def test_drawn_sizes(rng):
    for cells in (0, 16, int(rng.integers(1, 16))):
        units = int(rng.integers(1, 9))
        spec = sized(
            units=units,
            inputs=int(rng.integers(1, 9)),
            classes=int(rng.integers(1, 9)),
            lanes=int(rng.integers(1, units + 1)),
            weight_bits=int(rng.integers(2, 9)),
            calibration_cells=cells,
        )
        holds(ResultsProof(spec), Mode.PROVE, 2)
        holds(SpacesProof(build(spec, int(rng.integers(0, units + 1)))), Mode.PROVE, 2)


@pytest.mark.slow
def test_covers_are_reached():
    holds(ResultsProof(SMALL), Mode.COVER, 12)
    holds(ResultsProof(EVERY_STEP), Mode.COVER, 12)
    for columns in (0, 2):
        holds(SpacesProof(build(SMALL, columns)), Mode.COVER, 5)
    for spec in (EVERY_STEP, PEEPHOLES):
        holds(SpacesProof(build(spec)), Mode.COVER, 5)


KEPT = "a word that is read is the last one"
RESULT_FAULTS = [
    # old, new, the claim that breaks
    ("write.en.eq(source.valid)", "write.en.eq(1)", KEPT),
    ("self.h.ready.eq(1)", "self.h.ready.eq(~self.clear)", "hidden: nothing waits"),
    ("self.logit.ready.eq(1)", "self.logit.ready.eq(self.h.valid)", "logits: nothing waits"),
    ("self.answer.ready.eq(1)", "self.answer.ready.eq(0)", "an answer does not wait"),
    ("with m.If(end):", "with m.If(0):", KEPT),
    ("write.addr.eq(word)", "write.addr.eq(0)", KEPT),
    ("write.data.eq(value)", "write.data.eq(0)", KEPT),
    ("read.addr.eq(access.address)", "read.addr.eq(word)", KEPT),
    ("with m.If(self.clear):\n            m.d.sync += word.eq(0)", "pass", KEPT),
    ("progress.accepted_steps + 1", "progress.accepted_steps + 2", "accepted_steps since"),
    ("progress.done_steps + 1", "progress.done_steps + self.answer.valid", "done_steps since"),
    ("self.h.valid & self.h.payload.end", "self.h.valid", "done_steps since"),
    ("progress.complete.eq(progress.last)", "progress.complete.eq(1)", "complete since"),
    ("progress.complete & ~progress.answered", "progress.complete", "computing while"),
    ("progress.accepted_steps != steps", "progress.accepted_steps != 0", "computing while"),
    ("with m.If(progress.computing):", "with m.If(1):", "clocks since"),
    ("progress.waiting + self.stalled", "progress.waiting + 1", "waiting since"),
    ("progress.answered.eq(answered)", "progress.answered.eq(self.answer.payload.too_long)", "answered since"),
    ("progress.too_long.eq(self.answer", "progress.too_long.eq(0 & self.answer", "too_long since"),
    ("progress.clocks,\n                    progress.waiting,", "progress.clocks,", "waiting since"),
    ("progress.index,\n                    progress.too_long,", "progress.too_long,", "index since"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(RESULT_FAULTS, (0,)))
def test_planted_faults_of_results(old, new, message):
    with planted(RESULTS, old, new):
        is_violated(ResultsProof(SMALL, invariants=False), 12, message)


SPACE_FAULTS = [
    ("request.write & here", "request.write", "written with its own words alone"),
    ("access.address.eq(request.address)", "access.address.eq(0)", "a word at its address"),
    ("request.word[-8 * size :]", "request.word[: 8 * size]", "is written as it is"),
    ("request.address >= build.words(*region)", "request.address > build.words(*region)", "which words it has"),
    ("request.word_bytes.eq(build.word_bytes(*region))", "request.word_bytes.eq(1)", "bytes of a word"),
    ("(k + 1)] for k in range(lanes)]", "(k + 1)] for k in reversed(range(lanes))]", "is written as it is"),
    ("[access.data[k] for k in range(lanes)]", "[access.data[0] for k in range(lanes)]", "is shown with its sign"),
    ("extended.eq(number)", "extended.eq(number[:-1])", "is shown with its sign"),
    ("else own.weight_max", "else None", "WEIGHTS: a number that does not"),
    ("sign & (number[: bits - 1] == 0)", "sign", "that does not fit is wrong"),
    ("number[bits:]) != 0", "number[bits + 1 :]) != 0", "that does not fit is wrong"),
    ("request.wrong.eq(wrong.get(region, 0))", "request.wrong.eq(0)", "that does not fit is wrong"),
    ("wrong.get(region, 0)", "wrong.get(region, 1)", "nothing is wrong"),
    ("[self.hold_clocks, self.tick_clocks]", "[self.tick_clocks, self.hold_clocks]", "SETTINGS"),
    ("request.write & (request.space == Space.SETTINGS)", "request.write", "what was written last"),
    ("request.word[-16:]", "request.word[:16]", "what was written last"),
    ("shown.eq(register)", "shown.eq(register[1:])", "what is read"),
    ("identity_read.addr.eq(request.address)", "identity_read.addr.eq(request.address + 1)", "bytes in order"),
    ("init=list(image)", "init=list(image[1:])", "bytes in order"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(SPACE_FAULTS, (0,)))
def test_planted_faults_of_spaces(old, new, message):
    with planted(SPACES, old, new):
        is_violated(SpacesProof(build(SMALL), invariants=False), 4, message)


STEP_FAULTS = [
    ("m.d.sync += count.eq(count + 1)", "m.d.sync += count.eq(count + 2)", "computing while"),
    (
        "with m.If(self.clear):\n            m.d.sync += count.eq(0)",
        "with m.If(0):\n            pass",
        "computing while",
    ),
    ("progress.complete & (count + 1 == progress.accepted_steps)", "progress.complete", "answered since"),
    (
        "progress.complete & (count + 1 == progress.accepted_steps)",
        "count + 1 == progress.accepted_steps",
        "answered since",
    ),
    ("return count,", "return progress.done_steps,", "computing while"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(STEP_FAULTS, (2,)))
def test_planted_faults_of_answers_in_every_step(old, new, message):
    with planted(RESULTS, old, new):
        is_violated(ResultsProof(EVERY_STEP, invariants=False), 12, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "old", "new", "message"),
    [
        (EVERY_STEP, "Space.PROJECTION: spec.head_weight_max}", "}", "PROJECTION: a number that does not"),
        (PEEPHOLES, "Space.LINES: spec.weight_max, ", "", "LINES: a number that does not"),
        (PEEPHOLES, "accesses[Space.LINES] = self.line_weights", "accesses[Space.LINES] = self.weights", ""),
    ],
)
def test_planted_faults_of_more_weights(spec, old, new, message):
    with planted(SPACES, old, new):
        is_violated(SpacesProof(build(spec), invariants=False), 4, message)
