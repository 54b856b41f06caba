# SPDX-License-Identifier: Apache-2.0
"""A user's array in Verilog: its ports and parameters, compared with the boundary's wires."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.wording import suggestion
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification

from ...array.boundary_verilog import sizes
from ..engine.solver import Prover

#: Ports beside the boundary's wires: the clock, and a reset that need not exist.
CLOCK, RESET = "clk", "rst"


@dataclass(frozen=True)
class ArrayModule:
    """A module that stands behind the boundary of one specification.

    Attributes
    ----------
    top : str
        Its name.
    sources : dict
        File name to text, of all files.
    parameters : dict
        The sizes of the boundary that it takes as parameters, such as ROWS or STATE_LINES, with their values.
    ports : frozenset of str
        The wires of the boundary that it has, of which it may lack those that the specification leaves empty; ``clk``,
        and perhaps ``rst``.
    """

    top: str
    sources: dict[str, str]
    parameters: dict[str, int]
    ports: frozenset[str]


def array_module(spec: Specification, sources: Sequence[tuple[str, str]], top: str, prover: Prover) -> ArrayModule:
    """The module ``top`` of the sources, with every port checked.

    Its ports are the boundary's wires by their names in docs/boundary.md, without the prefix ``array_``, and ``clk``;
    ``rst`` may be there. Parameters that are called as a size of the boundary get that size's value.

    Parameters
    ----------
    sources : sequence of (name, text)
        Verilog or SystemVerilog, as yosys reads it.

    Raises
    ------
    InvalidValue
        If yosys cannot read the sources, the module does not exist, or a port is missing, unknown, too wide or too
        narrow, or of the other direction; the message names it.
    """
    texts = dict(sources)
    if len(texts) != len(sources):
        raise InvalidValue(f"two sources are called {sources[-1][0]}; give each file a name of its own")
    modules = _yosys(texts, "proc", prover)
    if top not in modules:
        raise InvalidValue(f"no module is called {top!r} in {', '.join(texts)}; {suggestion(top, modules)}")
    defaults = modules[top].get("parameter_default_values", {})
    parameters = {name: value for name, value in sizes(spec).items() if name in defaults}
    settings = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    made = _yosys(texts, f"hierarchy -check -top {top} {settings}; proc", prover)
    tops = [module for module in made.values() if int(module["attributes"].get("top", "0"), 2)]
    ports = {name: (port["direction"], len(port["bits"])) for name, port in tops[0]["ports"].items()}
    _check(top, ports, spec)
    return ArrayModule(top, texts, parameters, frozenset(ports))


def _check(top: str, ports: Mapping[str, tuple[str, int]], spec: Specification) -> None:
    expected = {wire.name: ("input" if wire.to_array else "output", wire.width(spec)) for wire in BOUNDARY}
    expected[CLOCK] = ("input", 1)
    for name, (direction, width) in ports.items():
        if name == RESET and (direction, width) == ("input", 1):
            continue
        if name not in expected:
            raise InvalidValue(f"module {top} has the port {name!r}; {suggestion(name, [*expected, RESET])}")
        if direction != expected[name][0]:
            raise InvalidValue(f"module {top}: {name} is an {direction}; make it an {expected[name][0]}")
        if width != max(expected[name][1], 1):
            raise InvalidValue(f"module {top}: {name} has {width} bits; the specification has {expected[name][1]}")
    for name, (direction, width) in expected.items():
        if name not in ports and (direction, name) != ("input", "calibration") and width:
            raise InvalidValue(f"module {top} lacks the {direction} {name} ({width} bits); add it")


def _yosys(sources: Mapping[str, str], commands: str, prover: Prover) -> dict:
    """The modules of yosys's JSON netlist after ``commands``; InvalidValue for what it cannot read."""
    with tempfile.TemporaryDirectory(prefix="crossramp-array-") as folder:
        for name, text in sources.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        reads = [f"read_verilog -sv -formal -DFORMAL {name}" for name in sources]
        script = "; ".join([*reads, commands, "write_json modules.json"])
        done = subprocess.run(
            [prover.yosys, "-q", "-p", script],
            cwd=folder,
            env={**os.environ, "PATH": prover.path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            told = re.findall(r"ERROR: (.*)", done.stderr + done.stdout) or ["yosys gave no reason"]
            raise InvalidValue(f"yosys cannot read the array: {told[0]}; mend it, or keep to what yosys supports")
        return json.loads((Path(folder) / "modules.json").read_text())["modules"]
