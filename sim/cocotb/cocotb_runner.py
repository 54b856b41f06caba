# SPDX-License-Identifier: Apache-2.0
"""Runs cocotb benches: builds a design once for each simulator, runs it many times, with waves on request."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import cocotb_tools
from cocotb_tools import config
from cocotb_tools.runner import get_runner
from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue

from ..tools.build_cache import build_once
from ..tools.builds import check_vvp, flatten, write_sources
from ..tools.simulators import environment, find_simulator, run_tool, tool_identities
from ..tools.verilator import check_model, flags_of, make_model
from .waves import write_gtkwave

#: What cocotb's own runner tells Verilator. That runner does not build here: it compiles Verilator's runtime anew, and
#: takes no path with a space. And not optimized: Python takes most of a cocotb run, and the compiler most of a build.
_VERILATOR = (
    *("--cc", "--exe", "--vpi", "--public-flat-rw", "--prefix", "Vtop", "--timescale", "1ns/1ps"),
    "-Wno-fatal",  # the sources may be anybody's
)

#: The file that cocotb's runner starts in Icarus.
_VVP = "sim.vvp"

#: Icarus: writes waves to the file that a run names.
_DUMP = """\
module dump;
  string path;
  initial if ($value$plusargs("dumpfile_path=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, {top});
  end
endmodule
"""


class CocotbError(CrossrampError, AssertionError):
    """A cocotb test failed, or none ran; the message has the end of the log."""

    exit_status = ExitStatus.FAILED


@dataclass(frozen=True)
class CocotbBuild:
    """A design that is built for one simulator; made by :func:`build_cocotb`.

    Parameters
    ----------
    simulator : str
    top : str
    folder : Path
    waves : bool
        Whether runs can dump.
    """

    simulator: str
    top: str
    folder: Path
    waves: bool

    def run(
        self,
        test_module: str | Sequence[str],
        *,
        results: Path | str,
        seed: int = 1,
        testcase: str | Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        plusargs: Sequence[str] = (),
        waves: Path | str | None = None,
    ) -> int:
        """Run the cocotb tests of one or more modules; the number of tests that ran and passed.

        Parameters
        ----------
        test_module : str or sequence of str
            Importable names.
        results : path
            Folder for the log and the results, made if missing; its name names the run.
        seed : int
            ``cocotb.RANDOM_SEED`` of the tests.
        testcase : str, sequence of str or None
            Only these tests.
        env : mapping or None
            Environment variables for the tests.
        plusargs : sequence of str
        waves : path or None
            Folder for one wave file and one GTKWave save file, named like the run. Needs a build with ``waves``.

        Raises
        ------
        CocotbError
            If a test failed, or none ran.
        """
        results = Path(results).resolve()
        results.mkdir(parents=True, exist_ok=True)
        log = results / "log.txt"
        xml = results / "results.xml"
        plusargs = list(plusargs)
        if waves is not None and not self.waves:
            raise InvalidValue("this design was built without waves; build it with waves=True")
        dump = None
        if waves is not None:
            Path(waves).mkdir(parents=True, exist_ok=True)
            dump = Path(waves).resolve() / f"{results.name}.{'fst' if self.simulator == 'icarus' else 'vcd'}"
            plusargs += [f"+dumpfile_path={dump}"] if self.simulator == "icarus" else []
        with _tools_on_path():
            runner = get_runner(self.simulator)
            # Under pytest the runner exits where a test failed: the results say which.
            with suppress(SystemExit):
                runner.test(
                    test_module=test_module,
                    hdl_toplevel=self.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.folder,
                    test_dir=results,
                    results_xml=str(xml),
                    seed=seed,
                    testcase=testcase,
                    extra_env=dict(env or {}),
                    plusargs=plusargs,
                    waves=waves is not None,
                    log_file=log,
                )
        if dump is not None:
            if self.simulator == "verilator" and (results / "dump.vcd").exists():
                (results / "dump.vcd").replace(dump)
            write_gtkwave(dump, self.top, sorted(self.folder.glob("*v")))
        return _passed(xml, log)


def build_cocotb(
    simulator: str,
    sources: Mapping[str, str],
    top: str,
    *,
    waves: bool = False,
    folder: Path | str | None = None,
) -> CocotbBuild:
    """Build Verilog sources for cocotb, unless an equal build exists.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    sources : mapping
        File name to text.
    top : str
        Module.
    waves : bool
        Runs can dump waves; such a build is slower.
    folder : path or None
        See :func:`.build_cache.cache_folder`.

    Raises
    ------
    SimulatorMissing
        Naming what to install.
    SimulationError
        If the build fails.
    """
    programs = find_simulator(simulator)
    # A Verilator model is linked to cocotb's libraries, by their path.
    tools = [version("cocotb"), str(cocotb_tools.__file__), *tool_identities(programs)]
    if simulator == "verilator":
        main = config.share_dir / "lib" / "verilator" / "verilator.cpp"
        sources = {"main.cpp": main.read_text(), **sources}
        arguments = [*_VERILATOR, "--top-module", top, *(["--trace"] if waves else []), *sources]
        options = flags_of(optimize=False)
    else:
        dump = {"dump.v": _DUMP.format(top=top)} if waves else {}
        arguments = ["-g2012", "-f", "commands.f", "-s", top, *(["-s", "dump"] if waves else []), *sources, *dump]
        sources = {**sources, **dump, "commands.f": "+timescale+1ns/1ps\n"}
        options = []

    def make(place: Path):
        write_sources(place, sources)
        if simulator == "icarus":
            run_tool([programs["iverilog"], "-o", _VVP, *arguments], place, "building the bench")
            return
        libraries = str(config.libs_dir)
        link = [f"-L{libraries}", "-Xlinker", "-rpath", "-Xlinker", libraries, "-lcocotbvpi_verilator"]
        make_model(place, programs, arguments, top, optimize=False, link=link, folder=folder)

    def check(place: Path):
        if simulator == "icarus":
            check_vvp(place / _VVP)
        else:
            check_model(place / top)

    content = [simulator, *flatten(sources), *arguments, *options, *tools]
    return CocotbBuild(simulator, top, build_once(f"cocotb-{simulator}", content, make, folder, check), waves)


@contextmanager
def _tools_on_path() -> Iterator[None]:
    # cocotb's runner reads the process environment.
    with mock.patch.dict(os.environ, {"PATH": environment()["PATH"]}):
        yield


def _passed(xml: Path, log: Path) -> int:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "\n".join(lines[-40:])
    if not xml.exists():
        raise CocotbError(f"the simulation left no results:\n{tail}")
    cases = list(ElementTree.parse(xml).getroot().iter("testcase"))
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    if failed:
        raise CocotbError(f"failed: {', '.join(map(str, failed))}\n{tail}")
    if len(cases) == len(skipped):
        raise CocotbError(f"no test ran:\n{tail}")
    return len(cases) - len(skipped)
