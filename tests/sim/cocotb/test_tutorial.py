# SPDX-License-Identifier: Apache-2.0
"""docs/tutorial-cocotb.md is run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial-cocotb.md"


def test_the_tutorial_runs(tmp_path):
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == [
        "design.py",
        "bench_macro.py",
        "own_array.py",
        "bench_own_array.py",
        "test_macro.py",
    ]
    # The page shows that `clock` is enough: the array of its example is short, and has no other method.
    own = dict(blocks)["own_array.py"]
    assert re.findall(r"^    def (\w+)", own, re.MULTILINE) == ["clock"]
    assert len(own.split("class OwnArray:")[1].strip().splitlines()) <= 15
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COCOTB_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_macro.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "2 passed" in done.stdout
    for run, suffix in (("icarus", "fst"), ("verilator", "vcd")):
        dump = tmp_path / "build" / "waves" / f"{run}.{suffix}"
        assert dump.stat().st_size > 1000
        saved = dump.with_suffix(".gtkw").read_text()
        assert f'[dumpfile] "{dump}"' in saved
        groups = re.findall(r"^-(.*)$", saved, re.MULTILINE)
        assert groups[:5] == ["clock and reset", "x stream", "phase", "pulses", "ramp"]
        assert re.search(r"macro\.array_row_pos", saved)
