# SPDX-License-Identifier: Apache-2.0
"""A golden network against the references in exact fractions, in every value of its trace."""

import numpy as np
from crossramp.golden.macro.initial_state import FROM_THE_START, Starts
from crossramp.golden.macro.trace import STEP_QUANTITIES
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network

from .references import whole_network


def differences(network: Network, x: np.ndarray, starts: Starts = FROM_THE_START) -> list[str]:
    """What of the whole trace of utterances in turn differs from the reference: names with the first place."""
    (trace,) = network.play([x], starts)
    keep = [False] * len(x) if starts.keep is None else starts.keep.tolist()
    arrays = {name: array.tolist() for name, array in network.weights.arrays().items()}
    weights, heads, biases = (arrays[name] for name in ("weights", "head_weights", "head_biases"))
    extra = arrays.get("projection_weights"), arrays.get("line_weights")
    constants = [arrays.get("initial_register") or [0] * network.spec.units]
    constants.append(arrays.get("initial_h") or [0] * network.spec.hidden)
    found, steps, spec = [], [], network.spec.to_dict()
    for number, utterance in enumerate(x.tolist()):
        if steps and keep[number - 1]:
            start = steps[-1].get("c"), steps[-1]["h"]
        else:
            start = constants if starts.given is None else [values[number].tolist() for values in starts.given]
        answer, logits, steps = whole_network.run(spec, weights, heads, biases, utterance, *extra, start)
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


def layered_differences(network: LayeredNetwork, x: np.ndarray, starts: Starts = FROM_THE_START) -> list[str]:
    """The same of a network of several layers: every value of every macro, logits and answers."""
    (trace,) = network.play([x], starts)
    keep = [False] * len(x) if starts.keep is None else starts.keep.tolist()
    arrays = {name: array.tolist() for name, array in network.weights.arrays().items()}
    found, macros = [], {}
    for number, utterance in enumerate(x.tolist()):
        if number and keep[number - 1]:
            ends = {name: macros.get(f"{name}_projection", steps) for name, steps in macros.items()}
            start = {name: (macros[name][-1].get("c"), end[-1]["h"]) for name, end in ends.items()}
        else:
            given = starts.given or {}
            start = {name: [values[number].tolist() for values in state] for name, state in given.items()}
        answer, logits, macros = whole_network.layered(network.spec.to_dict(), arrays, utterance, start)
        assert set(macros) == set(trace.macros)
        for macro, steps in macros.items():
            found += [
                f"{macro} {name} of utterance {number}, step {t}"
                for t, step in enumerate(steps)
                for name, values in step.items()
                if getattr(trace.macros[macro], name)[number, t].tolist() != values
            ]
        if trace.logits[number].tolist() != logits or trace.answers[number].tolist() != answer:
            found.append(f"answer of utterance {number}")
    return found
