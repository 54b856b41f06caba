# SPDX-License-Identifier: Apache-2.0
"""Which recordings are found in folders, which are left out, and what is said of both."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.inputs import recordings as module
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.golden.inputs.recordings import (
    CUT,
    LEFT_OUT,
    Findings,
    find_recordings,
    folder_name,
    read_clip,
    read_clips,
)

from tests.support.wav_files import wav

SETTINGS = FeatureSettings(
    clip_samples=1000, window_samples=128, hop_samples=160, fft_samples=128, bands=5, frames_per_step=2
)


def put(path: Path, samples: int = 500, **fields) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(np.arange(samples), **fields))
    return path


def test_any_depth_either_case_and_nothing_hidden(tmp_path):
    found = [put(tmp_path / name) for name in ("a.wav", "yes/b.WAV", "yes/deep/er/c.Wav", "no.wav/d.wav")]
    for name in (".a.wav", "yes/._b.wav", ".git/c.wav", "yes/.trash/d.wav"):
        put(tmp_path / name)
    (tmp_path / "yes" / "notes.txt").write_text("not a recording")
    (tmp_path / "yes" / "wav").write_text("nor this")
    findings = Findings()
    assert find_recordings(tmp_path, findings) == sorted(found)
    assert findings.left_out == []
    hidden = find_recordings(tmp_path / ".git", findings)  # named by the user
    assert hidden == [tmp_path / ".git" / "c.wav"]


def test_a_relative_folder(tmp_path, monkeypatch):
    put(tmp_path / "yes" / "a.wav")
    monkeypatch.chdir(tmp_path / "yes")
    for folder in (".", "../yes", tmp_path / "yes"):
        (found,) = find_recordings(folder)
        assert found == Path(folder) / "a.wav"
        assert folder_name(found) == "yes"


def test_what_is_skipped_is_named(tmp_path):
    put(tmp_path / "yes" / "a.wav")
    for name in ("empty", "docs/images"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "yes" / "b.flac").write_bytes(b"fLaC")
    (tmp_path / "yes" / "gone.wav").symlink_to("nowhere")
    (tmp_path / "no").symlink_to("/nonexistent/no")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    findings = Findings()
    assert find_recordings(tmp_path, findings) == [tmp_path / "yes" / "a.wav"]
    expected = {
        "docs": "holds no *.wav",  # and not once more for its folder
        "empty": "holds no *.wav",
        "loop.wav": "cannot be read (Too many levels of symbolic links)",
        "no": "cannot be read (No such file or directory)",
        "yes/b.flac": "is not a .wav file; convert it, for example: sox ",
        "yes/gone.wav": "cannot be read (No such file or directory)",
    }
    assert len(findings.left_out) == len(expected)
    for line, (name, text) in zip(findings.left_out, expected.items(), strict=True):
        assert line.startswith(f"{tmp_path / name}: {text}")


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    put(tmp_path / "store" / "a.wav")
    (tmp_path / "set" / "yes").mkdir(parents=True)
    put(tmp_path / "set" / "yes" / "b.wav")
    (tmp_path / "set" / "no").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "yes" / "up").symlink_to("..")
    (tmp_path / "set" / "yes" / "self").symlink_to(".")
    found = find_recordings(tmp_path / "set")
    assert found == [tmp_path / "set" / name for name in ("no/a.wav", "yes/b.wav")]
    assert folder_name(found[0]) == "no"  # links keep their own names


def test_folders_that_links_multiply_are_refused(tmp_path, monkeypatch):
    """Each of six folders has a link to each: nothing is its own ancestor for long."""
    monkeypatch.setattr(module, "_FOLDERS_MOST", 300)
    for name in "abcdef":
        (tmp_path / name).mkdir()
        for other in "abcdef":
            (tmp_path / name / other).symlink_to(tmp_path / other)
    with pytest.raises(ValueError, match="more than 300 folders"):
        find_recordings(tmp_path)


@contextlib.contextmanager
def unprivileged():
    """Whoever runs the tests as the superuser is somebody else for a while, since that reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111], ids=["closed", "without search", "without list"])
def test_a_folder_that_cannot_be_read_is_an_error(mode):
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        folder.chmod(0o755)
        put(folder / "set" / "yes" / "a.wav")
        put(folder / "set" / "no" / "b.wav")
        (folder / "set" / "yes").chmod(mode)
        with unprivileged(), pytest.raises(ValueError, match=r"set/yes.*\(Permission denied\); make "):
            find_recordings(folder / "set")
        (folder / "set" / "yes").chmod(0o755)
        (folder / "set" / "yes" / "a.wav").chmod(0)
        findings = Findings()
        with unprivileged():  # a file that cannot be read is one among many
            places, _ = read_clips(find_recordings(folder / "set"), SETTINGS, findings)
        assert places == [0]
        assert findings.left_out == [f"{folder / 'set/yes/a.wav'}: cannot be read (Permission denied); copy it again"]
    finally:
        shutil.rmtree(folder)


def test_what_the_model_hears(tmp_path):
    findings = Findings()
    lengths = {"exact": 1000, "longer": 1001, "short": 128, "none": 0, "one": 1, "too short": 127}
    paths = [put(tmp_path / f"{name}.wav", length) for name, length in lengths.items()]
    places, clips = read_clips(paths, SETTINGS, findings)
    assert places == [0, 1, 2]
    np.testing.assert_array_equal(clips[0], np.arange(1000))
    np.testing.assert_array_equal(clips[1], np.arange(1000))
    np.testing.assert_array_equal(clips[2], [*range(128), *[0] * 872])
    assert findings.cut == [
        f"{tmp_path / 'longer.wav'}: holds 1001 samples, the model hears the first 1000; the last 1 are cut off"
    ]
    assert findings.padded == 1
    assert [line.split("; ")[0] for line in findings.left_out] == [
        f"{tmp_path / name}.wav: holds {lengths[name]} samples, must hold at least 128, one window of the front end"
        for name in ("none", "one", "too short")
    ]
    with pytest.raises(ValueError, match=r"none of 3 recordings can be used; the first: .*none\.wav: holds 0"):
        read_clips(paths[3:], SETTINGS, Findings())


def test_findings_are_told_at_once_and_counted(tmp_path):
    told = []
    findings = Findings(lambda kind, text: told.append((kind, text)))
    read_clip(put(tmp_path / "streamed.wav", 1200, length=0xFFFFFFFF), SETTINGS, findings)
    findings.add(LEFT_OUT, ValueError("a: b"))
    assert [kind for kind, _ in told] == ["unfinished", CUT, LEFT_OUT]
    counted = findings.to_dict()
    assert {key: counted[key] for key in ("left_out", "cut", "unfinished", "padded", "saturated")} == {
        **{"left_out": 1, "cut": 1, "unfinished": 1, "padded": 0, "saturated": 0}
    }
    assert sorted(counted["findings"]) == sorted(f"{kind}: {text}" for kind, text in told)


def test_names_stay_on_one_line(tmp_path):
    names = ["a\nb.wav", os.fsdecode(b"caf\xe9.wav"), "tab\t.wav"]
    paths = [put(tmp_path / "yes" / name, 10) for name in names]
    findings = Findings()
    assert find_recordings(tmp_path, findings) == sorted(paths)
    with pytest.raises(ValueError, match="none of 3"):
        read_clips(paths, SETTINGS, findings)
    assert all(line.isprintable() for line in findings.left_out)
    assert [line.split(": ")[0].rpartition("/")[2] for line in findings.left_out] == [
        "a\\nb.wav",
        "caf\\udce9.wav",
        "tab\\t.wav",
    ]
