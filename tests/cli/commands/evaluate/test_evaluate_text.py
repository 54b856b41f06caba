# SPDX-License-Identifier: Apache-2.0
"""crossramp evaluate on texts: bits per character, on chips and through the hardware."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.inputs.text_codes import bits_per_character
from crossramp.golden.network.model_file import load_model, save_model

from tests.cli.commands.evaluate.conftest import CHIPS, HARDWARE, evaluated
from tests.cli.conftest import is_refusal, text_model


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
    assert is_refusal(run("evaluate", "text.npz", "latin.txt"), "latin.txt: is not UTF-8")
    assert is_refusal(run("evaluate", "text.npz", "nowhere"), "nowhere: no such file")
    assert is_refusal(run("evaluate", "text.npz", "text.txt", "--confusion", "a.png"), "--confusion a.png")
    assert is_refusal(run("evaluate", "text.npz", "text.txt", "--characters", 5), "--characters", "--rtl")
    refused = run("evaluate", "text.npz", "text.txt", *HARDWARE, "--characters", 121)
    assert is_refusal(refused, "--characters is 121; allowed: 1 to 120")
    refused = run("evaluate", model_file, tmp_path, *HARDWARE, "--characters", 5)
    assert is_refusal(refused, "--characters 5 belongs to a model of texts")
