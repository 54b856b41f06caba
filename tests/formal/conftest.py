# SPDX-License-Identifier: Apache-2.0
"""What the tests of proofs share."""

import pytest
from crossramp.golden.network.model_file import load_model, shipped_models


@pytest.fixture(
    params=[name if name == "kws" else pytest.param(name, marks=pytest.mark.slow) for name in shipped_models()]
)
def shipped_spec(request):
    """The specification of each shipped model."""
    return load_model(request.param).spec
