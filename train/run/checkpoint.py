# SPDX-License-Identifier: Apache-2.0
"""The file from which an interrupted run continues: everything that decides what the next epoch computes.

It is written after every epoch under another name and then renamed,
so the last complete epoch survives any end of the process.
It is read by ``torch.load(weights_only=True)``: tensors, numbers and texts, nothing that could be executed.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.whole_file import whole_file

__all__ = ["Checkpoint"]

_FORMAT, _VERSION = "crossramp-checkpoint", 3


class Checkpoint:
    """The checkpoint of one run.

    Parameters
    ----------
    path : path
    identity : dict of str
        What the run is: a checkpoint in which one of them differs belongs to another.
    restart : bool
        Ignores a checkpoint that exists.
    remedy : str
        The end of a message about a file that cannot be used.

    Raises
    ------
    InvalidValue
        If the file is not a checkpoint, or is one of another run.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, str],
        restart: bool = False,
        remedy: str = "give another file, or --restart to write over it",
    ) -> None:
        self._remedy = remedy
        self.path, self.identity = Path(path), {}
        self.state: dict[str, Any] | None = None
        if not self.path.parent.is_dir():
            raise InvalidValue(f"{self.path.parent}: no such folder; make it first")
        content = None if restart or not self.path.exists() else self._read()
        self.state = None if content is None else content["state"]
        self._found = None if content is None else content["identity"]
        self.identify(identity)

    def identify(self, identity: dict[str, str]) -> None:
        """More of what the run is, compared with the file as soon as it is known.

        Raises
        ------
        InvalidValue
            Where the file is of another run.
        """
        self.identity |= identity
        for name, value in identity.items():
            if self._found is not None and self._found.get(name) != value:
                raise InvalidValue(
                    f"{self.path}: is of another run: its {name} is {self._found.get(name)!r:.80}, here {value!r:.80}; "
                    "--restart begins anew, --checkpoint FILE keeps both"
                )

    def save(self, state: dict[str, Any]) -> None:
        """Writes tensors, numbers, texts, lists and dicts of them, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        content = {"format": _FORMAT, "version": _VERSION, "identity": self.identity, "state": state}
        with whole_file(self.path, durable=True) as draft, open(draft, "wb") as file:
            torch.save(content, file)
        self.state = state

    def remove(self) -> None:
        """The run is over and its result is safe."""
        self.path.unlink(missing_ok=True)
        self.state = None

    def __str__(self) -> str:
        if self.state is None:
            return "no epoch was finished"
        phase, epoch = self.state["phase"], self.state["fit"]["epoch"]
        return f"{self.path} holds everything up to {phase} epoch {epoch}"

    def _read(self) -> dict[str, Any]:
        anew = self._remedy
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles of other programs
                content = torch.load(self.path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise InvalidValue(f"{self.path}: cannot be read ({error.strerror or error}); {anew}") from None
        except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError):
            raise InvalidValue(f"{self.path}: is damaged, or not a checkpoint; {anew}") from None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise InvalidValue(f"{self.path}: is not a checkpoint of crossramp; {anew}")
        if content.get("version") != _VERSION or not isinstance(content.get("identity"), dict):
            raise InvalidValue(
                f"{self.path}: is a checkpoint of version {content.get('version')!r}, known: {_VERSION}; {anew}"
            )
        return content
