# SPDX-License-Identifier: Apache-2.0
"""iCEBreaker: iCE40 UP5K, 5,280 logic cells, 30 block RAMs of 4 kbit, 4 SPRAMs of 256 kbit, 8 multipliers.

The oscillator's 12 MHz are used directly.
A PLL would not pay: the part reaches 16 MHz with the shipped network, and an utterance of one second,
which takes a tenth of one, would take 85 ms instead of 103 (docs/boards.md).
"""

from .board import Board, Wires

BOARDS = (
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker (iCE40 UP5K)",
        family="ice40",
        part=("--up5k", "--package", "sg48"),
        platform="amaranth_boards.icebreaker:ICEBreakerPlatform",
        clock=12_000_000,
        lanes=1,
        columns_per_clock=1,
        capacity={"ICESTORM_LC": 5280, "ICESTORM_RAM": 30, "ICESTORM_SPRAM": 4, "ICESTORM_DSP": 8},
        attributes={"IO_STANDARD": "SB_LVCMOS"},
        wires={
            "reset": Wires("10", inverted=True, label="button BTN_N"),
            "ready": Wires("37", inverted=True, label="green LED"),
            "error": Wires("11", inverted=True, label="red LED"),
            # On the part that can be broken off; without it, PMOD2 pin 1 shows the same.
            "busy": Wires("1", ("pmod", 2), label="LED of PMOD2 pin 1"),
            "probes": Wires("1 2 3 4 7 8 9 10", ("pmod", 0), label="PMOD1A pins 1-4, 7-10"),
            "tick": Wires("1", ("pmod", 1), label="PMOD1B pin 1"),
            "integrate": Wires("2", ("pmod", 1), label="PMOD1B pin 2"),
            "hold": Wires("3", ("pmod", 1), label="PMOD1B pin 3"),
        },
        # The weights of the shipped network would take half of the block RAMs.
        weight_ram_style="huge",
        synthesis_options=("-dsp", "-spram"),
        # Spread over the part, and never two neighbors: between them is room for carry chains and for what they feed.
        gather_columns=(3, 8, 12, 16, 22, 10, 14, 18, 5, 20),
        loader="ice40_generic",
        programmers=("openFPGALoader", "iceprog"),
    ),
)
