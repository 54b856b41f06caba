# SPDX-License-Identifier: Apache-2.0
"""The model file: what goes in comes out, equal content makes equal bytes, and every corruption has its message."""

import dataclasses
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from crossramp.golden.inputs.features import FeatureSettings
from crossramp.golden.network import model_file
from crossramp.golden.network.model_file import Model, ModelFileError, load_model, model_path, save_model
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.strategies import inputs_of, network_of, seeds, specifications

SPEC = Specification(inputs=3, units=2, classes=3)
NAMES = ("yes", "no", "up & down")


def model_of(spec=SPEC, seed=0, **changes) -> Model:
    network = network_of(spec, seed)
    content = {
        "class_names": tuple(f"class {k}" for k in range(spec.classes)),
        "provenance": {"seed": seed, "loss": [0.5, 0.25], "by": "a tëst"},
    }
    return Model(spec, **{"weights": network.weights} | content | changes)


@settings(max_examples=40)
@given(specifications(initials=("zero", "constant")), seeds)
def test_what_goes_in_comes_out(tmp_path_factory, spec, seed):
    path = tmp_path_factory.getbasetemp() / "model.npz"
    model = model_of(spec, seed)
    save_model(path, model)
    again = load_model(path)
    assert (again.spec, again.class_names, again.provenance) == (spec, model.class_names, model.provenance)
    assert again.content_hash == model.content_hash
    x = inputs_of(spec, seed)
    np.testing.assert_array_equal(again.network.run(x).logits, network_of(spec, seed).run(x).logits)


def test_projections_are_in_the_file_where_there_are_any(tmp_path):
    spec = SPEC.replace(projection=1)
    model = model_of(spec)
    save_model(tmp_path / "m.npz", model)
    members = zipfile.ZipFile(tmp_path / "m.npz").namelist()
    assert members == ["model.npy", "weights.npy", "head_weights.npy", "head_biases.npy", "projection_weights.npy"]
    again = load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.weights.projection, model.weights.projection)
    other = dataclasses.replace(model, weights=model.weights.replace(projection=-model.weights.projection))
    assert other.content_hash != model.content_hash
    with pytest.raises(
        ValueError, match="projection_weights are missing: the specification has a digital projection to 1"
    ):
        dataclasses.replace(model, weights=model.weights.replace(projection=None))
    # What one file has and the other has not.
    save_model(tmp_path / "plain.npz", model_of())
    for source, change, message in (
        (
            "m.npz",
            lambda c: {n: d for n, d in c.items() if not n.startswith("proj")},
            "is missing, found .*",
        ),
        ("plain.npz", lambda c: c | {"projection_weights.npy": c["weights.npy"]}, "is not expected, or twice there"),
    ):
        with zipfile.ZipFile(tmp_path / source) as archive:
            content = change({name: archive.read(name) for name in archive.namelist()})
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        with pytest.raises(ModelFileError, match=f"projection_weights.npy {message}; make it again"):
            load_model(tmp_path / "bad.npz")


def test_features_come_out(tmp_path):
    settings_ = FeatureSettings(bands=3)
    save_model(tmp_path / "m.npz", model_of(features=settings_.to_dict()))
    assert load_model(tmp_path / "m.npz").feature_settings == settings_


def test_equal_content_makes_equal_bytes(tmp_path):
    save_model(tmp_path / "a.npz", model_of())
    save_model(tmp_path / "b.npz", load_model(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_numpy_reads_it_without_pickles(tmp_path):
    save_model(tmp_path / "m.npz", model_of())
    with np.load(tmp_path / "m.npz", allow_pickle=False) as content:
        assert content["weights"].dtype == np.int8
        assert json.loads(content["model"].tobytes())["classes"] == ["class 0", "class 1", "class 2"]


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        model_of().weights.macro[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": NAMES[:2]}, "there are 2 class names for 3 classes"),
        ({"class_names": ("a", "b", "a")}, "class name 'a' appears twice"),
        ({"class_names": ("a", "b", "")}, "class name '' is not printable text"),
        ({"class_names": ("a", "b", "c\n")}, r"class name 'c\\n' is not printable text"),
        ({"class_names": ("a", "b", 3)}, "class name 3 is not printable text"),
        ({"features": {"bands": 3}}, "feature setting 'sample_rate' is missing"),
        (
            {"features": FeatureSettings(bands=4).to_dict()},
            "the features have 4 values a step, but the network has 3 inputs",
        ),
        ({"features": [1]}, r"features is \[1\]; expected a dict of feature settings or null"),
        ({"provenance": {"loss": float("nan")}}, "{'loss': nan} cannot be written as JSON: "),
        ({"provenance": {"model": object()}}, "cannot be written as JSON: Object of type object"),
        ({"provenance": "me"}, "provenance is 'me'; expected a dict of JSON types"),
    ],
)
def test_models_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        model_of(**changes)


def test_more_steps_than_the_network_takes_are_refused():
    features = FeatureSettings(bands=3).to_dict()
    with pytest.raises(ValueError, match="the features make 49 steps; the network takes 1 to 48"):
        model_of(SPEC.replace(max_steps=48), features=features)


# ---- names ----------------------------------------------------------------------------------------------------------


def test_names_of_shipped_models(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "MODELS", tmp_path)
    for name in ("zebra", "kws"):
        save_model(tmp_path / f"{name}.npz", model_of())
    assert model_path("kws") == tmp_path / "kws.npz"
    assert load_model("kws").content_hash == model_of().content_hash
    with pytest.raises(ModelFileError, match=r"'kwz' is neither a file nor a shipped model; .* one of: kws, zebra$"):
        model_path("kwz")
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        model_path(tmp_path)


# ---- corruption -----------------------------------------------------------------------------------------------------


def members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, content: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def array_bytes(array) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def with_array(name, make):
    def change(content):
        return content | {f"{name}.npy": array_bytes(make(np.load(io.BytesIO(content[f"{name}.npy"]))))}

    return change


def with_text(make):
    """``make`` gets the JSON object and returns another, or text."""

    def change(content):
        text = make(json.loads(np.load(io.BytesIO(content["model.npy"])).tobytes()))
        text = text if isinstance(text, str) else json.dumps(text)
        return content | {"model.npy": array_bytes(np.frombuffer(text.encode(), np.uint8))}

    return change


class _Evil:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


CORRUPTIONS = {
    "member missing": (
        lambda c: {k: v for k, v in c.items() if k != "head_biases.npy"},
        "head_biases.npy is missing, found model.npy, weights.npy, head_weights.npy; make it again with save_model",
    ),
    "empty archive": (lambda c: {}, "model.npy is missing, found nothing"),
    "member unknown": (lambda c: c | {"extra.npy": b""}, "extra.npy is not expected, or twice there"),
    "float weights": (with_array("weights", lambda a: a.astype(float)), "weights has 296 bytes|weights holds float64"),
    "NaN": (with_array("head_biases", lambda a: a.astype("f4") * np.nan), "head_biases holds float32; expected int32"),
    "wider type": (with_array("weights", lambda a: a.astype("i2")), "weights holds int16; expected int8"),
    "wrong shape": (with_array("weights", lambda a: a.T), r"weights has the shape \(8, 6\); expected \(6, 8\)"),
    "one weight changed": (with_array("weights", lambda a: a ^ 1), "arrays_hash is '.*', but the arrays' is"),
    "object array": (
        with_array("head_biases", lambda a: np.array([_Evil()] * 3, object)),
        "head_biases holds object, which would have to be unpickled; expected int32",
    ),
    "pickle": (
        lambda c: c | {"weights.npy": pickle.dumps(_Evil())},
        "weights.npy has no header of an array",
    ),
    "too long": (lambda c: c | {"weights.npy": c["weights.npy"] + bytes(5000)}, "weights.npy has 5176 bytes; expected"),
    "data missing": (lambda c: c | {"weights.npy": c["weights.npy"][:-3]}, "weights has 45 bytes of data, its"),
    "no array": (lambda c: c | {"head_weights.npy": b"junk"}, "head_weights.npy has no header of an array"),
    "bad JSON": (with_text(lambda t: "{"), "model.npy holds no valid JSON"),
    "deep JSON": (with_text(lambda t: "[" * 100_000), "model.npy holds no valid JSON"),
    "NaN in JSON": (with_text(lambda t: '{"format": NaN}'), "model.npy holds no valid JSON .NaN is not a number"),
    "infinity in JSON": (with_text(lambda t: '{"format": 1e999}'), "holds no valid JSON .1e999 is not a number"),
    "no object": (with_text(lambda t: [1]), r"the format is \[1\]; expected 'crossramp-model'"),
    "other format": (with_text(lambda t: t | {"format": "x"}), "the format is 'x'; expected 'crossramp-model'"),
    "newer version": (with_text(lambda t: t | {"version": 2}), "the version is 2; known: 1; install a newer"),
    "key missing": (
        with_text(lambda t: {k: v for k, v in t.items() if k != "classes"}),
        "'classes' is missing in model.npy",
    ),
    "key unknown": (with_text(lambda t: t | {"colour": 1}), "'colour' in model.npy is unknown; known: format, version"),
    "specification out of range": (
        with_text(lambda t: t | {"specification": t["specification"] | {"adc_bits": 9}}),
        "adc_bits is 9; allowed: 2 to 8; correct it",
    ),
    "specification edited": (
        with_text(lambda t: t | {"specification": t["specification"] | {"latch": "first_trip"}}),
        "specification_hash is '.*', but the specification's is '.*': it was edited",
    ),
    "class name missing": (with_text(lambda t: t | {"classes": ["a"]}), "there are 1 class names for 3 classes"),
    "classes no list": (with_text(lambda t: t | {"classes": "abc"}), "classes is 'abc'; expected a list of names"),
    "features unknown": (with_text(lambda t: t | {"features": {"colour": 1}}), "feature setting 'colour' is unknown"),
    "provenance no dict": (with_text(lambda t: t | {"provenance": 3}), "provenance is 3; expected a dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_has_its_message(tmp_path, name):
    change, message = CORRUPTIONS[name]
    path = tmp_path / "m.npz"
    save_model(path, model_of())
    write(path, change(members(path)))
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_range_is_checked_though_the_hash_fits(tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    save_model(path, model_of())
    content = with_array("weights", lambda a: np.full_like(a, 16))(members(path))
    arrays = {name: np.load(io.BytesIO(content[f"{name}.npy"])) for name in ("weights", "head_weights", "head_biases")}
    write(path, with_text(lambda t: t | {"arrays_hash": model_file._arrays_hash(arrays)})(content))
    with pytest.raises(ModelFileError, match=r"weights\[0, 0\] is 16; allowed: -15 to 15; correct it"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_no_archive(tmp_path, content):
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"damaged, or no \.npz archive"):
        load_model(path)


def test_every_truncation_and_any_flipped_byte_is_refused_or_harmless(tmp_path, rng):
    path = tmp_path / "m.npz"
    save_model(path, model_of())
    whole, expected = path.read_bytes(), model_of().content_hash
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_model(path)
    for at in rng.integers(0, len(whole), 300):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            assert load_model(path).content_hash == expected  # a time stamp, for instance
        except ModelFileError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_failed_saves_leave_the_old_file(tmp_path):
    with pytest.raises(ModelFileError, match=r"cannot be written \(No such file or directory\); choose another path"):
        save_model(tmp_path / "no" / "m.npz", model_of())
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(ModelFileError, match="cannot be written"):
        save_model(folder, model_of())
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npz"]


def test_other_compression_is_refused(tmp_path):
    path = tmp_path / "packed.npz"
    content = members(model_path("kws"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(ModelFileError, match="is compressed by method 14"):
        load_model(path)
