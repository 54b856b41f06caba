# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of the documentation beside itself, of the shipped model and one recording in the tree."""

from importlib.resources import files
from pathlib import Path

from crossramp.cli.commands import demo
from crossramp.cli.inputs import network_inputs
from crossramp.cli.verification import verify
from crossramp.golden.network.model_file import load_model

RECORDING = files("crossramp.cli") / "demo_data" / "recordings" / "down" / "022cd682_nohash_0.wav"


def main() -> None:
    """Simulate the recording in Amaranth's simulator, and draw."""
    model = load_model(demo.MODEL)
    utterances = network_inputs.from_audio(model, [str(RECORDING)])
    outcome = verify(model.network, utterances.codes, "amaranth")
    if outcome.mismatches.any():
        raise SystemExit(f"the hardware differs: {outcome.first[0]}")
    demo.draw(Path(__file__).parents[1] / "docs" / "images", model, utterances, outcome, 0)


if __name__ == "__main__":
    main()
