# SPDX-License-Identifier: Apache-2.0
"""Recipes: read, written, hashed, and refused with the key that is wrong."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from crossramp.cli.commands import train
from crossramp.cli.main import main, parser
from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import FOLDER as TECHNOLOGIES
from crossramp.golden.common.declared import declarations
from crossramp.train.recipes.recipe import (
    FOLDER,
    Recipe,
    default_recipe,
    load_recipe,
    parse_recipe,
    shipped_recipes,
)
from crossramp.train.recipes.settings import Devices, Hardware, Phase, RecipeError, Teacher, Text
from crossramp.train.tasks import keyword_training
from crossramp.train.tasks.keyword_training import keyword_specification


def test_shipped_recipes():
    bits, devices = ("-3", "-4", "", "-8"), ("", "-aware", "-charge")
    speech = {f"kws{kind}{width}" for kind in devices for width in bits}
    assert speech <= set(shipped_recipes())
    for name in ("kws", "text"):
        written = (FOLDER / f"{name}.toml").read_text()
        assert written.endswith("\n\n" + load_recipe(name).to_toml()), (
            "a key is missing in the file, or stands elsewhere"
        )
    assert load_recipe("kws") == Recipe()
    assert load_recipe("kws").technology() is None
    assert load_recipe("text") == default_recipe("text")
    aware = load_recipe("text-aware")
    # Chips cost so much more than the ideal array that their phase is another one.
    assert aware == dataclasses.replace(
        default_recipe("text"), devices=Devices("rram"), quantized_phase=aware.quantized_phase
    )
    for kind in devices:
        for width in bits:
            number = int(width[1:] or 5)
            hardware = dataclasses.replace(Recipe().hardware, adc_bits=number, input_bits=number)
            chips = {"": None, "-aware": Devices("rram"), "-charge": Devices("charge")}[kind]
            found = load_recipe(f"kws{kind}{width}")
            assert found.quantized_phase.epochs == (16 if kind else 60)
            same = dataclasses.replace(found, quantized_phase=Recipe().quantized_phase)
            assert same == dataclasses.replace(Recipe(), hardware=hardware, devices=chips)


def test_recipes_of_other_cells():
    for name, cell in (("kws-gru", "gru"), ("kws-rnn", "rnn_tanh")):
        found = load_recipe(name)
        assert found.hardware == Hardware(cell=cell)
        assert parse_recipe(found.to_toml(), "written") == found
        assert found.content_hash != Recipe().content_hash
    constant = parse_recipe('[hardware]\ninitial = "constant"', "x")
    assert parse_recipe(constant.to_toml(), "written") == constant
    assert constant.content_hash != Recipe().content_hash
    # The hash of a recipe of an LSTM is that from before there were other cells.
    assert parse_recipe('[hardware]\ncell = "lstm"', "x").content_hash == Recipe().content_hash == "9a91c3c91c8077f6"


def test_recipes_of_several_layers():
    tables = {"kws-two-layer": ({}, {}), "kws-bidirectional": ({"bidirectional": True},)}
    tables["kws-two-layer-bidirectional"] = tables["kws-bidirectional"] * 2
    for name, layers in tables.items():
        found = load_recipe(name)
        assert found.hardware == Hardware(layers=layers)
        assert parse_recipe(found.to_toml(), "written") == found
        assert found.to_dict()["hardware"]["layers"] == list(layers)
    text = '[[hardware.layers]]\ncell = "gru"\nunits = 24\n[[hardware.layers]]\nbidirectional = true\nadc_bits = 4'
    recipe = parse_recipe(text, "x")
    assert parse_recipe(recipe.to_toml(), "written").content_hash == recipe.content_hash
    first, second = keyword_training.specification(recipe).layers
    assert (first.macro.cell, first.macro.units, first.macro.adc_bits, first.bidirectional) == ("gru", 24, 5, False)
    assert (second.macro.cell, second.macro.units, second.macro.adc_bits) == ("lstm", 32, 4)
    assert (second.bidirectional, second.macro.inputs, second.macro.state_gain[0]) == (True, 24, 1)
    # What a layer leaves out is that of the table, whoever changed it last.
    wider = dataclasses.replace(recipe.hardware, units=16)
    assert [wider.of_layer(number).units for number in range(2)] == [24, 16]
    # The order in which keys are written is not part of a recipe, that of layers is.
    swapped = text.replace('cell = "gru"\nunits = 24', 'units = 24\ncell = "gru"')
    assert parse_recipe(swapped, "x").content_hash == recipe.content_hash
    other = dataclasses.replace(recipe, hardware=dataclasses.replace(wider, units=32, layers=wider.layers[::-1]))
    assert other.content_hash != recipe.content_hash


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"adc_bits": 4}, True),
        ({"lanes": 2}, True),
        ({"units": 9}, False),
        ({"cell": "gru"}, False),
        ({"bidirectional": True}, False),
        ({"sigmoid_range": 2.0}, False),
    ],
)
def test_what_layers_the_float_network_depends_on(change, shared):
    base, changed = Hardware(layers=({}, {})), Hardware(layers=({}, change))
    assert (base.float_part() == changed.float_part()) == shared
    assert base.to_dict() != changed.to_dict()


def test_written_recipes_read_back_equal():
    devices = Devices("pcm", ("stuck", "drift"), True, "epoch", {"cell.read_noise": 0.02})
    recipe = dataclasses.replace(Recipe(), seed=7, words=("ja", 'n"ein\\', "größer"), devices=devices)
    assert parse_recipe(recipe.to_toml(), "written") == recipe
    assert parse_recipe(recipe.to_toml(), "written").content_hash == recipe.content_hash
    text = dataclasses.replace(default_recipe("text"), text=Text(embedding=3), devices=devices)
    assert parse_recipe(text.to_toml(), "written") == text


def test_hash_follows_every_change_and_no_spelling():
    base = parse_recipe("", "empty")
    assert base.content_hash == Recipe().content_hash
    changes = ["seed = 2", 'words = ["yes"]', "[hardware]\nlanes = 2", "[features]\nbands = 41", "[devices]"]
    changes += ["[augmentation]\njitter_db = 0", "[float]\npatience = 3", "[quantized]\nbatch = 32"]
    changes += ['[devices]\nswitches = ["stuck"]', '[devices]\nconstants = {"cell.read_noise" = 0.5}']
    assert len({parse_recipe(text, "x").content_hash for text in ["", *changes]}) == len(changes) + 1
    one, other = ('[devices]\nswitches = "all"\n[float]\nweight_decay = 0', "[devices]\n[float]\nweight_decay = 0.0")
    assert parse_recipe(one, "x").content_hash == parse_recipe(other, "x").content_hash
    nested = parse_recipe("[devices.constants.cell]\nread_noise = 0.5", "x")
    assert nested.devices.constants == {"cell.read_noise": 0.5}
    assert nested.technology()["cell.read_noise"] == 0.5


def test_switches_are_kept_in_one_order():
    assert Devices(switches=list(reversed(SWITCHES))) == Devices()


def test_technology_file_beside_the_recipe(tmp_path):
    (tmp_path / "mine.toml").write_text((TECHNOLOGIES / "pcm.toml").read_text())
    (tmp_path / "r.toml").write_text('[devices]\ntechnology = "mine.toml"\n')
    recipe = load_recipe(tmp_path / "r.toml")
    assert recipe.technology().content_hash == Devices("pcm").load(FOLDER).content_hash
    assert str(tmp_path) not in str(recipe.to_dict())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hardware]\nunit = 3", "hardware.unit is unknown; did you mean units?"),
        ("[hardwear]\nunits = 3", "hardwear is unknown; did you mean hardware?"),
        ("[hardware]\nunits = 0", "hardware.units is 0; allowed: 1 to 65536"),
        ("[hardware]\nunits = 3.5", "hardware.units is 3.5 (float); allowed: integers, 1 to 65536"),
        ("[hardware]\nunits = true", "hardware.units is True (bool); allowed"),
        ("[float]\nlearning_rate = nan", "float.learning_rate is nan; allowed: a number from 0 to 1"),
        ('[float]\nepochs = "many"', "float.epochs is 'many'; allowed"),
        ('[float]\nname = "x"', "float.name is unknown"),
        ("[float]\ndistillation = 0.5", "float.distillation is 0.5; must be 0: there is no [teacher]"),
        ("[teacher.float]\ndistillation = 0.5", "teacher.float.distillation is 0.5; must be 0: the teacher has none"),
        ("[teacher.float]\nepochs = 0", "teacher.float.epochs is 0; an untrained network teaches nothing"),
        ("[teacher.float]\nepoch = 1", "teacher.float.epoch is unknown; did you mean epochs?"),
        ("[teacher.float]\nbatch = 1", "teacher.float.batch is 1; allowed: 2 to 65536"),
        ("[teacher.quantized]\nepochs = 1", "teacher.quantized is unknown; "),
        ("[teacher]\nhardware = 3", "teacher.hardware is 3; expected a table [teacher.hardware]"),
        ("teacher = 3", "teacher is 3; expected a table [teacher]"),
        ('task = "text"\n[teacher.float]\nepochs = 1', "teacher is unknown"),
        ("[augmentation]\nnoise_gain_db = [3, -3]", "augmentation.noise_gain_db is [3, -3]; allowed: 2 rising"),
        ("[augmentation]\nnoise_gain_db = 3", "augmentation.noise_gain_db is 3; allowed: 2 rising"),
        ('[hardware]\ncell = "gruu"', "hardware.cell is 'gruu'; allowed: lstm, lstm_peephole, lstm_coupled, gru,"),
        ("[hardware]\ncell = 3", "hardware.cell is 3; allowed: lstm,"),
        ('[hardware]\ninitial = "stream"', "hardware.initial is 'stream'; allowed: zero, constant"),
        ('[hardware]\ncell = "dense"\ninitial = "constant"', "hardware.initial is 'constant', but the cell"),
        ('[hardware]\nhead = "array"', "hardware.head is 'array', which is the last of several layers; add [[hardware"),
        ('[[hardware.layers]]\nhead = "array"', "hardware.layers[0].head is unknown"),
        ("[hardware]\nlayers = 2", "hardware.layers is 2; expected a list of tables, one for each layer"),
        ("[hardware]\nlayers = [2]", "hardware.layers is [2]; expected a list of tables"),
        ("[[hardware.layers]]\nunit = 3", "hardware.layers[0].unit is unknown; did you mean units?"),
        ("[[hardware.layers]]\ninput_bits = 3", "hardware.layers[0].input_bits is unknown"),
        ("[[hardware.layers]]\nlayers = []", "hardware.layers[0].layers is unknown"),
        ("[[hardware.layers]]\nunits = 0", "hardware.layers[0].units is 0; allowed: 1 to 65536"),
        ("[[hardware.layers]]\n[[hardware.layers]]\ncell = 'gruu'", "hardware.layers[1].cell is 'gruu'; allowed"),
        ("[[hardware.layers]]\nbidirectional = 1", "hardware.layers[0].bidirectional is 1; allowed: true, false"),
        ("[features]\nband_gain = 3", "features.band_gain is unknown"),
        ("[features]\nhop_samples = 0", "hop_samples is 0"),
        ("seed = -1", "seed is -1; allowed"),
        ('task = "text"\nwords = ["a"]', "words is unknown"),
        ('task = "text"\n[text]\nchunk = 0', "text.chunk is 0; allowed: 1 to 4096"),
        ('task = "text"\n[text]\ntest = 1.0', "text.test is 1.0; allowed: a number from 0.001 to 0.4"),
        ("[text]\nchunk = 3", "text is unknown"),
        ("task = [3]", "task is [3]; allowed: kws, text"),
        ('task = "kwz"', "task is 'kwz'; allowed: kws"),
        ('words = ["a", "a"]', "words is ['a', 'a']; expected a list of different words"),
        ("float = 3", "float is 3; expected a table [float]"),
        ('[devices]\nswitches = ["stuk"]', "devices.switches holds 'stuk'; did you mean stuck?"),
        ('[devices]\nevery = "week"', "devices.every is 'week'; allowed: batch, epoch, never"),
        ("[devices]\ncalibrated = 1", "devices.calibrated is 1; allowed: true, false"),
        ("seed = ", "no TOML: "),
    ],
)
def test_wrong_recipes_are_refused_in_one_line(text, message):
    with pytest.raises(RecipeError) as refused:
        parse_recipe(text, "r.toml")
    assert str(refused.value).startswith("recipe r.toml: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (Devices("rrram"), "there is no technology 'rrram'; shipped: "),
        (Devices(constants={"cell.read_nois": 1}), "cell.read_nois is unknown; did you mean cell.read_noise"),
    ],
)
def test_wrong_technologies_are_refused_before_training(devices, message):
    with pytest.raises(RecipeError, match="devices: ") as refused:
        dataclasses.replace(Recipe(), devices=devices).technology()
    assert message in str(refused.value)


def test_options_beat_the_recipe(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("seed = 3\n[hardware]\nunits = 8\nlanes = 2\n[quantized]\nepochs = 5\n")
    given = [
        "train",
        "kws",
        "DATA",
        "-o",
        "m.npz",
        "--recipe",
        str(path),
        "--units",
        "4",
        "--batch",
        "20",
        "--words",
        "a, b",
    ]
    recipe = train.recipe_of(parser().parse_args(given))
    assert (recipe.hardware.units, recipe.hardware.lanes, recipe.seed, recipe.words) == (4, 2, 3, ("a", "b"))
    assert (recipe.float_phase.batch, recipe.quantized_phase.batch, recipe.quantized_phase.epochs) == (20, 20, 5)


def test_a_recipe_with_a_teacher_is_read_back():
    """As a file, and as what provenances hold; without one, nothing of it is there."""
    teacher = Teacher(Hardware(units=7, layers=({"bidirectional": True},)), Phase("float", 9, 0.02))
    recipe = Recipe(teacher=teacher, float_phase=Phase("float", distillation=0.5))
    assert parse_recipe(recipe.to_toml(), "again").to_dict() == recipe.to_dict()
    assert parse_recipe(recipe.to_toml(), "again").teacher.float_phase == teacher.float_phase
    assert recipe.to_dict()["teacher"]["hardware"]["layers"] == [{"bidirectional": True}]
    assert "teacher" not in Recipe().to_dict()


def test_recipe_that_is_nowhere_is_named(tmp_path, capsys):
    assert main(["train", "kws", "DATA", "-o", str(tmp_path / "m.npz"), "--recipe", "nowhere.toml"]) == 2
    told = capsys.readouterr().err
    shipped = ", ".join(shipped_recipes())
    assert told == f"crossramp: there is no recipe 'nowhere.toml'; shipped: {shipped}; or give a TOML file\n"


GUIDE = (Path(__file__).parents[3] / "docs" / "training.md").read_text()
SPEECH_GUIDE, TEXT_GUIDE = GUIDE.split("\n## Text\n")


def keys_of(guide: str) -> dict[str, tuple[str, str]]:
    """Value and range of every key that a guide's table lists."""
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in guide.splitlines() if line[:3] == "| `"]
    listed = {}
    for names, value, allowed, *_ in cells:
        keys = names.replace("`", "").split(", ")
        values = [value] if len(keys) == 1 else value.split(", ")
        listed |= {key: (values[min(n, len(values) - 1)], allowed) for n, key in enumerate(keys)}
    return listed


def test_the_guide_lists_every_key_with_its_value_and_range():
    listed = keys_of(SPEECH_GUIDE)
    recipe = dataclasses.replace(load_recipe("kws"), devices=Devices("rram"))
    known = recipe.to_dict()
    flat = {key for key, value in known.items() if not isinstance(value, dict)}
    flat |= {f"{table}.{key}" for table, value in known.items() if isinstance(value, dict) for key in value}
    left_out = "cell", "initial", "projection", "projection_in", "projection_range", "head"  # of most recipes
    more = {name: getattr(recipe.hardware, name) for name in left_out}
    teacher = {f"teacher.{name}" for name in Teacher().to_dict()}
    assert set(listed) == flat | teacher | {f"hardware.{name}" for name in (*more, "layers")}
    assert listed["hardware.layers"][0] == json.dumps(recipe.hardware.layers)
    known["hardware"] |= more
    parts = {"hardware": recipe.hardware, "augmentation": recipe.augmentation}
    for name, part in (parts | {"float": recipe.float_phase, "quantized": recipe.quantized_phase}).items():
        for item, said in declarations(type(part)):
            bounds = ", ".join(said.choices) or said.bounds
            assert listed[f"{name}.{item}"] == (json.dumps(known[name][item]), bounds)
    for key, value in known["features"].items():
        assert listed[f"features.{key}"][0] == json.dumps(value)


def test_the_guide_lists_what_texts_have_more_or_otherwise():
    listed, speech, text = keys_of(TEXT_GUIDE), load_recipe("kws").to_dict(), load_recipe("text").to_dict()
    assert listed.pop("task") == ('"text"', '"text"')
    different = {
        f"{table}.{key}"
        for table in ("hardware", "text", "float", "quantized")
        for key, value in text[table].items()
        if table not in speech or value != speech[table][key]
    }
    assert different <= set(listed)
    recipe = default_recipe("text")
    parts = {"hardware": recipe.hardware, "text": recipe.text}
    for name, (value, allowed) in listed.items():
        table, key = name.split(".")
        part = (parts | {"float": recipe.float_phase, "quantized": recipe.quantized_phase})[table]
        assert value == json.dumps(text[table][key])
        assert allowed == dict(declarations(type(part)))[key].bounds


def test_the_guides_recipe_works():
    text, taught, layers, arrays = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    recipe = parse_recipe(text, "guide")
    teacher = parse_recipe(taught, "guide").teacher
    assert (len(teacher.hardware.layers), teacher.float_phase.epochs) == (2, 50)
    assert parse_recipe(layers, "guide").hardware.layers == ({"cell": "gru", "units": 24}, {"bidirectional": True})
    hardware = parse_recipe(arrays, "guide").hardware
    assert hardware.float_part()["head"] == "array"
    assert hardware.float_part()["layers"][0] == {"projection": 16, "projection_in": "array"}
    spec = keyword_specification(hardware, 40, 12, 49)
    assert spec.head_in_array
    assert list(spec.macros) == ["layer0", "layer0_projection", "layer1"]
    assert (recipe.hardware.units, recipe.float_phase.patience, recipe.devices.every) == (16, 20, "epoch")
    assert recipe.technology()["cell.read_noise"] == 0.02
