# SPDX-License-Identifier: Apache-2.0
"""crossramp evaluate: which recordings of a folder or a data set it takes."""

import hashlib
import json
import re
import wave
from collections import Counter

import numpy as np

from tests.cli.commands.evaluate.conftest import evaluated
from tests.cli.conftest import is_refusal, write_wav


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


def test_data_that_will_not_do(run, model_file, deaf_file, tmp_path):
    assert is_refusal(run("evaluate", deaf_file, tmp_path), "hears no recordings and reads no text", ".npz")
    (tmp_path / "empty").mkdir()
    for folder, words in (("empty", "holds no recordings"), ("nowhere", "no such folder; give one of recordings")):
        path = tmp_path / folder
        assert is_refusal(run("evaluate", model_file, path), f"{path}: {words}", "CC BY 4.0")
