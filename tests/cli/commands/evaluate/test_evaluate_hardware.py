# SPDX-License-Identifier: Apache-2.0
"""crossramp evaluate --rtl: generated hardware is compared with the golden model, and every difference is told."""

import dataclasses
import json

import numpy as np
from crossramp.cli import verification
from crossramp.cli.commands import evaluate
from crossramp.cli.inputs import labeled_data as evaluated_on
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.checking.scoreboard import Scoreboard

from tests.cli.commands.evaluate.conftest import CHIPS, HARDWARE, evaluated


def test_hardware_ideal_and_of_a_chip(run, model_file, recordings, tmp_path):
    told = evaluated(run, model_file, recordings, *HARDWARE, *CHIPS, "--confusion", "c.png")
    ideal, bare, calibrated = told["hardware"]
    assert ideal["array"] == "ideal"
    assert ideal["confusion"] == told["ideal"]["confusion"]
    assert [(one["seed"], one["calibration"]) for one in (bare, calibrated)] == [(1, "nominal"), (1, "found")]
    for one, of in zip((bare, calibrated), told["chips"], strict=True):
        assert one["accuracy"] == of["values"][0]["accuracy"]
    for one in told["hardware"]:
        assert (one["mismatches"], one["violations"], one["simulator"]) == (0, [], "amaranth")
        # 3 steps of 12 codes, 3 c, 3 pulses, 3 codes of c and 3 h; 3 logits and an answer.
        assert one["compared"] == 5 * (3 * 24 + 3 + 1)
    assert told["picture"] == "c.png"
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_hardware_that_differs_is_told(run, model_file, recordings, monkeypatch):
    """The hardware's biases are others than the golden model's: it answers the same whatever it hears."""
    original = amaranth_backend.simulate_amaranth

    def other(network, x, **options):
        biases = network.weights.head_biases.copy()
        biases[1] = (1 << (network.spec.head_bias_bits - 1)) - 1
        weights = dataclasses.replace(network.weights, head_biases=biases)
        return original(type(network)(network.spec, weights), x, **options)

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", other)
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE)
    assert status == 1
    assert " differ " in out
    assert "ideal: first difference in recording 0: logits, class 1: expected " in out
    # Hardware and golden model each tell their own.
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, "--json")
    content = json.loads(out)
    (told,), ideal = content["hardware"], content["ideal"]
    assert told["accuracy"] != ideal["accuracy"]  # or the two could be exchanged
    assert (told["accuracy"], told["golden"]) == (told["correct"] / 5, ideal["accuracy"])
    assert np.sum(told["confusion"], axis=0).tolist() == [0, 5, 0]
    table = run("evaluate", model_file, recordings, *HARDWARE)[1]
    cells = next(line for line in table.splitlines() if line.startswith("ideal  ")).split()
    assert cells[1:5] == [f"{100 * told['accuracy']:.2f}", "%", f"{100 * ideal['accuracy']:.2f}", "%"]
    assert cells[5] == f"{told['compared']:,}"


def test_a_broken_rule_is_a_difference(run, model_file, recordings, pretended, monkeypatch):
    """Also where every value that was compared is equal."""
    original = verification._simulate
    broken = {"violations": ("hold_too_short",)}
    monkeypatch.setattr(verification, "_simulate", lambda *given: dataclasses.replace(original(*given), **broken))
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, "--json")
    (told,) = json.loads(out)["hardware"]
    assert (status, told["mismatches"], told["violations"]) == (1, 0, ["hold_too_short"])


def test_a_chip_that_differs_is_told(run, model_file, recordings, pretended, monkeypatch):
    original = amaranth_backend.simulate_amaranth

    def other(network, x, *, array, **options):
        chip = None if array.device is None else array.device.replace(seed=array.device.seed + 1)
        return original(network, x, array=dataclasses.replace(array, content=chip), **options)

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", other)
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, *CHIPS)
    assert status == 1
    assert "rram, chip 1, nominal: first difference in recording 0: " in out


def test_a_broken_rule_alone_is_a_difference(run, model_file, recordings, pretended, monkeypatch):
    """Every value is right, but the hardware broke a rule of the boundary: exit status 1, and it is named."""
    from crossramp.cli import verification

    real = verification._simulate
    broken = {"violations": ("tap_changes",)}
    monkeypatch.setattr(verification, "_simulate", lambda *given: dataclasses.replace(real(*given), **broken))
    for option in ((), ("--json",)):
        status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, *option)
        assert status == 1
        assert "tap_changes" in out


def test_a_fast_path_that_is_wrong_is_told(run, model_file, recordings, pretended, monkeypatch):
    real = evaluated_on.Speech.instances

    def wrong(self, *given, **options):
        found = real(self, *given, **options)
        return [dataclasses.replace(one, values=tuple(value + 0.2 for value in one.values)) for one in found]

    monkeypatch.setattr(evaluated_on.Speech, "instances", wrong)
    status, out, err = run("evaluate", model_file, recordings, *HARDWARE, *CHIPS)
    assert (status, out) == (70, "")
    assert "the fast path is wrong" in err


def test_a_simulation_that_compares_nothing_fails(run, model_file, recordings, pretended, monkeypatch):
    real = evaluate.verify
    for utterances in (0, 3):

        def fewer(*given, utterances=utterances, **options):
            outcome = real(*given, **options)
            board, few = Scoreboard(outcome.result.spec), outcome.observed.utterances(slice(utterances))
            board.compare(few, few)
            return dataclasses.replace(outcome, board=board)

        monkeypatch.setattr(evaluate, "verify", fewer)
        status, out, err = run("evaluate", model_file, recordings, *HARDWARE)
        assert (status, out) == (3, "")
        assert "of 5 were compared; nothing is proved" in err
