# SPDX-License-Identifier: Apache-2.0
"""The GitHub workflow: its jobs run every test once, and call what exists."""

import re
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def covered(workflow: dict) -> Counter:
    """How many jobs run each test file."""
    counts = Counter()
    for entry in workflow["jobs"]["test"]["strategy"]["matrix"]["include"]:
        for pattern in entry["tests"].split():
            for path in ROOT.glob(pattern):
                counts.update(path.rglob("test_*.py") if path.is_dir() else [path])
    return counts


def test_the_jobs_run_every_test_once():
    tests = set((ROOT / "tests").rglob("test_*.py"))
    assert len(tests) > 50
    assert covered(WORKFLOW) == Counter(tests)


def test_a_folder_that_no_job_runs_is_seen():
    entries = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["include"]
    less = {"jobs": {"test": {"strategy": {"matrix": {"include": entries[1:]}}}}}
    assert covered(less) != covered(WORKFLOW)


def test_there_is_a_job_for_each_part():
    entries = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["include"]
    names = [*WORKFLOW["jobs"], *(entry["name"] for entry in entries)]
    assert {"lint", "golden", "convert", "rtl", "sim", "boards", "train", "cli", "docs"} <= set(names)
    assert len(names) == len(set(names))


def test_the_jobs_call_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    called = [re.match(r"make (\w+)", step["run"])[1] for step in steps if step.get("run", "").startswith("make ")]
    assert sorted(called) == ["docs", "test"]
    for target in called:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_lint_has_the_version_of_the_package():
    """Formatting differs between releases of ruff."""
    wanted = re.search(r'^lint = \["([^"]+)"\]', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    runs = [step.get("run", "") for step in WORKFLOW["jobs"]["lint"]["steps"]]
    assert f"pip install '{wanted}'" in runs
