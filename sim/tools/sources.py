# SPDX-License-Identifier: Apache-2.0
"""The SystemVerilog, Verilog and C++ sources of the simulation models, and the lists that tables put into them."""

import re
from collections.abc import Mapping
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


def completed(name: str, lists: Mapping[str, str]) -> str:
    """The text of a source, each of its lines ```include "LIST"`` replaced by that list.

    A written source thus stands alone: a user compiles it without an include path, and reads its ports in it.

    Parameters
    ----------
    name : str
        As :func:`source` takes it.
    lists : mapping
        Name of a list to its text: whole lines.

    Raises
    ------
    KeyError
        For a list that is not given.
    """
    text = source(name).read_text()
    return re.sub(r'^`include "(.*)"\n', lambda match: lists[match[1]], text, flags=re.MULTILINE)
