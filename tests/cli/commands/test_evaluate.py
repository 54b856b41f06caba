# SPDX-License-Identifier: Apache-2.0
"""crossramp evaluate: what it counts, what it compares, and what it refuses."""

import dataclasses
import hashlib
import json
import re
import wave
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.cli import verification
from crossramp.cli.commands import evaluate
from crossramp.cli.inputs import labeled_data as evaluated_on
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.inputs.text_codes import bits_per_character
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import Scoreboard
from crossramp.sim.checking.simulation_result import SimulationResult
from crossramp.train.data.word_folders import labeled_recordings

from tests.cli.conftest import is_refusal, telling_model, text_model, write_wav

CHIPS = ("--technology", "rram", "--set", "cell.read_noise=0.2", "--chips", 2, "--jobs", 1)
HARDWARE = ("--rtl", "--simulator", "amaranth")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A model that answers all kinds of things."""
    path = tmp_path_factory.mktemp("model") / "telling.npz"
    save_model(path, telling_model())
    return path


@pytest.fixture
def pretended(monkeypatch):
    """In the simulator's place, the golden model: for what is made of its results."""

    def simulate(network, x, *, array, **_):
        traces = expected_traces(network, x, array)
        ends = 50 * np.tile(np.arange(x.shape[1]), (len(x), 1))
        traces = [traces[0].replace(end_clocks=ends)]
        return SimulationResult(traces=traces, spec=network.spec, simulator="amaranth", clocks=0)

    monkeypatch.setattr(amaranth_backend, "simulate_amaranth", simulate)


@pytest.fixture
def recordings(tmp_path, seed):
    """Two of each word, and one of a word that is no class."""
    rng = np.random.default_rng(seed)
    for word in ("yes", "no", "bed"):
        for k in range(1 if word == "bed" else 2):
            write_wav(tmp_path / "audio" / word / f"a{k}_nohash_0.wav", rng.normal(0, 3000, 900 + 100 * k))
    return tmp_path / "audio"


def evaluated(run, *arguments) -> dict:
    status, out, err = run("evaluate", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_counts_what_the_golden_model_answers(run, model_file, recordings):
    told, model = evaluated(run, model_file, recordings), load_model(model_file)
    found = labeled_recordings(recordings, model.class_names, model.feature_settings)
    codes = pulse_codes(features(found.clips, model.feature_settings), model.spec.input_bits)
    answers = model.network.run(codes).answers
    assert told["model"] == model.content_hash
    assert (told["recordings"], told["left_out"], told["split"]) == (5, 0, "all")
    assert told["counted_as_unknown"] == ["bed"]
    ideal = told["ideal"]
    assert np.sum(ideal["confusion"], axis=1).tolist() == [2, 2, 1]
    assert ideal["correct"] == np.trace(ideal["confusion"]) == (answers == found.labels).sum()
    assert ideal["accuracy"] == ideal["correct"] / 5
    assert ideal["recalls"]["no"] == ideal["confusion"][1][1] / 2
    assert ideal["interval"][0] <= ideal["accuracy"] <= ideal["interval"][1]
    assert (told["array"], told["chips"], told["hardware"]) == (None, [], [])


def test_files_that_cannot_be_used_are_named_and_counted(run, model_file, recordings):
    clean = evaluated(run, model_file, recordings)
    write_wav(recordings / "yes" / "rate.wav", np.zeros(500), rate=8000)
    write_wav(recordings / "yes" / "stereo.wav", np.zeros(500), channels=2)
    write_wav(recordings / "no" / "short.wav", np.zeros(100))
    (recordings / "no" / "text.wav").write_text("hello")
    (recordings / "nothing").mkdir()
    status, out, err = run("evaluate", model_file, recordings, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["left_out"] == 5
    assert told["ideal"] == clean["ideal"]
    for words in ("rate.wav: has a sample rate of 8000", "stereo.wav: has 2 channels", "short.wav: holds 100 samples"):
        assert words in err
    assert "text.wav: not a PCM WAV file" in err
    assert "nothing: holds no *.wav" in err
    assert err.count("\n") == err.count("left out: ") == 5
    assert " 5 (recordings or folders that cannot be used, named above)" in run("evaluate", model_file, recordings)[1]


def test_chips_with_and_without_calibration(run, model_file, recordings):
    told = evaluated(run, model_file, recordings, *CHIPS, "--first-seed", 7, "--no", "drift")
    assert told["array"]["effects_off"] == ["drift"]
    assert [one["calibration"] for one in told["chips"]] == ["nominal", "found"]
    for one in told["chips"]:
        assert [chip["seed"] for chip in one["values"]] == [7, 8]
        values = [chip["accuracy"] for chip in one["values"]]
        assert one["mean"] == pytest.approx(np.mean(values))
        assert one["deviation"] == pytest.approx(np.std(values, ddof=1))
        assert (one["worst"]["accuracy"], one["best"]["accuracy"]) == (min(values), max(values))
    # The same chip, whatever is asked for beside it.
    again = evaluated(
        run, model_file, recordings, *CHIPS, "--first-seed", 8, "--no", "drift", "--calibration", "nominal"
    )
    assert again["chips"][0]["values"][0] == told["chips"][0]["values"][1]
    assert len(again["chips"]) == 1


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


def test_tables(run, model_file, recordings, pretended):
    status, out, _ = run("evaluate", model_file, recordings, *HARDWARE, *CHIPS, "--calibration", "nominal")
    assert status == 0
    for words in (
        "as _unknown_  bed",
        "said \\ answered  yes",
        "2 chips, seeds 1 to 2: rram",
        "generated hardware, amaranth: all 5 recordings",
        "rram, chip 1, nominal",
    ):
        assert words in out
    assert out.count("  equal  ") == 2
    for count in (0, 3):
        told = evaluated(run, model_file, recordings, *HARDWARE, *CHIPS, "--rtl-chips", count)
        assert [one["seed"] for one in told["hardware"][1::2]] == list(range(1, count + 1))


def test_pictures_name_the_model_as_people_do(run, model_file, recordings, monkeypatch):
    titles = []
    monkeypatch.setattr(
        "crossramp.cli.plots.confusion_plot.draw_confusion", lambda path, panels, names, title: titles.append(title)
    )
    assert run("evaluate", model_file, recordings, "--confusion", "a.png")[0] == 0
    assert titles == ["model telling, 5 recordings"]


def test_every_number_stands_in_its_column():
    """Numbers that are all different, and where they belong."""
    data = SimpleNamespace(METRIC="accuracy", UTTERANCE="recording", show="<{}>".format, text=lambda content: "data")
    data.simulated_text = lambda: "all 9 recordings"
    one = {"calibration": "found", "mean": 0.7, "deviation": 0.1}
    one |= {"worst": {"seed": 4, "accuracy": 0.6}, "best": {"seed": 5, "accuracy": 0.9}}
    one["values"] = [{"seed": seed, "accuracy": value} for seed, value in ((4, 0.6), (5, 0.9), (6, 0.6))]
    told = {"array": "rram", "seed": 5, "calibration": "nominal", "accuracy": 0.25, "golden": 0.5, "compared": 12345}
    told |= {
        "mismatches": 678,
        "first_mismatch": "3: h, step 1, unit 2: expected 5, got 4",
        "violations": ["tick_early"],
    }
    told |= {"calibration_failed": ["tanh"], "clocks_per_step": 77, "wall_seconds": 88.4, "simulator": "icarus"}
    array = {
        "technology": "rram",
        "technology_hash": "cafe",
        "effects_off": ["drift", "wires"],
        "conductances": ["w.csv"],
    }
    text = evaluate.text(data, {"chips": [one], "hardware": [told], "array": array, "picture": "c.png"})
    words = [line.split() for line in text.splitlines() if line]
    for line in (
        "3 chips, seeds 4 to 6: rram (cafe), without drift, wires, cells of w.csv",
        "calibration mean sd worst best",
        "found <0.7> <0.1> <0.6> (chip 4) <0.9> (chip 5)",
        "array accuracy golden values compared bit for bit clocks per step time",
        "rram, chip 5, nominal <0.25> <0.5> 12,345 678 differ 77 88 s",
        "generated hardware, icarus: all 9 recordings",
        "rram, chip 5, nominal: first difference in recording 3: h, step 1, unit 2: expected 5, got 4",
        "rram, chip 5, nominal: rules broken: tick_early",
        "rram, chip 5, nominal: beyond the reach of the bias cells: tanh",
        "wrote c.png",
    ):
        assert line.split() in words, line


def test_equal_pictures_have_equal_bytes(run, model_file, recordings, tmp_path):
    for name in ("a.png", "b.png", "c.svg"):
        assert run("evaluate", model_file, recordings, "--confusion", name)[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    assert not list(tmp_path.glob(".*.unfinished"))


def test_a_whole_data_set_is_split(run, model_file, tmp_path, seed):
    rng = np.random.default_rng(seed)
    speakers = {"training": "cd911ace", "validation": "364c0853", "testing": "022cd682"}
    for word in ("yes", "no", "bed", "bird"):
        for speaker in speakers.values():
            write_wav(tmp_path / "data" / word / f"{speaker}_nohash_0.wav", rng.normal(0, 3000, 1000))
    write_wav(tmp_path / "data" / "_background_noise_" / "hum.wav", rng.normal(0, 3000, 4000))
    told = evaluated(run, model_file, "data")
    # As many other words as a word has clips.
    assert (told["split"], np.sum(told["ideal"]["confusion"], axis=1).tolist()) == ("testing", [1, 1, 1])
    assert evaluated(run, model_file, "data", "--split", "all")["recordings"] == 12
    (tmp_path / "data" / "validation_list.txt").write_text("")
    (tmp_path / "data" / "testing_list.txt").write_text(f"yes/{speakers['training']}_nohash_0.wav\n")
    assert evaluated(run, model_file, "data")["recordings"] == 1
    (tmp_path / "data" / "_unknown_").mkdir()  # somebody has put other words together: a set to measure on
    status, out, err = run("evaluate", model_file, "data", "--json")
    assert (status, json.loads(out)["split"], json.loads(out)["recordings"]) == (0, "all", 12)
    assert "_unknown_: holds no *.wav" in err
    (tmp_path / "data" / "_unknown_").rmdir()
    refused = run("evaluate", model_file, "data", "--split", "validation")
    assert is_refusal(refused, "no recordings of its validation split", "training, testing")


def test_a_share_of_the_speakers(run, model_file, recordings):
    """By the rule that docs/recordings.md states; names without 8 hex digits count as a whole."""
    rng = np.random.default_rng(1)
    for speaker in ("022cd682", "364c0853"):
        write_wav(recordings / "bed" / f"happy_{speaker}_nohash_0.wav", rng.normal(0, 3000, 1000))
    rests = Counter(int(hashlib.sha1(_named(path).encode()).hexdigest(), 16) % 10 for path in recordings.glob("*/*"))
    assert len(rests) > 2
    whole = evaluated(run, model_file, recordings)
    assert (whole["speakers"], whole["other_speakers"], whole["recordings"]) == (None, 0, 7)
    for rest, count in rests.items():
        told = evaluated(run, model_file, recordings, "--speakers", f"{rest}/10")
        assert (told["speakers"], told["recordings"], told["other_speakers"]) == (f"{rest}/10", count, 7 - count)
    every = ",".join(map(str, range(10)))
    assert evaluated(run, model_file, recordings, "--speakers", f"{every}/10")["ideal"] == whole["ideal"]
    empty = min(set(range(10)) - set(rests))
    refused = run("evaluate", model_file, recordings, "--speakers", f"{empty}/10")
    assert is_refusal(refused, f"holds 7 recordings, none of the speakers {empty}/10")
    assert is_refusal(run("evaluate", model_file, recordings, "--speakers", "11/10"), "'11/10'", "below the modulus 10")


def _named(path) -> str:
    found = re.search("[0-9a-f]{8}(?=_nohash_)", path.name)
    return found[0] if found else path.name


def test_silence_is_made_of_noise(tmp_path, seed):
    from crossramp.golden.inputs.features import FeatureSettings
    from crossramp.train.data.word_folders import split_recordings

    rng = np.random.default_rng(seed)
    settings = FeatureSettings()
    for word in ("yes", "no"):
        for k in range(3):
            write_wav(tmp_path / word / f"022cd682_nohash_{k}.wav", rng.normal(0, 3000, 12000))
    noise = write_wav(tmp_path / "_background_noise_" / "hum.wav", rng.normal(0, 3000, 60000))
    classes = ("_silence_", "_unknown_", "yes", "no")
    found = split_recordings(tmp_path, classes, settings)
    assert np.bincount(found.labels).tolist() == [3, 0, 3, 3]
    with wave.open(str(noise)) as file:
        samples = np.frombuffer(file.readframes(60000), "<i2")
    gains = []
    for clip in found.clips[found.labels == 0]:
        piece = samples[16000 * len(gains) :][:16000].astype(float)
        gain = (clip @ piece) / (piece @ piece)
        assert np.abs(clip - gain * piece).max() <= 0.51
        gains.append(gain)
    assert len(set(np.round(gains, 3))) == 3
    assert all(0 <= gain <= 1 for gain in gains)
    assert [path.parent.name for path in found.paths] == ["no"] * 3 + ["yes"] * 3 + ["_background_noise_"] * 3


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def text(tmp_path, seed):
    """A text of 1,200 characters, and a model that says it was trained on the first 1,000 of them."""
    content = "".join(np.random.default_rng(seed).choice(list("ab\n"), 1200))
    (tmp_path / "text.txt").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    told = {"data_sha256": digest, "training_characters": 1000, "validation_characters": 80, "test_characters": 120}
    save_model("text.npz", text_model(told))
    return content


def test_a_text_and_its_parts(run, text, tmp_path):
    model = load_model("text.npz")
    # The test part, after 100 characters that are read and not counted.
    settings, last = model.text_settings, text[1080 - 101 :]
    trace = model.network.run(settings.codes(last[:-1])[None])
    bits = bits_per_character(trace.logits[0, 100:], settings.indices(last)[101:], settings.logit_scale)
    told = evaluated(run, "text.npz", "text.txt")
    assert (told["task"], told["split"], told["characters"], told["streams"]) == ("text", "testing", 120, 1)
    assert told["ideal"]["bits"] == pytest.approx(bits, rel=1e-12)
    assert evaluated(run, "text.npz", "text.txt", "--split", "validation")["characters"] == 80
    # All but the first hundred count, of a text that is not known too.
    whole = evaluated(run, "text.npz", "text.txt", "--split", "all")
    assert (whole["characters"], whole["streams"]) == (1098, 2)
    (tmp_path / "other.txt").write_text(text + "a")
    assert evaluated(run, "text.npz", "other.txt")["split"] == "all"
    refused = run("evaluate", "text.npz", "other.txt", "--split", "testing")
    assert is_refusal(refused, "--split testing", "other.txt is not")
    (tmp_path / "two.txt").write_text("ab")
    assert evaluated(run, "text.npz", "two.txt")["characters"] == 1


def test_text_on_chips_and_through_the_hardware(run, text, pretended):
    told = evaluated(run, "text.npz", "text.txt", *HARDWARE, *CHIPS)
    ideal, *chips = told["hardware"]
    assert ideal["bits"] == pytest.approx(told["ideal"]["bits"], rel=1e-12)
    assert (ideal["characters"], ideal["mismatches"], ideal["golden"]) == (120, 0, ideal["bits"])
    assert ideal["compared"] == 220 * (24 + 3 + 1)
    for one, of in zip(chips, told["chips"], strict=True):
        assert one["bits"] == pytest.approx(of["values"][0]["bits"], rel=1e-12)
    status, out, _ = run("evaluate", "text.npz", "text.txt", *HARDWARE, "--split", "all", "--characters", 300)
    assert status == 0
    assert "549 of 1,098 characters, in 649 steps" in out  # whole streams


def test_text_through_real_hardware(run, text, monkeypatch):
    (Path("short.txt")).write_text(text[:30])
    told = evaluated(run, "text.npz", "short.txt", *HARDWARE)
    (hardware,) = told["hardware"]
    assert (hardware["mismatches"], hardware["bits"]) == (0, pytest.approx(told["ideal"]["bits"], rel=1e-12))


def test_text_that_will_not_do(run, text, model_file, tmp_path):
    (tmp_path / "c.txt").write_text("abc")
    assert is_refusal(run("evaluate", "text.npz", "c.txt"), "c.txt: character 3 of the text, 'c' (U+0063)")
    (tmp_path / "one.txt").write_text("a")
    assert is_refusal(run("evaluate", "text.npz", "one.txt"), "one.txt: has 1 character")
    (tmp_path / "latin.txt").write_bytes(b"\xe4")
    assert is_refusal(run("evaluate", "text.npz", "latin.txt"), "latin.txt: is no UTF-8")
    assert is_refusal(run("evaluate", "text.npz", "nowhere"), "nowhere: no such file")
    assert is_refusal(run("evaluate", "text.npz", "text.txt", "--confusion", "a.png"), "--confusion a.png")
    assert is_refusal(run("evaluate", "text.npz", "text.txt", "--characters", 5), "--characters", "--rtl")
    refused = run("evaluate", "text.npz", "text.txt", *HARDWARE, "--characters", 121)
    assert is_refusal(refused, "--characters is 121; allowed: 1 to 120")
    refused = run("evaluate", model_file, tmp_path, *HARDWARE, "--characters", 5)
    assert is_refusal(refused, "--characters 5 belongs to a model of texts")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--chips", 3), ("--chips", "--technology")),
        (("--calibration", "nominal"), ("--calibration", "--technology")),
        (("--rtl-chips", 1), ("--rtl-chips", "--technology")),
        (("--simulator", "amaranth"), ("--simulator", "--rtl")),
        ((*CHIPS, "--chips", 0), ("--chips is 0", "1 to 1000000")),
        ((*CHIPS, "--first-seed", -1), ("--first-seed is -1",)),
        ((*CHIPS, "--jobs", 0), ("--jobs is 0",)),
        ((*CHIPS, "--no", "gravity"), ("gravity",)),
        (("--technology", "none.toml"), ("none.toml",)),
        (("--confusion", "a.txt"), ("a.txt", ".png")),
        (("--confusion", "nowhere/a.png"), ("nowhere: no such folder",)),
        (("--rtl", "--lanes", 4), ("lanes is 4",)),
    ],
)
def test_what_is_wrong_is_one_line(run, model_file, recordings, arguments, words):
    assert is_refusal(run("evaluate", model_file, recordings, *arguments), *words)


def test_data_that_will_not_do(run, model_file, deaf_file, tmp_path):
    assert is_refusal(run("evaluate", deaf_file, tmp_path), "hears no recordings and reads no text", ".npz")
    (tmp_path / "empty").mkdir()
    for folder, words in (("empty", "holds no recordings"), ("nowhere", "no such folder; give one of recordings")):
        path = tmp_path / folder
        assert is_refusal(run("evaluate", model_file, path), f"{path}: {words}", "CC BY 4.0")
