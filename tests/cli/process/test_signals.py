# SPDX-License-Identifier: Apache-2.0
"""SIGTERM, SIGHUP and Ctrl-C: child processes of all generations end, folders go, and the status tells which it was.

Everything waits for events, never for time: the processes that shall end hold one end of a pipe, and the other end
shows when the last of them has ended.
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from crossramp.cli.process import signals
from crossramp.golden.common.crossramp_cache import VARIABLE, user_cache
from crossramp.golden.network.model_file import save_model

from tests.cli.conftest import small_model

ENDING = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}

#: A program of any name that has a child of its own, says that both are there, and then never ends by itself.
ENDLESS = """\
#!/bin/sh
{before}
exec 8>'{ready}' 9<'{lifeline}'
sh -c 'echo ready >&8; read never <&9' &
read never <&9
"""


class Endless:
    """Programs that never end, and what shows whether any of them is left."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder, self.ready, self.lifeline = folder, folder / "ready.fifo", folder / "lifeline.fifo"
        for fifo in (self.ready, self.lifeline):
            os.mkfifo(fifo)
        self._ready = os.open(self.ready, os.O_RDONLY | os.O_NONBLOCK)
        self._life = os.open(self.lifeline, os.O_RDWR)

    def program(self, name: str, before: str = "") -> Path:
        path = self.folder / name
        path.write_text(ENDLESS.format(before=before, ready=self.ready, lifeline=self.lifeline))
        path.chmod(0o755)
        return path

    def wait_for(self, word: str, process: subprocess.Popen) -> None:
        """Return when a program has said the word; fail if the command ends before."""
        found, _, _ = select.select([self._ready, process.stdout], [], [])
        assert self._ready in found, process.communicate()
        assert os.read(self._ready, 100).decode() == f"{word}\n"

    def drain(self) -> None:
        """Forget what was said, by programs that were started later."""
        while select.select([self._ready], [], [], 0)[0] and os.read(self._ready, 100):
            pass

    def ended(self) -> bool:
        """Whether all have, by now."""
        return bool(select.select([self._ready], [], [], 0)[0]) and os.read(self._ready, 1) == b""

    def close(self) -> None:
        os.close(self._ready)
        os.close(self._life)  # ends what is left


@pytest.fixture
def endless(tmp_path):
    programs = Endless(tmp_path / "programs")
    yield programs
    programs.close()


@contextmanager
def started(endless, tmp_path, *command, program=None, **more):
    """A command whose child processes are those programs, and there; at the end, ended."""
    for name in ("temporary", "cache", "work"):
        (tmp_path / name).mkdir()
    # But for the compiled yosys, whose making takes most of a minute, the cache is empty.
    compiled = user_cache() / "wasmtime"
    compiled.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "wasmtime").symlink_to(compiled)
    environment = {**os.environ, "PATH": f"{endless.folder}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"TMPDIR": str(tmp_path / "temporary"), "XDG_CACHE_HOME": str(tmp_path / "cache"), VARIABLE: ""}
    with subprocess.Popen(
        [*(program or [sys.executable, "-m", "crossramp"]), *map(str, command)],
        cwd=tmp_path / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    ) as process:
        try:
            endless.wait_for("ready", process)
            yield process
        finally:
            process.kill()


@pytest.fixture
def model_file(tmp_path):
    save_model(tmp_path / "tiny.npz", small_model())
    return tmp_path / "tiny.npz"


#: Fakes of the Verilog simulators: the one to build with that never ends, and the one to run.
BUILD = {"iverilog": "", "vvp": "exit 1"}
SIMULATION = {"iverilog": r"""printf '\n:file_names 1;\n    "bench.v";\n' > bench.vvp; exit 0""", "vvp": ""}


@pytest.mark.parametrize(
    ("stage", "number"), [*((BUILD, number) for number in ENDING), (SIMULATION, signal.SIGTERM)], ids=lambda one: ""
)
def test_child_processes_end_and_folders_go(endless, tmp_path, model_file, number, stage):
    for name, before in stage.items():
        endless.program(name, before)
    with started(endless, tmp_path, "simulate", model_file, "--random", 1, "--simulator", "icarus") as process:
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (128 + number, "", f"crossramp: {ENDING[number]}\n")
    assert endless.ended()
    assert not any((tmp_path / "temporary").iterdir())
    assert not any((tmp_path / "work").iterdir())


def test_a_folder_is_written_whole_or_not_at_all(endless, tmp_path, model_file):
    program = [sys.executable, "-c", WRITING]
    run = endless.program("forever")
    with started(endless, tmp_path, run, model_file, program=program) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143
    assert endless.ended()
    assert not any((tmp_path / "work").iterdir())


WRITING = """\
import subprocess, sys
from crossramp.cli.commands import generate
from crossramp.cli import main as __main__
real = generate.write_ramps
def stop(*given):
    real(*given)
    subprocess.run(sys.argv[1])
generate.write_ramps = stop
sys.exit(__main__.main(["generate", sys.argv[2], "-o", "out"]))
"""

#: Workers of a pool of processes, each with a child that never ends.
POOL = """\
import subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from crossramp.cli.commands import info
from crossramp.cli import main as __main__
def work(name):
    subprocess.run(name)
def run(args):
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, sys.argv[1]).result()
info.run = run
sys.exit(__main__.main(["info", "kws"]))
"""

#: A program that does not end at SIGTERM, and says that it got one.
STUBBORN = """\
import os, signal, sys
pipe = os.open(sys.argv[1], os.O_WRONLY)
signal.signal(signal.SIGTERM, lambda number, frame: os.write(pipe, b"told\\n"))
os.write(pipe, b"ready\\n")
while True:
    signal.pause()
"""

WITH_STUBBORN = """\
import subprocess, sys
from crossramp.cli.commands import info
from crossramp.cli import main as __main__
info.run = lambda args: subprocess.Popen([sys.executable, *sys.argv[1:]]).wait()
sys.exit(__main__.main(["info", "kws"]))
"""


def test_workers_of_a_pool_end(endless, tmp_path):
    with started(endless, tmp_path, endless.program("forever"), program=[sys.executable, "-c", POOL]) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert (process.returncode, err) == (143, "crossramp: ended by SIGTERM\n")
    assert endless.ended()


@pytest.mark.parametrize("again", [signal.SIGINT, None], ids=["twice", "once"])
def test_what_does_not_end_is_killed(endless, tmp_path, again):
    """After a while, or at once when a second signal comes during the cleaning."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    arguments = tmp_path / "stubborn.py", endless.ready
    with started(endless, tmp_path, *arguments, program=[sys.executable, "-c", WITH_STUBBORN]) as process:
        process.send_signal(signal.SIGTERM)
        endless.wait_for("told", process)
        if again:
            process.send_signal(again)
        _, err = process.communicate()
    assert (process.returncode, err) == (143, "crossramp: ended by SIGTERM\n")
    assert endless.ended()


#: A thread that starts programs one after the other, and cannot be interrupted.
THREAD = """\
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from crossramp.cli.commands import info
from crossramp.cli import main as __main__
def run(args):
    with ThreadPoolExecutor(1) as pool:
        for done in [pool.submit(subprocess.run, sys.argv[1]) for _ in range(3)]:
            done.result()
info.run = run
sys.exit(__main__.main(["info", "kws"]))
"""


def test_what_threads_start_afterwards_ends_too(endless, tmp_path):
    with started(endless, tmp_path, endless.program("forever"), program=[sys.executable, "-c", THREAD]) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert (process.returncode, err) == (143, "crossramp: ended by SIGTERM\n")
    endless.drain()
    assert endless.ended()


def test_nohup_stays_ignored(endless, tmp_path, model_file):
    for name, before in SIMULATION.items():
        endless.program(name, before)

    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    arguments = "simulate", model_file, "--random", 1, "--simulator", "icarus"
    with started(endless, tmp_path, *arguments, preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143


def test_a_block_is_done_whole():
    done = []

    def block():
        with signals.uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")
        done.append("not reached")

    with signals.watched() as watch:
        with pytest.raises(signals.Interruption):
            block()
        assert (done, watch.number) == (["whole"], signal.SIGTERM)


def test_handlers_are_given_back():
    before = {number: signal.getsignal(number) for number in ENDING}
    with signals.watched():
        assert all(signal.getsignal(number) != before[number] for number in ENDING)
    assert {number: signal.getsignal(number) for number in ENDING} == before


def test_processes_of_others_are_spared():
    """A program that calls a command keeps the child processes that it had."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with signals.watched():
            with pytest.raises(signals.Interruption):
                os.kill(os.getpid(), signal.SIGTERM)
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0
