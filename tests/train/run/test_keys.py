# SPDX-License-Identifier: Apache-2.0
"""What decides whether something is trained or read again: keys of recipes, shelves and caches follow every field."""

import dataclasses
import os

import numpy as np
import pytest
import torch
from crossramp.golden.cell.library import CELLS
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.train.data import datasets
from crossramp.train.data.datasets import cache_file, load_corpus
from crossramp.train.recipes.recipe import Recipe, default_recipe
from crossramp.train.recipes.settings import Augmentation, Devices, Hardware, Phase, Teacher, Text
from crossramp.train.run import phases
from crossramp.train.tasks import keyword_training, text_training

from tests.train.data.test_datasets import FRONT_END, recordings  # noqa: F401
from tests.train.tasks.test_text_training import rhyme

#: What is fitted to the training clips, and so no part of a recipe.
_FITTED = ("band_offset", "band_gain")


def another(settings, name: str):
    """``settings`` with another legal value of a field, whatever its type is."""
    value = getattr(settings, name)
    # As many as there are inputs, which other fields decide.
    fitted = {key: getattr(FeatureSettings(), key)[:1] for key in _FITTED if isinstance(settings, FeatureSettings)}
    if value == ():  # the layers
        changes = [({},)]
    elif isinstance(value, tuple):
        changes = [(*value[:-1], value[-1] * 1.01 + 0.01)]
    elif isinstance(value, str):  # the cell, or what utterances start from
        changes = [choice for choice in (*CELLS, "constant") if choice != value]
    elif isinstance(value, int):
        changes = [value + 1, value - 1]
    else:
        changes = [value + 0.01, value - 0.01, value * 0.9]
    for change in changes:
        try:
            found = dataclasses.replace(settings, **(fitted | {name: change}))
        except ValueError:
            continue
        if getattr(found, name) != value:
            return found
    raise AssertionError(f"no other value of {name} was found")


def changed_recipes(base: Recipe, tables: dict) -> dict[str, Recipe]:
    """By key: ``base`` with another value of each field of its ``tables`` (field of the recipe to class)."""
    found = {"seed": dataclasses.replace(base, seed=base.seed + 1)}
    for table, kind in tables.items():
        for item in dataclasses.fields(kind):
            if item.name == "name" or item.name in _FITTED:
                continue
            settings = getattr(base, table)
            if (table, item.name) == ("float_phase", "distillation"):
                continue  # refused without a teacher, see TAUGHT
            if table == "hardware" and item.name in ("head", "projection_in", "projection_range"):
                continue  # refused without layers
            found[f"{table}.{item.name}"] = dataclasses.replace(base, **{table: another(settings, item.name)})
    return found


_SPEECH = {
    "hardware": Hardware,
    "features": FeatureSettings,
    "augmentation": Augmentation,
    "float_phase": Phase,
    "quantized_phase": Phase,
}
_TEXT = {"hardware": Hardware, "text": Text, "float_phase": Phase, "quantized_phase": Phase}
SPEECH_BASE = dataclasses.replace(Recipe(), hardware=Hardware(lanes=2), features=FeatureSettings(cepstra=9, deltas=5))
TEXT_BASE = dataclasses.replace(default_recipe("text"), text=Text(embedding=4, projection=6))
SPEECH = changed_recipes(SPEECH_BASE, _SPEECH)
SPEECH["words"] = dataclasses.replace(SPEECH_BASE, words=SPEECH_BASE.words[:-1])
_TEACHER = Teacher(Hardware(units=6), Phase("float", 4))
_TAUGHT = dataclasses.replace(SPEECH_BASE, teacher=_TEACHER)
SPEECH["teacher"] = _TAUGHT
SPEECH["teacher.hardware"] = dataclasses.replace(SPEECH_BASE, teacher=Teacher(Hardware(units=7), Phase("float", 4)))
SPEECH["teacher.float"] = dataclasses.replace(SPEECH_BASE, teacher=Teacher(Hardware(units=6), Phase("float", 5)))
SPEECH["float_phase.distillation"] = dataclasses.replace(_TAUGHT, float_phase=Phase("float", distillation=0.5))
SPEECH["words, in another order"] = dataclasses.replace(SPEECH_BASE, words=SPEECH_BASE.words[::-1])
TEXTS = changed_recipes(TEXT_BASE, _TEXT)
DEVICES = {
    "devices": Devices(),
    "devices.technology": Devices("pcm"),
    "devices.switches": Devices(switches=("stuck",)),
    "devices.calibrated": Devices(calibrated=True),
    "devices.every": Devices(every="epoch"),
    "devices.constants": Devices(constants={"cell.stuck_on": 0.5}),
}
for _name, _devices in DEVICES.items():
    SPEECH[_name] = dataclasses.replace(SPEECH_BASE, devices=_devices)
    TEXTS[_name] = dataclasses.replace(TEXT_BASE, devices=_devices)

#: What a float network does not depend on, so that runs may share it.
_OF_THE_QUANTIZED = ("adc_bits", "input_bits", "weight_bits", "lanes")


def test_devices_are_all_covered():
    assert {f"devices.{item.name}" for item in dataclasses.fields(Devices)} == set(DEVICES) - {"devices"}


@pytest.mark.parametrize(("base", "changed"), [(SPEECH_BASE, SPEECH), (TEXT_BASE, TEXTS)], ids=["kws", "text"])
def test_a_recipes_hash_follows_every_key(base, changed):
    hashes = {name: recipe.content_hash for name, recipe in changed.items()}
    assert base.content_hash not in hashes.values()
    assert len(set(hashes.values())) == len(hashes)
    assert dataclasses.replace(base, folder=base.folder / "elsewhere").content_hash == base.content_hash


def shelf_files(monkeypatch, tmp_path, module, recipe, corpus, data="0" * 64, device="cpu") -> list[str]:
    """Names of the files that each stage of a run would be kept in."""
    stages, kept = [], []
    monkeypatch.setattr(module, "run_stages", lambda found, *_: stages.extend(found) or pytest.skip("captured"))
    train = {keyword_training: "train", text_training: "train_text"}[module]
    with pytest.raises(pytest.skip.Exception, match="captured"):
        getattr(module, train)(corpus, recipe, None)
    for stage in stages:
        kept.append(phases._Shelved(tmp_path, stage, recipe, data, device)._file.path.name)
    return kept


def speech_corpus(recipe):
    shape = (3, recipe.features.frames, recipe.features.bands)
    levels = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    classes = datasets.class_names(recipe.words)
    labels = np.array([1, 2, 3])
    return datasets.Corpus(classes, levels, labels, levels, labels, levels, levels, "0" * 64)


@pytest.mark.parametrize("task", ["kws", "text"])
def test_a_float_network_on_the_shelf_is_named_after_all_it_depends_on(task, monkeypatch, tmp_path):
    """Every key of the recipe but those of the quantized network; that one's own name follows every key."""
    module, base, changed = {"kws": (keyword_training, SPEECH_BASE, SPEECH), "text": (text_training, TEXT_BASE, TEXTS)}[
        task
    ]

    def names(recipe, **more):
        corpus = speech_corpus(recipe) if task == "kws" else rhyme()
        return shelf_files(monkeypatch, tmp_path, module, recipe, corpus, **more)

    first = names(base)
    assert first == names(base)
    for key, recipe in changed.items():
        *_, float_name, quantized_name = names(recipe)
        table, _, field = key.partition(".")
        shared = table in ("quantized_phase", "devices") or (table == "hardware" and field in _OF_THE_QUANTIZED)
        assert (float_name == first[0]) == shared, key
        assert quantized_name != first[1], key
    for more in ({"data": "1" * 64}, {"device": "cuda"}):
        assert not set(names(base, **more)) & set(first)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert not set(names(base)) & set(first)
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert not set(names(base)) & set(first)
    monkeypatch.undo()
    monkeypatch.setattr(phases, "_SHELF_VERSION", 99)
    assert not set(names(base)) & set(first)


def test_a_teacher_on_the_shelf_is_the_float_network_of_the_recipe_that_is_like_it(monkeypatch, tmp_path):
    """Whoever trained that one has the teacher already; bits of its hardware do not matter."""

    def names(recipe):
        return shelf_files(monkeypatch, tmp_path, keyword_training, recipe, speech_corpus(recipe))

    alone = dataclasses.replace(SPEECH_BASE, hardware=Hardware(units=6, adc_bits=3), float_phase=Phase("float", 4))
    teacher, float_name, _ = names(_TAUGHT)
    assert teacher == names(alone)[0]
    assert float_name not in (teacher, names(SPEECH_BASE)[0])


#: Levels do not depend on these: how steps are made of them, and what is fitted to them.
_NOT_LEVELS = (*_FITTED, "frames_per_step")


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(FeatureSettings)])
def test_the_levels_cache_follows_every_setting(name, tmp_path):
    settings = FeatureSettings(cepstra=9, deltas=5)
    other = another(settings, name)
    same = name in _NOT_LEVELS
    assert (datasets._spectrum(other) == datasets._spectrum(settings)) == same
    assert (cache_file(tmp_path, other) == cache_file(tmp_path, settings)) == same
    assert (datasets._key([], tmp_path, other) == datasets._key([], tmp_path, settings)) == same
    assert cache_file(tmp_path / "a", settings) != cache_file(tmp_path / "b", settings)


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(datasets._Entry)])
def test_the_levels_cache_follows_what_is_read(name, tmp_path):
    entry = datasets._Entry("yes/a.wav", "yes", "training", 8000)
    value = getattr(entry, name)
    other = dataclasses.replace(entry, **{name: value + 1 if isinstance(value, int) else f"{value}b"})
    keys = {datasets._key(entries, tmp_path, FRONT_END) for entries in ([entry], [other], [entry, other], [])}
    assert len(keys) == 4


def test_the_levels_cache_follows_files(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"1234")
    entries, keys = [datasets._Entry("a.wav", "yes", "training")], set()
    for content, time in ((b"1234", 5), (b"12345", 5), (b"1234", 6), (b"1234", 5.25)):
        (tmp_path / "a.wav").write_bytes(content)
        os.utime(tmp_path / "a.wav", (time, time))
        keys.add(datasets._key(entries, tmp_path, FRONT_END))
    (tmp_path / "a.wav").unlink()
    keys.add(datasets._key(entries, tmp_path, FRONT_END))
    assert len(keys) == 5


@pytest.mark.parametrize("change", [{"high_hz": 3900.0}, {"level_offset": -50.0}, {"level_gain": 2.0}])
def test_levels_of_another_front_end_are_not_taken(recordings, tmp_path, change):  # noqa: F811
    cache = tmp_path / "levels.npz"
    first = load_corpus(recordings, ("yes", "no"), FRONT_END, cache)
    other = dataclasses.replace(FRONT_END, **change)
    found = load_corpus(recordings, ("yes", "no"), other, cache)
    assert found.digest == load_corpus(recordings, ("yes", "no"), other).digest != first.digest


def test_a_corpus_digest_follows_classes_labels_and_levels(recordings):  # noqa: F811
    entries = [
        datasets._Entry(f"{number}", word, split)
        for number, (word, split) in enumerate(
            [(w, s) for s in ("training", "validation") for w in ("yes", "no", "bed", "bed")] + [("", "background")] * 4
        )
    ]
    levels = np.arange(12 * 4).reshape(12, 2, 2).astype(np.uint8)
    classes = ("_silence_", "_unknown_", "yes", "no")

    def digest(entries=entries, levels=levels, classes=classes):
        return datasets._corpus(entries, levels, classes, recordings).digest

    digests = [digest()]
    for place in range(12):
        changed = levels.copy()
        changed[place, 1, 1] += 1
        digests.append(digest(levels=changed))
    digests.append(digest(classes=("_silence_", "_unknown_", "no", "yes")))
    moved = [dataclasses.replace(entries[3], word="no"), *entries[:3], *entries[4:]]
    digests.append(digest(entries=[*moved[1:4], moved[0], *moved[4:]]))
    # The same labels and levels of a class with another name.
    renamed = [dataclasses.replace(entry, word=entry.word.replace("yes", "ja")) for entry in entries]
    digests.append(digest(entries=renamed, classes=("_silence_", "_unknown_", "ja", "no")))
    assert len(set(digests)) == len(digests)
