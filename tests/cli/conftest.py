# SPDX-License-Identifier: Apache-2.0
"""Models small enough to simulate in a second, and the command line as a function."""

import wave
from pathlib import Path

import numpy as np
import pytest
from crossramp.cli.commands.generate import GenerateOptions, generate
from crossramp.cli.main import main
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.golden.inputs.text_codes import TextSettings
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import network_of

#: A front end of 3 steps of 5 bands.
FEATURES = FeatureSettings(
    clip_samples=1000, window_samples=128, hop_samples=160, fft_samples=128, bands=5, frames_per_step=2
)
CLASSES = ("yes", "no", "_unknown_")


def small_model(features: bool = True, **changes) -> Model:
    """5 inputs, 3 units, 2 lanes (which do not divide them), 3-bit codes; weights from a fixed seed."""
    sizes = {"inputs": 5, "units": 3, "classes": 3, "lanes": 2, "adc_bits": 3, "input_bits": 4, "weight_bits": 4}
    spec = Specification(**(sizes | {"state_pulse_bits": 4, "max_steps": 9} | changes))
    network = network_of(spec, 7)
    return Model(
        spec,
        network.weights,
        CLASSES,
        FEATURES.to_dict() if features else None,
        {"origin": "drawn at random"},
    )


def telling_model() -> Model:
    """The same, with biases that make it answer all kinds of things."""
    model = small_model()
    limit = model.spec.input_max
    x = np.random.default_rng(3).integers(-limit, limit, (200, 3, 5), endpoint=True)
    biases = model.weights.head_biases - np.rint(model.network.run(x).logits.mean(axis=0) / 3).astype(int)
    return Model(model.spec, model.weights.replace(head_biases=biases), CLASSES, model.features)


def text_model(provenance: dict | None = None) -> Model:
    """3 units that read and foretell the characters a, b and line feed."""
    spec = small_model(features=False, inputs=3, readout="step").spec
    network, settings = network_of(spec, 7), TextSettings("\nab", None, spec.input_max, 0.05)
    return Model(spec, network.weights, settings.class_names, settings.to_dict(), provenance or {})


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000, channels: int = 1) -> Path:
    """16-bit PCM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """A small model with a front end."""
    path = tmp_path_factory.mktemp("model") / "tiny.npz"
    save_model(path, small_model())
    return path


@pytest.fixture(scope="session")
def generated(tmp_path_factory, model_file) -> Path:
    """What ``generate`` writes for the model of :func:`model_file`. Copy it before a file is changed."""
    folder = tmp_path_factory.mktemp("generated") / "tiny"
    generate(load_model(model_file), folder, GenerateOptions("tiny"))
    return folder


@pytest.fixture(scope="session")
def deaf_file(tmp_path_factory) -> Path:
    """The same without one."""
    path = tmp_path_factory.mktemp("model") / "deaf.npz"
    save_model(path, small_model(features=False))
    return path


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """``run(*arguments)`` gives (exit status, stdout, stderr); the working directory is empty."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def is_refusal(result: tuple[int, str, str], *words: str) -> bool:
    """Exit status 2, one line on stderr that has all the words, nothing on stdout."""
    status, out, err = result
    assert (status, out) == (2, ""), (status, out, err)
    assert err.count("\n") == 1
    assert err.startswith("crossramp: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err, err
    return True
