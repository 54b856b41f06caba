# SPDX-License-Identifier: Apache-2.0
"""``demo``: the shipped model on the recordings in the tree, and its pictures."""

import json
import struct
from importlib.resources import files

import pytest

RECORDINGS = files("crossramp.cli") / "demo_data" / "recordings"


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.fixture(scope="module")
def recordings() -> list[str]:
    return sorted(
        f"{word.name}/{clip.name}" for word in RECORDINGS.iterdir() if word.is_dir() for clip in word.iterdir()
    )


def test_demo(run, tmp_path, recordings):
    status, out, err = run("demo", "-o", "shown", "--simulator", "verilator", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "")
    assert sorted(row["name"] for row in content["rows"]) == recordings
    assert len({row["label"] for row in content["rows"][:12]}) == 12
    assert all(row["label"] for row in content["rows"])
    assert content["mismatches"] == 0
    assert content["accuracy"] == content["golden_accuracy"]
    # Chance is 1 in 12; the figure itself is docs/results.md's affair.
    assert content["accuracy"] > 0.75
    assert len(content["pictures"]) == 3
    for path in content["pictures"]:
        width, height = size_of((tmp_path / path).read_bytes())
        assert width > 1000
        assert height > 800
    assert (tmp_path / "shown" / "verilog" / "kws.v").is_file()


def test_amaranth_simulates_one_recording_of_each_word(run, monkeypatch, tmp_path):
    """However busy the machine is: a budget of clocks, not of seconds."""
    from crossramp.cli.commands import demo

    asked = []

    class Enough(Exception):
        pass

    def simulate(model, utterances, simulator):
        asked.append((simulator, utterances))
        raise Enough

    monkeypatch.setattr(demo, "simulate", simulate)
    monkeypatch.setattr(demo, "generate", lambda *_, **__: None)
    for simulator in ("amaranth", "icarus"):
        run("demo", "-o", "shown", "--simulator", simulator)
    (_, few), (_, whole) = asked
    assert len(few.names) == len(few.codes) == len(set(few.labels)) == 12
    assert len(whole.names) > 12
    assert whole.names[:12] == few.names


def test_recordings_are_few_and_attributed(recordings):
    words = [name.split("/")[0] for name in recordings]
    assert all(words.count(word) <= 2 for word in words)
    assert "CC BY 4.0" in (RECORDINGS / "NOTICE").read_text() + (RECORDINGS / "LICENSE").read_text()


def test_one_recording_in_the_embedded_simulator(run):
    status, out, _ = run(
        "simulate", "kws", str(sorted((RECORDINGS / "yes").iterdir())[0]), "--simulator", "amaranth", "--json"
    )
    content = json.loads(out)
    assert status == 0
    assert content["codes_compared"] == 49 * 32 * 8 + 12 + 1
    assert content["mismatches"] == 0
