# SPDX-License-Identifier: Apache-2.0
"""Who computes the tasks: processes on this machine, or any Dask cluster. Both call :func:`.tasks.run_task`."""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from .problem import Problem
from .store import code_version
from .tasks import run_task

#: One thread for each worker's linear algebra: the workers are what uses the cores.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_DEATHS = 5  # of workers in a row, without a task that ends
_CONNECT = 10  # s
_PATIENCE = 5  # s between looks at whether the scheduler is still there


class ExecutionError(RuntimeError):
    """The workers cannot go on; what is done is done."""


class ClusterError(ValueError):
    """There is no such cluster, or it is no more; the message says what to do."""


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
            process.join(5)


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

    Raises
    ------
    ClusterError
        Where dask is missing, nobody answers, or there is no worker.
    """

    def __init__(self, address: str):
        try:
            import distributed
        except ImportError:
            raise ClusterError("--dask needs dask.distributed; type: pip install 'crossramp[sweep]'") from None
        self.address = address
        import logging

        # It reports each failed attempt to connect, which the errors here say in one line.
        for name in ("distributed", "distributed.client", "distributed.batched", "distributed.comm.core"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            if not address.startswith("ucx://"):  # whose addresses this does not know
                # A client with an address that is none leaves a trace behind, twenty seconds later.
                distributed.comm.get_address_host_port(address)
            self._client = distributed.Client(address, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ClusterError(f"no Dask scheduler at {address} ({reason}); start one with: dask scheduler") from None

    def close(self) -> None:
        """Leave the cluster; it goes on without us."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)

    @property
    def threads(self) -> int:
        """Tasks that run at once."""
        try:
            return sum(self._client.nthreads().values())
        except Exception:
            raise self._gone() from None

    def run(self, problem: bytes, tasks: list[dict]) -> Iterator[tuple[dict, list[dict]]]:
        """Tasks and their rows, as they end. Dask gives the tasks of a worker that is lost to others.

        Raises
        ------
        ClusterError
            When the scheduler is gone, or a worker cannot compute a task.
        """
        from distributed import TimeoutError as Late
        from distributed import wait as wait_any

        client, waiting, running = self._client, deque(tasks), {}
        try:
            # A task, not scattered data: the scheduler makes it again when the workers that hold it are lost.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is large: there is but one
                shared = client.submit(bytes, problem, pure=False)
            version = code_version()
            while waiting or running:
                most = max(4 * self.threads, 8)
                while waiting and len(running) < most:
                    task = waiting.popleft()
                    running[client.submit(_run_there, shared, version, task, pure=False, retries=3)] = task
                try:
                    with client.as_current():
                        ended = wait_any(list(running), timeout=_PATIENCE, return_when="FIRST_COMPLETED").done
                except Late:
                    continue
                for future in ended:
                    task = running.pop(future)
                    yield task, self._result(future)
        finally:
            with contextlib.suppress(Exception):
                client.cancel(list(running), force=True)

    def _result(self, future) -> list[dict]:
        if future.status == "finished":
            try:
                return future.result(timeout=_CONNECT)
            except (OSError, TimeoutError):
                raise self._gone() from None
        if future.status == "error":
            error = future.exception(timeout=_CONNECT)
            raise ClusterError(f"a worker of {self.address} cannot compute: {type(error).__name__}: {error}")
        raise self._gone()

    def _gone(self) -> ClusterError:
        return ClusterError(f"the Dask scheduler at {self.address} is gone; what is done is kept: run again to go on")


@lru_cache(maxsize=2)
def _problem(data: bytes) -> Problem:
    return Problem.from_bytes(data)


def _run_there(data: bytes, version: str, task: dict) -> list[dict]:
    """In a worker of a cluster, which may have another version of this package."""
    if code_version() != version:
        raise RuntimeError("the worker has another version of crossramp; install the same there")
    return run_task(_problem(data), task)
