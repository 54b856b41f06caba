# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: How the files end that are written before they are moved into place.
UNFINISHED = "unfinished"


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], durable: bool = False) -> Iterator[Path]:
    """A path beside ``path`` to write; at the end of the block the file moves to ``path``, unless the block raises.

    Parameters
    ----------
    durable : bool
        It is on the disk before it moves, so that not even a power failure leaves half of it.

    Raises
    ------
    OSError
        If it cannot be written; names ``path``.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{UNFINISHED}")
    try:
        yield draft
        if durable:
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
