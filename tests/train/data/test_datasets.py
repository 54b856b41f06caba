# SPDX-License-Identifier: Apache-2.0
"""Both data layouts, the split rule, the cache, and what is said of folders that will not do."""

import wave

import numpy as np
import pytest
from crossramp.golden.inputs.features import FeatureSettings, log_mel
from crossramp.golden.inputs.recordings import Findings
from crossramp.train.data import datasets
from crossramp.train.data.datasets import load_corpus
from crossramp.train.data.word_folders import Speakers, labeled_recordings, official_split, speaker_of
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
    findings = Findings()
    with pytest.raises(ValueError, match="no training clip of '_unknown_'"):
        load_corpus(spectrograms[0], words, FRONT_END, findings=findings)
    (told,) = findings.left_out
    assert told.endswith("small.png: is 39 wide and 98 high; must be 40 bands wide and 98 frames high")


def test_folder_that_is_no_class_is_named(recordings):
    with pytest.raises(ValueError, match="folder 'bed' is not one of the classes yes, no"):
        labeled_recordings(recordings, ("yes", "no"), FRONT_END)


def test_too_little_noise_is_named(recordings):
    write_wav(recordings / "_background_noise_" / "hum.wav", noise(16000, 9))
    with pytest.raises(ValueError, match="too little background noise; put at least 2 s"):
        load_corpus(recordings, ("yes", "no"), FRONT_END)


def spoil(folder):
    """One file for everything that can be wrong; what is told of each."""
    speaker = TRAINING_SPEAKERS[3]
    wrong = {
        "rate": "has a sample rate of 8000 Hz, must be 16000 Hz",
        "stereo": "has 2 channels, must be mono",
        "wide": "has 24 bits per sample",
        "short": "holds 479 samples, must hold at least 480",
        "nothing": "holds 0 samples, must hold at least 480",
        "text": "not a PCM WAV file",
        "cut": "header says",
        "folder": "holds no *.wav",  # a folder is one whatever its name
        "link": "cannot be read (No such file or directory)",
    }
    paths = {kind: folder / "yes" / f"{speaker}_nohash_{kind}.wav" for kind in wrong}
    for kind, (channels, width, rate) in {"rate": (1, 2, 8000), "stereo": (2, 2, 16000), "wide": (1, 3, 16000)}.items():
        with wave.open(str(paths[kind]), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(bytes(12000 * channels * width))
    write_wav(paths["short"], noise(479, 1))
    write_wav(paths["nothing"], [])
    paths["text"].write_text("hello")
    write_wav(paths["cut"], noise(9000, 1))
    paths["cut"].write_bytes(paths["cut"].read_bytes()[:9000])
    paths["folder"].mkdir()
    paths["link"].symlink_to(folder / "gone.wav")
    (folder / "empty").mkdir()
    write_wav(folder / "_background_noise_" / "blip.wav", noise(15999, 2))
    told = {paths[kind]: text for kind, text in wrong.items()}
    told[folder / "empty"] = "holds no *.wav"
    told[folder / "_background_noise_" / "blip.wav"] = "holds 15999 samples; noise must hold a clip's 16000"
    return told


def test_files_that_cannot_be_used_are_named_and_left_out(recordings, tmp_path):
    write_wav(recordings / "yes" / f"{TRAINING_SPEAKERS[2]}_nohash_0.wav", noise(480, 1))  # short, but enough
    clean = load_corpus(recordings, ("yes", "no"), FRONT_END)
    expected = spoil(recordings)
    for cache in (None, tmp_path / "levels.npz", tmp_path / "levels.npz"):
        findings = Findings()
        corpus = load_corpus(recordings, ("yes", "no"), FRONT_END, cache, findings=findings)
        told = findings.left_out
        assert corpus.digest == clean.digest
        assert len(told) == len(expected) == 11
        for path, text in expected.items():
            (line,) = [line for line in told if line.startswith(f"{path}: ")]
            assert text in line
            assert "\n" not in line


def test_a_class_that_has_nothing_left_is_an_error(recordings):
    for path in (recordings / "yes").iterdir():
        path.write_text("hello")
    findings = Findings()
    with pytest.raises(ValueError, match="no training clip of 'yes'; add some"):
        load_corpus(recordings, ("yes", "no"), FRONT_END, findings=findings)
    assert len(findings.left_out) == 3  # the testing speaker's is not read


def test_recordings_to_measure_on_are_left_out_where_asked(recordings):
    classes = ("_silence_", "_unknown_", "yes", "no")
    clean = labeled_recordings(recordings, classes, FRONT_END)
    spoil(recordings)
    with pytest.raises(ValueError, match=r"\.wav: "):
        labeled_recordings(recordings, classes, FRONT_END)
    findings = Findings()
    found = labeled_recordings(recordings, classes, FRONT_END, findings)
    assert found.paths == clean.paths
    assert np.array_equal(found.clips, clean.clips)
    assert np.array_equal(found.labels, clean.labels)
    assert len(findings.left_out) == 10  # noise is not read


def test_damaged_spectrograms_are_named_and_left_out(spectrograms):
    folder, _ = spectrograms
    clean = load_corpus(folder, ("yes", "no"), FRONT_END)
    whole = (folder / "0.png").read_bytes()
    contents = {"cut": whole[: len(whole) // 2], "text": b"hello", "none": b"", "bytes": bytes(range(256))}
    rows = (folder / "index.csv").read_text()
    for name, content in contents.items():
        (folder / f"{name}.png").write_bytes(content)
        rows += f"{name}.png,,yes,,training\n"
    (folder / "index.csv").write_text(rows + "gone.png,,yes,,training\n")
    findings = Findings()
    corpus = load_corpus(folder, ("yes", "no"), FRONT_END, findings=findings)
    told = findings.left_out
    assert corpus.digest == clean.digest
    assert [line.split(": ")[0] for line in told] == [str(folder / f"{name}.png") for name in (*contents, "gone")]
    assert all("cannot be read (" in line for line in told)


def test_every_tenth_piece_of_noise_is_held_out(tmp_path):
    words = [("yes", split) for split in ("training", "validation")] + [("bed", s) for s in ("training", "validation")]
    entries = [
        datasets._Entry(f"{n}", word, split) for n, (word, split) in enumerate(words + [("", "background")] * 23)
    ]
    levels = np.arange(27, dtype=np.uint8)[:, None, None] + np.zeros((1, 2, 2), np.uint8)
    corpus = datasets._corpus(entries, levels, ("_silence_", "_unknown_", "yes"), tmp_path)
    assert corpus.background_validation[:, 0, 0].tolist() == [4, 14, 24]
    assert len(corpus.background) == 20
    assert not set(corpus.background[:, 0, 0]) & {4, 14, 24}


def test_an_index_lists_pictures_whatever_their_names(spectrograms):
    """The first of a block, called .wav, made recordings of all that came with it."""
    folder, _ = spectrograms
    clean = load_corpus(folder, ("yes", "no"), FRONT_END)
    (folder / "0.png").rename(folder / "0.wav")
    index = folder / "index.csv"
    index.write_text(index.read_text().replace("\n0.png", "\n0.wav"))
    findings = Findings()
    assert load_corpus(folder, ("yes", "no"), FRONT_END, findings=findings).digest == clean.digest
    assert findings.left_out == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,word,split\n\xff.png,yes,training\n", "byte 16 is not UTF-8; save it in UTF-8"),
        (b"path,word,split\n0.png\n", "split of 0.png is ''; must be training"),
        (b"path,word,split\n" + b"x" * 200_000, "cannot be read (field larger than field limit"),
        (b"\xef\xbb\xbfpath,word\n", "lacks the column 'split'"),
        (b"", "lacks the column 'path'"),
        (b"path,word,split\na\0b.png,yes,training\n", "no training clip"),
    ],
)
def test_malformed_indices_are_one_line(spectrograms, content, message):
    folder, _ = spectrograms
    (folder / "index.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"^(?!.*\n)") as caught:
        load_corpus(folder, ("yes", "no"), FRONT_END)
    assert str(caught.value).startswith(str(folder))
    assert message in str(caught.value)


def test_clips_that_are_cut_are_named_also_from_the_cache(recordings, tmp_path):
    long = recordings / "yes" / f"{TRAINING_SPEAKERS[2]}_nohash_0.wav"
    write_wav(long, noise(16100, 1))
    for _ in range(2):
        findings = Findings()
        load_corpus(recordings, ("yes", "no"), FRONT_END, tmp_path / "levels.npz", findings=findings)
        assert findings.cut == [
            f"{long}: holds 16100 samples, the model hears the first 16000; the last 100 are cut off"
        ]
        # Of the 9 others for training and validation all are shorter than 16000 samples.
        assert (findings.padded, findings.left_out) == (9, [])


def test_recordings_beside_the_words_are_left_out(recordings):
    classes = ("_silence_", "_unknown_", "yes", "no")
    clean = labeled_recordings(recordings, classes, FRONT_END)
    write_wav(recordings / "stray.wav", noise(16000, 1))
    findings = Findings()
    assert labeled_recordings(recordings, classes, FRONT_END, findings).paths == clean.paths
    assert findings.left_out == [f"{recordings / 'stray.wav'}: lies in no folder of a word; put it into WORD/"]
    found = labeled_recordings(recordings / "yes", classes, FRONT_END)  # the folder of a word itself
    assert set(found.labels.tolist()) == {2}


# File name: speaker, and what sha1sum says of it, modulo 10.
NUMBERS = {
    "happy_3df9a3d4_nohash_0.wav": ("3df9a3d4", 7),
    "022cd682_nohash_1.wav": ("022cd682", 7),
    "0ea0e2f4_nohash_0.wav": ("0ea0e2f4", 9),
    "3329.wav": ("3329.wav", 7),
    "cd911ace_nohash_2.wav": ("cd911ace", 1),
    "bed_8dc18a75_nohash_0.wav": ("8dc18a75", 2),
}


def test_speakers():
    speakers = Speakers.parse("7,9,8/10")
    assert str(speakers) == "7,8,9/10"
    for name, (speaker, number) in NUMBERS.items():
        assert speaker_of(f"somewhere/{name}") == speaker
        assert (name in speakers) == (number >= 7)
        assert [k for k in range(10) if name in Speakers((k,), 10)] == [number]
    for text in ("", "7", "7/", "/10", "7,/10", "a/10", "10/10", "-1/10", "7;8/10", "1/0"):
        with pytest.raises(ValueError, match="speakers are"):
            Speakers.parse(text)
