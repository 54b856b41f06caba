# SPDX-License-Identifier: Apache-2.0
"""``evaluate`` of a network of several layers: ideal, on chips, and in front of its hardware."""

import json

from crossramp.golden.network.model_file import Model, save_model

from tests.cli.conftest import CLASSES, FEATURES
from tests.support.layered import HEARING, layered_network_of


def test_evaluated(run, recordings):
    weights = layered_network_of(HEARING, 1).weights
    save_model("deep.npz", Model(HEARING, weights, CLASSES, FEATURES.to_dict()))
    chips = ("--technology", "rram", "--chips", 2, "--calibration", "nominal", "--jobs", 1)
    hardware = ("--rtl", "--rtl-chips", 1, "--simulator", "icarus")
    status, out, _ = run("evaluate", "deep.npz", recordings, *chips, *hardware, "--json")
    content = json.loads(out)
    assert status == 0
    ideal, chip = content["hardware"]
    assert (ideal["mismatches"], chip["mismatches"]) == (0, 0)
    assert ideal["accuracy"] == content["ideal"]["accuracy"]
    # What the fast path measured of the chip is what its hardware does.
    assert chip["accuracy"] == content["chips"][0]["values"][0]["accuracy"]
