# SPDX-License-Identifier: Apache-2.0
"""Settings that cannot have their effect are told, and runs in which all do what they say are silent."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from crossramp.cli.main import main
from crossramp.golden.network.model_file import load_model
from crossramp.train.data.datasets import load_corpus
from crossramp.train.data.text_data import TextCorpus
from crossramp.train.recipes.recipe import Recipe, default_recipe, load_recipe, parse_recipe, shipped_recipes
from crossramp.train.recipes.setting_cautions import (
    TrainingWarning,
    outcome_cautions,
    phase_cautions,
    recipe_cautions,
)
from crossramp.train.recipes.settings import Devices, Phase
from crossramp.train.tasks.keyword_task import KeywordTask, Validation
from crossramp.train.tasks.text_task import TextTask
from torch import nn

from tests.support.training import arguments

LONG = Phase("float", 30, 0.01, 32, warm_up=10)


def batches(recipe: Recipe) -> int:
    """Of an epoch on the data that the shipped models were trained on."""
    trained_on = load_model(recipe.task).provenance
    if recipe.task == "kws":
        return trained_on["training_clips"] // (256 - 20)  # a thirteenth of a batch is silence
    return trained_on["training_characters"] // 32 // 64


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_silent_and_keep_their_warm_up(name):
    """On the data they are made for, so that nothing of what they train changed when short runs got another warm-up."""
    recipe = load_recipe(name)
    assert recipe_cautions(recipe) == []
    for phase in (recipe.float_phase, recipe.quantized_phase):
        assert phase.epochs > 0
        assert phase_cautions(phase, batches(recipe)) == []


@pytest.mark.parametrize(
    ("change", "count", "message"),
    [
        (
            {"warm_up": 300, "epochs": 10},
            1,
            "float.warm_up is 300 batches, but the run has only 10: it is shortened to 2",
        ),
        ({"warm_up": 31}, 5, "float.warm_up is 31 batches, but the run has only 150: it is shortened to 30"),
        ({"warm_up": 30}, 5, None),
        ({"patience": 30}, 5, "float.patience is 30 epochs, but the run has only 30: it never ends early"),
        ({"patience": 29}, 5, None),
        ({"learning_rate": 0}, 5, "float.learning_rate is 0: no weight changes"),
        ({"warm_up": 300, "epochs": 0, "patience": 9, "learning_rate": 0}, 1, None),
    ],
)
def test_phases(change, count, message):
    found = phase_cautions(dataclasses.replace(LONG, **change), count)
    assert [line[: len(message)] for line in found] == [message] if message else found == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[devices]\n[quantized]\nepochs = 0", "devices has no effect"),
        ("[float]\nepochs = 0", "quantized.distillation is 0.5, but float.epochs is 0: the teacher is untrained"),
        ("[float]\nepochs = 0\n[quantized]\ndistillation = 0", None),
        ("[augmentation]\nmask_bands = 40", "augmentation.mask_bands is 40, but a clip has only 40 bands"),
        ("[augmentation]\nmask_steps = 60", "augmentation.mask_steps is 60, but a clip has only 49 steps"),
        ("[augmentation]\nshift_frames = 98", "augmentation.shift_frames is 98, but a clip has only 98 frames"),
        ("[augmentation]\nmask_bands = 39", None),
    ],
)
def test_recipes(text, message):
    found = recipe_cautions(parse_recipe(text, "test"))
    assert [line[: len(message)] for line in found] == [message] if message else found == []


@pytest.mark.parametrize(
    ("epochs", "improved", "loss", "expected"),
    [(3, True, 1.0, 0), (3, False, 1.0, 1), (3, True, 2.45, 1), (3, False, 2.6, 2), (0, False, 2.6, 0)],
)
def test_outcomes(epochs, improved, loss, expected):
    found = outcome_cautions(LONG, epochs, improved, loss, math.log(12))
    assert len(found) == expected
    assert all("float.learning_rate, now 0.01" in line for line in found)


def task_of(labels, clips=0) -> KeywordTask:
    corpus = dataclasses.make_dataclass("Corpus", ["classes", "training"])("abcd", np.zeros(clips))
    return KeywordTask(corpus, None, Validation(torch.zeros(len(labels), 1, 1), torch.tensor(labels)), 1)


def test_guessing_is_what_constant_answers_get():
    """By the task's own validation of a network that answers alike to everything."""

    class Constant(nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor(logits))

        def forward(self, x):
            return self.logits.expand(len(x), -1)

        def run(self, x, state=None):
            return self.logits.expand(*x.shape, -1), None

    task = task_of([0, 0, 0, 0, 1, 2, 2, 3])
    assert task.guessing_loss() == pytest.approx(math.log(4))
    assert task.validate(Constant([0.0] * 4))[0] == pytest.approx(task.guessing_loss())
    assert task.validate(Constant([0.0, 0.1, 0, 0]))[0] > task.guessing_loss()
    # Of three a's and a b: 3/4 log 4/3 + 1/4 log 4.
    text = TextCorpus("ab", np.tile([0, 0, 0, 1], 200), (400, 600), "")
    task = TextTask(text, 10, 1)
    assert task.guessing_loss() == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    assert task.validate(Constant([math.log(3), 0.0]))[0] == pytest.approx(task.guessing_loss(), rel=1e-6)


def test_a_batch_larger_than_the_data():
    task = task_of([0, 1, 2, 3], clips=40)
    # Of 50 a fifth is silence, so that 40 clips make one whole batch.
    assert task.cautions(dataclasses.replace(LONG, batch=50)) == []
    (line,) = task.cautions(dataclasses.replace(LONG, batch=55))
    assert line.startswith(
        "float.batch is 55, but there are only 40 clips to train on: an epoch is one batch of them and"
    )
    assert task.cautions(dataclasses.replace(LONG, batch=55, epochs=0)) == []


def test_a_chunk_longer_than_a_stream():
    task = TextTask(TextCorpus("ab", np.zeros(1000, int), (330, 600), ""), 32, 1)
    assert task.cautions(dataclasses.replace(LONG, batch=10)) == []
    (line,) = task.cautions(dataclasses.replace(LONG, batch=11))
    assert line.startswith("text.chunk is 32 characters, but each of 11 streams has only 29")


def test_a_short_run_learns_and_says_what_it_changed(data, tmp_path, capsys):
    """Ten epochs of five batches, where the default warm-up would take 300: it was at chance before."""
    output = tmp_path / "short.npz"
    more = ["--epochs", "10", "--qat-epochs", "2", "--learning-rate", "0.05", "--qat-learning-rate", "0.02"]
    assert main(arguments(data, output, *more)) == 0
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == (
        "crossramp: warning: float.warm_up is 300 batches, but the run has only 50: "
        "it is shortened to 10, a fifth of the run; give more epochs (now 10) or "
        "a smaller float.batch (now 20) if too little is learned"
    )
    assert second.startswith(
        "crossramp: warning: quantized.warm_up is 300 batches, but the run has only 10: it is shortened to 2"
    )
    provenance = load_model(output).provenance
    assert provenance["float_validation_accuracy"] > 0.7
    # 24 of the 54 are silence made of 4 held-out pieces of noise.
    corpus = load_corpus(data, ("yes", "no"), Recipe().features)
    assert (len(corpus.validation), len(corpus.background_validation)) == (30, 4)
    assert (provenance["validation_clips"], provenance["validation_silence_clips"]) == (54, 24)


def test_a_run_that_learns_nothing_says_so(data, tmp_path, capsys):
    output = tmp_path / "still.npz"
    more = ["--epochs", "1", "--qat-epochs", "0", "--learning-rate", "0"]
    assert main(arguments(data, output, *more)) == 0
    told = [line.split(";")[0] for line in capsys.readouterr().err.splitlines()][1:]
    assert told[:2] == [
        "crossramp: warning: float.learning_rate is 0: no weight changes",
        "crossramp: warning: float: none of 1 epochs was better than the network before the first one, which is kept",
    ]
    assert told[2].endswith("and guessing has 1.386: the network has learned next to nothing")  # log 4


def test_from_python_they_are_warnings():
    from crossramp.train.recipes.setting_cautions import warn

    with pytest.warns(TrainingWarning, match=r"^devices has no effect"):
        warn(recipe_cautions(dataclasses.replace(Recipe(), devices=Devices(), quantized_phase=Phase("quantized", 0))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn(recipe_cautions(default_recipe("text")))
