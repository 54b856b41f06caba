# SPDX-License-Identifier: Apache-2.0
"""MODEL or SPEC.toml: what commands take that need no weights (:func:`.options.add_subject`)."""

from pathlib import Path

import crossramp.boards
from crossramp.golden.network.model_file import Model, load_model
from crossramp.golden.spec.spec_file import load_spec
from crossramp.golden.spec.specification import Specification

#: The shipped specifications.
SPECIFICATIONS = Path(crossramp.boards.__file__).parent / "specs"


def read_subject(name: str) -> tuple[Model | None, Specification]:
    """A model, or a specification alone: a file, or a shipped one of this name."""
    if Path(name).suffix.lower() == ".toml":
        return None, load_spec(name)
    shipped = SPECIFICATIONS / f"{name}.toml"
    if Path(name).name == name and shipped.is_file() and not Path(name).exists():
        return None, load_spec(shipped)
    model = load_model(name)
    return model, model.spec
