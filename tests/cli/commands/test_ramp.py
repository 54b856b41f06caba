# SPDX-License-Identifier: Apache-2.0
"""``crossramp ramp``: table, JSON, CSV, picture, a model's ramp, and what it refuses."""

import argparse
import csv
import json

import numpy as np
import pytest
from crossramp.cli.commands import ramp
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model, save_model
from crossramp.golden.spec.specification import Specification

from tests.support.strategies import network_of


def run(*arguments) -> int:
    parser = argparse.ArgumentParser()
    ramp.add_parser(parser.add_subparsers())
    args = parser.parse_args(["ramp", *map(str, arguments)])
    return args.run(args)


@pytest.fixture
def model(tmp_path):
    spec = Specification(inputs=3, units=2, classes=2, adc_bits=4)
    network = network_of(spec, 0)
    save_model(tmp_path / "m.npz", Model(spec, network.weights, ("a", "b")))
    return tmp_path / "m.npz"


def test_table(capsys):
    assert run("sigmoid", "--bits", 5) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sigmoid, 5 bits, 1 MAC unit = 0.00888889 of pre-activation, 1 LSB = 0.03125"
    assert len([line for line in lines if line[:4].strip().isdigit()]) == 31
    assert "G_max/G_min 5.86" in "\n".join(lines)


def test_json_and_csv_agree(capsys, tmp_path):
    assert run("tanh", "--bits", 8, "--scale", 0.01, "--json", "--csv", tmp_path / "r.csv") == 0
    content = json.loads(capsys.readouterr().out)
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == content["ticks"] == 255
    assert [float(row["conductance_siemens"]) for row in rows] == content["conductance_siemens"]
    assert rows[-1]["dnl_lsb"] == ""


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_picture(tmp_path, suffix):
    assert run("softplus[0,1]", "--bits", 3, "--plot", tmp_path / f"r.{suffix}") == 0
    data = (tmp_path / f"r.{suffix}").read_bytes()
    assert data.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    assert len(data) > 10_000


def test_ramp_of_a_model(capsys, model):
    assert run("--model", model, "--gate", "g", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["activation"], content["bits"], content["mac_max"]) == ("tanh", 4, 6 * 225)
    assert np.isclose(content["scale"], 225 / 112 / 225)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], UserError, "which ramp[?] give an activation"),
        (["swish"], ValueError, "unknown activation 'swish'; known: "),
        (["tanh", "--bits", "10"], ValueError, "bits is 10; a ramp has 2 to 9"),
        (["tanh", "--scale", "-1"], ValueError, "scale is -1.0; one MAC unit"),
        (["tanh", "--gate", "g"], UserError, "--gate g is a gate of a model; add --model MODEL"),
        (["tanh", "--model", "kws"], UserError, "activation tanh and --model kws exclude each other; leave one out"),
        (["--bits", "5", "--model", "kws"], UserError, "bits 5 and --model kws exclude each other"),
        (["--model", "kws"], UserError, "which ramp of kws[?] add --gate i, --gate f, --gate g or --gate o"),
        (["--model", "none.npz", "--gate", "i"], ValueError, "'none.npz' is neither a file nor a shipped model"),
        (["tanh", "--plot", "ramp.xyz"], UserError, "ramp.xyz: no picture ends in '.xyz'; use .png, .svg or .pdf"),
        (["tanh", "--csv", "no/r.csv"], UserError, "no/r.csv: cannot be written .No such file or directory."),
        (["tanh", "--plot", "no/r.png"], UserError, "no/r.png: cannot be written .No such file or directory."),
    ],
)
def test_refused(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run(*arguments)
