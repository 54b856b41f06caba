# SPDX-License-Identifier: Apache-2.0
"""Execution of the tasks, by processes on this machine or any Dask cluster; both call :func:`.tasks.run_task`."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue
from crossramp.golden.common.installation import how_to_install

from .problem import Problem
from .store import code_version
from .tasks import run_task

#: One thread for each worker's linear algebra: the workers are what uses the cores.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_DEATHS = 5  # of workers in a row, without a task that ends
_END = 60  # s that a worker has to end after SIGTERM

_KNOCKS, _KNOCK = 20, 0.5  # attempts to connect while a scheduler may be starting, and s in between
_ASK = 10  # s that a scheduler has for an answer before it is asked again
_SILENT = 30  # questions in a row without an answer, after which a scheduler is gone: five minutes
_LOSSES = 5  # of tasks in a row, by a scheduler that answers, without a task that ends
_LOOK = 32  # rounds between two looks at the number of workers


class ExecutionError(CrossrampError, RuntimeError):
    """The workers cannot go on; what is done is done."""

    exit_status = ExitStatus.FAILED


class ClusterError(InvalidValue):
    """The cluster does not exist, has stopped answering, or cannot compute; the message says what to do."""


# ---- this machine ----------------------------------------------------------------------------------------------------


def run_local(problem_file: Path, tasks: list[dict], workers: int) -> Iterator[tuple[dict, list[dict]]]:
    """Tasks and their rows, as they end, by ``workers`` processes. A worker that dies is replaced, its tasks run again.

    Raises
    ------
    ExecutionError
        When workers keep dying.
    """
    with one_thread():
        waiting, deaths = deque(tasks), 0
        while waiting:
            running: dict = {}
            pool = _pool(problem_file, min(workers, len(waiting)))
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        future = pool.submit(_run_here, waiting[0])
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        rows = future.result()
                        yield running.pop(future), rows
                        deaths = 0
                pool.shutdown()
            except BrokenProcessPool:
                deaths += 1
                if deaths >= _DEATHS:
                    raise ExecutionError(
                        f"workers died {deaths} times in a row (killed, or out of memory?); what is done is kept: run "
                        "again with fewer --workers"
                    ) from None
                waiting.extendleft(reversed(running.values()))
            finally:
                _end(pool)


def _pool(problem_file: Path, workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(str(problem_file),))


def _end(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(OSError, AttributeError):
            process.terminate()
    for process in processes:
        with contextlib.suppress(AssertionError, OSError):
            process.join(_END)
            process.kill()
            process.join()


@contextlib.contextmanager
def one_thread():
    """Processes started in this block have single-threaded linear algebra."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_here: Problem | None = None


def _begin(problem_file: str) -> None:
    """In a worker: load the problem, leave Ctrl-C to the parent, and end when it does, however it ends."""
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, daemon=True).start()
    _here = Problem.from_bytes(Path(problem_file).read_bytes())


def _watch() -> None:
    wait_for([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _run_here(task: dict) -> list[dict]:
    return run_task(_here, task)


# ---- a Dask cluster --------------------------------------------------------------------------------------------------


class Cluster:
    """A Dask cluster, by the address of its scheduler.

    A scheduler that answers late is asked again as long as it shows any sign of life.
    The operating system tells whether a process listens at the address, however busy that process is;
    the scheduler's answers tell that it lives.

    Raises
    ------
    ClusterError
        If dask is missing, no process listens at the address, or the one that listens does not answer for minutes.
    """

    def __init__(self, address: str):
        try:
            import distributed
        except ImportError:
            raise ClusterError(f"--dask needs dask.distributed; type: {how_to_install('sweep')}") from None
        self.address = address
        import logging

        # It reports each failed attempt to connect, which the errors here say in one line.
        for name in ("distributed", "distributed.client", "distributed.batched", "distributed.comm.core"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        patience = _ASK * _SILENT
        try:
            self._place = None
            if not address.startswith("ucx://"):  # whose addresses this does not know
                # A client with an invalid address prints a traceback twenty seconds later.
                self._place = distributed.comm.get_address_host_port(address)
            self._knock()
            # The client itself would wait forever for a process that listens and never answers.
            asyncio.run(_shake_hands(distributed, address, patience))
            self._client = distributed.Client(address, timeout=patience, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError, ImportError, ArithmeticError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ClusterError(f"no Dask scheduler at {address} ({reason}); start one with: dask scheduler") from None

    def close(self) -> None:
        """Leave the cluster; it goes on without us."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)

    @property
    def threads(self) -> int:
        """Tasks that run at once; ClusterError if the scheduler is gone."""
        return sum(self._hear().values())

    def run(self, problem: bytes, tasks: list[dict]) -> Iterator[tuple[dict, list[dict]]]:
        """Tasks and their rows, as they end. Dask gives the tasks of a worker that is lost to others.

        Raises
        ------
        ClusterError
            When the scheduler is gone or loses all tasks again and again, or a worker cannot compute a task.
        """
        client, waiting, running, shared = self._client, deque(tasks), {}, None
        version = code_version()
        losses = rounds = most = 0
        try:
            while waiting or running:
                if rounds % _LOOK == 0:
                    most = max(4 * self.threads, 8)
                rounds += 1
                if shared is None:
                    # A task, not scattered data: the scheduler makes it again when the workers that hold it are lost.
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # that it is large: there is but one
                        shared = client.submit(bytes, problem, pure=False)
                while waiting and len(running) < most:
                    task = waiting.popleft()
                    running[client.submit(_run_there, shared, version, task, pure=False, retries=3)] = task
                ended = self._ended(running)
                if not ended:
                    rounds = 0  # a look, which is a sign of life too
                lost = []
                for future in ended:
                    task, rows = running.pop(future), self._rows(future)
                    if rows is None:
                        lost.append(task)
                    else:
                        losses = 0
                        yield task, rows
                if lost:
                    # The connection broke, or the scheduler was started again: it answers, and knows no task.
                    losses, rounds, shared = losses + 1, 0, None
                    if losses > _LOSSES:
                        raise ClusterError(
                            f"the Dask scheduler at {self.address} lost its tasks {losses} times in a row; what is "
                            "done is kept: look at its log, and run again to go on"
                        )
                    waiting.extendleft(reversed(lost))
        finally:
            # Only said, not asked: a scheduler that is silent must not hold up the end.
            for future in [*running, *([] if shared is None else [shared])]:
                with contextlib.suppress(Exception):
                    future.release()

    # ---- slow, or gone -------------------------------------------------------------------------------------------

    def _ended(self, running: dict) -> list:
        """Futures that are not pending any more; [] if none ends for a while."""
        from distributed import wait as wait_any

        with self._client.as_current(), contextlib.suppress(TimeoutError, CancelledError):
            wait_any(list(running), timeout=_ASK, return_when="FIRST_COMPLETED")
        return [future for future in running if future.status != "pending"]

    def _rows(self, future) -> list[dict] | None:
        """What a task that ended gives, however late; None if the scheduler has lost it."""
        if future.status == "error":
            error = self._ask(future.exception)
            raise ClusterError(f"a worker of {self.address} cannot compute: {type(error).__name__}: {error}")
        try:
            if future.status == "finished":
                return self._ask(future.result)
        except (OSError, CancelledError):  # the connection broke before it came
            pass
        self._hear()
        return None

    def _ask(self, question: Callable):
        """The answer to ``question(timeout)``; it is asked again while the scheduler is late, with more time."""
        seconds = _ASK
        while True:
            try:
                return question(seconds)
            except TimeoutError:
                self._hear()
                seconds *= 2

    def _hear(self) -> dict[str, int]:
        """A sign of life: threads of each worker; ClusterError once the scheduler is gone."""
        client = self._client
        for _ in range(_SILENT):
            if client.status == "closed":
                break
            # TimeoutError where it is late, OSError where the connection broke, RuntimeError where it breaks just now.
            with contextlib.suppress(OSError, RuntimeError, CancelledError):
                return client.sync(client.scheduler.ncores, workers=None, callback_timeout=_ASK)
            try:
                self._knock()
            except OSError:
                break
        else:
            raise ClusterError(
                f"the Dask scheduler at {self.address} has not answered {_SILENT} times in a row; what is done is "
                "kept: look at its machine, and run again to go on"
            )
        raise ClusterError(f"the Dask scheduler at {self.address} is gone; what is done is kept: run again to go on")

    def _knock(self) -> None:
        """Return once something listens at the address, or may; OSError if it does not."""
        if self._place is None:
            time.sleep(_KNOCK)
            return
        for attempt in range(_KNOCKS):
            try:
                socket.create_connection(self._place, timeout=_ASK).close()
                return
            except OSError:
                if attempt == _KNOCKS - 1:
                    raise
            time.sleep(_KNOCK)


async def _shake_hands(distributed, address: str, seconds: float) -> None:
    arguments = distributed.security.Security().get_connection_args("client")
    try:
        comm = await asyncio.wait_for(distributed.comm.connect(address, timeout=seconds, **arguments), seconds)
    except TimeoutError:
        raise OSError(f"something listens there and has said nothing for {seconds:g} s") from None
    comm.abort()


@lru_cache(maxsize=2)
def _problem(data: bytes) -> Problem:
    return Problem.from_bytes(data)


def _run_there(data: bytes, version: str, task: dict) -> list[dict]:
    """In a worker of a cluster, which may have another version of this package."""
    if code_version() != version:
        raise RuntimeError("the worker has another version of crossramp; install the same there")
    return run_task(_problem(data), task)
