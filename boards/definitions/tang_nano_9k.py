# SPDX-License-Identifier: Apache-2.0
"""Tang Nano 9K: Gowin GW1NR-9C, 8,640 LUTs, 6,480 flip-flops, 26 block RAMs of 18 kbit, 27 MHz.

Its buttons and LEDs, and the pins 79 to 86, are in bank 3, which the board supplies with 1.8 V:
nothing of 3.3 V may be connected there.
The debug header is therefore in bank 2 (3.3 V), on eleven pins that are neighbors on the header.
The last five of them also go to the connector of an RGB display: leave that empty while you look at them.
"""

from .board import Board, Wires

_LOW_VOLTAGE = {"IO_TYPE": "LVCMOS18"}

BOARDS = (
    Board(
        name="tang-nano-9k",
        title="Sipeed Tang Nano 9K (Gowin GW1NR-9)",
        family="gowin",
        part=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        platform="amaranth_boards.tang_nano_9k:TangNano9kPlatform",
        clock=27_000_000,
        lanes=1,
        columns_per_clock=1,
        capacity={"LUT4": 8640, "DFF": 6480, "BSRAM": 26},
        attributes={"IO_TYPE": "LVCMOS33"},
        wires={
            "reset": Wires("3", inverted=True, attributes={**_LOW_VOLTAGE, "PULL_MODE": "UP"}, label="button S2"),
            "ready": Wires("10", inverted=True, attributes=_LOW_VOLTAGE, label="LED 1"),
            "busy": Wires("11", inverted=True, attributes=_LOW_VOLTAGE, label="LED 2"),
            "error": Wires("13", inverted=True, attributes=_LOW_VOLTAGE, label="LED 3"),
            "probes": Wires("25 26 27 28 29 30 33 34", label="header pins 25-30, 33, 34"),
            "tick": Wires("40", label="header pin 40"),
            "integrate": Wires("35", label="header pin 35"),
            "hold": Wires("41", label="header pin 41"),
        },
        loader="tangnano9k",
    ),
)
