# SPDX-License-Identifier: Apache-2.0
"""Plants each fault of the lists in a copy of the tree and requires that its tests notice: ``make mutation``.

First every named test runs without a fault and has to pass. Then each fault is planted alone, and one of its tests has
to fail by an assertion: an exception, a test that is not collected or an import that fails prove nothing. The working
tree is never edited. Exit status: 0 if all faults were noticed, 1 if one was not, 2 if a list is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import queue
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mutation.faultlist import ROOT, Fault, FaultListError, load_faults
from tests.mutation.observe import end_all, outcomes_of

# Environments, version control, caches, and what was built or generated; cli/demo_data and cli/commands/demo.py are
# sources.
_LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo")
# A fault may make a loop endless; this only ends such a run, and is far above what the slowest entry takes.
_LIMIT_SECONDS = 3600

Submit = Callable[[Iterable[str], Fault | None], "Future[tuple[dict[str, str], str]]"]
"""Runs tests with a fault, or without one, in a copy of the tree; see :func:`.observe.outcomes_of`."""


class Copy:
    """A copy of the tree whose tests import the copy's sources as ``crossramp``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        self._site = folder / ".site"
        lay_out(folder, self._site)

    def run(self, tests: Iterable[str]) -> tuple[dict[str, str], str]:
        """(outcome of each test that ran, the output of pytest); see :func:`.observe.outcomes_of`."""
        # An editable crossramp of the environment comes after these.
        return outcomes_of(tests, self.folder, (self._site, self.folder), _LIMIT_SECONDS)

    @contextlib.contextmanager
    def planted(self, fault: Fault):
        """The copy with ``fault`` in it."""
        path = self.folder / fault.file
        text = path.read_text(encoding="utf-8")
        try:
            self._write(path, fault.planted(text))
            yield
        finally:
            self._write(path, text)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Python compares whole seconds and the size alone: a fault of the same length would not be compiled.
        if path.suffix == ".py":
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                compiled.unlink()


def lay_out(tree: Path, site: Path) -> None:
    """The package ``crossramp`` in ``site``, as pyproject.toml puts it together from the tree's folders."""
    places = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-dir"]
    top = site / "crossramp"
    top.mkdir(parents=True)
    for child in (tree / places["crossramp"]).iterdir():
        (top / child.name).symlink_to(child)
    for package, place in places.items():
        if package.count(".") == 1:
            (top / package.partition(".")[2]).symlink_to(tree / place)


def verdict(fault: Fault, outcomes: dict[str, str]) -> str:
    """``"noticed"``, ``"survived"``, or the reason why the run proves nothing."""
    errors = [f"{test}: {outcome}" for test, outcome in outcomes.items() if outcome.startswith("error")]
    if "failed" in outcomes.values():
        return "noticed"
    if errors:
        return f"no assertion failed; {errors[0]}"
    missing = [test for test in fault.tests if not _ran(test, outcomes)]
    return f"{missing[0]} did not run" if missing else "survived"


def _ran(test: str, outcomes: dict[str, str]) -> bool:
    found = [outcome for name, outcome in outcomes.items() if name == test or name.startswith(f"{test}[")]
    return bool(found) and all(outcome in ("passed", "failed") for outcome in found)


def _unplanted(faults: list[Fault], outcomes: dict[str, str]) -> list[str]:
    """What is wrong with the tests themselves: those that do not run and pass without a fault."""
    wrong = [f"{test}: {outcome}" for test, outcome in outcomes.items() if outcome != "passed"]
    tests = dict.fromkeys(test for fault in faults for test in fault.tests)
    return wrong + [f"{test}: did not run" for test in tests if not _ran(test, outcomes)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="faults, lists or source files, such as train-3 or rtl/macro/update.py"
    )
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (default: cores)")
    parser.add_argument("-v", "--verbose", action="store_true", help="print pytest's output for faults not noticed")
    return parser.parse_args()


def _wanted(fault: Fault, names: list[str]) -> bool:
    return not names or any(name in (fault.name, fault.name.rpartition("-")[0], fault.file) for name in names)


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        faults = [fault for fault in load_faults() if _wanted(fault, arguments.names)]
    except FaultListError as error:
        print(error, file=sys.stderr)
        return 2
    wrong = [f"{fault.name}: {problem}" for fault in faults for problem in fault.problems()]
    if not faults:
        wrong = [f"{' '.join(arguments.names)}: neither a fault, a list nor a source file with faults"]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 2
    if importlib.util.find_spec("crossramp") is None:
        print("crossramp's requirements are not installed; type: make mutation", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="crossramp-mutation-") as folder:
        return _run(faults, Path(folder), max(1, min(arguments.jobs, len(faults))), arguments.verbose)


def _run(faults: list[Fault], folder: Path, jobs: int, verbose: bool) -> int:
    copies: queue.Queue[Copy] = queue.Queue()
    for number in range(jobs):
        copies.put(Copy(folder / f"tree-{number}"))

    def in_copy(tests: Iterable[str], fault: Fault | None) -> tuple[dict[str, str], str]:
        copy = copies.get()
        try:
            with copy.planted(fault) if fault else contextlib.nullcontext():
                return copy.run(tests)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return _judge(faults, lambda tests, fault: pool.submit(in_copy, tests, fault), jobs, verbose)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            print("interrupted", file=sys.stderr)
            return 130


def _judge(faults: list[Fault], submit: Submit, jobs: int, verbose: bool) -> int:
    tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))
    print(f"{len(tests)} tests without a fault ...", flush=True)
    parts = [submit(tests[part::jobs], None) for part in range(jobs) if tests[part::jobs]]
    outcomes = {test: outcome for part in parts for test, outcome in part.result()[0].items()}
    wrong = _unplanted(faults, outcomes)
    if wrong:
        print("These tests do not pass without a fault:\n  " + "\n  ".join(wrong))
        if verbose:
            print("\n".join(part.result()[1] for part in parts))
        return 1
    running = {submit(fault.tests, fault): fault for fault in faults}
    failures = 0
    for number, future in enumerate(as_completed(running), 1):
        fault, (outcomes, output) = running[future], future.result()
        found = verdict(fault, outcomes)
        print(f"{number}/{len(faults)} {fault.name} {fault.file}: {found}", flush=True)
        if found != "noticed":
            failures += 1
            print(f"    {fault.old!r} -> {fault.new!r}\n    {fault.why}\n    {' '.join(fault.tests)}")
            if verbose or not outcomes:
                print(output)
    print(f"{len(faults) - failures} of {len(faults)} planted faults were noticed.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
