# SPDX-License-Identifier: Apache-2.0
"""ULX3S with the 85F: ECP5, 83,640 LUTs and flip-flops, 208 block RAMs of 18 kbit, 156 multipliers; 25 MHz.

``ulx3s-85f-pins`` has no emulator: the analog boundary is on the two GPIO headers, for an array of 8 rows and 8 columns
(3.3 V; ``docs/boundary.md`` says what each line means). ``boards/specs/array8x8.toml`` is a specification that fits.

=================  ============================================  =================================================
port of the array  bit 0, bit 1, ...                             direction
=================  ============================================  =================================================
row_pos            0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+                       out
row_neg            0- 1- 2- 3- 4- 5- 6- 7-                       out
state_pos          8+ 9+                                         out
state_neg          8- 9-                                         out
tap                14+ 14- 15+ 15- 16+ 16- 17+ 17- 18+ 18-       out, one-hot
                   19+ 19- 20+ 20- 21+
calibration        22+ 22- 23+ 23-                               out
state              10+                                           out
integrate          10-                                           out
reset              11+                                           out
hold               11-                                           out
ramp_reset         12+                                           out
tick               12-                                           out
ready              13+                                           in, pulled up: an array that never waits needs no wire
comparators        24+ 24- 25+ 25- 26+ 26- 27+ 27-               in, pulled down
=================  ============================================  =================================================

13- and 21- stay free. The pins of the header 0-13 are on the left connector J1, 14-27 on the right one J2. The debug
lines tick, integrate and hold are those of the array; the eight comparators are the probes.
"""

from dataclasses import replace

from .board import Board, Wires

_GPIO = ("gpio", 0)
_DOWN, _UP = {"PULLMODE": "DOWN"}, {"PULLMODE": "UP"}

_EMULATED = Board(
    name="ulx3s-85f",
    title="Radiona ULX3S with the 85F (ECP5)",
    family="ecp5",
    part=("--85k", "--package", "CABGA381", "--speed", "6"),
    platform="amaranth_boards.ulx3s:ULX3S_85F_Platform",
    clock=25_000_000,
    lanes=16,
    columns_per_clock=16,
    capacity={"TRELLIS_COMB": 83640, "TRELLIS_FF": 83640, "DP16KD": 208, "MULT18X18D": 156},
    attributes={"IO_TYPE": "LVCMOS33"},
    wires={
        "reset": Wires("R1", attributes=_DOWN, label="button F1"),
        "ready": Wires("B2", label="LED 0"),
        "busy": Wires("C2", label="LED 1"),
        "error": Wires("C1", label="LED 2"),
        "probes": Wires("0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+", _GPIO, label="GPIO 0+ to 7+"),
        "tick": Wires("8+", _GPIO, label="GPIO 8+"),
        "integrate": Wires("9+", _GPIO, label="GPIO 9+"),
        "hold": Wires("10+", _GPIO, label="GPIO 10+"),
    },
    # GPIO 0 of the ESP32: low makes the board restart.
    tied_high="L2",
    loader="ulx3s",
)


def _signals(*names: str) -> dict[str, Wires]:
    return {name: _EMULATED.wires[name] for name in names}


_ON_PINS = replace(
    _EMULATED,
    name="ulx3s-85f-pins",
    title="Radiona ULX3S with the 85F, an array of up to 8 x 8 on its GPIO pins",
    columns_per_clock=0,
    wires={
        **_signals("reset", "ready", "busy", "error"),
        "array_row_pos": Wires("0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+", _GPIO),
        "array_row_neg": Wires("0- 1- 2- 3- 4- 5- 6- 7-", _GPIO),
        "array_state_pos": Wires("8+ 9+", _GPIO),
        "array_state_neg": Wires("8- 9-", _GPIO),
        "array_state": Wires("10+", _GPIO),
        "array_integrate": Wires("10-", _GPIO),
        "array_reset": Wires("11+", _GPIO),
        "array_hold": Wires("11-", _GPIO),
        "array_ramp_reset": Wires("12+", _GPIO),
        "array_tick": Wires("12-", _GPIO),
        "array_ready": Wires("13+", _GPIO, attributes=_UP),
        "array_tap": Wires("14+ 14- 15+ 15- 16+ 16- 17+ 17- 18+ 18- 19+ 19- 20+ 20- 21+", _GPIO),
        "array_calibration": Wires("22+ 22- 23+ 23-", _GPIO),
        "array_comparators": Wires("24+ 24- 25+ 25- 26+ 26- 27+ 27-", _GPIO, attributes=_DOWN),
    },
)

BOARDS = (_EMULATED, _ON_PINS)
