# SPDX-License-Identifier: Apache-2.0
"""The parts of every task's run: stages of training, each with the networks before it at hand, and export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from crossramp.golden.common.content_hash import json_hash
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from torch import nn

from ..quantized.chips import DeviceImperfections
from ..quantized.imperfections import Imperfections
from ..recipes.recipe import Recipe
from ..recipes.setting_cautions import recipe_cautions, warn
from ..recipes.settings import Phase
from .checkpoint import Checkpoint
from .schedule import Progress, Task, fit

__all__ = ["DEVICES", "Done", "Stage", "chips", "device_named", "origin", "run_stages"]

DEVICES = ("auto", "cpu", "cuda")
"""Where training may compute; the first means a GPU where torch finds one."""

_SHELF_VERSION = 3  # goes up when the same recipe trains another network, or one whose tensors have other names


@dataclass(frozen=True)
class Stage:
    """One phase of a run.

    Attributes
    ----------
    phase : Phase
        Its name is the stage's.
    network : callable
        The untrained network, made from the trained ones before it, by name.
    task : callable
        The task, made when the stage begins: what it draws does not depend on the stages before.
    teacher : str or None
        Name of the earlier stage whose network teaches this one.
    depends : dict
        All of the recipe that the trained network depends on, JSON types: runs in which it is equal share the result.
    """

    phase: Phase
    network: Callable[[Mapping[str, nn.Module]], nn.Module]
    task: Callable[[], Task]
    teacher: str | None
    depends: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A trained stage: its network, at its best epoch, and that epoch's metric (see :func:`~.schedule.fit`)."""

    network: nn.Module
    metric: float


def run_stages(
    stages: Sequence[Stage],
    recipe: Recipe,
    data: str,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    shelf: Path | None = None,
    device: str = "cpu",
) -> dict[str, Done]:
    """Trains one stage after the other; a stage of 0 epochs is left out unless another stage starts from its network.

    Parameters
    ----------
    stages : sequence of Stage
    recipe : Recipe
        Its seed sets the initial weights of each stage.
    data : str
        Hash of the data.
    progress : Progress
    checkpoint : Checkpoint or None
        Written after every epoch; where it holds a state, training goes on from that.
    shelf : path or None
        A folder where trained stages, but the last, are kept under what they depend on, and found again by other runs.
    device : str
        Where networks are trained, of torch's devices: ``"cpu"``, ``"cuda"``. What is random is drawn on the CPU.

    Returns
    -------
    dict
        Stages by name, their networks on the CPU.
    """
    warn(recipe_cautions(recipe))
    saved = (checkpoint.state if checkpoint else None) or {"phase": stages[0].phase.name, "done": {}, "fit": None}
    done: dict[str, Done] = {}
    for stage in stages:
        name = stage.phase.name
        torch.manual_seed(recipe.seed)
        network = stage.network({key: value.network for key, value in done.items()})
        kept = None if shelf is None or stage is stages[-1] else _Shelved(shelf, stage, recipe, data, device)
        found = saved["done"].get(name)
        if found is None and kept and (name != saved["phase"] or saved["fit"] is None):
            found = kept.load()
        if found is None:
            before = {key: _plain(value) for key, value in done.items()}
            best = fit(
                network.to(device),
                stage.task(),
                stage.phase,
                progress,
                done[stage.teacher].network.to(device) if stage.teacher else None,
                saved=saved["fit"] if name == saved["phase"] else None,
                keep=_keeper(checkpoint, {"phase": name, "done": before}),
            )
            for trained in (network, *(value.network for value in done.values())):
                trained.cpu()
            found = {"network": network.state_dict(), "metric": best}
            if kept:
                kept.save(found)
        network.load_state_dict(found["network"])
        done[name] = Done(network.eval(), found["metric"])
    return done


class _Shelved:
    """A trained stage in a file that is named after all it depends on."""

    def __init__(self, folder: Path, stage: Stage, recipe: Recipe, data: str, device: str) -> None:
        parts = {"data": data, "torch": torch.__version__, "threads": torch.get_num_threads(), **stage.depends}
        if device != "cpu":
            parts["device"] = device
        key = json_hash([_SHELF_VERSION, parts], 64)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{recipe.task}-{key[:16]}.pt"
        self._file = Checkpoint(path, {"stage": key}, remedy="remove it, and it is trained anew")

    def load(self) -> dict[str, Any] | None:
        return self._file.state

    def save(self, state: dict[str, Any]) -> None:
        self._file.save(state)


def _plain(done: Done) -> dict[str, Any]:
    return {"network": done.network.state_dict(), "metric": done.metric}


def device_named(name: str) -> str:
    """``"cpu"`` or ``"cuda"`` for a name of :data:`DEVICES`.

    Raises
    ------
    InvalidValue
        For ``"cuda"`` where torch finds none, or another name.
    """
    if name not in DEVICES:
        raise InvalidValue(f"device is {name!r}; allowed: {', '.join(DEVICES)}")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InvalidValue(f"device is 'cuda', but torch {torch.__version__} finds no GPU here; leave it out")
    return ("cuda" if there else "cpu") if name == "auto" else name


def chips(recipe: Recipe, spec: AnySpecification) -> list[Imperfections] | None:
    """What a recipe's table ``devices`` asks for, for each macro: chips of its technology; None: ideal arrays."""
    devices, technology = recipe.devices, recipe.technology()
    if devices is None or technology is None:
        return None
    switches, macros = frozenset(devices.switches), list(spec.macros.values())
    chosen = {"calibrated": devices.calibrated, "every": devices.every, "seed": recipe.seed}
    places = range(len(macros)) if len(macros) > 1 else [None]
    return [
        DeviceImperfections(macro, technology, switches, **chosen, place=place)
        for macro, place in zip(macros, places, strict=True)
    ]


def origin(recipe: Recipe, device: str = "cpu") -> dict[str, Any]:
    """What the provenance of every model says: recipe, seed, versions, technology, and a device other than a CPU."""
    technology = recipe.technology()
    more = {} if technology is None else {"technology_hash": technology.content_hash}
    if device != "cpu":
        more["device"] = f"{device}: {torch.cuda.get_device_name()}"
    return {
        "seed": recipe.seed,
        "threads": torch.get_num_threads(),
        "recipe": recipe.to_dict(),
        "recipe_hash": recipe.content_hash,
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "crossramp": _own_version()},
        **more,
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
