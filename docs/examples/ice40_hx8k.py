# SPDX-License-Identifier: Apache-2.0
"""Lattice iCE40-HX8K breakout board: 7,680 logic cells, 32 block RAMs of 4 kbit, 12 MHz."""

from crossramp.boards.definitions.board import Board, Wires

BOARDS = (
    Board(
        name="ice40-hx8k",
        title="Lattice iCE40-HX8K breakout",
        family="ice40",  # boards/definitions/families.py: how its bitstreams are made
        part=("--hx8k", "--package", "ct256"),  # options of nextpnr
        platform="amaranth_boards.ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform",
        clock=12_000_000,
        lanes=1,
        columns_per_clock=1,
        capacity={"ICESTORM_LC": 7680, "ICESTORM_RAM": 32},
        attributes={"IO_STANDARD": "SB_LVCMOS"},
        wires={
            # The board has no button: a wire from here to ground resets.
            "reset": Wires("4", ("j", 2), inverted=True, attributes={"PULLUP": 1}, label="J2 pin 4"),
            "ready": Wires("C3", label="LED D2"),
            "busy": Wires("B3", label="LED D3"),
            "error": Wires("C4", label="LED D4"),
            "probes": Wires("3 4 5 6 9 10 11 12", ("j", 3), label="J3 pins 3-6, 9-12"),
            "tick": Wires("13", ("j", 3), label="J3 pin 13"),
            "integrate": Wires("14", ("j", 3), label="J3 pin 14"),
            "hold": Wires("17", ("j", 3), label="J3 pin 17"),
        },
        loader="ice40_generic",  # openFPGALoader's name
        programmers=("openFPGALoader", "iceprog"),
    ),
)
