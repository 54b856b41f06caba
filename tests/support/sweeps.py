# SPDX-License-Identifier: Apache-2.0
"""Small sweeps for the tests: a plan, its problem, and all its rows."""

from pathlib import Path

import numpy as np
from crossramp.sim.montecarlo import tasks
from crossramp.sim.montecarlo.plan import parse_plan
from crossramp.sim.montecarlo.problem import Problem

from tests.cli.conftest import small_model
from tests.support.strategies import inputs_of

PLAN = """
data = "random:6"
chips = 3
seed = 5
metrics = ["flips", "code_error", "inl"]

[axes]
"cell.read_noise" = [0.0, 0.05]
adc_bits = [3, 4]
calibration = ["nominal", "found"]
"""

#: 30 tasks of some hundredths of a second.
_VALUES = [0.001 * k for k in range(30)]
MANY = PLAN.replace("[0.0, 0.05]", str(_VALUES)).replace("[3, 4]", "[4]").replace('["nominal", "found"]', '["nominal"]')
MANY += '[plot]\nmetric = "flips"\n'

#: The command, which stops for good once ``stop_after`` tasks are kept, and says so.
STOPPING = """
import sys
from crossramp.cli.main import main
from crossramp.sim.montecarlo.store import Store

add, kept = Store.add, []

def stopping(self, task, rows):
    add(self, task, rows)
    kept.append(task)
    if len(kept) == {stop_after}:
        print("stopped", flush=True)
        sys.stdin.read()

Store.add = stopping
sys.exit(main())
"""


def problem_of(text: str, labels: bool = False, **changes) -> Problem:
    model = small_model(**changes)
    x = inputs_of(model.spec, 1, batch=6, steps=4)
    known = np.arange(6) % 3 if labels else np.full(6, -1)
    return Problem.of(parse_plan(text, "plan.toml", Path()), model, x, known)


def all_rows(problem: Problem, instances: int) -> list[dict]:
    found = [row for task in tasks.make_tasks(problem, instances) for row in tasks.run_task(problem, task)]
    return sorted(found, key=lambda row: (row["point"], row["instance"]))
