# SPDX-License-Identifier: Apache-2.0
"""What the tests of proofs share."""

import pytest
from crossramp.golden.network.model_file import load_model, shipped_models

from tests.support.proving import make_attempts_once


@pytest.fixture(
    params=[name if name == "kws" else pytest.param(name, marks=pytest.mark.slow) for name in shipped_models()]
)
def shipped_spec(request):
    """The specification of each shipped model."""
    return load_model(request.param).spec


@pytest.fixture(autouse=True)
def _equal_attempts_are_made_once(monkeypatch, pytestconfig):
    make_attempts_once(monkeypatch, pytestconfig)
