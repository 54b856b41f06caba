# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of the documentation beside itself, of the shipped model and one recording in the tree."""

from importlib.resources import files
from pathlib import Path

from crossramp import demo, inputs
from crossramp.golden.modelfile import load_model
from crossramp.verify import verify

RECORDING = files("crossramp") / "demo_data" / "recordings" / "down" / "022cd682_nohash_0.wav"


def main() -> None:
    """Simulate the recording in Amaranth's simulator, and draw."""
    model = load_model(demo.MODEL)
    utterances = inputs.from_audio(model, [str(RECORDING)])
    outcome = verify(model.network, utterances.codes, "amaranth")
    if outcome.mismatches.any():
        raise SystemExit(f"the hardware differs: {outcome.first[0]}")
    demo.draw(Path(__file__).parent, model, utterances, outcome, 0)


if __name__ == "__main__":
    main()
