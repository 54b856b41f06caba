# SPDX-License-Identifier: Apache-2.0
"""The specifications that all simulator tests share, so that each is built once a session."""

import numpy as np
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import Gate
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

SPECS = {
    # The size of the shipped model.
    "words": Specification(inputs=40, units=32, classes=12, lanes=16),
    # The smallest of everything.
    "tiny": Specification(
        inputs=1,
        units=1,
        classes=1,
        bias_rows=0,
        adc_bits=2,
        input_bits=2,
        weight_bits=2,
        state_bits=3,
        state_frac_bits=1,
        state_pulse_bits=2,
        calibration_cells=0,
        head_weight_bits=2,
        max_steps=9,
    ),
    # Lanes that do not divide, four activations, first trip, a long settling.
    "odd": Specification(
        inputs=7,
        units=5,
        classes=3,
        lanes=2,
        bias_rows=3,
        adc_bits=4,
        input_bits=4,
        weight_bits=3,
        latch="first_trip",
        settle_clocks=3,
        readout="last",
        calibration_cells=2,
        gates=(Gate("hard_sigmoid", 2.0), Gate("sigmoid", 1.0), Gate("softsign", 3.0), Gate("elu[-1,1]", 1.5)),
    ),
    # Logits and an answer after every step; a head that takes longer than the rest of a step.
    "text": Specification(
        inputs=5,
        units=6,
        classes=9,
        lanes=4,
        adc_bits=3,
        input_bits=4,
        weight_bits=4,
        state_pulse_bits=4,
        calibration_cells=3,
        readout="step",
        max_steps=2,
    ),
    # A projection, in groups that neither the units nor the codes fill; registered comparators.
    "projected": Specification(
        inputs=4,
        units=7,
        classes=3,
        lanes=3,
        adc_bits=4,
        input_bits=5,
        weight_bits=4,
        state_pulse_bits=5,
        calibration_cells=2,
        head_weight_bits=6,
        readout="step",
        projection=5,
        comparator_registers=1,
    ),
    # The widest codes.
    "wide": Specification(
        inputs=3,
        units=4,
        classes=2,
        lanes=3,
        adc_bits=8,
        input_bits=8,
        weight_bits=8,
        state_bits=20,
        state_frac_bits=14,
        state_pulse_bits=10,
        head_weight_bits=16,
    ),
    # Rows that the second conversion alone drives, on a bank that holds.
    "gru": Specification(
        cell="gru",
        inputs=3,
        units=5,
        classes=3,
        lanes=2,
        adc_bits=4,
        input_bits=4,
        weight_bits=4,
        calibration_cells=2,
        latch="first_trip",
        readout="last",
        initial="constant",
    ),
    # A line on a bank that holds, and a ramp of its own for a linear bank.
    "gru_after": Specification(
        cell="gru_reset_after",
        inputs=4,
        units=4,
        classes=3,
        lanes=3,
        adc_bits=4,
        input_bits=4,
        weight_bits=4,
        calibration_cells=1,
        settle_clocks=2,
        readout="step",
        comparator_registers=1,
    ),
    # Trained cells on two lines, with rows in the same window that are shorter.
    "peephole": Specification(
        cell="lstm_peephole",
        inputs=2,
        units=5,
        classes=2,
        lanes=2,
        adc_bits=3,
        input_bits=3,
        weight_bits=4,
        state_pulse_bits=5,
        calibration_cells=1,
    ),
    # One conversion a step, and a projection.
    "rnn": Specification(
        cell="rnn_tanh",
        inputs=3,
        units=5,
        classes=3,
        lanes=2,
        adc_bits=4,
        input_bits=4,
        weight_bits=4,
        calibration_cells=1,
        projection=3,
    ),
}

# States that come through a stream, for lines that they drive before anything else does; and states that are kept.
SPECS["streamed"] = SPECS["peephole"].replace(readout="step", initial="stream", keeps_state=1, projection=3)

CELLS = ("gru", "gru_after", "peephole", "rnn")
"""Those of :data:`SPECS` whose cell is not the LSTM."""


def network_of(name: str, seed: int) -> Network:
    """A network of a named specification, with weights drawn over their whole range."""
    spec = SPECS[name]
    rng = np.random.default_rng(seed)

    def draw(limit, *shape):
        return rng.integers(-limit, limit + 1, shape)

    # Not spread evenly: sums of many rows would only saturate.
    weights = np.rint(rng.normal(0, spec.weight_max / 2, (spec.rows, spec.columns)))
    drawn = Weights(
        np.clip(weights, -spec.weight_max, spec.weight_max).astype(np.int64) * spec.placed,
        draw(spec.head_weight_max, spec.classes, spec.hidden),
        draw(spec.head_bias_max, spec.classes),
        draw(spec.head_weight_max, spec.projection, spec.units) if spec.projection else None,
        draw(spec.weight_max, spec.trained_lines, spec.units) if spec.trained_lines else None,
        draw(spec.state_max, spec.units) if spec.constant_register else None,
        draw(spec.input_max, spec.hidden) if spec.constant_h else None,
    )
    return Network(spec, drawn)


def utterances_of(name: str, seed: int, lengths, batch: int = 1) -> list[np.ndarray]:
    """One batch for each of ``lengths`` (steps), drawn over the whole range of the pulse codes."""
    spec = SPECS[name]
    rng = np.random.default_rng((seed, 1))
    return [rng.integers(-spec.input_max, spec.input_max + 1, (batch, steps, spec.inputs)) for steps in lengths]
