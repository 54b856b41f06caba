# SPDX-License-Identifier: Apache-2.0
"""Runs the plans of docs/plans on recordings and puts their pictures into docs/images.

    python tools/sweep_figures.py RECORDINGS [-o build/sweeps]

RECORDINGS: of the test set of Google Speech Commands v0.02, a folder a class (see results.md). Interrupted, it goes on.
"""

import argparse
import shutil
from pathlib import Path

from crossramp.cli.main import main as crossramp

DOCS = Path(__file__).parents[1] / "docs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", metavar="RECORDINGS", help="a folder of recordings, CLASS/*.wav")
    parser.add_argument("-o", "--output", default="build/sweeps", metavar="DIR", help="of the results")
    args, more = parser.parse_known_args()  # --workers, --dask, --report
    for plan in sorted((DOCS / "plans").glob("*.toml")):
        folder = Path(args.output) / plan.stem
        status = crossramp(["sweep", str(plan), "-o", str(folder), "--data", args.recordings, "--yes", *more])
        if status:
            return status
        shutil.copyfile(folder / "accuracy.png", DOCS / "images" / f"sweep-{plan.stem}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
