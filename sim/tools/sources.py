# SPDX-License-Identifier: Apache-2.0
"""Where the SystemVerilog, Verilog and C++ sources of the simulation models are."""

from pathlib import Path

_SIM = Path(__file__).parents[1]


def source(name: str) -> Path:
    """The file of this name, in whichever room of ``sim`` it lies.

    Parameters
    ----------
    name : str
        A file's name such as ``"crossbar.sv"``; ``cells/ice40.v`` names the models of an FPGA family's cells.

    Raises
    ------
    FileNotFoundError
        If no room of ``sim`` has it.
    """
    found = sorted(_SIM.glob(f"*/{name}"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} files are called {name} below {_SIM}")
    return found[0]
