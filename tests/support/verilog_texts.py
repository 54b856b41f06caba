# SPDX-License-Identifier: Apache-2.0
"""The generated Verilog of a fixed set of designs, for any Python that has numpy and Amaranth.

    python -m tests.support.verilog_texts FOLDER [MODEL]...

writes one file for each design of :data:`DESIGNS`, and for the network of each shipped MODEL named.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from crossramp.boards.flow.board_core import core_verilog
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.link.board_memory import Build
from crossramp.golden.network.model_file import load_model
from crossramp.rtl.layers.layered_top import LayeredTop
from crossramp.rtl.network.network_top import NetworkTop
from crossramp.rtl.verilog.verilog_writer import to_verilog

from tests.support.designs import SPECS, network_of
from tests.support.layered import HEAD_IN_ARRAY, SUMMED, TWO_WAYS, layered_network_of


def _network(name: str, calibrated: bool = False, **options) -> str:
    plan = CalibrationPlan.of(SPECS[name], 2.0, 1) if calibrated else None
    return to_verilog(NetworkTop.of(network_of(name, 1), plan), "top", **options)


#: Name to a function that gives the text; together they have every component of rtl/.
DESIGNS: dict[str, Callable[[], str]] = {
    "odd-calibrated": lambda: _network("odd", calibrated=True, async_reset=True),
    "projected": lambda: _network("projected"),
    "layered": lambda: to_verilog(LayeredTop.of(layered_network_of(TWO_WAYS, 1)), "top"),
    "starting": lambda: _network("gru"),
    "layered head": lambda: to_verilog(LayeredTop.of(layered_network_of(HEAD_IN_ARRAY, 1)), "top"),
    "summed": lambda: to_verilog(LayeredTop.of(layered_network_of(SUMMED, 1)), "top"),
    "board": lambda: core_verilog(Build("tiny", SPECS["odd"], 2, 12_000_000)),
}


def model_text(name: str) -> str:
    """The network of a shipped model."""
    return to_verilog(NetworkTop.of(load_model(name).network), "top")


def main(folder: str, *models: str):
    """Write the texts."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, make in DESIGNS.items():
        (place / f"{name}.v").write_text(make())
    for name in models:
        (place / f"{name}.v").write_text(model_text(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
