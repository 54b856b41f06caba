# SPDX-License-Identifier: Apache-2.0
"""Tables of cells as people and programs write them: read, completed, or refused by name."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from crossramp.golden.analog.cells.conductance_tables import load_conductances
from crossramp.golden.analog.cells.targets import gains, targets
from crossramp.golden.analog.chip.given_cells import ConductanceError
from crossramp.golden.analog.chip.sampling import sample
from crossramp.golden.analog.technologies.technology import load

from tests.golden.analog.cells.test_targets import NONE, SPEC, model_of, refusal, rows_of, tables


def test_a_spreadsheet_may_have_been_at_work(tmp_path):
    """Comment lines filled with commas, quoted, behind a byte-order mark, with empty lines."""
    tech, model = load("rram"), model_of(SPEC)
    cells, _ = tables(tmp_path, model, tech)
    lines = cells.read_text(encoding="utf-8").splitlines()
    changed = [f'"{line}",,,,,,,' if line.startswith("#") else line for line in lines]
    cells.write_text("\ufeff" + "\r\n".join([*changed, "", ",,,,,,,"]), encoding="utf-8")
    assert load_conductances(cells, SPEC, tech, model.weights.macro).positive is not None
    assert "technology rram (9 to 88.19 µS), not for pcm" in refusal(cells, SPEC, load("pcm"), model.weights.macro)


def test_columns_with_empty_entries_may_have_become_floats(tmp_path):
    """As pandas writes them: row 3.0, because the state cells' row is empty."""
    tech, model = load("rram"), model_of(SPEC)
    for path in tables(tmp_path, model, tech):
        rows = rows_of(path)
        for row in rows:
            row.update({name: f"{row[name]}.0" for name in ("row", "tick", "part", "tap") if row.get(name)})
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        found = load_conductances(path, SPEC, tech, model.weights.macro)
        said = gains(found, tech, SPEC, model.weights.macro)
        assert np.allclose(list(said.values()), 1, rtol=0, atol=1e-6)


# ---- damaged tables --------------------------------------------------------------------------------------------------


def test_reference_cells_are_one_a_row(tmp_path):
    tech, model = load("rram").replace({"pair": "single-ended"}), model_of(SPEC)
    head = "row,row_use,column,conductance_pos_microsiemens,conductance_neg_microsiemens\n"

    def read(text, technology=tech):
        (tmp_path / "c.csv").write_text(head + text)
        return load_conductances(tmp_path / "c.csv", SPEC, technology, model.weights.macro)

    found = read("1,x1,0,30,\n1,x1,reference,,40\n2,x2,0,30,41\n2,x2,1,31,41\n")
    assert found.negative[1:3, 0] == pytest.approx([40e-6, 41e-6])
    assert np.isnan(found.negative[3:]).all()
    for text, message in {
        "2,x2,0,30,41\n2,x2,1,31,42\n": "line 3: conductance_neg_microsiemens is 42, and 41 on an earlier line; row 2",
        "1,x1,reference,,40\n1,x1,reference,,40\n": "line 3: the cells of row 1, column reference appear twice",
        "1,x1,reference,40,\n": "line 2: conductance_neg_microsiemens is ''; expected a number",
        "1,x1,reference,40,40\n": "conductance_pos_microsiemens is '40'; a reference cell is subtracted",
        "1,x1,0,,\n": "line 2: conductance_pos_microsiemens is ''; expected a number, or leave the line out",
        "1,x1,0,-3,\n": "positive[1, 0] is -3e-06 S; allowed: 0 to",
    }.items():
        with pytest.raises(ConductanceError) as caught:
            read(text)
        assert message in str(caught.value)
    with pytest.raises(ConductanceError, match="column is 'reference', but the cells of technology rram are differ"):
        read("1,x1,reference,,40\n", load("rram"))


def test_half_a_pair_may_be_given(tmp_path):
    (tmp_path / "c.csv").write_text(
        "row,row_use,column,conductance_pos_siemens,conductance_neg_siemens\n1,x1,0,,3e-5\n2,x2,0,4e-5,\n"
    )
    found = load_conductances(tmp_path / "c.csv", SPEC, load("rram"), model_of(SPEC).weights.macro)
    assert np.argwhere(~np.isnan(found.positive)).tolist() == [[2, 0]]
    assert np.argwhere(~np.isnan(found.negative)).tolist() == [[1, 0]]


PAIRED = "ramp,tick,cell,part,conductance_pos_siemens,conductance_neg_siemens\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0,1,start,,1e-5,1e-6\n", "has start cell 1 of ramp 0, but not the one before it; give all, from 0 on"),
        ("0,2,calibration,1,1e-5,0\n", "has part 1 of calibration cell 2 of ramp 0, but not the one before it"),
        ("0,2,calibration,0,1e-5,0\n" * 2, "line 3: cell calibration 2 of ramp 0 appears twice"),
        ("0,1,tap,1,1e-5,0\n", "line 2: part is '1'; allowed: 0 to 0"),
        ("0,0,tap,,1e-5,0\n", "line 2: tick is '0'; allowed: 1 to 7"),
        ("0,1,tap,,,1e-5\n", "line 2: conductance_pos_siemens is ''; expected a number"),
        ("0,1,tap,,1e-5,nan\n", "line 2: conductance_neg_siemens is 'nan'; expected a number"),
        ("0,1,tap,,-1e-5,0\n", "ramp[0, 0] is -1e-05 S; allowed: 0 to"),
        ("0,1.5,tap,,1e-5,0\n", "line 2: tick is '1.5'; allowed: 1 to 7"),
        ("0,²,tap,,1e-5,0\n", "line 2: tick is '²'; allowed: 1 to 7"),
        (f"0,{'9' * 5000},start,,1e-5,0\n", "line 2: tick is '99999999999999999999'; allowed: 0 to 65535"),
    ],
)
def test_wrong_ramp_tables_are_refused(tmp_path, content, message):
    (tmp_path / "r.csv").write_text(PAIRED + content)
    assert message in refusal(tmp_path / "r.csv", SPEC, load("rram"), model_of(SPEC).weights.macro)


def test_an_external_ramp_has_no_taps(tmp_path):
    tech, model = load("rram").replace({"ramp": "external"}), model_of(SPEC)
    (tmp_path / "r.csv").write_text(PAIRED + "0,1,tap,,1e-5,0\n")
    assert "ramp holds cells of a ramp; the ramp of technology rram is external, so leave them out" in refusal(
        tmp_path / "r.csv", SPEC, tech, model.weights.macro
    )


def test_ramps_may_come_from_several_files(tmp_path):
    """Starts of different lengths, parallel cells, pairs beside single cells."""
    tech, model = load("rram"), model_of(SPEC)
    (tmp_path / "a.csv").write_text(PAIRED + "0,0,start,,3e-5,1e-5\n0,1,start,,4e-5,1e-5\n0,3,calibration,0,2e-5,0\n")
    (tmp_path / "b.csv").write_text(
        "ramp,tick,cell,part,conductance_siemens\n1,0,start,,5e-5\n1,3,calibration,0,2e-5\n1,3,calibration,1,3e-5\n"
    )
    for files in (["a.csv", "b.csv"], ["b.csv", "a.csv"]):
        found = load_conductances([tmp_path / name for name in files], SPEC, tech, model.weights.macro)
        assert found.ramp_start.tolist() == [[3e-5, 4e-5], [5e-5, 0]]
        assert found.ramp_start_negative.tolist() == [[1e-5, 1e-5], [0, 0]]
        chip = sample(tech, SPEC, model.weights.macro, 1, switches=NONE, conductances=found)
        assert (chip.ramp_start - chip.ramp_start_negative).sum(axis=1) == pytest.approx([5e-5, 5e-5])
        assert chip.calibration[:, 3] == pytest.approx([2e-5, 5e-5])
        assert chip.calibration_negative[1, 3] == 0
    (tmp_path / "c.csv").write_text(PAIRED + "1,3,calibration,0,2e-5,0\n")
    with pytest.raises(ConductanceError, match=r"c\.csv: gives cells of calibration that .*b\.csv gives too"):
        load_conductances([tmp_path / name for name in ("b.csv", "a.csv", "c.csv")], SPEC, tech, model.weights.macro)


def test_archives_may_hold_sums_of_parallel_cells(tmp_path):
    """A bit of several cells is more than four times a cell: no wrong unit."""
    tech, model = load("rram").replace({"ramp.calibration_range": 60.0}), model_of(SPEC)
    chip = sample(tech, SPEC, model.weights.macro, 1, switches=NONE)
    assert chip.calibration.max() > 4 * tech["cell.g_max"]
    cells = {name: getattr(chip, name) for name in ("calibration", "calibration_negative")}
    np.savez(tmp_path / "g.npz", unit="S", **cells)
    found = load_conductances(tmp_path / "g.npz", SPEC, tech, model.weights.macro)
    assert np.array_equal(
        sample(tech, SPEC, model.weights.macro, 2, conductances=found, switches=NONE).calibration, cells["calibration"]
    )
    np.savez(tmp_path / "g.npz", unit="S", **{name: 100 * values for name, values in cells.items()})
    assert "is its unit right?" in refusal(tmp_path / "g.npz", SPEC, tech, model.weights.macro)
    apart = replace(targets(tech, SPEC, model.weights.macro), source="apart")
    np.savez(
        tmp_path / "g.npz", unit="S", calibration=apart.calibration, calibration_negative=apart.calibration_negative
    )
    found = load_conductances(tmp_path / "g.npz", SPEC, tech, model.weights.macro)
    assert np.array_equal(found.calibration, apart.calibration)
