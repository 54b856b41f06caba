# SPDX-License-Identifier: Apache-2.0
"""Runs the plans of docs/plans on recordings and puts their pictures into docs/images.

    python docs/sweep_figures.py RECORDINGS [-o build/sweeps]

RECORDINGS: of the test set of Google Speech Commands v0.02, a folder a class (see results.md). Interrupted, it goes on.
"""

import argparse
import shutil
from pathlib import Path

from crossramp.__main__ import main as crossramp

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", metavar="RECORDINGS", help="a folder of recordings, CLASS/*.wav")
    parser.add_argument("-o", "--output", default="build/sweeps", metavar="DIR", help="of the results")
    args, more = parser.parse_known_args()  # --workers, --dask, --report
    for plan in sorted((HERE / "plans").glob("*.toml")):
        folder = Path(args.output) / plan.stem
        status = crossramp(["sweep", str(plan), "-o", str(folder), "--data", args.recordings, "--yes", *more])
        if status:
            return status
        shutil.copyfile(folder / "accuracy.png", HERE / "images" / f"sweep-{plan.stem}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
