# SPDX-License-Identifier: Apache-2.0
"""Icarus Verilog on the self-checking testbench of a shipped model: the generated text against the back end's.

Both run the testbench that `crossramp generate` writes, over the same vectors. The second has the text to which
crossramp.rtl.verilog.text_passes did nothing. Prints clocks per second of processor time (user time of vvp, the best
of some
runs, taken in turns), and the ratio. --against DIR adds a folder that another version of crossramp has generated for
the same model, with that version's gateware and testbench.

    python bench/icarus_speed.py [--model kws] [--repeat 5] [--against DIR]
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

from crossramp.cli.commands.generate import GenerateOptions, generate
from crossramp.golden.network.model_file import load_model
from crossramp.rtl.verilog import backend_text
from crossramp.sim.bulk.selfcheck import commands


def main() -> int:
    """Measure and print; 1 if a testbench does not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="kws")
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many runs counts")
    parser.add_argument("--against", metavar="DIR", help="a folder that another version has generated")
    arguments = parser.parse_args()

    model = load_model(arguments.model)
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        folders = {"generated": Path(name) / "new", "as the back end writes it": Path(name) / "plain"}
        generate(model, folders["generated"], GenerateOptions(arguments.model))
        with mock.patch.object(backend_text, "shortened", lambda module: module):
            generate(model, folders["as the back end writes it"], GenerateOptions(arguments.model))
        if arguments.against:
            folders[arguments.against] = Path(name) / "against"
            shutil.copytree(arguments.against, folders[arguments.against])
        for folder in folders.values():
            build, _, _ = commands(f"../{arguments.model}.v")["Icarus Verilog"].partition("\n")
            subprocess.run(build, shell=True, cwd=folder / "testbench", check=True)
        best: dict[str, float] = {}
        for _ in range(arguments.repeat):
            for title, folder in folders.items():
                begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
                command = ["vvp", "-n", "testbench.vvp"]
                done = subprocess.run(command, cwd=folder / "testbench", capture_output=True, text=True)
                seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begin
                passed = re.search(r"^PASS: .* (\d+) clocks$", done.stdout, re.MULTILINE)
                if passed is None:
                    print(f"{title}: the testbench does not pass:\n{done.stdout[-500:]}", file=sys.stderr)
                    return 1
                best[title] = max(best.get(title, 0.0), int(passed[1]) / seconds)
    print(f"{arguments.model}: {passed[1]} clocks; clocks per second of processor time, start-up included")
    for title, rate in best.items():
        print(f"  {rate:9,.0f}  {title}")
    for title, rate in list(best.items())[1:]:
        print(f"ratio {best['generated'] / rate:6.2f}  to {title}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
