# SPDX-License-Identifier: Apache-2.0
"""What every task's run is made of: float training, then fine-tuning of the network that is made of it, and export."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import nn

from ..golden.specification import Specification
from .checkpoint import Checkpoint
from .devices import DeviceImperfections
from .imperfections import Imperfections
from .quantized_network import QuantizedNetwork
from .recipe import Recipe
from .schedule import Progress, Task, fit

__all__ = ["both_phases", "chips", "integers", "origin"]


def both_phases(
    network: nn.Module,
    quantize: Callable[[], QuantizedNetwork],
    tasks: tuple[Task, Task],
    recipe: Recipe,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> tuple[QuantizedNetwork, float, float]:
    """Trains ``network``, then what ``quantize`` makes of it, with ``network`` as its teacher.

    Parameters
    ----------
    network : module
        Of float arithmetic; trained in place.
    quantize : callable
        Called when ``network`` is trained.
    tasks : pair of Task
        Of each phase.
    checkpoint : Checkpoint or None
        Written after every epoch; where it holds a state, training goes on from that.

    Returns
    -------
    (quantized, float metric, quantized metric)
        The metrics of the best epochs, see :func:`~.schedule.fit`.
    """
    saved = (checkpoint.state if checkpoint else None) or {"phase": "float", "fit": None}
    if saved["phase"] == "float":
        keep = _keeper(checkpoint, {"phase": "float"})
        best = fit(network, tasks[0], recipe.float_phase, progress, saved=saved["fit"], keep=keep)
        before = {"phase": "quantized", "float_network": network.state_dict(), "float_best": best}
    else:
        before = {name: saved[name] for name in ("phase", "float_network", "float_best")}
        network.load_state_dict(before["float_network"])
    quantized = quantize()
    quantized_best = fit(
        quantized,
        tasks[1],
        recipe.quantized_phase,
        progress,
        network,
        saved=saved["fit"] if saved["phase"] == "quantized" else None,
        keep=_keeper(checkpoint, before),
    )
    return quantized, before["float_best"], quantized_best


def chips(recipe: Recipe, spec: Specification) -> Imperfections | None:
    """What a recipe's table ``devices`` asks for: chips of its technology, or None for the ideal array."""
    devices, technology = recipe.devices, recipe.technology()
    if devices is None or technology is None:
        return None
    switches = frozenset(devices.switches)
    chosen = {"calibrated": devices.calibrated, "every": devices.every, "seed": recipe.seed}
    return DeviceImperfections(spec, technology, switches, **chosen)


@torch.no_grad()
def integers(network: QuantizedNetwork) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, head weights and head biases of the golden model: int64, as the network computes with them."""
    weights = torch.cat([network.weight_levels(), network.bias_row_levels()])
    head_weights, head_biases = network.head_levels()
    return tuple(tensor.round().to(torch.int64).numpy() for tensor in (weights, head_weights, head_biases))


def origin(recipe: Recipe) -> dict[str, Any]:
    """What the provenance of every model says: recipe, seed, versions, technology."""
    technology = recipe.technology()
    hashes = {} if technology is None else {"technology_hash": technology.content_hash}
    return {
        "seed": recipe.seed,
        "threads": torch.get_num_threads(),
        "recipe": recipe.to_dict(),
        "recipe_hash": recipe.content_hash,
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "crossramp": _own_version()},
        **hashes,
    }


def _keeper(checkpoint: Checkpoint | None, before: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    if checkpoint is None:
        return lambda state: None
    return lambda state: checkpoint.save({**before, "fit": state})


def _own_version() -> str:
    try:
        return metadata.version("crossramp")
    except metadata.PackageNotFoundError:
        return "not installed"
