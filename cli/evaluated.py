# SPDX-License-Identifier: Apache-2.0
"""What ``crossramp evaluate`` measures a model on: recordings of speech."""

import argparse
import sys
from pathlib import Path

import numpy as np
from crossramp.errors import UserError
from crossramp.golden.features import features, pulse_codes
from crossramp.golden.modelfile import Model
from crossramp.sim.evaluation import Instances, Score, evaluate_instances, evaluate_speech
from crossramp.tables import Progress, table
from crossramp.train.recordings import (
    BACKGROUND,
    SPLITS,
    UNKNOWN,
    is_data_set,
    labeled_recordings,
    split_recordings,
)
from crossramp.verify import Outcome


class Speech:
    """Labeled recordings, read and turned into pulse codes; those that cannot be used are named and counted."""

    SPLITS = (*SPLITS, "all")
    METRIC, UTTERANCE, UTTERANCES = "accuracy", "recording", "recordings"

    def __init__(self, model: Model, args: argparse.Namespace, progress: Progress):
        settings = model.feature_settings
        if settings is None:
            raise UserError("this model has no speech features, so there is nothing to evaluate it on")
        self.model, self.folder, self.left_out = model, args.data, 0

        def problem(text: str) -> None:
            self.left_out += 1
            progress.clear()
            print(f"left out: {text}", file=sys.stderr, flush=True)

        progress.show(f"reading {args.data}")
        self.split = args.split or ("testing" if is_data_set(args.data) else "all")
        if self.split == "all":
            found = labeled_recordings(args.data, model.class_names, settings, problem)
        else:
            found = split_recordings(args.data, model.class_names, settings, self.split, problem)
        self.labels, self.paths = found.labels, found.paths
        self.codes = pulse_codes(features(found.clips, settings), model.spec.input_bits)
        self._ideal: Score | None = None

    @property
    def simulated(self) -> np.ndarray:
        """Pulse codes of what goes through the hardware: all."""
        return self.codes

    def simulated_text(self) -> str:
        return f"all {len(self.codes):,} recordings"

    # ---- what is computed -----------------------------------------------------------------------------------------

    def ideal(self) -> Score:
        """Of the golden model with an ideal array."""
        if self._ideal is None:
            self._ideal = evaluate_speech(self.model.network, self.codes, self.labels)
        return self._ideal

    def instances(self, technology, count: int, **options) -> list[Instances]:
        """As :func:`~crossramp.sim.evaluation.evaluate_instances`."""
        return evaluate_instances(self.model.network, self.codes, self.labels, technology, count, **options)

    def of_hardware(self, outcome: Outcome) -> Score:
        """Of what a simulation answered."""
        return Score(outcome.answers, self.labels, self.model.spec.classes)

    def same(self, value: float, score: Score) -> bool:
        """Whether an accuracy is that of a score."""
        return round(value * score.total) == score.correct

    # ---- what is told ---------------------------------------------------------------------------------------------

    def facts(self) -> dict:
        """About the data, as JSON types."""
        return {
            "task": "speech",
            "data": str(self.folder),
            "split": self.split,
            "recordings": len(self.labels),
            "left_out": self.left_out,
            "classes": list(self.model.class_names),
            "counted_as_unknown": self._others(),
        }

    def _others(self) -> list[str]:
        """Folders whose name is no class."""
        spoken = {path.parent.name for path in self.paths} - {BACKGROUND}
        return sorted(spoken - set(self.model.class_names))

    def tell(self, score: Score) -> dict:
        """A score as JSON types."""
        recalls = zip(self.model.class_names, score.recalls.tolist(), strict=True)
        return {
            "correct": score.correct,
            "accuracy": score.accuracy,
            "interval": list(score.interval),
            "recalls": {name: None if np.isnan(recall) else recall for name, recall in recalls},
            "confusion": score.confusion.tolist(),
        }

    def show(self, value: float) -> str:
        """An accuracy as people read it."""
        return f"{100 * value:.2f} %"

    def draw(self, path: Path, panels: list[tuple[str, Score]]) -> None:
        """The confusion matrices."""
        from crossramp.confusionplot import draw_confusion  # matplotlib takes a second to import

        title = f"model {self.model.content_hash}, {len(self.labels):,} recordings"
        draw_confusion(path, panels, self.model.class_names, title)

    def text(self, content: dict) -> str:
        """Data, ideal accuracy and confusion matrix."""
        ideal, names = content["ideal"], self.model.class_names
        split = "" if content["split"] == "all" else f", split {content['split']}"
        low, high = ideal["interval"]
        facts = [
            ("model", content["model"]),
            ("recordings", f"{content['recordings']:,}{split}, of {self.folder}"),
            *([("left out", f"{self.left_out} recordings or folders; they are named above")] * bool(self.left_out)),
            *([("as " + UNKNOWN, ", ".join(self._others()))] * bool(self._others())),
            ("ideal array", f"{self.show(ideal['accuracy'])} ({ideal['correct']:,} right)"),
            ("", f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"),
        ]
        rows = []
        for name, counts in zip(names, ideal["confusion"], strict=True):
            recall = ideal["recalls"][name]
            rows.append((name, *(count or "." for count in counts), "-" if recall is None else f"{100 * recall:.1f} %"))
        header = ("said \\ answered", *names, "recall")
        return f"{table(('', ''), facts).lstrip()}\n\n{table(header, rows, right=range(1, len(header)))}"
