# SPDX-License-Identifier: Apache-2.0
"""YoWASP's yosys, compiled for this machine by one process while others wait."""

import contextlib
import fcntl
import functools
import os
import subprocess

from .build_cache import cache_folder


@functools.cache
def compile_yosys(command: tuple[str, ...], path: str | None = None) -> None:
    """Return when YoWASP's yosys can start at once.

    Its first start compiles 70 MB of WebAssembly, which takes more than a minute of processor time, and YoWASP keeps
    the result for the next one. It does not keep other processes from compiling it too: of several proofs at a time
    each would. Costs a start of yosys once in each process, 0.3 s.

    Parameters
    ----------
    command : tuple of str
        What starts it.
    path : str or None
        Where the program is looked for; None: ``PATH``.
    """
    # What fails here fails again where it matters: a program that cannot start, a cache that can only be read.
    with contextlib.suppress(OSError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "yosys.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run(
                [*command, "-V"],
                env=os.environ if path is None else {**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
