# SPDX-License-Identifier: Apache-2.0
"""Simulation: arrays behind the analog boundary, benches for every simulator, and the comparison with golden.

``from crossramp.sim import ArrayModel, MacroBench, Scoreboard, ...`` gives what a bench needs.
Names that need cocotb say so if it is missing.

Imports rtl and golden; boards, train and cli may import it.
"""

import importlib

# Name to module. Loaded on first use: a bench for Amaranth needs no cocotb, a bulk run no event loop.
_EXPORTS = {
    "Array": "array.array_interface",
    "ArrayError": "array.array_interface",
    "ArrayModel": "array.python_array",
    "Conversion": "array.python_array",
    "Pins": "array.python_array",
    "drive_array": "array.python_array",
    "from_bits": "array.python_array",
    "random_stalls": "array.python_array",
    "settling": "array.python_array",
    "to_bits": "array.python_array",
    "Chatter": "array.comparator_faults",
    "Custom": "array.comparator_faults",
    "Explicit": "array.comparator_faults",
    "Fault": "array.comparator_faults",
    "Late": "array.comparator_faults",
    "Stuck": "array.comparator_faults",
    "ArraySetup": "array.array_setup",
    "array_models": "array.array_setup",
    "Programming": "array.programming",
    "write_device": "array.programming",
    "RULES": "checking.protocol",
    "ProtocolChecker": "checking.protocol",
    "ProtocolError": "checking.protocol",
    "StreamPauses": "cocotb.pauses",
    "burst_pauses": "cocotb.pauses",
    "no_pauses": "cocotb.pauses",
    "random_pauses": "cocotb.pauses",
    "MismatchError": "checking.scoreboard",
    "Scoreboard": "checking.scoreboard",
    "compare_traces": "checking.scoreboard",
    "expected_from_comparators": "checking.golden_traces",
    "expected_traces": "checking.golden_traces",
    "SimulationResult": "checking.simulation_result",
    "simulate_amaranth": "amaranth.amaranth_backend",
    "simulate_bulk": "bulk.bulk_simulation",
    "BuildOptions": "tools.run_options",
    "Pauses": "tools.run_options",
    "SimulationError": "tools.simulators",
    "SimulatorMissing": "tools.simulators",
    "find_simulator": "tools.simulators",
    "StreamError": "cocotb.streams",
    "StreamMonitor": "cocotb.streams",
    "StreamSink": "cocotb.streams",
    "StreamSource": "cocotb.streams",
    "stream_signals": "cocotb.streams",
    "MacroBench": "cocotb.cocotb_bench",
    "StepMonitor": "cocotb.cocotb_bench",
    "Watchdog": "cocotb.cocotb_bench",
    "WatchdogError": "cocotb.cocotb_bench",
    "drive_array_pins": "cocotb.array_pins",
    "drive_arrays_pins": "cocotb.array_pins",
    "reset": "cocotb.cocotb_bench",
    "CocotbBuild": "cocotb.cocotb_runner",
    "build_cocotb": "cocotb.cocotb_runner",
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
        from crossramp.golden.common.installation import how_to_install

        raise ImportError(f"{__name__}.{name} needs cocotb: {how_to_install('sim')}") from None


def __dir__():
    return sorted([*globals(), *__all__])
