# SPDX-License-Identifier: Apache-2.0
"""What ``crossramp evaluate`` measures a model on whose outputs are numbers: pulse codes, and what should come out."""

import argparse
from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.common.errors import UserError
from crossramp.golden.common.wording import printable
from crossramp.golden.network.model_file import Model
from crossramp.sim.montecarlo.evaluation import Instances
from crossramp.sim.montecarlo.scores import NumberScore

from ..output.messages import Progress
from ..output.tables import error_text, table
from .feature_file import read_archive


class Numbers:
    """Utterances of pulse codes with real labels, of an ``.npz`` file; those without a label are left out."""

    METRIC, UTTERANCE, UTTERANCES = "rmse", "utterance", "utterances"

    def __init__(self, model: Model, args: argparse.Namespace, progress: Progress):
        for option in ("split", "speakers", "characters", "confusion"):
            if getattr(args, option) is not None:
                raise UserError(f"--{option} {getattr(args, option)} is not of a model of numbers; leave it out")
        if not args.data.lower().endswith(".npz"):
            raise UserError(f"{printable(args.data)}: holds no labels; give a .npz file with codes and labels")
        if model.spec.readout == "step":
            raise UserError("this model has outputs after every step, and the labels of a .npz file are of utterances")
        self.model, self.data = model, args.data
        progress.show(f"reading {args.data}")
        codes, labels, starts = read_archive(model, Path(args.data))
        if starts.keep.any():
            raise UserError(f"{printable(args.data)}: keep is set; evaluate takes each one by itself, leave it out")
        known = ~np.isnan(labels).any(axis=1)
        if not known.any():
            raise UserError(f"{printable(args.data)}: no utterance has a label; give some the numbers that are wanted")
        self.codes, self.labels, self.unknown = codes[known], labels[known], int((~known).sum())

    @property
    def simulated(self) -> np.ndarray:
        """Pulse codes of what goes through the hardware: all."""
        return self.codes

    def simulated_text(self) -> str:
        """How much that is."""
        return f"all {len(self.codes):,} utterances"

    # ---- what is computed -----------------------------------------------------------------------------------------

    def ideal(self) -> NumberScore:
        """Of the golden model with an ideal array."""
        return self.of(None, self.model.network.run(self.codes).logits)

    def instances(self, chips: ChipSample, **options) -> list[Instances]:
        """Refused."""
        raise UserError(
            "chips are measured by accuracy or bits, and this model's outputs are numbers; leave --technology out, or "
            "run single chips with simulate --technology"
        )

    def of(self, answers: np.ndarray | None, logits: np.ndarray) -> NumberScore:
        """Of the logits that a simulation, or the golden model, gave in :attr:`simulated`."""
        return NumberScore(self.model.outputs(logits, self.codes.shape[1]), self.labels)

    def same(self, value: float, score: NumberScore) -> bool:
        """Whether an error is that of a score."""
        return value == score.rmse

    # ---- what is told ---------------------------------------------------------------------------------------------

    def facts(self) -> dict:
        """About the data, as JSON types."""
        return {
            "task": "numbers",
            "data": self.data,
            "utterances": len(self.labels),
            "without_label": self.unknown,
            "outputs": list(self.model.class_names),
        }

    def tell(self, score: NumberScore) -> dict:
        """A score as JSON types."""
        interval = score.interval
        return {"rmse": score.rmse, "r2": score.r2, "r2_interval": None if interval is None else list(interval)}

    def show(self, value: float) -> str:
        """An error as people read it."""
        return f"{value:.4g}"

    def text(self, content: dict) -> str:
        """Data and ideal figures."""
        left_out = f", {self.unknown:,} without a label left out" if self.unknown else ""
        facts = [
            ("model", content["model"]),
            ("utterances", f"{len(self.labels):,}, of {self.data}{left_out}"),
            ("outputs", " ".join(self.model.class_names)),
            ("ideal array", error_text(content["ideal"])),
        ]
        return table(("", ""), facts).lstrip()
