# SPDX-License-Identifier: Apache-2.0
"""A golden network against the references in exact fractions, in every value of its trace."""

import numpy as np
from crossramp.golden.network.network import Network
from crossramp.golden.network.trace import STEP_QUANTITIES

from .references import whole_network


def differences(network: Network, x: np.ndarray) -> list[str]:
    """What of the whole trace differs from the reference: names with the first place."""
    trace = network.run(x)
    arrays = {name: array.tolist() for name, array in network.weights.arrays().items()}
    weights, heads, biases = (arrays[name] for name in ("weights", "head_weights", "head_biases"))
    extra = arrays.get("projection_weights"), arrays.get("line_weights")
    found = []
    for number, utterance in enumerate(x.tolist()):
        answer, logits, steps = whole_network.run(network.spec.to_dict(), weights, heads, biases, utterance, *extra)
        for t, step in enumerate(steps):
            assert set(step) == {name for name in ("macs", *STEP_QUANTITIES) if getattr(trace, name) is not None}
            found += [
                f"{name} of utterance {number}, step {t}"
                for name, values in step.items()
                if getattr(trace, name)[number, t].tolist() != values
            ]
        if trace.logits[number].tolist() != logits or trace.answers[number].tolist() != answer:
            found.append(f"answer of utterance {number}")
    return found
