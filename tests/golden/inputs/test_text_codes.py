# SPDX-License-Identifier: Apache-2.0
"""Text settings: codes of characters, bits per character, text models in files, and what is refused."""

import json
import math
import re

import numpy as np
import pytest
from crossramp.golden.inputs.text_codes import TextSettings, bits_per_character, character_name, probabilities
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import network_of

VOCABULARY = "\n 'aé\\\x07漢"
NAMES = ("\\n", "space", "'", "a", "é", "\\\\", "\\x07", "漢")


def text_model(settings: TextSettings, **changes) -> Model:
    spec = Specification(inputs=settings.inputs, units=2, classes=len(settings.vocabulary), readout="step")
    network = network_of(spec.replace(**changes.pop("spec", {})), 1)
    content = {"class_names": settings.class_names, "features": settings.to_dict()}
    return Model(network.spec, network.weights, **content | changes)


@given(st.text(VOCABULARY))
def test_one_hot_codes(text):
    settings = TextSettings(VOCABULARY, full_scale=7)
    codes = settings.codes(text)
    assert codes.shape == (len(text), 8)
    assert codes.dtype == np.int64
    assert "".join(VOCABULARY[place] for place in codes.argmax(axis=1)) == text
    assert (codes.sum(axis=1) == 7).all()
    assert ((codes == 0) | (codes == 7)).all()


def test_embedded_codes():
    settings = TextSettings("ab", ((1, -15, 3), (0, 0, 15)))
    assert settings.inputs == 3
    assert settings.codes("aba").tolist() == [[1, -15, 3], [0, 0, 15], [1, -15, 3]]


def test_names_can_be_seen_and_tell_characters_apart():
    assert TextSettings(VOCABULARY).class_names == NAMES
    everything = [character_name(chr(number)) for number in range(0x3000)]
    assert len(set(everything)) == len(everything)
    assert all(name.isprintable() and name.strip() for name in everything)


def test_unknown_characters_are_named_with_their_place():
    with pytest.raises(
        ValueError, match=r"^character 3 of the text, 'z' \(U\+007A\), is not one of the 2 known .* 'ab'; "
    ):
        TextSettings("ab").codes("abz")
    with pytest.raises(ValueError, match=" and 20 more; "):
        TextSettings("".join(map(chr, range(200, 300)))).indices("a")


@pytest.mark.parametrize("embedding", [None, ((1, -2), (3, 15))])
def test_settings_come_back(embedding):
    settings = TextSettings("a\n", embedding, 15, 0.01)
    assert TextSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary": ""}, "vocabulary has 0 characters; allowed: 1 to 4096"),
        ({"vocabulary": 3}, "vocabulary has 3 characters"),
        ({"vocabulary": "abca"}, "vocabulary holds 'a' twice"),
        ({"full_scale": 0}, "full_scale is 0; allowed: 1 to 127"),
        ({"full_scale": True}, "full_scale is True"),
        ({"logit_scale": 0}, "logit_scale is 0; allowed: a number above 0"),
        ({"logit_scale": math.inf}, "logit_scale is inf"),
        ({"embedding": ((1,),)}, "embedding has 1 rows for 2 characters"),
        ({"embedding": ((1, 2), (1,))}, "embedding of 'b' has 1 codes, the first row 2"),
        ({"embedding": ((), ())}, "embedding of 'a' has 0 codes"),
        ({"embedding": ((1,), (16,))}, "embedding of 'b' holds 16; allowed: ±15"),
        ({"embedding": ((1,), (1.0,))}, "embedding of 'b' holds 1.0"),
        ({"embedding": "ab"}, "embedding is 'ab'; expected a row of pulse codes"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TextSettings(**{"vocabulary": "ab", **changes})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"color": 1}, "text setting 'color' is unknown"),
        (lambda d: {n: v for n, v in d.items() if n != "vocabulary"}, "text setting 'vocabulary' is missing"),
        (lambda d: d | {"kind": "speech"}, "kind is 'speech'; expected 'text'"),
    ],
)
def test_wrong_dicts_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TextSettings.from_dict(change(TextSettings("ab").to_dict()))


# ---- logits ---------------------------------------------------------------------------------------------------------


def test_bits_per_character():
    """Of 4 characters alike, each takes 2 bits; of odds 2**3 to 1 for one of two, it takes log2(9/8)."""
    assert bits_per_character(np.zeros((3, 5, 4), int), np.ones((3, 5), int), 0.5) == pytest.approx(2)
    odds = np.array([[300, 0]])
    assert bits_per_character(odds, [0], math.log(2) / 100) == pytest.approx(math.log2(9 / 8))
    assert bits_per_character(odds, [1], math.log(2) / 100) == pytest.approx(math.log2(9))
    assert bits_per_character([[10**9, 0]], [1], 1.0) == pytest.approx(10**9 / math.log(2))


@pytest.mark.parametrize("targets", [[0, 1], [], [[0]]])
def test_bits_of_targets_that_do_not_fit(targets):
    with pytest.raises(ValueError, match="logits have the shape"):
        bits_per_character(np.zeros((len(targets) if targets == [] else 1, 4)), targets, 1.0)


def test_probabilities():
    found = probabilities([[0, 100, 200], [5, 5, 5]], math.log(2) / 100)
    np.testing.assert_allclose(found, [[1 / 7, 2 / 7, 4 / 7], [1 / 3] * 3])
    np.testing.assert_allclose(probabilities([0, 100], math.log(2) / 100, 0.5), [1 / 5, 4 / 5])
    for wrong in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="the temperature is"):
            probabilities([0, 1], 1.0, wrong)


# ---- model files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embedding", [None, tuple((n, -n, 15) for n in range(8))])
def test_text_models_come_back(tmp_path, embedding):
    settings = TextSettings(VOCABULARY, embedding, 15, 0.125)
    save_model(tmp_path / "m.npz", text_model(settings))
    model = load_model(tmp_path / "m.npz")
    assert model.text_settings == settings
    assert model.feature_settings is None
    assert model.class_names == NAMES
    trace = model.network.run(model.text_settings.codes("aa é")[None])
    assert trace.logits.shape == (1, 4, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": {"readout": "mean"}}, "the readout is 'mean'; a text model has logits after every 'step'"),
        ({"spec": {"inputs": 5}}, "a character is 8 codes, but the network has 5 inputs"),
        (
            {"spec": {"classes": 9}, "class_names": tuple("abcdefghi")},
            "8 characters, but the network has 9 classes",
        ),
        ({"spec": {"input_bits": 4}}, "full_scale of text is 15, but the network's is 7"),
        ({"class_names": tuple("abcdefgh")}, "the class names are not those of the vocabulary's characters"),
        ({"features": {"kind": "smell"}}, "the features' kind is 'smell'; known: 'text'"),
        ({"features": {"kind": "speech"}}, "the features' kind is 'speech'"),
        ({"features": {"kind": "text"}}, "text setting 'vocabulary' is missing"),
    ],
)
def test_text_models_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        text_model(TextSettings(VOCABULARY), **changes)
