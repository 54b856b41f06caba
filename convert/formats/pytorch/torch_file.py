# SPDX-License-Identifier: Apache-2.0
"""Files of torch.save: the state_dict in them, without running the code that a pickle can hold."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install

_INSTEAD = "save module.state_dict() with torch.save, or export the module with torch.export"


def state_of_file(path: Path) -> dict[str, np.ndarray]:
    """The state_dict of a file: the whole object, or one entry of a checkpoint.

    Parameters
    ----------
    path : Path
        Written by torch.save, in either of its formats. It is read with ``weights_only``: tensors and plain containers
        alone.

    Returns
    -------
    dict of array
        By the name of each parameter and buffer; bfloat16 becomes float32.

    Raises
    ------
    InvalidValue
        For a file that holds other objects, is damaged or no file of torch.save, without a state_dict in it, or with
        several of which none stands out; and if torch is not installed.
    """
    torch = _torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are refused below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise InvalidValue(
                f"{path}: holds Python objects besides tensors, and those are never unpickled; {_INSTEAD}"
            ) from None
        raise InvalidValue(f"{path}: damaged, or not a file of torch.save; {_INSTEAD}") from None
    except Exception as error:  # torch raises errors of many kinds for bytes that are not its own
        if "TorchScript" in str(error):
            raise InvalidValue(f"{path}: an archive of TorchScript, which is code; {_INSTEAD}") from None
        raise InvalidValue(f"{path}: damaged, or not a file of torch.save; {_INSTEAD}") from None
    return {name: _array(tensor) for name, tensor in _state(path, found, torch.Tensor).items()}


def _state(path: Path, found, tensor: type) -> Mapping:
    """The one mapping of names to tensors in ``found``: itself, or one of its entries."""
    if not isinstance(found, Mapping):
        raise InvalidValue(f"{path}: holds a {type(found).__name__} instead of a state_dict; {_INSTEAD}")

    def is_state(value) -> bool:
        return (
            isinstance(value, Mapping)
            and len(value) > 0
            and all(isinstance(name, str) and isinstance(one, tensor) for name, one in value.items())
        )

    if is_state(found):
        return found
    states = {name: value for name, value in found.items() if is_state(value)}
    if len(states) == 1:
        return next(iter(states.values()))
    if not states:
        raise InvalidValue(f"{path}: no entry of it is a state_dict; {_INSTEAD}")
    raise InvalidValue(f"{path}: has several state_dicts: {', '.join(map(str, states))}; save the one that is meant")


def _array(tensor) -> np.ndarray:
    """A tensor as an array; numpy has no bfloat16."""
    torch = _torch()
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _torch():
    try:
        import torch
    except ImportError:
        raise InvalidValue(
            f"files of torch.save need torch, which is not installed; install it with: {how_to_install('train')}"
        ) from None
    return torch
