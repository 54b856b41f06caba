# SPDX-License-Identifier: Apache-2.0
"""Simulation: array models behind the analog boundary, cocotb drivers and scoreboards, runners, bulk simulation.

``from crossramp.sim import ArrayModel, MacroBench, Scoreboard, ...`` gives what a bench needs; names that need cocotb
say so when it is missing.
"""

import importlib

# Name to module. Loaded on first use: a bench for Amaranth needs no cocotb, a bulk run no event loop.
_EXPORTS = {
    "Array": "array_interface",
    "ArrayError": "array_interface",
    "ArrayModel": "array",
    "Conversion": "array",
    "Pins": "array",
    "drive_array": "array",
    "from_bits": "array",
    "random_stalls": "array",
    "settling": "array",
    "to_bits": "array",
    "Chatter": "faults",
    "Custom": "faults",
    "Explicit": "faults",
    "Fault": "faults",
    "Late": "faults",
    "Stuck": "faults",
    "Programming": "programming",
    "write_device": "programming",
    "RULES": "protocol",
    "ProtocolChecker": "protocol",
    "ProtocolError": "protocol",
    "burst_pauses": "pauses",
    "no_pauses": "pauses",
    "random_pauses": "pauses",
    "MismatchError": "scoreboard",
    "Scoreboard": "scoreboard",
    "compare_bulk": "scoreboard",
    "expected_from_comparators": "scoreboard",
    "expected_traces": "scoreboard",
    "BulkResult": "bulk",
    "simulate_bulk": "bulk",
    "SimulationError": "simulators",
    "SimulatorMissing": "simulators",
    "find_simulator": "simulators",
    "StreamError": "streams",
    "StreamMonitor": "streams",
    "StreamSink": "streams",
    "StreamSource": "streams",
    "stream_signals": "streams",
    "MacroBench": "bench",
    "StepMonitor": "bench",
    "Watchdog": "bench",
    "WatchdogError": "bench",
    "drive_array_pins": "bench",
    "reset": "bench",
    "CocotbBuild": "runner",
    "build_cocotb": "runner",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("cocotb", "cocotb_tools"):
            raise
        from crossramp.golden.installation import how_to_install

        raise ImportError(f"{__name__}.{name} needs cocotb: {how_to_install('sim')}") from None


def __dir__():
    return sorted([*globals(), *__all__])
