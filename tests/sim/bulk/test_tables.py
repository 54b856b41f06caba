# SPDX-License-Identifier: Apache-2.0
"""A wire or a field that is added to its table appears everywhere: nothing else names all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.run import lay_out

ROOT = Path(__file__).parents[3]

WIRE = '    BoundaryWire("word_select", "connects row r to its driver", "rows", group="pulses"),\n'
FIELD = '((Field("spare", lambda s: s.adc_bits, "codes of a spare bank", "codes"),) if update else ()) + '

#: What a changed tree makes: texts by where they are.
TEXTS = """
import json, sys
from pathlib import Path
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog
from crossramp.sim.array.python_array import Pins
from crossramp.sim.bulk.bulk_bench import bench_sources
from crossramp.sim.bulk import bench_verilog
from crossramp.sim.bulk.vector_doc import vectors_text
from crossramp.sim.cocotb.waves import GROUPS

spec = Specification(inputs=2, units=3, classes=2, lanes=2)
ports = port_table(Macro(spec))
texts = {
    "generated Verilog": to_verilog(Macro(spec), "macro"),
    "port table": " ".join(f"{port.name}: {port.meaning}" for port in ports),
    **bench_sources(spec),
    **bench_sources(spec, errs=True),
    "wrapper": bench_verilog.wrapper(spec, "macro", ports),
    "vectors": vectors_text(spec, head=False),
    "waves": " ".join(name for names in GROUPS.values() for name in names),
    "Python pins": repr(Pins()),
}
print(json.dumps(texts))
"""

#: The self-checking testbench of a changed tree, and the command that runs it.
SELFCHECK = """
import sys
from pathlib import Path
import numpy as np
from crossramp.golden.network.network import Network
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification
from crossramp.sim.bulk.bulk_bench import network_verilog
from crossramp.sim.bulk.selfcheck import commands, write_selfcheck

folder = Path(sys.argv[1])
spec = Specification(inputs=2, units=3, classes=2, lanes=2)
rng = np.random.default_rng(1)
draw = lambda limit, *shape: rng.integers(-limit, limit, shape, endpoint=True)
weights = Weights(
    draw(spec.weight_max, spec.rows, spec.columns),
    draw(spec.head_weight_max, spec.classes, spec.units),
    draw(spec.head_bias_max, spec.classes),
)
network = Network(spec, weights)
verilog, ports = network_verilog(network, "net")
(folder / "net.v").write_text(verilog)
x = draw(spec.input_max, 1, 2, spec.inputs)
write_selfcheck(folder / "testbench", network, x, module="net", ports=ports, verilog="../net.v")
print(commands("../net.v")["Icarus Verilog"])
"""


def run(place: Path, file: str, before: str, added: str, script: str, *arguments: str) -> str:
    """What ``script`` prints where ``added`` stands before the one place in ``file`` that reads ``before``."""
    text = (ROOT / file).read_text()
    assert text.count(before) == 1
    lay_out(ROOT, place)
    package = place / "crossramp" / file.partition("/")[0]
    package.unlink()
    _copy(ROOT / package.name, package, ROOT / file, text.replace(before, added + before))
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _copy(source: Path, target: Path, changed: Path, text: str):
    """``source`` in links, but for the file ``changed`` and the folders above it."""
    target.mkdir()
    for child in source.iterdir():
        if child == changed:
            (target / child.name).write_text(text)
        elif child in changed.parents:
            _copy(child, target / child.name, changed, text)
        elif child.name != "__pycache__":
            (target / child.name).symlink_to(child)


@pytest.mark.parametrize(
    ("file", "before", "added", "name", "nowhere"),
    [
        ("golden/spec/boundary_wires.py", '    BoundaryWire(\n        "comparators"', WIRE, "word_select", {"vectors"}),
        (
            "golden/macro/step_groups.py",
            "_codes_read(cell, update)),",
            FIELD,
            "spare",
            {"crossbar.sv", "device_crossbar.sv", "protocol.sv", "Python pins"},
        ),
    ],
    ids=("wire", "field"),
)
def test_an_addition_to_a_table_appears_everywhere(file, before, added, name, nowhere, tmp_path):
    texts = json.loads(run(tmp_path / "site", file, before, added, TEXTS))
    assert {place for place, text in texts.items() if name not in text} == nowhere


def test_a_bench_with_one_more_wire_passes(tmp_path):
    command = run(
        *(tmp_path / "site", "golden/spec/boundary_wires.py", '    BoundaryWire(\n        "comparators"', WIRE),
        *(SELFCHECK, str(tmp_path)),
    )
    done = subprocess.run(
        command.replace("\n", " && ", 1), shell=True, cwd=tmp_path / "testbench", capture_output=True, text=True
    )
    assert done.stdout.startswith("PASS: 1 utterances"), done.stdout + done.stderr
    assert "word_select" in (tmp_path / "net.v").read_text()
