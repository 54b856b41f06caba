# SPDX-License-Identifier: Apache-2.0
"""Runs tests of a copied tree in a process that was forked from one with the libraries loaded; keeps how each ended.

Starting Python and importing torch and Amaranth takes most of the time of a short test, hence the fork.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

__all__ = ["LIBRARIES", "Observer", "end_all", "outcomes_of"]

LIBRARIES = ["pytest", "hypothesis", "numpy", "torch", "amaranth.sim", "amaranth.back.verilog", "matplotlib"]
"""What nearly every test imports; missing ones are left to the tests."""

_OUTCOMES, _OUTPUT = ".outcomes.json", ".output.txt"


class Observer:
    """A pytest plugin that keeps the outcome of each test.

    ``outcomes``: from a test's identifier to ``"passed"``, ``"failed"`` (by an assertion or pytest.fail),
    ``"skipped"``, or ``"error: ..."`` for everything else that ended the test, its setup or its collection.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.failed:
            asserted = call.when == "call" and _asserted(call.excinfo.value)
            line = f"error: {call.excinfo.typename}: {call.excinfo.value}".splitlines()[0]
            self.outcomes[item.nodeid] = "failed" if asserted else line
        elif report.skipped or call.when == "call":
            self.outcomes.setdefault(item.nodeid, report.outcome)
        return report

    def pytest_collectreport(self, report):
        if report.failed:
            self.outcomes[report.nodeid] = f"error: not collected: {str(report.longrepr).strip().splitlines()[-1]}"


def _asserted(error: BaseException) -> bool:
    """Whether a test ended by one of its comparisons; hypothesis reports several different failures as a group."""
    if isinstance(error, BaseExceptionGroup):
        return any(_asserted(one) for one in error.exceptions)
    return isinstance(error, AssertionError | pytest.fail.Exception)


def outcomes_of(
    tests: Iterable[str],
    folder: Path,
    paths: Iterable[Path],
    limit_seconds: float,
    libraries: list[str] = LIBRARIES,
) -> tuple[dict[str, str], str]:
    """Runs tests of the tree in ``folder`` with ``paths`` before everything else that Python imports from.

    ``libraries`` are loaded once, by the first call of a process.

    Returns
    -------
    (outcomes, output)
        See :class:`Observer`; what pytest printed. A run that takes more than the limit is killed, and gives neither.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(libraries)
    for name in (_OUTCOMES, _OUTPUT):
        (folder / name).unlink(missing_ok=True)
    process = context.Process(target=_run, args=(list(tests), str(folder), [str(path) for path in paths]))
    process.start()
    process.join(limit_seconds)
    if process.is_alive():
        _end(process)
        process.join()
    found, output = folder / _OUTCOMES, folder / _OUTPUT
    return (
        json.loads(found.read_text(encoding="utf-8")) if found.exists() else {},
        output.read_text(encoding="utf-8", errors="replace") if output.exists() else "",
    )


def end_all() -> None:
    """Ends all runs of this process; their :func:`outcomes_of` then return what they have."""
    for process in multiprocessing.active_children():
        _end(process)


def _end(process: multiprocessing.Process) -> None:
    # It leads a group of its own: simulators that a test started end too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # in case it was not a leader yet


def _run(tests: list[str], folder: str, paths: list[str]) -> None:
    """In the forked process: run pytest, write the outcomes."""
    os.setsid()
    os.chdir(folder)
    output = os.open(_OUTPUT, os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Nothing of the tree that the runner itself came from may be taken for the copy's.
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "crossramp")]:
        del sys.modules[name]
    sys.path[:] = [*paths, *(path for path in sys.path if not (Path(path or ".") / "tests" / "mutation").is_dir())]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    observer = Observer()
    options = ["-q", "-p", "no:cacheprovider", "-m", "", "--rootdir", folder, "-c", f"{folder}/pyproject.toml"]
    pytest.main([*options, *tests], plugins=[observer])
    Path(folder, _OUTCOMES).write_text(json.dumps(observer.outcomes), encoding="utf-8")
