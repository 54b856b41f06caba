# SPDX-License-Identifier: Apache-2.0
"""Results of sweeps: kept, counted once, and trusted only where they are whole."""

import csv
import json
import shutil
from pathlib import Path

import crossramp.golden
import pytest
from crossramp.golden.common.content_hash import json_hash
from crossramp.sim.montecarlo import store
from crossramp.sim.montecarlo.plan import parse_plan

from tests.support.sweeps import PLAN, problem_of


def opened(folder: Path, text: str = PLAN, **options) -> store.Store:
    plan = parse_plan(text, "plan.toml", Path())
    return store.Store(folder, plan, problem_of(text), "code", **options)


TASK = {"point": 0, "first": 0, "count": 2}
ROWS = [{"point": 0, "instance": k, "seed": 5 + k, "flips": 0.25} for k in range(2)]


def test_results_stay_and_are_counted_once(tmp_path):
    with opened(tmp_path / "a") as held:
        assert not held.done(TASK)
        held.add(TASK, ROWS)
        assert held.done(TASK)
    with opened(tmp_path / "a") as held:
        assert held.done(TASK)
        # Computed again, and cut otherwise: still one row an instance.
        held.add(TASK, ROWS)
        held.add({"point": 0, "first": 1, "count": 1}, ROWS[1:])
        assert held.rows(10) == ROWS
        assert held.rows(1) == ROWS[:1]
        # Not all of these are there, and none of those.
        assert not held.done(TASK | {"count": 3})
        assert not held.done(TASK | {"point": 1})
    with opened(tmp_path / "a") as held:
        assert held.rows(10) == ROWS
        assert held.damaged == []


def damage(file: Path, how: str) -> None:
    data = file.read_bytes()
    if how == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "changed":
        file.write_bytes(data.replace(b"0.25", b"0.75"))
    elif how in ("a row less", "another instance"):  # whole, by its hash
        content = json.loads(data)
        del content["hash"]
        if how == "a row less":
            content["rows"].pop()
        else:
            content["rows"][1]["instance"] = 2
        content["hash"] = json_hash(content, 32)
        file.write_text(json.dumps(content))
    elif how == "no object":
        file.write_bytes(b"[1, 2]")
    else:  # whole, but of another sweep
        content = json.loads(data)
        del content["hash"]
        content["sweep"] = "0" * 16
        content["hash"] = json_hash(content, 32)
        file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "how", ["cut short", "empty", "changed", "no object", "another sweep", "a row less", "another instance"]
)
def test_a_damaged_or_foreign_part_is_told_and_computed_again(how, tmp_path):
    with opened(tmp_path) as held:
        held.add(TASK, ROWS)
        (file,) = held.parts.glob("*.json")
    damage(file, how)
    with opened(tmp_path) as held:
        assert not held.done(TASK)
        assert len(held.damaged) == 1
        ((name, why),) = held.damaged
        assert name == file.name
        assert why in ("is cut short or damaged", "was changed", "belongs to another sweep")
        held.add(TASK, ROWS)
    with opened(tmp_path) as held:
        assert held.damaged == []
        assert held.rows(5) == ROWS


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[::-1], [*ROWS, ROWS[1]], [{**ROWS[0], "point": 1}, ROWS[1]]])
def test_rows_that_are_not_those_of_the_task_are_refused(rows, tmp_path):
    with opened(tmp_path) as held:
        with pytest.raises(store.StoreError, match=f"point 0, instances 0 to 1, came back as {len(rows)} rows"):
            held.add(TASK, rows)
        assert not held.done(TASK)
        assert list(held.parts.iterdir()) == []


def test_what_was_half_written_is_swept_away(tmp_path):
    with opened(tmp_path) as held:
        (held.parts / ".000000-00000000-2.json.99.unfinished").write_bytes(b"{")
    with opened(tmp_path) as held:
        assert list(held.parts.iterdir()) == []


def test_folders_that_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(store.StoreError, match=r"do not belong to a sweep \(thesis.tex\)"), opened(tmp_path / "mine"):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(store.StoreError, match="is a file"), opened(tmp_path / "file"):
        pass
    with opened(tmp_path / "a") as held:
        held.add(TASK, ROWS)
        with pytest.raises(store.StoreError, match="another sweep is writing here"), opened(tmp_path / "a"):
            pass
    other = PLAN.replace("0.05", "0.06")
    with pytest.raises(store.StoreError, match=r"with another plan; .*--restart"), opened(tmp_path / "a", other):
        pass
    with opened(tmp_path / "a", other, restart=True) as held:
        assert held.rows(5) == []
    (tmp_path / "a" / "sweep.json").write_text("{")
    with pytest.raises(store.StoreError, match="is damaged"), opened(tmp_path / "a", other):
        pass


@pytest.mark.parametrize("parquet", [True, False])
def test_results_as_a_table(parquet, tmp_path):
    columns = ["point", "instance", "flips"]
    with opened(tmp_path) as held:
        held.write_results(ROWS, columns, not parquet)
        path = held.write_results(ROWS, columns, parquet)
        assert [file.name for file in tmp_path.glob("results.*")] == [path.name]
    if parquet:
        from pyarrow.parquet import read_table

        found = read_table(path).to_pylist()
    else:
        with open(path, newline="") as file:
            found = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert found == [{name: row[name] for name in columns} for row in ROWS]


def test_the_code_s_version_follows_every_byte_that_decides_results(tmp_path):
    """Each file of the golden model, and the two of the sweep; not those that only draw or store."""
    golden, here = tmp_path / "golden", tmp_path / "sweep"
    sources = Path(crossramp.golden.__file__).parent, Path(store.__file__).parent
    for source, copy in zip(sources, (golden, here), strict=True):
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.toml"))
    version = store._version(golden, here)
    assert version == store.code_version()
    files = sorted(golden.rglob("*.py"))
    assert len(files) > 40
    assert any(file.parent.name == "analog" for file in files)
    seen = {version}
    for file in [*files, here / "tasks.py", here / "problem.py"]:
        content = file.read_bytes()
        # As many bytes as before: an edited number.
        file.write_bytes(content[:-1] + b" " if content else b"#")
        changed = store._version(golden, here)
        assert changed not in seen, file
        seen.add(changed)
        file.write_bytes(content)
    assert store._version(golden, here) == version
    (here / "store.py").write_text("")
    assert store._version(golden, here) == version
    (golden / "new.py").write_text("")
    assert store._version(golden, here) != version
