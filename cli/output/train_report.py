# SPDX-License-Identifier: Apache-2.0
"""What a training run says: a line an epoch, a running count on terminals, scalars for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crossramp.train.run.events import EventFile

from . import messages, notices
from .messages import Progress

if TYPE_CHECKING:
    from crossramp.train.recipes.settings import Phase
    from crossramp.train.run.schedule import Epoch


class Report:
    """What :func:`crossramp.train.tasks.keyword_training.train` and the loaders of data are told to call.

    Parameters
    ----------
    aside : bool
        Nothing goes to stdout, which is for JSON.

    Attributes
    ----------
    findings : Findings
        Files and folders that could not be used, and clips that were cut.
    """

    def __init__(self, aside: bool = False) -> None:
        self._aside = aside
        self._progress = Progress()
        self.findings = notices.findings()
        self._events: EventFile | None = None

    def log_to(self, folder: Path | None) -> None:
        """Writes every epoch's scalars into a folder as well, for TensorBoard."""
        self._events = EventFile(folder) if folder else None

    def reading(self, done: int, total: int) -> None:
        """So many clips are read."""
        self._progress.show(f"reading {done}/{total} clips")

    def batch(self, phase: Phase, epoch: int, done: int, total: int) -> None:
        """So many of an epoch's batches are done."""
        if done % 10 == 0:
            self._progress.show(f"{phase.name} epoch {epoch + 1}/{phase.epochs}: batch {done}/{total}")

    def epoch(self, phase: Phase, epoch: int, measured: Epoch) -> None:
        """An epoch, counted from 0, is over."""
        self.line(f"{phase.name} epoch {epoch + 1}/{phase.epochs}: {measured}")
        if self._events:
            scalars = measured.scalars().items()
            self._events.add(epoch + 1, {f"{phase.name}/{name}": value for name, value in scalars})

    def note(self, text: str) -> None:
        """A line on stderr."""
        messages.notice(text)

    def line(self, text: str) -> None:
        """A line on stdout, where that is not for JSON."""
        if self._aside:
            messages.notice(text)
            return
        self._progress.clear()
        print(text, flush=True)

    def clear(self) -> None:
        """Wipes the running count."""
        self._progress.clear()
