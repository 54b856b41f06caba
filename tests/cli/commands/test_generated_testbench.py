# SPDX-License-Identifier: Apache-2.0
"""``generate``: the testbench and its vectors, which run without Python, pass, and can fail."""

import math
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from crossramp.cli.commands import generate as command
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.network.model_file import load_model
from crossramp.sim.tools.simulators import environment

from tests.cli.conftest import small_model


@pytest.mark.parametrize("top", ["network", "macro"])
def test_the_vectors_are_as_documented(top, model_file, tmp_path):
    """Read by what RUN.md says of them, the files are the golden traces of their x."""
    model = load_model(model_file)
    command.generate(model, tmp_path / "out", command.GenerateOptions("tiny", top=top))
    bench = tmp_path / "out" / "testbench"
    text = (bench / "RUN.md").read_text()
    tables = {}
    for file, lines, bits, fields in re.findall(r"^\| `(\w+)\.hex` \| (.*?) \| (\d+) \| (.*) \|$", text, re.MULTILINE):
        layout = re.findall(r"(\w+) (?:(\d+) x )?(\d+)( signed)?", fields)
        assert sum(int(count or 1) * int(width) for _, count, width, _ in layout) == int(bits)
        words = [int(line, 16) for line in (bench / "vectors" / f"{file}.hex").read_text().split()]
        found = {name: [] for name, *_ in layout}
        for word in words:
            for name, count, width, signed in layout:
                for _ in range(int(count or 1)):
                    value, word = word % (1 << int(width)), word >> int(width)
                    found[name].append(value - (1 << int(width)) if signed and value >> (int(width) - 1) else value)
        tables[file] = lines, found
    assert ("logits" in tables) == (top == "network")
    spec, lengths = model.spec, [4, 1, 3]
    assert "of 4, 1, 3 steps" in text
    x = np.array(tables["x"][1]["code"]).reshape(-1, spec.inputs)
    last = np.array(tables["x"][1]["x_last"]).reshape(x.shape)
    assert (last == np.array([[0], [0], [0], [1], [1], [0], [0], [1]])).all()
    begin = 0
    for number, length in enumerate(lengths):
        golden = model.network.run(x[None, begin : begin + length])
        codes = golden.codes[0]
        for file, name, want in (
            *(("gates", gate, spec.of_bank(codes, gate)) for gate in "ifg"),
            ("state", "c", golden.c[0]),
            ("state", "q", golden.state_pulses[0]),
            ("output", "o", spec.of_bank(codes, "o")),
            ("output", "t", golden.state_codes[0]),
            ("h", "codes", golden.h[0]),
        ):
            lines, found = tables[file]
            assert lines == f"{spec.beats} a step"
            steps = np.array(found[name]).reshape(8, -1)
            np.testing.assert_array_equal(steps[begin : begin + length, : spec.units], want, err_msg=name)
            assert not steps[:, spec.units :].any()
        if top == "network":
            assert tables["logits"][0] == f"{spec.classes} an utterance"
            logits = np.array(tables["logits"][1]["value"]).reshape(3, -1)
            np.testing.assert_array_equal(logits[number], golden.logits[0])
            assert tables["answers"][1]["index"][number] == golden.answers[0]
        begin += length
    arrays = text.split("`vectors/array/`")[1]
    shapes = dict(re.findall(r"^\| `(\w+)\.hex` \| (\d.*?) \|$", arrays, re.MULTILINE))
    for name, shape in shapes.items():
        words = (bench / "vectors" / "array" / f"{name}.hex").read_text().split()
        assert len(words) == math.prod(int(size) for size in re.findall(r"\d+", shape)) or words == ["00000000"]
    weights = [int(w, 16) for w in (bench / "vectors" / "array" / "weights.hex").read_text().split()]
    signed = np.array([w - (1 << 32) if w >> 31 else w for w in weights]).reshape(spec.rows, spec.columns)
    np.testing.assert_array_equal(signed, model.weights.macro)
    assert len(shapes) == 5


# ---- the testbench -------------------------------------------------------------------------------------------------


def commands_of(folder: Path, tool: str) -> list[list[str]]:
    """The commands in the folder's README, as a reader would type them."""
    block = re.search(rf"With {tool}[^\n]*\n\n```sh\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def run_testbench(folder: Path, tool: str) -> tuple[int, str]:
    """The exit status and output of the last command; the ones before must work. No Python package is on its path."""
    env = environment() | {"MAKEFLAGS": "OPT_FAST=-O0 OPT_GLOBAL=-O0"}  # the compiler takes most of the time
    for line in commands_of(folder, tool):
        done = subprocess.run(line, cwd=folder / "testbench", env=env, capture_output=True, text=True)
        output = done.stdout + done.stderr
        if done.returncode != 0:
            break
    return done.returncode, output


VARIANTS = {
    "network": {},
    "macro": {"top": "macro"},
    "asynchronous": {"async_reset": True},
    "calibrator": {"plan": CalibrationPlan(small_model().spec)},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_testbench_passes_in_icarus(tmp_path, model_file, options):
    command.generate(load_model(model_file), tmp_path / "out", command.GenerateOptions("tiny", **options))
    status, output = run_testbench(tmp_path / "out", "Icarus")
    assert status == 0, output
    assert re.search(r"^PASS: 3 utterances, [1-9]\d* records", output, re.MULTILINE)


def test_testbench_passes_in_verilator(generated, tmp_path):
    shutil.copytree(generated, tmp_path / "out")
    status, output = run_testbench(tmp_path / "out", "Verilator")
    assert status == 0, output
    assert re.search(r"^PASS: 3 utterances, [1-9]\d* records", output, re.MULTILINE)
    place = tmp_path / "out" / "testbench"
    vectors = place / "vectors" / "h.hex"
    vectors.write_text("0\n" + vectors.read_text().partition("\n")[2])
    run = commands_of(tmp_path / "out", "Verilator")[-1]
    done = subprocess.run(run, cwd=place, env=environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert "FAIL" in done.stdout + done.stderr


def test_testbench_fails_with_a_fault(generated, tmp_path):
    shutil.copytree(generated, tmp_path / "out")
    verilog = tmp_path / "out" / "tiny.v"
    pin = ".array__comparators(array_comparators"
    assert verilog.read_text().count(pin) == 1
    verilog.write_text(verilog.read_text().replace(pin, f"{pin} | 12'd1"))
    status, output = run_testbench(tmp_path / "out", "Icarus")
    assert status != 0
    assert re.search(r"^FAIL", output, re.MULTILINE)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_verilator_warns_of_nothing(tmp_path, model_file, options):
    """Neither of the hardware, nor of it with its testbench; the commands in the texts have every warning on."""
    command.generate(load_model(model_file), tmp_path / "out", command.GenerateOptions("tiny", **options))
    (build, _) = commands_of(tmp_path / "out", "Verilator")
    assert build[:4] == ["verilator", "--binary", "--timing", "-Wall"]
    assert not any(word.startswith("-Wno") for word in build)
    sources = [word for word in build if word.endswith((".v", ".sv"))]
    for folder, arguments in (
        (".", ["tiny.v"]),
        ("testbench", ["--timing", "--top-module", "crossramp_bench", *sources]),
    ):
        done = subprocess.run(
            ["verilator", "--lint-only", "-Wall", "--quiet", *arguments],
            cwd=tmp_path / "out" / folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
