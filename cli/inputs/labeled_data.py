# SPDX-License-Identifier: Apache-2.0
"""What ``crossramp evaluate`` measures a model on: recordings of speech, an archive of pulse codes, or a text."""

import argparse
import hashlib
from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.common.errors import InvalidValue, UserError
from crossramp.golden.common.wording import printable
from crossramp.golden.inputs.features import features, pulse_codes
from crossramp.golden.inputs.recordings import LEFT_OUT, folder_name
from crossramp.golden.macro.initial_state import streaming_macros
from crossramp.golden.network.model_file import Model
from crossramp.sim.montecarlo.evaluation import Instances, evaluate_chips, evaluate_speech, evaluate_text
from crossramp.sim.montecarlo.scores import Score, TextScore
from crossramp.train.data.text_data import WARM_UP, cut, read_text
from crossramp.train.data.word_folders import (
    BACKGROUND,
    SPLITS,
    UNKNOWN,
    Speakers,
    is_data_set,
    labeled_recordings,
    split_recordings,
)

from ..output import notices
from ..output.messages import Progress
from ..output.tables import table
from . import network_inputs
from .feature_file import read_archive
from .labeled_numbers import Numbers

_PARTS = dict(zip(SPLITS, ("training", "validation", "test"), strict=True))
_CHARACTERS = 2000  # of a text that go through the hardware


def material(model: Model, args: argparse.Namespace, progress: Progress) -> "Speech | Text | Numbers":
    """What a model is measured on, read from where the arguments say; UserError, or an InvalidValue, for none."""
    if streaming_macros(model.spec):
        raise UserError(
            "initial of this model is 'stream', so recordings start from states of their own, of which evaluate has "
            "none; simulate takes them from a .npz file"
        )
    if model.text_settings is not None:
        return Text(model, args, progress)
    if model.output_unit is not None:
        return Numbers(model, args, progress)
    if model.feature_settings is not None or args.data.lower().endswith(".npz"):
        return Speech(model, args, progress)
    raise UserError(
        "this model hears no recordings and reads no text; evaluate it on a .npz file with pulse codes and labels"
    )


class Speech:
    """Labeled recordings, read and turned into pulse codes, or such codes; what cannot be used is named and counted."""

    METRIC, UTTERANCE, UTTERANCES = "accuracy", "recording", "recordings"

    def __init__(self, model: Model, args: argparse.Namespace, progress: Progress):
        if args.characters is not None:
            raise UserError(f"--characters {args.characters} belongs to a model of texts; this one hears recordings")
        self.model, self.data, self.findings = model, args.data, notices.findings()
        self.name = Path(args.model).stem  # people know a model by this, and not by its hash
        self.speakers = None if args.speakers is None else Speakers.parse(args.speakers)
        self.paths: tuple[Path, ...] = ()
        self.others = 0
        progress.show(f"reading {args.data}")
        if args.data.lower().endswith(".npz"):
            self._read_archive(args)
        else:
            self._read_recordings(args)
        self._ideal: Score | None = None

    def _read_archive(self, args: argparse.Namespace) -> None:
        for option in ("split", "speakers"):
            if getattr(args, option) is not None:
                raise UserError(f"--{option} {getattr(args, option)} belongs to folders of recordings; leave it out")
        if self.model.spec.readout == "step":
            raise UserError(
                "this model answers after every step, and the labels of a .npz file are of whole recordings"
            )
        codes, labels, starts = read_archive(self.model, Path(args.data))
        if starts.keep.any():
            raise UserError(
                f"{printable(args.data)}: keep is set; evaluate takes every recording by itself, leave it out"
            )
        known = labels >= 0
        if not known.any():
            raise UserError(f"{printable(args.data)}: no recording has a label; give some the number of their class")
        for place in np.flatnonzero(~known):
            self.findings.add(
                LEFT_OUT, f"{printable(args.data)}[{place}]: has no label; give it the number of its class"
            )
        self.split, self.codes, self.labels = "all", codes[known], labels[known]

    def _read_recordings(self, args: argparse.Namespace) -> None:
        model, settings = self.model, self.model.feature_settings
        if args.data.lower().endswith(".npy"):
            raise UserError(f"{printable(args.data)}: holds no labels; give a .npz file with codes and labels")
        with network_inputs.recordings_at(args.data) as folder:
            if folder.is_file():
                raise UserError(
                    f"{printable(args.data)}: is a file; give a folder of recordings, CLASS/*.wav, or a .npz"
                )
            self.split = args.split or ("testing" if is_data_set(folder) else "all")
            options = {"findings": self.findings, "speakers": self.speakers}
            if self.split == "all":
                found = labeled_recordings(folder, model.class_names, settings, **options)
            else:
                found = split_recordings(folder, model.class_names, settings, self.split, **options)
        self.labels, self.paths, self.others = found.labels, found.paths, found.others
        self.codes = pulse_codes(features(found.clips, settings), model.spec.input_bits)

    @property
    def simulated(self) -> np.ndarray:
        """Pulse codes of what goes through the hardware: all."""
        return self.codes

    def simulated_text(self) -> str:
        """How much that is."""
        return f"all {len(self.codes):,} recordings"

    # ---- what is computed -----------------------------------------------------------------------------------------

    def ideal(self) -> Score:
        """Of the golden model with an ideal array."""
        if self._ideal is None:
            self._ideal = evaluate_speech(self.model.network, self.codes, self.labels)
        return self._ideal

    def instances(self, chips: ChipSample, **options) -> list[Instances]:
        """As :func:`~crossramp.sim.montecarlo.evaluation.evaluate_chips`."""
        return evaluate_chips(self.model.network, self.codes, self.labels, chips, **options)

    def of(self, answers: np.ndarray, logits: np.ndarray) -> Score:
        """Of what a simulation, or the golden model, answered in :attr:`simulated`."""
        return Score(answers, self.labels, self.model.spec.classes)

    def same(self, value: float, score: Score) -> bool:
        """Whether an accuracy is that of a score."""
        return round(value * score.total) == score.correct

    # ---- what is told ---------------------------------------------------------------------------------------------

    def facts(self) -> dict:
        """About the data, as JSON types."""
        return {
            "task": "speech",
            "data": self.data,
            "split": self.split,
            "speakers": None if self.speakers is None else str(self.speakers),
            "other_speakers": self.others,
            "recordings": len(self.labels),
            **self.findings.to_dict(),
            "classes": list(self.model.class_names),
            "counted_as_unknown": self._others(),
        }

    def _others(self) -> list[str]:
        """Folders whose name is not a class."""
        spoken = {folder_name(path) for path in self.paths} - {BACKGROUND}
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
        from ..plots.confusion_plot import draw_confusion  # matplotlib takes a second to import

        title = f"model {self.name}, {len(self.labels):,} recordings"
        draw_confusion(path, panels, self.model.class_names, title)

    def text(self, content: dict) -> str:
        """Data, ideal accuracy and confusion matrix."""
        ideal, names = content["ideal"], self.model.class_names
        split = "" if content["split"] == "all" else f", split {content['split']}"
        low, high = ideal["interval"]
        facts = [
            ("model", content["model"]),
            ("recordings", f"{content['recordings']:,}{split}, of {self.data}"),
            *([("speakers", f"{self.speakers}; {self.others:,} recordings of others set aside")] * bool(self.speakers)),
            *notices.facts(content),
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


class Text:
    """A text, cut into streams that are read side by side, each after 100 characters that are read and not counted."""

    METRIC, UTTERANCE, UTTERANCES = "bits", "stream", "streams"

    def __init__(self, model: Model, args: argparse.Namespace, progress: Progress):
        if args.confusion:
            raise UserError(f"--confusion {args.confusion} belongs to a model of speech; this one reads text")
        if args.characters is not None and not args.rtl:
            raise UserError("--characters belongs to the hardware; add --rtl, or leave it out")
        if args.speakers is not None:
            raise UserError(f"--speakers {args.speakers} belongs to a model of speech; this one reads text")
        if args.data == network_inputs.DEMO:
            raise UserError(
                "demo is recordings, and this model reads text; give a text, or ./demo for a file of that name"
            )
        self.model, self.path, self.settings = model, Path(args.data), model.text_settings
        progress.show(f"reading {args.data}")
        text = read_text(self.path)
        self.split, first, last = self._part(text, args.split)
        try:
            places = self.settings.indices(text)
        except InvalidValue as error:
            raise UserError(f"{args.data}: {error}") from None
        if len(text) < 2:
            raise UserError(f"{args.data}: has {len(text)} character; the first that can be foretold is the second")
        # Where all counts, the first characters are what is read before.
        first = max(first, min(WARM_UP + 1, len(text) // 2))
        read, targets = cut(places, first, last)
        self.codes = self.settings.table.astype(np.int8)[read]
        self.targets = np.full(read.shape, -1)
        self.targets[:, read.shape[1] - targets.shape[1] :] = targets
        self.characters = int(targets.size)
        wanted = _CHARACTERS if args.characters is None else args.characters
        if not 1 <= wanted <= self.characters and args.characters is not None:
            raise UserError(f"--characters is {wanted}; allowed: 1 to {self.characters}, those that count")
        self._streams = min(len(targets), -(-wanted // targets.shape[1]))
        self._ideal: TextScore | None = None

    def _part(self, text: str, asked: str | None) -> tuple[str, int, int]:
        """(split, first, last): of the text that the model was trained on, its test part unless told otherwise."""
        told = self.model.provenance
        lengths = [told.get(f"{part}_characters") for part in _PARTS.values()]
        own = told.get("data_sha256") == hashlib.sha256(text.encode()).hexdigest() and sum(lengths) == len(text)
        split = asked or ("testing" if own else "all")
        if split == "all":
            return split, 0, len(text)
        if not own:
            raise UserError(
                f"--split {split} is of the text that was trained on, which {self.path} is not; leave it out"
            )
        place = SPLITS.index(split)
        return split, sum(lengths[:place]), sum(lengths[: place + 1])

    @property
    def simulated(self) -> np.ndarray:
        """Pulse codes of what goes through the hardware: the first streams."""
        return self.codes[: self._streams]

    def simulated_text(self) -> str:
        """How much that is."""
        counted = int((self.targets[: self._streams] >= 0).sum())
        return f"{counted:,} of {self.characters:,} characters, in {self.codes.shape[1] * self._streams:,} steps"

    # ---- what is computed -----------------------------------------------------------------------------------------

    def ideal(self) -> TextScore:
        """Of the golden model with an ideal array."""
        if self._ideal is None:
            scale = self.settings.logit_scale
            self._ideal = evaluate_text(self.model.network, self.codes, self.targets, scale)
        return self._ideal

    def instances(self, chips: ChipSample, **options) -> list[Instances]:
        """As :func:`~crossramp.sim.montecarlo.evaluation.evaluate_chips`."""
        options["logit_scale"] = self.settings.logit_scale
        return evaluate_chips(self.model.network, self.codes, self.targets, chips, **options)

    def of(self, answers: np.ndarray, logits: np.ndarray) -> TextScore:
        """Of the logits that a simulation, or the golden model, gave in :attr:`simulated`; softmax is the host's."""
        return TextScore.of(logits, self.targets[: self._streams], self.settings.logit_scale)

    def same(self, value: float, score: TextScore) -> bool:
        """Whether bits are those of a score; a score of another part of the text is not compared."""
        return score.total != self.characters or abs(value - score.bits) < 1e-9

    # ---- what is told ---------------------------------------------------------------------------------------------

    def facts(self) -> dict:
        """About the data, as JSON types."""
        return {
            "task": "text",
            "data": str(self.path),
            "split": self.split,
            "characters": self.characters,
            "streams": len(self.codes),
            "vocabulary": self.settings.vocabulary,
        }

    def tell(self, score: TextScore) -> dict:
        """A score as JSON types."""
        return {"bits": score.bits, "characters": score.total, "accuracy": score.correct / score.total}

    def show(self, value: float) -> str:
        """Bits per character as people read them."""
        return f"{value:.4f}"

    def text(self, content: dict) -> str:
        """Data and ideal figures."""
        ideal = content["ideal"]
        split = "" if self.split == "all" else f", split {self.split}"
        facts = [
            ("model", content["model"]),
            ("characters", f"{self.characters:,}{split}, of {self.path}"),
            ("", f"in {len(self.codes):,} streams; {len(self.settings.vocabulary)} different ones are known"),
            ("ideal array", f"{self.show(ideal['bits'])} bits per character"),
            ("", f"the likeliest one is right in {100 * ideal['accuracy']:.1f} %"),
        ]
        return table(("", ""), facts).lstrip()
