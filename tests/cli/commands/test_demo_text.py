# SPDX-License-Identifier: Apache-2.0
"""``demo text``: characters drawn from the gateware's logits, each value golden's; differences and their place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from crossramp.cli.commands import demo_text
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, calibrate
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.weights import Weights
from crossramp.golden.inputs.text_codes import TextSettings, bits_per_character, probabilities
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.network.network import Network
from crossramp.sim.bulk import interactive
from crossramp.sim.tools.simulators import SimulationError

from tests.cli.conftest import is_refusal, small_model
from tests.support.strategies import network_of

VOCABULARY = "\n:EMOR\x1b"
AMARANTH = ("--model", "mine.npz", "--simulator", "amaranth")
RRAM = ("--technology", "rram", "--set", "cell.read_noise=0.2")

#: Codes, c, its pulse codes, codes of tanh(c) of 4 units; 3 codes of h; logits, answer.
VALUES = 7 * 4 + 3 + 7 + 1


@pytest.fixture
def model(tmp_path) -> Model:
    """4 units, projected to 3 codes, that foretell 7 characters, of which one would steer a terminal."""
    sizes = {"inputs": 7, "units": 4, "classes": 7, "projection": 3, "readout": "step"}
    spec = small_model(features=False).spec.replace(**sizes)
    network, settings = network_of(spec, 7), TextSettings(VOCABULARY, None, spec.input_max, 1 / 1000)
    made = Model(spec, network.weights, settings.class_names, settings.to_dict())
    save_model(tmp_path / "mine.npz", made)
    return made


def told(run, *arguments):
    status, out, err = run("demo", "text", *arguments, "--json")
    assert (status, err) == (0, ""), err
    return json.loads(out)


def test_every_simulator_writes_the_same(run, model, tmp_path):
    said = {
        name: told(run, "--model", "mine.npz", "--simulator", name, "--characters", 15, "--temperature", 1, "--seed", 3)
        for name in ("verilator", "icarus", "amaranth")
    }
    for name, content in said.items():
        assert content["simulator"] == name
        assert (content["steps"], content["values_compared"]) == (20, 20 * VALUES)
        assert (content["mismatches"], content["first_mismatch"]) == (0, None)
        # Nothing overlaps where x waits for the logits.
        spec = model.spec
        assert abs(content["clocks_per_character"] - spec.head_clocks - spec.macro_clocks - spec.inputs) < 4
        for volatile in ("simulator", "clocks_per_character"):
            del content[volatile]
    assert said["verilator"] == said["icarus"] == said["amaranth"]


def test_the_text_is_what_golden_foretells(run, model):
    settings = model.text_settings
    told_first = told(run, *AMARANTH, "--characters", 16, "--temperature", 0.8, "--seed", 3)
    whole = told_first["prompt"] + told_first["text"]
    assert (told_first["prompt"], len(told_first["text"])) == ("ROMEO:", 16)
    logits = model.network.run(settings.codes(whole[:-1])[None]).logits[0]
    rng = np.random.default_rng(3)
    for place, char in enumerate(told_first["text"], start=5):
        sums = np.cumsum(probabilities(logits[place], settings.logit_scale, 0.8))
        assert char == VOCABULARY[np.searchsorted(sums / sums[-1], rng.random())]
    targets = settings.indices(whole)
    bits = {"prompt": slice(0, 5), "text": slice(5, None)}
    for part, steps in bits.items():
        expected = bits_per_character(logits[steps], targets[1:][steps], settings.logit_scale)
        assert told_first["bits_per_character"][part] == pytest.approx(expected, rel=1e-12)
    again, other = (told(run, *AMARANTH, "--characters", 16, "--temperature", 0.8, "--seed", s) for s in (3, 4))
    assert again == told_first
    assert other["text"] != told_first["text"]
    # Several characters come, or this proves little.
    assert len(set(told_first["text"])) >= 4


def test_the_most_likely(run, model):
    content = told(run, *AMARANTH, "--prompt", "M", "--characters", 6, "--temperature", 0)
    whole = "M" + content["text"]
    logits = model.network.run(model.text_settings.codes(whole[:-1])[None]).logits[0]
    assert content["text"] == "".join(VOCABULARY[k] for k in logits.argmax(axis=1))
    assert content["bits_per_character"]["prompt"] is None
    # One step has no distance to another.
    assert told(run, *AMARANTH, "--prompt", "M", "--characters", 1)["clocks_per_character"] is None


def test_what_is_printed(run, model, monkeypatch):
    spec = model.spec
    clocks = spec.head_clocks + spec.inputs + spec.macro_clocks  # of a character
    monkeypatch.setitem(demo_text.CLOCKS, "amaranth", 20 * clocks + clocks // 2)
    content = told(run, *AMARANTH, "--seed", 3, "--temperature", 1)
    status, out, err = run("demo", "text", *AMARANTH, "--seed", 3, "--temperature", 1)
    assert (status, err) == (0, "")
    assert len(content["text"]) == 20
    assert "\x1b" in content["text"]
    head, text = out.split("\n\n", 1)
    assert head == "mine.npz: 4 units, 7 characters; hardware in amaranth, temperature 1, seed 3"
    assert text == (
        f"ROMEO:{content['text']}".replace("\x1b", "\\x1b")
        + f"\n\n{25 * VALUES:,} values of 25 steps compared with the golden model, none differs; "
        f"{content['clocks_per_character']} clocks a character\n"
    )


def other_network(network: Network, name: str) -> Network:
    """One number of ``name`` is another."""
    arrays = network.weights.arrays()
    changed = arrays[name].copy()
    place = (-1, 0) if changed.ndim == 2 else (2,)
    changed[place] = -np.sign(changed[place] or 1)
    return Network(network.spec, Weights.from_arrays(arrays | {name: changed}))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("head_biases", "step 0, which reads 'R': logits, class 2: expected "),
        ("head_weights", ": logits, class 6: expected "),
        ("projection_weights", ": h, unit 2: expected "),
        ("weights", ": codes, bank "),
    ],
)
def test_hardware_that_differs_is_told(run, model, monkeypatch, name, place):
    real = interactive.Session
    monkeypatch.setattr(interactive, "Session", lambda network, **rest: real(other_network(network, name), **rest))
    status, out, err = run("demo", "text", *AMARANTH, "--characters", 8, "--json")
    content = json.loads(out)
    assert (status, err) == (1, "")
    assert 0 < content["mismatches"] < content["values_compared"] == 13 * VALUES
    assert place in content["first_mismatch"]
    compared, first = demo_text.summary(content).splitlines()
    assert f", {content['mismatches']} differ; " in compared
    assert first == f"first difference: {content['first_mismatch']}"


def test_on_a_chip(run, model, monkeypatch):
    # A chip whose calibration chooses other cells than the nominal ones, which is most of them.
    technology = load("rram").replace({"cell.read_noise": 0.2})
    network, plan = model.network, CalibrationPlan.of(model.spec, technology["ramp.calibration_range"])
    chips = ((seed, device(technology, model.spec, network.weights.macro, seed)) for seed in range(5, 50))
    seed = next(seed for seed, chip in chips if (calibrate(chip, plan).cells != chip.nominal).any())
    chip_arguments = (*RRAM, "--chip-seed", seed)
    content = told(run, *AMARANTH, *chip_arguments, "--characters", 9)
    assert (content["array"]["technology"], content["array"]["chip_seed"]) == ("rram", seed)
    assert content["mismatches"] == 0
    status, out, _ = run("demo", "text", *AMARANTH, *chip_arguments, "--characters", 9, "--calibration", "found")
    assert status == 0
    array, calibration, _ = out.splitlines()[-3:]
    assert array.startswith("array technology rram (")
    assert calibration.split()[0] == "calibration"
    assert calibration.split()[1] != content["array"]["calibration"]
    real = interactive.Session

    def other(network, array, **rest):
        chip = array.device.replace(seed=array.device.seed + 1)
        return real(network, array=replace(array, content=chip), **rest)

    monkeypatch.setattr(interactive, "Session", other)
    status, out, _ = run("demo", "text", *AMARANTH, *chip_arguments, "--characters", 9)
    assert status == 1
    assert "first difference: step " in out


def test_a_simulation_that_stops(run, model, monkeypatch):
    """What differed before it is told too."""
    real = interactive.Session

    class Dying(real):
        def __init__(self, network, **rest):
            super().__init__(other_network(network, "head_biases") if self.wrong else network, **rest)

        def step(self, codes, last=False):
            if self.steps == 3:
                raise SimulationError("it stopped")
            return super().step(codes, last)

    monkeypatch.setattr(interactive, "Session", Dying)
    differ = "hardware and golden model differ: step 0, which reads 'R': "
    for Dying.wrong, told_first, expected in ((False, "", 3), (True, differ, 1)):
        status, out, err = run("demo", "text", *AMARANTH, "--json")
        assert (status, out) == (expected, "")
        assert err.startswith(f"crossramp: {told_first}")
        assert err.endswith("it stopped\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prompt", "ROMEA"), ("--prompt: character 5 of the text, 'A' (U+0041)", "EMOR")),
        (("--prompt", ""), ("--prompt is empty",)),
        (("--characters", 0), ("--characters is 0; allowed: 1 to",)),
        (("--temperature", -0.5), ("--temperature is -0.5",)),
        (("--temperature", "nan"), ("--temperature is nan",)),
        (("--temperature", "inf"), ("--temperature is inf",)),
        (("--seed", -1), ("--seed is -1",)),
        (("--lanes", 5), ("lanes is 5",)),
        (("--chip-seed", 3), ("--chip-seed", "--technology")),
        (("--calibration", "found"), ("--calibration found", "--technology")),
        (("-o", "folder"), ("--output belongs to crossramp demo, without text",)),
        (("--force",), ("--force belongs to crossramp demo, without text",)),
    ],
)
def test_what_is_wrong_is_one_line(run, model, arguments, words):
    assert is_refusal(run("demo", "text", *AMARANTH, *arguments), *words)


def test_models_and_simulators_that_will_not_do(run, model, deaf_file, monkeypatch):
    for name in ("kws", deaf_file):
        assert is_refusal(run("demo", "text", "--model", name), "is not a model of texts", "crossramp train text")
    assert is_refusal(run("demo", "text", "--model", "nowhere.npz"), "nowhere.npz")
    for option in (("--seed", 0), ("--prompt", "a"), ("--model", "mine.npz"), ("--technology", "rram")):
        assert is_refusal(run("demo", *option), f"{option[0]} belongs to crossramp demo text")
    monkeypatch.setenv("PATH", "/nonexistent")
    refused = run("demo", "text", "--model", "mine.npz", "--simulator", "icarus")
    assert is_refusal(refused, "iverilog is not on PATH", "--simulator amaranth")


def test_a_model_that_knows_no_romeo(run, model):
    settings = TextSettings("abcdefg", None, model.spec.input_max)
    made = Model(model.spec, load_model("mine.npz").weights, settings.class_names, settings.to_dict())
    save_model("other.npz", made)
    content = told(run, "--model", "other.npz", "--simulator", "amaranth", "--characters", 2)
    assert content["prompt"] == "a"
