# SPDX-License-Identifier: Apache-2.0
"""Bulk simulation in Verilator against a bare C++ loop that turns the clock of the same hardware and crossbar.

The bare loop has no bench: x is random and always valid, outputs are always ready, nothing is read, checked or written.
The bulk run reads its stimuli, checks the protocol on every clock and writes every value. Prints clocks per second of
processor time of both (the best of some runs), and the ratio; then the bulk run with a chip of a technology in the
ideal crossbar's place.

    python bench/bulk_simulation.py [--units 32] [--utterances 200] [--repeat 3] [--technology rram] [--seed 1]
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.weights import Weights
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.boundary_verilog import IDEAL_ARRAY, array_instance, array_source, boundary_wires
from crossramp.sim.array.programming import Programming
from crossramp.sim.bulk import bench_verilog
from crossramp.sim.bulk.bulk_bench import network_verilog
from crossramp.sim.bulk.bulk_simulation import children_seconds, simulate_bulk
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import compare_traces
from crossramp.sim.tools.builds import build_executable

STEPS = 49

_LOOP = """\
#include <cstdlib>
#include "Vcrossramp_bare.h"
#include "verilated.h"

int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vcrossramp_bare bare(&context);
    const long clocks = atol(argv[1]);
    uint32_t random = 1;
    for (long k = 0; k < clocks; ++k) {
        bare.rst = k < 3;
        // Changes while it waits too: cheaper than a queue.
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        bare.x_code = random & CODES;
        bare.clk = 1;
        bare.eval();
        bare.clk = 0;
        bare.eval();
    }
    bare.final();
    return bare.steps == 0;
}
"""


def bare_top(spec: Specification) -> str:
    """Hardware and crossbar, nothing else; ``steps`` counts the steps' last beats of h."""
    device = ", ".join(f".{wire.port}({wire.port})" for wire in BOUNDARY)
    return f"""\
`timescale 1ns / 1ps
module crossramp_bare(input clk, input rst, input [{spec.input_bits - 1}:0] x_code,
  output reg [31:0] steps);
{boundary_wires(spec)}  wire h_valid, h_end;
  initial steps = 0;
  always @(posedge clk) if (h_valid && h_end) steps <= steps + 1;
  crossramp_dut dut(.clk(clk), .rst(rst), .x_valid(1'b1), .x_code(x_code), .x_last(1'b0),
    .h_valid(h_valid), .h_end(h_end), .h_ready(1'b1), .logit_ready(1'b1), .answer_ready(1'b1),
    .calibration(0), {device});
{array_instance(spec)}endmodule
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many runs counts")
    parser.add_argument("--technology", default="rram", help="of the chip")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    spec = Specification(inputs=40, units=arguments.units, classes=12, lanes=min(16, arguments.units))
    weights = Weights(
        rng.integers(-spec.weight_max, spec.weight_max + 1, (spec.rows, spec.columns)),
        rng.integers(-spec.head_weight_max, spec.head_weight_max + 1, (spec.classes, spec.units)),
        rng.integers(-spec.head_bias_max, spec.head_bias_max + 1, spec.classes),
    )
    network = Network(spec, weights)
    x = rng.integers(-spec.input_max, spec.input_max + 1, (arguments.utterances, STEPS, spec.inputs))

    verilog, ports = network_verilog(network)
    sources = {
        "device.v": verilog,
        "wrapper.v": bench_verilog.wrapper(spec, "network", ports),
        IDEAL_ARRAY: array_source(IDEAL_ARRAY),
        "bare.sv": bare_top(spec),
    }
    loop = _LOOP.replace("CODES", f"{(1 << spec.input_bits) - 1:#x}")
    # Not strict: most of the pins stay open.
    command = build_executable("verilator", sources, "crossramp_bare", main=loop, strict=False)

    behind = ArraySetup(device(load(arguments.technology), spec, network.weights.macro, arguments.seed))
    bulk, bare, chips = [], [], []
    with tempfile.TemporaryDirectory() as name:
        array = Programming.ideal(spec, network.weights.macro, lines=network.weights.lines).write(Path(name) / "array")
        for _ in range(arguments.repeat):
            result = simulate_bulk(network, x, "verilator")
            bulk.append(result.clocks / result.processor_seconds)
            compare_traces(spec, expected_traces(network, x), result.traces).check()
            erring = simulate_bulk(network, x, "verilator", array=behind)
            chips.append(erring.clocks / erring.processor_seconds)
            begin = children_seconds()
            subprocess.run([*command, str(result.clocks), f"+array={array}"], check=True)
            bare.append(result.clocks / (children_seconds() - begin))
    print(f"{spec.columns} columns, {arguments.utterances} utterances of {STEPS} steps, {result.clocks} clocks")
    rate = max(bulk) * arguments.utterances / result.clocks
    print(f"bulk simulation  {max(bulk) / 1e6:7.3f} M clocks/s, {rate:.0f} utterances/s")
    print(f"bare C++ loop    {max(bare) / 1e6:7.3f} M clocks/s")
    compare_traces(spec, expected_traces(network, x, behind), erring.traces).check()
    rate = max(chips) * arguments.utterances / erring.clocks
    print(f"ratio            {max(bulk) / max(bare):7.2f}")
    print(
        f"{arguments.technology:16s} {max(chips) / 1e6:7.3f} M clocks/s, {rate:.0f} utterances/s, every code golden's"
    )
    print(f"ratio to ideal   {max(chips) / max(bulk):7.2f}")


if __name__ == "__main__":
    main()
