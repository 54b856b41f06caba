# SPDX-License-Identifier: Apache-2.0
"""Proofs that the macro uses its capture banks as the proof of capture assumes; with registered comparators too."""

import pytest
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.conversion.latch_use_proof import LatchUseProof, proofs
from crossramp.sim.formal.engine.solver import Mode

from tests.support.planted import planted
from tests.support.proving import all_hold, few, holds, is_violated

LATCHES = ("last_high", "first_trip")
REGISTERED = {"comparator_registers": 1}
SMALL = Specification(inputs=2, units=3, classes=2, lanes=2, adc_bits=2, input_bits=2, weight_bits=2)
MACRO, REGISTER = "rtl/macro/macro.py", "rtl/macro/comparator_register.py"


@pytest.mark.parametrize(("latch", "registers"), few([(latch, n) for n in (0, 1) for latch in LATCHES], (3,)))
def test_small_specifications(latch, registers):
    spec = SMALL.replace(latch=latch, comparator_registers=registers)
    all_hold(proofs(spec))
    holds(LatchUseProof(spec), Mode.COVER, 22)


@pytest.mark.slow
def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


@pytest.mark.slow
def test_a_shipped_model_with_registered_comparators():
    all_hold(proofs(load_model("kws").spec.replace(comparator_registers=1)))


FAULTS = [
    (MACRO, "(True, False): latch & ~sequencer.second", "(True, False): latch", {}, "latches the ticks that"),
    (MACRO, "bank.enable.eq(enable)", "bank.enable.eq(enable | sequencer.tick)", {}, "latches the ticks that"),
    (MACRO, "sequencer.update & ~latch if", "sequencer.update if", REGISTERED, "shifts at once"),
    (MACRO, "bank.arm.eq(sequencer.ramp_start)", "bank.arm.eq(latch)", {"latch": "first_trip"}, "never armed"),
    (MACRO, "bank.count.eq(counts[count_name(spec, gate)]", "bank.count.eq(getattr(ramp, count_name(spec, gate))",
     REGISTERED, "the count of its"),
    (REGISTER, "count_sampled.eq(self.count)", "count_sampled.eq(~self.count)", REGISTERED, "count"),
    (REGISTER, "self.sampled.eq(self.comp", "self.sampled.eq(self.sampled | self.comp",
     REGISTERED, "one value of each comparator"),
    (MACRO, "return register.sampled, ", "return self.boundary.comparators, ",
     REGISTERED, "one value of each comparator"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "changes", "message"), few(FAULTS, (0, 2)))
def test_planted_faults(file, old, new, changes, message):
    with planted(file, old, new):
        is_violated(LatchUseProof(SMALL.replace(**changes), invariants=False), 26, message)
