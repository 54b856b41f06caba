# SPDX-License-Identifier: Apache-2.0
"""The lists of planted faults fit the tree, and the runner of ``make mutation`` tells noticed from everything else."""

import re
from pathlib import Path

import pytest

from tests.mutation.faultlist import ROOT, Fault, FaultListError, load_faults
from tests.mutation.observe import _asserted, outcomes_of
from tests.mutation.run import verdict

FAULTS = load_faults()
FAULT = Fault("x-1", "golden/array/ramps.py", "a", "b", ("t.py::one", "t.py::two"), "why")


@pytest.mark.parametrize("name", sorted({fault.name.rpartition("-")[0] for fault in FAULTS}))
def test_every_entry_fits_the_tree(name):
    """An entry whose text moved or whose test was renamed would test nothing."""
    problems = [f"{f.name}: {line}" for f in FAULTS if f.name.rpartition("-")[0] == name for line in f.problems()]
    assert problems == []


def test_entries_are_many_and_differ():
    assert len(FAULTS) > 5
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "nowhere.py"}, "nowhere.py does not exist"),
        ({"old": "no such text"}, "occurs 0 times"),
        ({"old": "import"}, r"occurs \d+ times"),
        ({"old": "from __future__ import annotations", "new": "from from"}, "not valid Python"),
        ({"old": "from __future__ import annotations", "new": "from __future__ import annotations"}, "are equal"),
        ({"tests": ("tests/nowhere.py::test_x",)}, "tests/nowhere.py does not exist"),
        ({"tests": ("tests/mutation/test_mutation.py::test_nothing",)}, "has no test 'test_nothing'"),
    ],
)
def test_an_entry_that_does_not_fit_is_told(change, message):
    entry = {"file": "tests/mutation/run.py", "old": "from __future__ import annotations", "new": "", "tests": ()}
    problems = Fault("x-1", **(entry | change), why="").problems()
    assert any(re.search(message, problem) for problem in problems), problems


@pytest.mark.parametrize(
    "text",
    [
        "fault = 3 3",
        "[[other]]\nx = 1",
        '[[fault]]\nfile = "a"\nold = "a"\nnew = "b"\ntests = ["t.py::x"]',
        '[[fault]]\nfile = "a"\nold = "a"\nnew = "b"\ntests = []\nwhy = "c"',
        '[[fault]]\nfile = "a"\nold = "a"\nnew = "b"\ntests = ["t.py"]\nwhy = "c"',
    ],
)
def test_malformed_lists_are_refused(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(FaultListError, match=re.escape(str(tmp_path / "a.toml"))):
        load_faults(tmp_path)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({"t.py::one": "failed", "t.py::two": "passed"}, "noticed"),
        ({"t.py::one[a]": "passed", "t.py::one[b]": "passed", "t.py::two": "failed"}, "noticed"),
        ({"t.py::one": "passed", "t.py::two": "passed"}, "survived"),
        ({"t.py::one": "passed", "t.py::two": "error: ValueError: 1"}, "no assertion failed; t.py::two: error: V"),
        ({"t.py": "error: not collected: ImportError"}, "no assertion failed; t.py: error: not collected"),
        ({"t.py::one": "passed"}, "t.py::two did not run"),
        ({"t.py::one": "passed", "t.py::two": "skipped"}, "t.py::two did not run"),
        ({}, "t.py::one did not run"),
    ],
)
def test_only_a_failed_assertion_counts(outcomes, expected):
    assert verdict(FAULT, outcomes).startswith(expected)


def test_what_counts_as_an_assertion():
    assert _asserted(AssertionError())
    assert _asserted(pytest.fail.Exception())
    assert _asserted(ExceptionGroup("hypothesis", [ValueError(), AssertionError()]))
    assert not _asserted(ValueError())
    assert not _asserted(ExceptionGroup("hypothesis", [ValueError()]))


def test_observer_tells_failures_from_errors(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_wrong(): assert 1 == 2\n"
        "def test_not_raised():\n    with pytest.raises(ValueError): pass\n"
        "def test_crash(): raise KeyError('a')\n"
        "def test_skipped(): pytest.skip()\n"
        "@pytest.fixture\ndef broken(): assert 0\n"
        "def test_setup(broken): pass\n"
    )
    (tmp_path / "test_b.py").write_text("import nothing_of_this_name\n")
    outcomes, output = outcomes_of(["test_a.py"], tmp_path, [tmp_path], 3600, ["pytest"])
    assert "3 failed, 1 passed, 1 skipped" in output
    assert outcomes == {
        "test_a.py::test_good": "passed",
        "test_a.py::test_wrong": "failed",
        "test_a.py::test_not_raised": "failed",
        "test_a.py::test_crash": "error: KeyError: 'a'",
        "test_a.py::test_skipped": "skipped",
        "test_a.py::test_setup": "error: AssertionError: assert 0",
    }
    outcomes, _ = outcomes_of(["test_a.py", "test_b.py"], tmp_path, [tmp_path], 3600, ["pytest"])
    assert outcomes["test_b.py"].startswith("error: not collected: ")


def test_a_run_without_end_is_killed(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "test_a.py").write_text("def test_endless():\n    while True: pass\n")
    assert outcomes_of(["test_a.py"], tmp_path, [tmp_path], 1.0, ["pytest"])[0] == {}


def test_faults_are_planted_in_a_copy_alone(tmp_path):
    """One fault from its list to the verdict, by the runner itself; the working tree stays as it is."""
    from tests.mutation.run import Copy

    fault = next(fault for fault in FAULTS if fault.file == "train/run/schedule.py")
    before = (ROOT / fault.file).read_bytes()
    copy = Copy(tmp_path / "tree")
    with copy.planted(fault):
        assert fault.new in (tmp_path / "tree" / fault.file).read_text()
        outcomes, output = copy.run(["tests/mutation/test_mutation.py::test_imported_from"])
        assert outcomes == {"tests/mutation/test_mutation.py::test_imported_from": "passed"}, output
    assert (tmp_path / "tree" / fault.file).read_bytes() == before == (ROOT / fault.file).read_bytes()


def test_imported_from():
    """The sources that are tested are those beside the tests, in the working tree and in a copy alike."""
    import crossramp.golden.analog.chip.sampling as sampling
    import crossramp.rtl.macro.update as update

    import crossramp

    for module, place in ((sampling, "golden/analog/chip"), (update, "rtl/macro"), (crossramp, "crossramp")):
        assert Path(module.__file__).resolve().parent == ROOT / place
