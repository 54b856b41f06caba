# SPDX-License-Identifier: Apache-2.0
"""docs/tutorial-verilog.md is run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(tmp_path):
    """Runs shell commands where ``crossramp`` and ``python`` are those of this environment."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(text: str) -> str:
        done = subprocess.run(["sh", "-eu", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    return run


def test_the_tutorial_runs(shell, tmp_path):
    text = (ROOT / "docs" / "tutorial-verilog.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    outputs = []
    for language, block in blocks:
        if language == "sh":
            outputs.append(shell(block))
        else:
            name = re.match(r"(?:#|//) (\S+)\n", block)[1]
            (tmp_path / name).write_text(block)
    info, made, simulated, generated, checked, compiled = outputs
    assert "12 classes" in info
    answers = re.search(r"^answers \[([\d ]+)\]$", made, re.MULTILINE)[1].split()
    assert len(answers) == 20
    assert set(answers) == {"0", "1", "2"}  # the shown run gives each answer
    assert re.search(r"^mismatches +0$", simulated, re.MULTILINE)
    assert "module turns, 20 columns" in generated
    assert re.search(r"^PASS: ", checked, re.MULTILINE)
    assert "error" not in compiled
    assert "ports" not in compiled.lower().replace("turns.v", ""), compiled
