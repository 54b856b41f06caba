# SPDX-License-Identifier: Apache-2.0
"""Both data layouts, the split rule, the cache, and what is said of folders that will not do."""

import wave

import numpy as np
import pytest
from crossramp.golden.features import FeatureSettings, log_mel
from crossramp.train import datasets
from crossramp.train.datasets import load_corpus
from crossramp.train.recordings import labeled_recordings, official_split
from PIL import Image

FRONT_END = FeatureSettings()
TRAINING_SPEAKERS = ["cd911ace", "a16013b7", "f68160c0", "122c5aa7"]
VALIDATION_SPEAKERS = ["364c0853", "8dc18a75", "10f2bb12", "6f5b4d3d"]
TESTING_SPEAKERS = ["022cd682", "0ea0e2f4", "105a0eea"]


def write_wav(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.asarray(samples, "<i2").tobytes())


def noise(samples, seed, scale=500):
    return np.random.default_rng(seed).normal(0, scale, samples)


@pytest.fixture
def recordings(tmp_path):
    """Words yes, no, and bed (unknown), one clip of each speaker, and 3 s of noise."""
    for number, word in enumerate(["yes", "no", "bed"]):
        for speaker in TRAINING_SPEAKERS[:2] + VALIDATION_SPEAKERS[:1] + TESTING_SPEAKERS[:1]:
            write_wav(tmp_path / word / f"{speaker}_nohash_0.wav", noise(12000 + 1000 * number, number))
    write_wav(tmp_path / "_background_noise_" / "hum.wav", noise(48000, 9))
    return tmp_path


@pytest.mark.parametrize(
    ("speakers", "split"),
    [(TRAINING_SPEAKERS, "training"), (VALIDATION_SPEAKERS, "validation"), (TESTING_SPEAKERS, "testing")],
)
def test_official_split_of_known_speakers(speakers, split):
    assert {official_split(f"yes/{speaker}_nohash_{n}.wav") for speaker in speakers for n in range(3)} == {split}


def test_recordings_become_levels(recordings):
    corpus = load_corpus(recordings, ("yes", "no"), FRONT_END)
    assert corpus.classes == ("_silence_", "_unknown_", "yes", "no")
    assert sorted(corpus.training_labels.tolist()) == [1, 1, 2, 2, 3, 3]
    assert sorted(corpus.validation_labels.tolist()) == [1, 2, 3]
    assert corpus.training.shape == (6, 98, 40)
    assert len(corpus.background) + len(corpus.background_validation) == 5  # 1 s pieces of 3 s, every half second
    clips = labeled_recordings(recordings, corpus.classes, FRONT_END)
    assert len(clips.paths) == 12
    yes = clips.clips[[path.parent.name == "yes" for path in clips.paths]][:1]
    assert np.abs(log_mel(yes, FRONT_END) - corpus.training[corpus.training_labels == 2][0]).max() <= 0.5


def test_split_lists_win_over_the_rule(recordings):
    moved = [f"{word}/{TRAINING_SPEAKERS[0]}_nohash_0.wav" for word in ("yes", "no", "bed")]
    (recordings / "validation_list.txt").write_text("\n".join(moved) + "\n")
    (recordings / "testing_list.txt").write_text(f"yes/{TRAINING_SPEAKERS[1]}_nohash_0.wav\n")
    corpus = load_corpus(recordings, ("yes", "no"), FRONT_END)
    assert len(corpus.validation) == 3
    assert len(corpus.training) == 12 - 3 - 1


def test_digest_tells_data_apart(recordings):
    first = load_corpus(recordings, ("yes", "no"), FRONT_END).digest
    assert load_corpus(recordings, ("yes", "no"), FRONT_END).digest == first
    write_wav(recordings / "yes" / f"{TRAINING_SPEAKERS[0]}_nohash_0.wav", noise(16000, 77))
    assert load_corpus(recordings, ("yes", "no"), FRONT_END).digest != first


def test_cache_is_used_while_it_fits_and_only_then(recordings, tmp_path, monkeypatch):
    cache = tmp_path / "levels.npz"
    first = load_corpus(recordings, ("yes", "no"), FRONT_END, cache)
    reads = []
    monkeypatch.setattr(datasets, "_read_blocks", lambda *a: reads.append(a) or iter(()))
    assert load_corpus(recordings, ("yes", "no"), FRONT_END, cache).digest == first.digest
    assert reads == []
    monkeypatch.undo()
    write_wav(recordings / "yes" / f"{TRAINING_SPEAKERS[0]}_nohash_0.wav", noise(15000, 78))
    second = load_corpus(recordings, ("yes", "no"), FRONT_END, cache)
    assert second.digest != first.digest
    cache.write_bytes(cache.read_bytes()[:1000])
    assert load_corpus(recordings, ("yes", "no"), FRONT_END, cache).digest == second.digest
    assert [path.name for path in tmp_path.glob("levels*")] == ["levels.npz"]


@pytest.fixture
def spectrograms(tmp_path):
    rows = ["path,folder,word,speaker,split"]
    random = np.random.default_rng(1)
    pixels = {}
    listed = [(word, split) for word in ("yes", "no", "bed") for split in ("training", "validation", "testing")]
    for number, (word, split) in enumerate(listed + [("", "background")] * 3):
        name = f"{number}.png"
        pixels[name] = random.integers(0, 256, (98, 40)).astype(np.uint8)
        Image.fromarray(pixels[name]).save(tmp_path / name)
        rows.append(f"{name},,{word},,{split}")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path, pixels


def test_spectrograms_are_taken_as_they_are(spectrograms):
    folder, pixels = spectrograms
    corpus = load_corpus(folder, ("yes", "no"), FRONT_END)
    assert corpus.training_labels.tolist() == [2, 3, 1]
    np.testing.assert_array_equal(corpus.training[0], pixels["0.png"])
    np.testing.assert_array_equal(corpus.validation[0], pixels["1.png"])
    np.testing.assert_array_equal(corpus.background_validation, pixels["9.png"][None])


def test_wrong_folders_are_named(recordings, spectrograms, tmp_path):
    words = ("yes", "no")
    with pytest.raises(ValueError, match="nowhere: not a folder"):
        load_corpus(tmp_path / "nowhere", words, FRONT_END)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: holds neither index\.csv nor recordings"):
        load_corpus(tmp_path / "empty", words, FRONT_END)
    with pytest.raises(ValueError, match="empty: holds no recordings"):
        labeled_recordings(tmp_path / "empty", ("yes",), FRONT_END)
    with pytest.raises(ValueError, match="no training clip of 'stop'; add some"):
        load_corpus(spectrograms[0], ("yes", "stop"), FRONT_END)
    index = spectrograms[0] / "index.csv"
    index.write_text(index.read_text().replace("testing", "test"))
    with pytest.raises(ValueError, match=r"split of 2\.png is 'test'; must be training"):
        load_corpus(spectrograms[0], words, FRONT_END)
    index.write_text("path,word\n")
    with pytest.raises(ValueError, match="lacks the column 'split'"):
        load_corpus(spectrograms[0], words, FRONT_END)
    index.write_text("path,word,split\nsmall.png,yes,training\n")
    Image.fromarray(np.zeros((98, 39), np.uint8)).save(spectrograms[0] / "small.png")
    with pytest.raises(ValueError, match="is 39 wide and 98 high; must be 40 bands wide and 98 frames high"):
        load_corpus(spectrograms[0], words, FRONT_END)


def test_folder_that_is_no_class_is_named(recordings):
    with pytest.raises(ValueError, match="folder 'bed' is none of the classes yes, no"):
        labeled_recordings(recordings, ("yes", "no"), FRONT_END)


def test_too_little_noise_is_named(recordings):
    write_wav(recordings / "_background_noise_" / "hum.wav", noise(16000, 9))
    with pytest.raises(ValueError, match="too little background noise; put at least 2 s"):
        load_corpus(recordings, ("yes", "no"), FRONT_END)
