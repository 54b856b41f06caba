# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share."""

import pytest
import torch

from tests.support.training import write_spectrograms


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Spectrograms that are learned in no time."""
    return write_spectrograms(tmp_path_factory.mktemp("spectrograms"))


@pytest.fixture(autouse=True)
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
