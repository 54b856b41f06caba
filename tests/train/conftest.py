# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: data that is learned in no time."""

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Spectrograms with a bright band for each word: learnable in no time."""
    folder = tmp_path_factory.mktemp("spectrograms")
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


@pytest.fixture(autouse=True)
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
