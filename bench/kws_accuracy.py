# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a keyword model on real recordings, by the golden model: a table, a confusion matrix, or JSON.

    python bench/kws_accuracy.py kws speech_commands_test_set_v0.02
    python bench/kws_accuracy.py kws speech_commands_test_set_v0.02 --write docs/accuracy.md

The float network's accuracy is the one in the model's provenance, measured when it was trained. The hardware's is read
from what ``crossramp simulate kws AUDIO/*/*.wav --json`` printed, given with ``--simulated``.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from crossramp.golden.features import features, pulse_codes
from crossramp.golden.modelfile import Model, load_model
from crossramp.train.recordings import labeled_recordings

BEGIN = "<!-- begin: written by bench/kws_accuracy.py -->"
END = "<!-- end: written by bench/kws_accuracy.py -->"
BLOCK_CLIPS = 256


def measure(model: Model, audio: Path, simulated: Path | None) -> dict:
    """All figures of the report, as JSON types."""
    settings = model.feature_settings
    if settings is None:
        raise ValueError("the model has no feature settings: it takes no recordings")
    start = time.perf_counter()
    recordings = labeled_recordings(audio, model.class_names, settings)
    answers = []
    for first in range(0, len(recordings.clips), BLOCK_CLIPS):
        codes = pulse_codes(features(recordings.clips[first : first + BLOCK_CLIPS], settings), model.spec.input_bits)
        answers.append(model.network.run(codes).answers)
    answers = np.concatenate(answers)
    confusion = np.zeros((model.spec.classes, model.spec.classes), int)
    np.add.at(confusion, (recordings.labels, answers), 1)
    correct = int(np.trace(confusion))
    evaluation = model.provenance.get("evaluation", {})
    same_clips = evaluation.get("recordings") == len(answers)
    return {
        "model": model.content_hash,
        "recordings": len(answers),
        "golden_correct": correct,
        "golden_accuracy": correct / len(answers),
        "float_accuracy": evaluation.get("float_accuracy") if same_clips else None,
        "simulated": _simulated(simulated, len(answers)),
        "classes": list(model.class_names),
        "confusion": confusion.tolist(),
        "seconds": round(time.perf_counter() - start, 2),
    }


def _simulated(path: Path | None, recordings: int) -> dict | None:
    if path is None:
        return None
    report = json.loads(path.read_text())
    if report["utterances"] != recordings:
        raise ValueError(f"{path}: is of {report['utterances']} utterances, the folder has {recordings} recordings")
    return {name: report[name] for name in ("accuracy", "mismatches", "simulator")}


def markdown(report: dict) -> str:
    """The report as tables."""
    spread = 196 * (report["golden_accuracy"] * (1 - report["golden_accuracy"]) / report["recordings"]) ** 0.5
    lines = [
        f"Model `{report['model']}`, {report['recordings']} recordings; the 95 % interval of an accuracy measured on "
        f"that many is ±{spread:.1f} points.",
        "",
        "| arithmetic | accuracy |",
        "| --- | --- |",
        f"| float network (`torch.nn.LSTM`), when trained | {_percent(report['float_accuracy'])} |",
        f"| golden model, integers | {_percent(report['golden_accuracy'])} |",
        f"| gateware, simulated | {_hardware(report['simulated'])} |",
        "",
        "Rows: what was said; columns: the golden model's answer.",
        "",
        "| | " + " | ".join(f"`{name}`" for name in report["classes"]) + " | right |",
        "| --- |" + " ---: |" * (len(report["classes"]) + 1),
    ]
    for label, row in enumerate(report["confusion"]):
        cells = [f"**{count}**" if label == answer else str(count or "") for answer, count in enumerate(row)]
        share = _percent(row[label] / sum(row)) if sum(row) else ""
        lines.append(f"| `{report['classes'][label]}` | " + " | ".join(cells) + f" | {share} |")
    return "\n".join(lines)


def write_between_marks(path: Path, text: str) -> None:
    """Replaces what stands between the two marks of a document."""
    old = path.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise ValueError(f"{path}: needs the lines {BEGIN!r} and {END!r} once each")
    head, rest = old.split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="example: python bench/kws_accuracy.py kws AUDIO --json"
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or the name of a shipped model")
    parser.add_argument("audio", metavar="AUDIO", type=Path, help="folder of recordings, CLASS/*.wav")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--simulated", metavar="FILE", type=Path, help="JSON of `crossramp simulate` on the same folder"
    )
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the tables between the marks of this document")
    options = parser.parse_args(arguments)
    try:
        report = measure(load_model(options.model), options.audio, options.simulated)
        text = markdown(report)
        if options.write:
            write_between_marks(options.write, text)
    except (ValueError, OSError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=2) if options.json else text)
    return 0


def _percent(share: float | None) -> str:
    return "not measured on these recordings" if share is None else f"{100 * share:.1f} %"


def _hardware(simulated: dict | None) -> str:
    if simulated is None:
        return "not simulated in this run"
    return f"{_percent(simulated['accuracy'])} ({simulated['simulator']}, {simulated['mismatches']} mismatches)"


if __name__ == "__main__":
    sys.exit(main())
