# SPDX-License-Identifier: Apache-2.0
"""Data that a network is quantized with: real features, and perhaps the steps and the label of each utterance."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

import numpy as np
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.wording import printable

from .feature_file import NO_HEADER, member, opened, read_npy

_NAMES = ("features", "labels", "lengths")


class Calibration(NamedTuple):
    """Utterances.

    Parameters
    ----------
    features : array, shape (utterances, steps, inputs)
        float64.
    labels : array or None
        Classes, integers, or what the outputs should be; one an utterance, or one a step.
    lengths : array of int64, shape (utterances,), or None
        Steps of each utterance; None: all.
    """

    features: np.ndarray
    labels: np.ndarray | None = None
    lengths: np.ndarray | None = None


def read_calibration(path: Path) -> Calibration:
    """A ``.npz`` file with the array ``features`` and perhaps ``labels`` and ``lengths``, or a ``.npy`` of features.

    Raises
    ------
    UserError
        For a file that is missing, damaged or of another kind, and arrays of a wrong type or shape.
    """
    name = printable(path)
    is_array = path.suffix.lower() == ".npy"
    arrays = {"features": read_npy(path, name)} if is_array else _archive(path, name)
    features = arrays["features"]
    if features.dtype.kind not in "fiu" or features.ndim != 3 or 0 in features.shape:
        raise UserError(
            f"{name}: features are {features.dtype} of the shape {features.shape}; expected real numbers, "
            "(utterances, steps, inputs), none of them 0"
        )
    features = features.astype(np.float64)
    if not np.isfinite(features).all():
        at = list(map(int, np.argwhere(~np.isfinite(features))[0]))
        raise UserError(f"{name}: features hold {features[tuple(at)]} at {at}; write finite numbers, 0 beyond an end")
    lengths, labels = arrays.get("lengths"), arrays.get("labels")
    if lengths is not None:
        if lengths.dtype.kind not in "iu" or lengths.shape != features.shape[:1]:
            raise UserError(
                f"{name}: lengths are {lengths.dtype} of the shape {lengths.shape}; expected integers, "
                f"({len(features)},)"
            )
        lengths = lengths.astype(np.int64)
    if labels is not None and (labels.dtype.kind not in "iuf" or labels.shape[:1] != features.shape[:1]):
        raise UserError(
            f"{name}: labels are {labels.dtype} of the shape {labels.shape}; expected a class, or numbers, for each of "
            f"{len(features)} utterances"
        )
    if labels is not None and labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise UserError(f"{name}: labels hold {labels[~np.isfinite(labels)][0]}; write finite numbers, or no labels")
    return Calibration(features, labels, lengths)


def _archive(path: Path, name: str) -> dict[str, np.ndarray]:
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            there = [which for which in _NAMES[1:] if f"{which}.npy" in archive.namelist()]
            return {which: member(archive, which) for which in (_NAMES[0], *there)}
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error}); give a .npz or a .npy file") from None
    except (*NO_HEADER, TokenError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        raise UserError(
            f"{name}: expected a .npz file with the array features, and perhaps labels and lengths"
        ) from None
