# SPDX-License-Identifier: Apache-2.0
"""What all tests share: one seed, printed in the header, behind everything that is drawn."""

import gc
import os
import signal
import sys
import threading
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from crossramp.golden.common import crossramp_cache

# `from tests.support.strategies import ...` works however pytest was started.
sys.path.insert(0, str(Path(__file__).parent.parent))

DEFAULT_SEED = 1


def pytest_addoption(parser):
    group = parser.getgroup("crossramp")
    group.addoption("--seed", type=int, default=DEFAULT_SEED, help="seed of all drawn stimuli (default %(default)s)")
    group.addoption(
        "--waves",
        nargs="?",
        const="build/waves",
        metavar="FOLDER",
        help="the cocotb runs dump one wave file each, with a GTKWave save file (default folder build/waves)",
    )


def pytest_configure(config):
    # A shell starts what runs in its background with Ctrl-C ignored, nohup with SIGHUP, and children inherit that.
    # Tests send both to some of them.
    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, usual)
    hypothesis.settings.register_profile("crossramp", deadline=None, database=None, print_blob=True)
    hypothesis.settings.load_profile("crossramp")
    # What is built is kept there, the commands' too, and not in the user's own cache.
    os.environ[crossramp_cache.VARIABLE] = str(config.rootpath / "build")
    # What hypothesis' own option --hypothesis-seed does, unless that was given.
    if hypothesis.core.global_force_seed is None:
        hypothesis.core.global_force_seed = config.getoption("--seed")


def pytest_collection_modifyitems(items):
    """The bitstream of test_build.py is needed once more: that test runs last, or a process would wait for it."""
    items.sort(key=lambda item: item.path.name == "test_netlist_cost.py")


def pytest_collection_finish():
    """Have fewer garbage collections: hundreds of modules and thousands of tests stay, and each would go through them.

    Elaborating the shipped network takes a third less.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_report_header(config):
    return f"crossramp: --seed {config.getoption('--seed')}"


@pytest.fixture
def seed(request) -> int:
    """The seed of this run (option ``--seed``)."""
    return request.config.getoption("--seed")


@pytest.fixture
def rng(seed) -> np.random.Generator:
    """A generator that starts anew in each test."""
    return np.random.default_rng(seed)
