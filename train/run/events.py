# SPDX-License-Identifier: Apache-2.0
"""Scalars of a training run in a file for TensorBoard, by TensorBoard's own writer (extra ``tensorboard``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install

__all__ = ["EventFile", "check_writer"]


def check_writer() -> None:
    """InvalidValue if TensorBoard is missing, so that a long run does not end with it."""
    if importlib.util.find_spec("tensorboard") is None:
        way = how_to_install("tensorboard")
        raise InvalidValue(f"a log for TensorBoard needs tensorboard, which is missing; type: {way}")


class EventFile:
    """A new file of scalars in a folder, which is made if it does not exist; several runs may use one folder in turn.

    Raises
    ------
    InvalidValue
        If TensorBoard is missing.
    OSError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        check_writer()
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        folder.mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(folder), filename_suffix=".crossramp")

    def add(self, step: int, scalars: dict[str, float]) -> None:
        """Append values, each under its tag, at ``step`` from 0; they are in the file when this returns."""
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()
