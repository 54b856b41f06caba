# SPDX-License-Identifier: Apache-2.0
"""Language models: training's arithmetic is the golden model's, state goes on over chunks, and runs can be resumed."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.inputs.text_codes import bits_per_character
from crossramp.golden.network.model_file import load_model, save_model
from crossramp.train.data.text_data import TextCorpus, streams
from crossramp.train.float.alphabet import Alphabet
from crossramp.train.float.float_cell import run_cell
from crossramp.train.float.float_network import FloatNetwork
from crossramp.train.quantized.chips import DeviceArray
from crossramp.train.quantized.imperfections import Imperfections
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.recipes.recipe import parse_recipe
from crossramp.train.recipes.settings import Phase
from crossramp.train.run.checkpoint import Checkpoint
from crossramp.train.run.phases import device_named
from crossramp.train.run.schedule import Diverged
from crossramp.train.tasks import text_training as task
from crossramp.train.tasks.text_task import TextTask, score

from tests.support.trained_networks import differences

RECIPE = """
task = "text"
seed = 3
[hardware]
units = 8
sigmoid_range = 2.0
[text]
chunk = 10
[float]
epochs = 3
batch = 8
warm_up = 1
learning_rate = 0.03
[quantized]
epochs = 2
batch = 8
warm_up = 1
learning_rate = 0.03
"""


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads spend more time on waiting for each other than networks as small as these take."""
    torch.set_num_threads(1)


def corpus_of(text: str, validation: int = 200, test: int = 100) -> TextCorpus:
    vocabulary = "".join(sorted(set(text)))
    places = np.array([vocabulary.index(char) for char in text])
    return TextCorpus(vocabulary, places, (len(text) - validation - test, len(text) - test), "0" * 64)


def rhyme(length: int = 1500) -> TextCorpus:
    return corpus_of(("the cat sat. " * (length // 13 + 1))[:length])


class Quiet:
    """Progress that remembers, and may stop a run."""

    def __init__(self, stop=None):
        self.stop, self.epochs = stop, []

    def batch(self, phase, epoch, done, total):
        if (phase.name, epoch, done) == self.stop:
            raise KeyboardInterrupt

    def epoch(self, phase, epoch, measured):
        self.epochs.append(measured)


def network_of(embedding: int, units=16, imperfections=None, characters=20, projection=0) -> QuantizedNetwork:
    text = f"[text]\nembedding = {embedding}\nprojection = {projection}"
    recipe = parse_recipe(f'task = "text"\n[hardware]\nunits = {units}\nsigmoid_range = 2.0\n{text}', "test")
    torch.manual_seed(5)
    spec = task.specification(recipe, characters)
    network = QuantizedNetwork(spec, 4.0, imperfections, Alphabet(characters, embedding))
    torch.nn.init.normal_(network.macros[0].weight, std=0.8)
    torch.nn.init.normal_(network.macros[0].bias, std=1.0)
    return network


def places(batch=6, steps=40, characters=20) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(6).integers(0, characters, (batch, steps)))


# ---- training is the hardware ---------------------------------------------------------------------------------------


class Coded(torch.nn.Module):
    """A network that is given codes, as golden is, and reads them as symbols."""

    def __init__(self, network, table):
        super().__init__()
        self.network, self.table, self.spec = network, table, network.spec

    def integer_logits(self, codes, trace):
        found = (codes[:, :, None] == torch.tensor(self.table)).all(3).int().argmax(2)
        return self.network.integer_logits(found, trace)


@pytest.mark.parametrize(("embedding", "projection"), [(0, 0), (7, 0), (0, 9), (7, 16)])
def test_exported_model_equals_the_training_graph_in_every_value(embedding, projection, tmp_path):
    network = network_of(embedding, projection=projection)
    trained = task.TrainedText(None, network, "abcdefghijklmnopqrst", {})
    save_model(tmp_path / "m.npz", trained.export())
    model = load_model(tmp_path / "m.npz")
    table = model.text_settings.table
    assert table.shape == (20, embedding or 20)
    x = table[places().numpy()]
    golden = model.network.run(x)
    assert len(np.unique(golden.codes)) == 32  # the network is alive
    assert golden.logits.shape == (6, 40, 20)
    coded = Coded(network, table)
    assert differences(coded, model.network, x) == []
    with torch.no_grad():
        logits, ((c, h),) = network.run(places())
    np.testing.assert_array_equal(c.numpy(), golden.c[:, -1])
    np.testing.assert_array_equal(h.numpy(), golden.h[:, -1])
    np.testing.assert_allclose(logits.numpy(), golden.logits * model.text_settings.logit_scale, rtol=1e-5, atol=1e-6)


def test_comparison_notices_one_code_of_an_embedding():
    network = network_of(7)
    model = task.TrainedText(None, network, "abcdefghijklmnopqrst", {}).export()
    x = model.text_settings.table[places().numpy()]
    with torch.no_grad():
        network.alphabet.table[places()[0, 0], 0] += 1 / 15 if x[0, 0, 0] < 15 else -1 / 15
    assert "macs" in differences(Coded(network, model.text_settings.table), model.network, x)


def test_a_symbols_drive_is_that_of_its_codes():
    """Values and gradients of the shortcut for symbols are those of codes that are multiplied one by one."""
    short, long = network_of(7), network_of(7)
    long.alphabet = None
    logits, _ = short.run(places())
    codes = short.alphabet.codes(15)[places()].detach()
    expected, _ = long.run(codes)
    assert torch.equal(logits, expected)
    goal = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    (logits * goal).sum().backward()
    (expected * goal).sum().backward()
    found = dict(long.named_parameters())
    for name in ("macros.0.weight", "macros.0.bias", "head_weight", "head_bias"):
        one, other = dict(short.named_parameters())[name].grad, found[name].grad
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())
    assert short.alphabet.table.grad.abs().max() > 0


class One(Imperfections):
    """One chip of RRAM, without noise."""

    def draw(self, levels, training, lines=None):
        chip = device(load("rram"), self.spec, levels.detach().to(torch.int64).numpy(), 7)
        return DeviceArray(chip, levels, None, None)


@pytest.mark.parametrize("embedding", [0, 7])
def test_a_symbols_drive_on_a_chip(embedding):
    one = One(network_of(embedding).spec)
    short, long = network_of(embedding, imperfections=[one]), network_of(embedding, imperfections=[one])
    long.alphabet = None
    with torch.no_grad():
        logits, _ = short.run(places())
        expected, _ = long.run(short.alphabet.codes(15)[places()])
    # Sums in another order: a value next to a threshold may fall on its other side, and goes on from there.
    assert (logits[:, 0] - expected[:, 0]).abs().median() < 1e-5
    ideal, _ = network_of(embedding).run(places())
    assert (logits[:, 0] - ideal[:, 0]).abs().median() > 1e-2


# ---- state and streams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", [0, 5])
@pytest.mark.parametrize("kind", ["float", "quantized"])
def test_chunks_go_on_where_the_one_before_ended(kind, projection):
    network = network_of(0, projection=projection)
    if kind == "float":
        network = FloatNetwork(network.spec, Alphabet(20))
    whole, end = network.run(places())
    first, state = network.run(places()[:, :13])
    second, last = network.run(places()[:, 13:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=0 if kind == "quantized" else 1e-6)
    for one, other in zip(last[0], end[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0 if kind == "quantized" else 1e-6)
    assert not any(tensor.requires_grad for tensor in state[0])
    reset, _ = network.run(places()[:, 13:])
    assert not torch.allclose(reset, second, atol=1e-3)


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_streams_cover_their_part_and_nothing_else(part):
    random = np.random.default_rng(1)
    corpus = corpus_of("".join(map(chr, random.permutation(9000) + 256)), 2005, 3001)
    read, targets = streams(corpus, part)
    first, last = corpus.part(part)
    told = corpus.places[max(first, 1) : last]
    counted = targets.reshape(-1)
    assert np.array_equal(counted, told[: len(counted)])
    assert len(told) - len(counted) < len(targets)
    before = {after: place for place, after in pairwise(corpus.places)}
    steps = targets.shape[1]
    assert [before[after] for after in counted] == read[:, -steps:].reshape(-1).tolist()
    assert all(before[after] == place for row in read for place, after in pairwise(row))
    assert read.shape[1] - steps == (0 if part == "training" else 100)


def test_an_epochs_chunks_are_the_text_in_order():
    random = np.random.default_rng(1)
    corpus = corpus_of("".join(map(chr, random.permutation(900) + 256)))
    phase = parse_recipe(RECIPE, "test").float_phase
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def run(self, read, state):
            seen.append((read.clone(), state))
            return self.scale * torch.zeros(*read.shape, len(corpus.vocabulary)), len(seen)

    plan = TextTask(corpus, 10, 1)
    losses = list(plan.losses(Spy(), phase, 0, None))
    assert len(losses) == len(seen) == plan.batches(phase) == (600 // 8 - 1) // 10
    assert losses[0].item() == pytest.approx(math.log(900))
    assert [state for _, state in seen] == [None, *range(1, len(seen))]
    rows = torch.cat([read for read, _ in seen], dim=1).numpy()
    after = dict(zip(corpus.training, np.roll(corpus.training, -1), strict=True))
    assert all(after[one] == other for row in rows for one, other in pairwise(row))
    assert len(np.unique(rows)) == rows.size
    first = rows[:, 0].copy()
    seen.clear()
    list(plan.losses(Spy(), phase, 1, None))
    assert not np.array_equal(seen[0][0][:, 0].numpy(), first)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_float_projection_is_torchs_within_full_scale():
    """Random weights project far within ±1, where torch's own LSTM computes the same."""
    network = FloatNetwork(network_of(0, projection=5).spec, Alphabet(20))
    values = network.alphabet(places())
    hidden, _ = network.macros[0].lstm(values)
    assert hidden.abs().max() < 1
    torch.testing.assert_close(network.run(places())[0], network.head(hidden))
    torch.nn.init.constant_(network.macros[0].lstm.weight_hr_l0, 1.0)
    full, _ = run_cell(network.spec, values, network.macros[0].weights)
    assert full.abs().max() == 1


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_learns_a_rhyme_and_exports_what_it_learned():
    recipe = parse_recipe(RECIPE.replace("epochs = 3", "epochs = 20").replace("epochs = 2", "epochs = 8"), "test")
    corpus, told = rhyme(), Quiet()
    trained = task.train_text(corpus, recipe, told)
    assert trained.provenance["float_validation_bits_per_character"] < 0.1
    assert trained.provenance["quantized_validation_bits_per_character"] < 0.3
    assert trained.provenance["recipe_hash"] == recipe.content_hash
    assert [trained.provenance[f"{part}_characters"] for part in ("training", "validation", "test")] == [1200, 200, 100]
    assert str(told.epochs[-1]).split(", ")[1].endswith(" bits per character")
    assert set(told.epochs[0].scalars()) == {
        "loss",
        "learning_rate",
        "validation_loss",
        "validation_bits_per_character",
    }
    measured = task.measure(trained, corpus)
    assert measured["golden_bits_per_character"] == pytest.approx(
        score(trained.quantized_network, corpus, "test"), abs=1e-4
    )
    model = trained.export()
    text, settings = "the cat sat. the cat sat. ", model.text_settings
    assert settings.vocabulary == corpus.vocabulary
    logits = model.network.run(settings.codes(text)[None]).logits[0]
    assert bits_per_character(logits[13:-1], settings.indices(text)[14:], settings.logit_scale) < 0.3
    wrong = settings.indices(text[::-1])[14:]
    assert bits_per_character(logits[13:-1], wrong, settings.logit_scale) > 3


@pytest.mark.parametrize(
    "more",
    ["", "[text]\nembedding = 4\nprojection = 5", '[devices]\nevery = "batch"'],
    ids=["one-hot", "embedding", "devices"],
)
def test_interrupted_run_makes_the_same_model(tmp_path, more):
    recipe = parse_recipe(RECIPE.replace("[text]\n", f"{more}\n" if "text" in more else f"{more}\n[text]\n"), "test")
    corpus, files = rhyme(600), []
    corpus = dataclasses.replace(corpus, starts=(400, 500))
    stops = [[], [("float", 1, 2), ("quantized", 0, 1), ("quantized", 1, 2)]]
    for number, run in enumerate(stops):
        path = tmp_path / f"{number}.checkpoint"
        for stop in run:
            with pytest.raises(KeyboardInterrupt):
                task.train_text(corpus, recipe, Quiet(stop), Checkpoint(path, {}))
            torch.manual_seed(99)
        trained = task.train_text(corpus, recipe, Quiet(), Checkpoint(path, {}))
        files.append(tmp_path / f"{number}.npz")
        save_model(files[-1], trained.export())
    assert files[0].read_bytes() == files[1].read_bytes()
    model = load_model(files[0])
    assert (model.text_settings.embedding is not None) == ("embedding" in more)
    assert (model.spec.rows, model.spec.hidden) == ((4 + 5 + 2, 5) if "embedding" in more else (8 + 8 + 2, 8))
    assert ("technology_hash" in model.provenance) == ("devices" in more)


def test_a_loss_that_is_no_number_stops(monkeypatch):
    real = FloatNetwork.run
    monkeypatch.setattr(FloatNetwork, "run", lambda *a: (real(*a)[0] * (math.nan if a[0].training else 1), None))
    with pytest.raises(Diverged, match="float epoch 1, batch 1: loss nan"):
        task.train_text(rhyme(), parse_recipe(RECIPE, "test"), Quiet())


def test_devices_by_name(monkeypatch):
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert device_named("cpu") == "cpu"
        assert device_named("auto") == ("cuda" if there else "cpu")
    assert device_named("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^device is 'cuda', but torch .* finds no GPU here; leave it out$"):
        device_named("cuda")
    with pytest.raises(ValueError, match="device is 'tpu'; allowed: auto, cpu, cuda"):
        device_named("tpu")


def test_a_text_too_short_for_its_streams_names_the_key():
    recipe = parse_recipe(RECIPE.replace("epochs = 2\nbatch = 8", "epochs = 2\nbatch = 601"), "test")
    with pytest.raises(ValueError, match=r"^1200 characters .* make no 601 streams .*; lower quantized.batch$"):
        task.train_text(rhyme(), recipe, Quiet())


class Follows(torch.nn.Module):
    """Bets a logit of ``sure`` on the character after the one it reads; remembers the states it was given."""

    def __init__(self, characters, sure):
        super().__init__()
        self.sure = torch.nn.Parameter(torch.tensor(float(sure)))
        self.characters, self.states = characters, []

    def run(self, x, state=None):
        self.states.append(state)
        logits = torch.nn.functional.one_hot((x + 1) % self.characters, self.characters) * self.sure
        return logits, (0 if state is None else state) + 1


def test_bits_and_losses_are_those_of_the_next_character():
    """Of an alphabet read over and over: log2 of (1 + 4 exp(-s)), whose natural logarithm is the loss."""
    text = corpus_of("abcde" * 300)
    for sure in (0.0, 3.0):
        wanted = math.log2(1 + 4 * math.exp(-sure))
        tasks, network = TextTask(text, 10, 1), Follows(5, sure)
        assert score(network, text, "validation") == pytest.approx(wanted, rel=1e-5)
        assert tasks.validate(network) == pytest.approx((wanted * math.log(2), wanted), rel=1e-5)
        phase = Phase("quantized", 1, 0.1, 6, distillation=0.25, label_smoothing=0.0)
        teacher = Follows(5, 1.0)
        losses = [loss.item() for loss in tasks.losses(network, phase, 0, teacher)]
        p, q = (np.exp(np.array([value, 0, 0, 0, 0]) / 2) for value in (1.0, sure))
        p, q = p / p.sum(), q / q.sum()
        taught = 4 * (p * np.log(p / q)).sum()
        assert losses == pytest.approx([0.75 * wanted * math.log(2) + 0.25 * taught] * len(losses), rel=1e-4)
        # States go on from chunk to chunk, the teacher's as well.
        assert len(losses) == tasks.batches(phase) > 10
        assert teacher.states == [None, *range(1, len(losses))]
        assert network.states[-len(losses) :] == [None, *range(1, len(losses))]


def test_bits_are_of_what_comes_after_the_warm_up():
    """A network that is right from its hundredth character on has no bits, and one that is right before has many."""
    text = corpus_of("ab" * 1500)

    class Late(Follows):
        def run(self, x, state=None):
            logits, state = super().run(x, state)
            right = torch.arange(x.shape[1])[:, None] >= 100
            return torch.where(right == self.late, logits, -logits), state

    for late, expected in ((True, 0.0), (False, 30 / math.log(2))):
        network = Late(2, 30.0)
        network.late = late
        assert score(network, text, "test") == pytest.approx(expected, abs=1e-6, rel=1e-6)
