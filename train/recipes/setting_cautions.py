# SPDX-License-Identifier: Apache-2.0
"""Settings that are allowed but cannot have their effect in a run: they are found before it begins, and are warnings.

:mod:`.settings` refuses what is wrong in any run;
this module knows what depends on the number of batches, clips or characters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from crossramp.golden.common.errors import CrossrampWarning

from .recipe import Recipe
from .settings import Phase

__all__ = ["TrainingWarning", "outcome_cautions", "phase_cautions", "recipe_cautions", "warm_up_batches", "warn"]

_WARM_UP_SHARE = 5  # a warm-up takes a fifth of a run at most
_LEARNED = 0.97  # of the loss of guessing: a network above it has learned nothing that shows


class TrainingWarning(CrossrampWarning):
    """A setting has no effect, or another one than its name says, in the run at hand; or the run learned nothing."""


def warn(texts: Iterable[str]) -> None:
    """Each text as a :class:`TrainingWarning`."""
    for text in texts:
        warnings.warn(text, TrainingWarning, stacklevel=3)


def warm_up_batches(phase: Phase, total: int) -> int:
    """Batches until the learning rate is at its height: ``phase.warm_up``, or a fifth of a run of ``total`` batches.

    A longer warm-up would end when the rate already decays; in a run shorter than it, nothing would be learned at all.
    """
    return min(phase.warm_up, max(1, total // _WARM_UP_SHARE))


def phase_cautions(phase: Phase, batches: int) -> list[str]:
    """Settings of a phase of ``batches`` batches an epoch that will not do what they say, one line each."""
    if not phase.epochs:
        return []
    name, total, found = phase.name, batches * phase.epochs, []
    warm_up = warm_up_batches(phase, total)
    if warm_up < phase.warm_up:
        found.append(
            f"{name}.warm_up is {phase.warm_up} batches, but the run has only {total}: it is shortened to {warm_up}, "
            f"a fifth of the run; give more epochs (now {phase.epochs}) or a smaller {name}.batch (now {phase.batch}) "
            "if too little is learned"
        )
    if phase.patience >= phase.epochs:
        found.append(
            f"{name}.patience is {phase.patience} epochs, but the run has only {phase.epochs}: it never ends early; "
            f"lower {name}.patience, or give more epochs"
        )
    if phase.learning_rate == 0:
        found.append(f"{name}.learning_rate is 0: no weight changes; set {name}.epochs to 0 to leave the phase out")
    return found


def recipe_cautions(recipe: Recipe) -> list[str]:
    """Settings of a recipe that contradict each other for any data; one line each."""
    found = []
    quantized = recipe.quantized_phase
    if recipe.devices is not None and not quantized.epochs:
        found.append("devices has no effect: chips are met in fine-tuning alone, and quantized.epochs is 0")
    if quantized.epochs and quantized.distillation and not recipe.float_phase.epochs and recipe.teacher is None:
        found.append(
            f"quantized.distillation is {quantized.distillation:g}, but float.epochs is 0: the teacher is untrained; "
            "set quantized.distillation to 0"
        )
    if recipe.teacher is not None and not (quantized.distillation or recipe.float_phase.distillation):
        found.append(
            "the teacher has no effect: float.distillation and quantized.distillation are 0; set one of them above 0, "
            "or leave [teacher] out"
        )
    if recipe.task == "kws":
        augmentation, front_end = recipe.augmentation, recipe.features
        for key, whole, what in (
            ("mask_bands", front_end.bands, "bands"),
            ("mask_steps", front_end.steps, "steps"),
            ("shift_frames", front_end.frames, "frames"),
        ):
            value = getattr(augmentation, key)
            if value >= whole:
                found.append(
                    f"augmentation.{key} is {value}, but a clip has only {whole} {what}: it may vanish; "
                    f"lower augmentation.{key}"
                )
    return found


def outcome_cautions(phase: Phase, epochs: int, improved: bool, loss: float, guessing: float) -> list[str]:
    """What is wrong with a phase that is over: after ``epochs`` epochs, ``loss`` is the least validation loss.

    ``improved``: whether an epoch was better than the network before the first one. ``guessing``: the validation loss
    of answers that do not depend on the input.
    """
    remedy = f"give more epochs, or another {phase.name}.learning_rate, now {phase.learning_rate:g}"
    found = []
    if epochs and not improved:
        found.append(
            f"{phase.name}: none of {epochs} epochs was better than the network before the first one, which is kept; "
            f"{remedy}"
        )
    if epochs and loss > _LEARNED * guessing:
        found.append(
            f"{phase.name}: the least validation loss is {loss:.3f}, and guessing has {guessing:.3f}: the network has "
            f"learned next to nothing; {remedy}"
        )
    return found
