# SPDX-License-Identifier: Apache-2.0
"""An array of a user's own against the boundary's rules: the example of docs/formal.md, faults in it, its ports."""

from pathlib import Path

import pytest
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.array.array_proof import clocks_of_a_conversion, proofs
from crossramp.sim.formal.engine.solver import Mode, Status, find_prover, solve

from tests.support.proving import few
from tests.support.small_specs import small_spec

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "formal_array.sv"
SPEC = Specification(
    inputs=1, units=1, classes=2, adc_bits=2, input_bits=2, weight_bits=2, state_bits=4, state_frac_bits=2,
    state_pulse_bits=2, calibration_cells=1,
)  # fmt: skip
#: The example waits for two clocks on each tick.
CLOCKS = clocks_of_a_conversion(SPEC) + 2 * SPEC.ticks


def entries(source: str | None = None, **options):
    source = EXAMPLE.read_text() if source is None else source
    options = {"ready_within": 4, "clocks": CLOCKS} | options
    return proofs(SPEC, [("formal_array.sv", source)], "formal_array", find_prover(), **options)


def changed(old: str, new: str) -> str:
    text = EXAMPLE.read_text()
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_example_holds(tmp_path):
    cover, claims = (entry.attempt(tmp_path / "proof") for entry in entries())
    assert (cover.status, claims.status) == (Status.REACHED, Status.BOUNDED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "edits"),
    [
        ("rnn_tanh", [("    input [UNITS-1:0] state_pos,\n", ""), ("    input [UNITS-1:0] state_neg,\n", "")]),
        (
            "gru",
            [
                ("    input [UNITS-1:0] state_pos,\n", ""),
                ("    input [UNITS-1:0] state_neg,\n", ""),
                ("input reset", "input [1:0] reset"),
                ("if (reset)", "if (reset[0])"),
            ],
        ),
    ],
)
def test_an_array_of_another_cell(cell, edits, tmp_path):
    source = EXAMPLE.read_text()
    for old, new in edits:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    spec = small_spec(cell=cell)
    clocks = clocks_of_a_conversion(spec) + 2 * spec.ticks
    found = proofs(spec, [("formal_array.sv", source)], "formal_array", find_prover(), ready_within=4, clocks=clocks)
    cover, claims = (entry.attempt(tmp_path / "proof") for entry in found)
    assert (cover.status, claims.status) == (Status.REACHED, Status.BOUNDED)


def test_too_few_clocks_reach_no_conversion(tmp_path):
    outcome = entries(clocks=CLOCKS - 4)[0].attempt(tmp_path)
    assert outcome.status is Status.UNREACHED
    assert "a whole conversion; give more --clocks" in outcome.message


ARRAY_FAULTS = [
    ("assign ready = !(tick || deciding)", "assign ready = reset", "ready rises within 4 clocks"),
    ("level <= level + 1", "level <= level ^ 1", "low on every later tick"),
    (
        "value[c] <= value[c] + 1;",
        "value[c] <= value[c] + 1; else if (tap[1]) value[c] <= 9;",
        "low on every later",
    ),
    ("assert (level <= TICKS)", "assert (level < TICKS)", "formal_array"),
]


@pytest.mark.parametrize(("old", "new", "message"), few(ARRAY_FAULTS))
def test_faults_of_an_array_are_found(old, new, message, tmp_path):
    outcome = entries(changed(old, new))[1].attempt(tmp_path)
    assert outcome.status is Status.VIOLATED
    assert message in outcome.message
    assert outcome.trace.exists()


def test_the_rules_matter(tmp_path):
    """A periphery that keeps to no rule makes any array's comparators rise: the checker is what is assumed."""
    proof = entries()[1].proof()
    proof.sources["protocol.sv"] = proof.sources["protocol.sv"].replace("broken = broken | now;", "broken = 0;")
    assert solve(proof, Mode.BOUNDED, CLOCKS).status is Status.VIOLATED


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("output ready\n", "output redy\n", "module formal_array has the port 'redy'; did you mean ready?"),
        (",\n    output ready\n", "\n", "formal_array lacks the output ready (1 bits); add it"),
        ("input tick,", "output tick,", "module formal_array: tick is an output; make it an input"),
        ("[UNITS-1:0] state_pos", "[UNITS:0] state_pos", "formal_array: state_pos has 2 bits; the specification has 1"),
        ("module formal_array #", "module other #", "no module is called 'formal_array' in formal_array.sv"),
        ("deciding <= tick;", "deciding <= ;", "yosys cannot read the array: "),
    ],
)
def test_a_module_that_does_not_fit_is_refused(old, new, message):
    with pytest.raises(InvalidValue) as refusal:
        entries(changed(old, new))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_two_files_of_one_name_are_refused():
    with pytest.raises(InvalidValue, match=r"two sources are called a\.sv"):
        proofs(SPEC, [("a.sv", ""), ("a.sv", "")], "a", find_prover(), ready_within=1)
