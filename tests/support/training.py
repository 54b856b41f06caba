# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: data that is learned in no time, and a short run of the command on it."""

from pathlib import Path

import numpy as np


def write_spectrograms(folder: Path) -> Path:
    """Spectrograms with a bright band for each word."""
    from PIL import Image

    random = np.random.default_rng(1)
    rows = ["path,word,split"]
    for number in range(160):
        word = ("yes", "no", "bed", "")[number % 4]
        split = "background" if not word else "training" if number % 16 < 12 else "validation"
        pixels = random.normal(60, 10, (98, 40))
        pixels[:, 10 * (number % 4) : 10 * (number % 4) + 8] += 120 if word else 0
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{word},{split}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def arguments(data, output, *more) -> list[str]:
    """Of ``crossramp``, for a run of 4 and 3 epochs; what comes later counts."""
    fixed = ["--words", "yes,no", "--units", "4", "--epochs", "4", "--qat-epochs", "3", "--batch", "20", "--seed", "5"]
    return ["train", "kws", str(data), "-o", str(output), "--no-cache", *fixed, *map(str, more)]


def without_warnings(told: str) -> str:
    """What a command wrote to stderr, without the lines that warn of a run as short as those of tests are."""
    return "".join(line for line in told.splitlines(keepends=True) if not line.startswith("crossramp: warning: "))
