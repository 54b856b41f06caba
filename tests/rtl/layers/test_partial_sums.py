# SPDX-License-Identifier: Apache-2.0
"""Rows in several arrays whose sums return: clocks of a step, and faults in the hardware."""

import pytest
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.simulators import HardwareError

from tests.support.comparison import compared
from tests.support.layered import SUMMED, layered_network_of
from tests.support.planted import planted
from tests.support.strategies import inputs_of

SIZES = {"inputs": 5, "units": 4, "classes": 0, "bias_rows": 2, "lanes": 3, "adc_bits": 3, "input_bits": 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"partial_rows": 6, "partial_bits": 3},  # of inputs alone
        {"partial_rows": 4, "partial_bits": 4, "settle_clocks": 2},
        {"cell": "gru", "partial_rows": 3, "partial_bits": 2, "comparator_registers": 1},
        {"cell": "rnn_tanh", "partial_rows": 6, "partial_bits": 5},  # inputs come too late to be a step ahead
    ],
)
def test_clocks(seed, changes):
    spec = NetworkSpecification(layers=(Layer(macro=Specification(**SIZES | changes)),), classes=2)
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=1, steps=6)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    # Where inputs come too late, every other step waits for their sums.
    expected = {spec.clocks_per_step, spec.macros["layer0"].macro_clocks}
    assert set(result.traces[0].step_clocks[1:]) == expected


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("golden/spec/bank_columns.py", "self.layout.given[source].values.index(value) * self.units", "0"),
        (
            "golden/spec/bank_columns.py",
            "return self.row_parts[group] if rows",
            "return range(self.row_sizes[group]) if rows",
        ),
        ("rtl/layers/layered_top.py", "needed.valid.eq(h.valid & h.ready)", "needed.valid.eq(0)"),
        ("rtl/macro/macro.py", "fed & (bank.full | (", "fed & (1 | ("),
    ],
)
def test_faults_are_noticed(seed, file, old, new):
    network = layered_network_of(SUMMED, seed)
    x = inputs_of(SUMMED, seed, batch=1, steps=3)
    with pytest.raises((MismatchError, HardwareError)):
        compare(network, x, file, old, new)


def compare(network, x, file: str, old: str, new: str) -> None:
    """Golden and gateware, of which only the latter has a fault."""
    with planted(file, old, new):
        result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
