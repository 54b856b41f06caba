# SPDX-License-Identifier: Apache-2.0
"""What the simulator tests share: the folder that models are built in, and where waves go."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(pytestconfig) -> Path:
    """The cache of built models: kept between sessions, named by content."""
    return pytestconfig.rootpath / "build" / "simulation"


@pytest.fixture
def waves(pytestconfig) -> Path | None:
    """The folder that ``--waves`` names, or None."""
    folder = pytestconfig.getoption("--waves")
    return None if folder is None else (pytestconfig.rootpath / folder)
