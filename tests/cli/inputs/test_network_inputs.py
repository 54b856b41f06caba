# SPDX-License-Identifier: Apache-2.0
"""One set of rules for data: every command leaves out, cuts and refuses alike, and says so in text and JSON."""

import io
import json
import os
import zipfile
from collections import Counter
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.cli.commands import run as run_command
from crossramp.cli.commands import simulate, sweep
from crossramp.cli.inputs import network_inputs
from crossramp.cli.output import notices
from crossramp.cli.output.tables import markdown, table
from crossramp.golden.common.errors import UserError
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.network.model_file import load_model, save_model

from tests.cli.conftest import is_refusal, telling_model, text_model
from tests.golden.inputs.test_audio import damaged
from tests.support.wav_files import wav

COUNTS = ("left_out", "cut", "unfinished", "padded", "saturated")
PLAN = 'model = "{model}"\ndata = "audio"\ntechnology = "rram"\nchips = 2\nmetrics = ["accuracy"]\n'


@pytest.fixture
def short_cut(monkeypatch):
    """The golden model in the place of the hardware: what is tested here is what goes in."""

    def compared(answers):
        ones = np.ones(len(answers), int)
        counts = {"compared_by_utterance": ones, "mismatched_by_utterance": 0 * ones, "total": len(ones), "wrong": 0}
        return SimpleNamespace(**counts, first_by_utterance=[None] * len(ones))

    def simulated(network, codes, simulator, array=None, **_):
        trace = network.run(codes)
        shown = {"observed": trace, "golden": trace, "ideal": None, "board": compared(trace.answers)}
        rest = {"violations": (), "clocks_per_step": 50, "seconds": 1.0}
        return SimpleNamespace(result=SimpleNamespace(simulator=simulator), **shown, **rest)

    def on_a_board(model, utterances, args):
        answers = model.network.run(utterances.codes).answers
        build = SimpleNamespace(board="test", spec=model.spec, made_by="", clock=1, baud=1)
        clocks = np.ones(len(answers), int)
        shown = {"answers": answers, "golden_answers": answers, "board": compared(answers)}
        rest = {"restarts": 0, "repeated": 0, "utterance_seconds": 0, "seconds": 1.0}
        return SimpleNamespace(build=build, clocks=clocks, waiting=0 * clocks, **shown, **rest)

    def no_pictures(*_):
        raise UserError("pictures take time")

    monkeypatch.setattr(simulate, "verify", simulated)
    monkeypatch.setattr(run_command, "run_on_board", on_a_board)
    monkeypatch.setattr(sweep, "_draw", no_pictures)


@pytest.fixture
def model_file(tmp_path):
    save_model(tmp_path / "model.npz", telling_model())
    return "model.npz"


def commands(model_file: str, tmp_path, *data: str) -> dict[str, list]:
    """Every command that takes recordings, with some."""
    (tmp_path / "plan.toml").write_text(PLAN.format(model=model_file))
    (first, *_) = data
    return {
        "simulate": ["simulate", model_file, *data, "--simulator", "amaranth"],
        "run": ["run", model_file, *data, "--port", "virtual"],
        "evaluate": ["evaluate", model_file, first],
        "sweep": ["sweep", "plan.toml", "--data", first, "-o", "out", "--workers", "1", "--restart", "--csv"],
    }


def put(folder, **contents: bytes) -> None:
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def audio(tmp_path, rng):
    """A folder with one of everything that is not taken as it is."""
    noise = rng.integers(-9000, 9000, 1000)
    put(
        tmp_path / "audio",
        **{
            "yes__a": wav(noise),
            "yes__short": wav(noise[:500]),
            "no__b": wav(noise[::-1]),
            "no__rate": wav(noise, rate=8),
        },
        **{
            "yes__long": wav([*noise, *noise]),
            "no__streamed": wav(noise, 0xFFFFFFFF),
            "no__unfinished": wav(noise, 0, 0),
        },
        **{"yes__none": wav([]), "yes__one": wav([1]), "yes__nothing": b"", "yes__cut": wav(noise)[:900]},
        **{"yes__beyond": wav(noise, 9999), "yes__zero": wav(noise, 0), "yes__text": b"hello"},
    )
    return "audio"


def test_every_command_takes_and_tells_the_same(run, model_file, tmp_path, audio, short_cut):
    told, lines = {}, {}
    for name, words in commands(model_file, tmp_path, audio).items():
        status, out, err = run(*words, "--json")
        assert status == 0, err
        content = json.loads(out)
        told[name] = {key: content[key] for key in (*COUNTS, "findings")}
        assert content.get("recordings", content.get("utterances")) == 6
        lines[name] = sorted(err.splitlines())
        status, out, err = run(*words)
        assert status == 0
        for words in (
            "8 (recordings or folders that cannot be used, named above)",
            "1 (recordings longer than",
            "2 (recordings without",
        ):
            assert words in out
    assert all(one == told["simulate"] for one in told.values())
    assert all(one == lines["simulate"] for one in lines.values())
    assert lines["simulate"] == sorted(f"crossramp: {text}" for text in told["simulate"]["findings"])
    counts = {key: told["simulate"][key] for key in COUNTS}
    assert counts == {"left_out": 8, "cut": 1, "unfinished": 2, "padded": 1, "saturated": 0}
    assert "cut: audio/yes/long.wav: holds 2000 samples, the model hears the first 1000" in "\n".join(lines["simulate"])


def test_a_suggested_command_keeps_the_spaces_of_a_name(run, model_file, tmp_path):
    put(tmp_path, **{"a  b": wav(range(1000), rate=8000)})
    assert is_refusal(run("simulate", model_file, "a  b.wav"), "sox 'a  b.wav' -r 16000")


@pytest.mark.parametrize("name", ["none", "one", "nothing", "cut", "beyond", "zero", "text"])
def test_one_damaged_file_alone_is_an_error(run, model_file, tmp_path, audio, name):
    file = f"audio/yes/{name}.wav"
    for words in (["simulate", model_file, file], ["run", model_file, file, "--port", "virtual"]):
        assert is_refusal(run(*words), f"{file}: ")


def test_one_damaged_file_among_others_is_left_out(run, model_file, tmp_path, audio, short_cut):
    status, out, err = run("simulate", model_file, "audio/yes/a.wav", "audio/yes/one.wav", "--json")
    assert (status, err.count("\n"), json.loads(out)["left_out"], json.loads(out)["utterances"]) == (0, 1, 1, 1)
    assert is_refusal(run("simulate", model_file, "audio/yes/a.wav", "audio/yes/gone.wav"), "gone.wav: no such file")


def test_nothing_left_is_an_error(run, model_file, tmp_path, audio, short_cut):
    put(tmp_path / "bad", yes__none=wav([]), yes__text=b"hello")
    for name, words in commands(model_file, tmp_path, "bad").items():
        status, out, err = run(*words)
        assert (status, out) == (2, ""), name
        *left_out, last = err.splitlines()
        assert [line.split(": ")[2] for line in left_out] == ["bad/yes/none.wav", "bad/yes/text.wav"]
        assert last.startswith(
            "crossramp: none of 2 recordings can be used; the first: bad/yes/none.wav: holds 0 samples"
        )


def test_the_recordings_of_the_package(run, tmp_path, short_cut):
    """``demo`` in every command, even where a folder has that name; ./demo is the folder."""
    count = len(list((files("crossramp.cli") / "demo_data" / "recordings").glob("*/*.wav")))
    put(tmp_path / "demo", yes__a=wav(range(16000)))
    answers = set()
    for name, words in commands("kws", tmp_path, "demo").items():
        status, out, err = run(*words, "--json")
        assert (status, err) == (0, ""), name
        content = json.loads(out)
        assert content.get("recordings", content.get("utterances")) == count
        answers.add(content.get("golden_correct", content.get("ideal", {}).get("correct")))
    assert len(answers - {None}) == 1
    for name in ("simulate", "evaluate"):
        content = json.loads(run(*commands("kws", tmp_path, "./demo")[name], "--json")[1])
        assert content.get("recordings", content.get("utterances")) == 1, name
    assert network_inputs.from_data(load_model("kws"), "./demo").names == ["yes/a.wav"]  # of sweep


def test_a_demo_that_a_model_cannot_hear(run, model_file, deaf_file, tmp_path):
    assert is_refusal(run("simulate", deaf_file, "demo"), "no speech features")
    save_model(tmp_path / "text.npz", text_model())
    assert is_refusal(run("evaluate", "text.npz", "demo"), "demo is recordings", "./demo")


def test_many_findings_are_counted_after_the_first(run, model_file, tmp_path, short_cut, rng):
    put(tmp_path / "audio", yes__a=wav(rng.integers(-9, 9, 1000)), **{f"no__{k}": b"" for k in range(30)})
    status, out, err = run("simulate", model_file, "audio", "--json")
    assert (status, json.loads(out)["left_out"], len(json.loads(out)["findings"])) == (0, 30, 30)
    assert err.count("\n") == notices.SHOWN + 1
    assert err.endswith("left out: and more; --json names all\n")


def test_a_line_feed_in_a_name_breaks_no_row(run, model_file, tmp_path, short_cut):
    put(tmp_path / "audio", yes__a=wav(range(1000)))
    for name in ("b\nc.wav", os.fsdecode(b"d\xe9.wav")):
        (tmp_path / "audio" / "yes" / name).write_bytes(wav(range(1000)))
    status, out, _ = run("simulate", model_file, "audio")
    assert status == 0
    rows = [line.split("  ")[0] for line in out.splitlines()[1:4]]
    assert rows == ["yes/a.wav", "yes/b\\nc.wav", "yes/d\\udce9.wav"]
    assert table(("a", "b"), [("x\ny", 1)]) == "a     b\nx\\ny  1"
    assert markdown(("a",), [("x\r\ny",)]).splitlines()[2:] == ["| x\\r\\ny |"]


def test_damaged_headers_end_in_0_or_2(run, model_file, tmp_path, seed, short_cut):
    """Through the whole command: nothing but an answer or one line."""
    rng = np.random.default_rng(seed)
    ends = Counter()
    for _ in range(15):
        put(tmp_path, a=damaged(rng))
        status, out, err = run("simulate", model_file, "a.wav")
        assert status in (0, 2)
        assert err.count("\n") == (1 if status else 0), err
        assert bool(out) == (status == 0)
        ends[status] += 1
    assert ends[2]


# ---- files of features ---------------------------------------------------------------------------------------------


def save(path, array, **options) -> None:
    np.save(path, array, **options)


@pytest.fixture
def values(rng):
    return rng.uniform(-1, 1, (2, 4, 5))


def answers(run, model_file, *words) -> list:
    status, out, err = run("simulate", model_file, "--features", *words, "--json")
    assert (status, err) == (0, "")
    return [row["golden_answer"] for row in json.loads(out)["rows"]]


def test_layouts_of_arrays_make_no_difference(run, model_file, tmp_path, values, short_cut):
    model = load_model(tmp_path / model_file)
    codes = pulse_codes(values, 4)
    expected = [model.class_names[k] for k in model.network.run(codes).answers]
    arrays = {
        **{"f8": values, "f8 of the other order": values.astype(">f8"), "Fortran": np.asfortranarray(values)},
        **{"f4": values.astype("f4"), "long": values.astype(np.longdouble), "i1": codes.astype("i1")},
        **{"i8 of the other order": codes.astype(">i8"), "Fortran codes": np.asfortranarray(codes.astype("i2"))},
    }
    for name, array in arrays.items():
        np.save(tmp_path / "x.npy", array)
        assert answers(run, model_file, "x.npy") == expected, name
    np.savez_compressed(tmp_path / "x.npz", codes=codes, labels=np.array([0, -1]))
    assert answers(run, model_file, "x.npz") == expected
    np.save(tmp_path / "x.npy", np.abs(codes).astype("u1"))
    assert len(answers(run, model_file, "x.npy")) == 2


def test_saturated_values_are_counted(run, model_file, tmp_path, values, short_cut):
    values[0, 1, 2], values[1, 3, 4], values[1, 3, 0] = 1.5, -3.25, 1.0
    np.save(tmp_path / "x.npy", values)
    status, out, err = run("simulate", model_file, "--features", "x.npy", "--json")
    assert (status, json.loads(out)["saturated"]) == (0, 2)
    assert err == (
        "crossramp: saturated: x.npy: 2 of 40 values lie beyond ±1.0 and saturate at ±7; "
        "the first is 1.5 at [0, 1, 2], the largest ±3.25\n"
    )
    assert "2 (values beyond ±1.0)" in run("simulate", model_file, "--features", "x.npy")[1]


def test_codes_saved_as_floats_are_refused(run, model_file, tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.integers(-7, 8, (2, 4, 5)).astype("f4"))
    refused = run("simulate", model_file, "--features", "x.npy")
    assert is_refusal(refused, "x.npy: holds floats that are all whole numbers, up to ±7", "x.astype(numpy.int16)")


def test_the_place_of_a_value_that_is_not_finite(run, model_file, tmp_path, values):
    for wrong in (np.nan, -np.inf):
        values[1, 2, 3] = wrong
        np.save(tmp_path / "x.npy", values)
        assert is_refusal(
            run("simulate", model_file, "--features", "x.npy"), f"x.npy: features hold {wrong} at [1, 2, 3]"
        )
    values = values.astype(np.longdouble)
    values[1, 2, 3] = np.longdouble("1e400")  # beyond a double
    np.save(tmp_path / "x.npy", values)
    assert is_refusal(run("simulate", model_file, "--features", "x.npy"), "inf at [1, 2, 3]")


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


MALFORMED = {
    "huge": (header("(1000000000, 100000, 5)"), "holds 0 bytes of data, its shape (1000000000, 100000, 5) needs"),
    "too many bytes to count": (header(f"({10**30},)"), "needs"),
    "negative": (header("(-1, 4, 5)") + bytes(160), "shape (-1, 4, 5)"),
    "cut": (header("(1, 4, 5)") + bytes(100), "holds 100 bytes of data"),
    "no axis": (header("()") + bytes(8), "has the shape ()"),
    "objects": (header("(1, 4, 5)", "'|O'") + bytes(160), "no .npy file of numbers"),
    "nested": (header("(" * 90), "no .npy file of numbers"),
    "records": (header("(1, 4, 5)", "[('a', '<f8')]") + bytes(160), "expected real features (floats)"),
    "booleans": (header("(1, 4, 5)", "'|b1'") + bytes(20), "holds bool"),
    "times": (header("(1, 4, 5)", "'<M8[s]'") + bytes(160), "holds datetime64[s]"),
    "beyond int64": (header("(1, 4, 5)", "'<u8'") + b"\xff" * 160, "allowed: -7 to 7"),
    "version 9": (b"\x93NUMPY\x09\0" + bytes(100), "no .npy file of numbers"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_arrays(run, model_file, tmp_path, content, message):
    (tmp_path / "x.npy").write_bytes(content)
    assert is_refusal(run("simulate", model_file, "--features", "x.npy"), "x.npy: ", message)


def test_malformed_archives(run, model_file, tmp_path, seed):
    rng = np.random.default_rng(seed)
    good = io.BytesIO()
    np.savez_compressed(good, codes=np.zeros((2, 3, 5), "i1"), labels=np.zeros(2, int))
    for _ in range(20):
        content = bytearray(good.getvalue())
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        (tmp_path / "x.npz").write_bytes(content)
        status, _, err = run("evaluate", model_file, "x.npz")
        assert status in (0, 2)
        assert err.count("\n") == (1 if status else 0), err
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("codes.npy", header("(1000000000, 100000, 5)", "'|i1'"))
        archive.writestr("labels.npy", header("(1000000000,)", "'|i1'"))
    assert is_refusal(run("evaluate", model_file, "x.npz"), "expected a .npz file with two arrays")


def test_evaluate_takes_codes_with_labels(run, model_file, deaf_file, tmp_path, rng):
    codes, labels = rng.integers(-7, 8, (5, 3, 5)), np.array([0, 1, 2, -1, 0])
    np.savez(tmp_path / "x.npz", codes=codes, labels=labels)
    for file in (model_file, deaf_file):
        status, out, err = run("evaluate", file, "x.npz", "--json")
        content = json.loads(out)
        given = load_model(file).network.run(codes).answers
        assert (status, content["recordings"], content["left_out"]) == (0, 4, 1)
        assert content["ideal"]["correct"] == int((given == labels).sum())
        assert err == "crossramp: left out: x.npz[3]: has no label; give it the number of its class\n"
    np.savez(tmp_path / "x.npz", codes=codes, labels=np.full(5, -1))
    assert is_refusal(run("evaluate", model_file, "x.npz"), "no recording has a label")
    np.save(tmp_path / "x.npy", codes)
    assert is_refusal(run("evaluate", model_file, "x.npy"), "holds no labels", ".npz")
    np.savez(tmp_path / "x.npz", codes=codes, labels=labels)
    assert is_refusal(run("evaluate", model_file, "x.npz", "--speakers", "1/2"), "--speakers 1/2 belongs to folders")


def test_features_of_recordings_are_what_is_heard(run, model_file, tmp_path, rng, short_cut):
    """One and the same through a file of features."""
    samples = rng.integers(-9000, 9000, 1000)
    put(tmp_path / "audio", yes__a=wav(samples))
    model = load_model(tmp_path / model_file)
    np.save(tmp_path / "x.npy", features(samples[None], model.feature_settings))
    status, out, _ = run("simulate", model_file, "audio", "--json")
    assert status == 0
    assert [json.loads(out)["rows"][0]["golden_answer"]] == answers(run, model_file, "x.npy")
