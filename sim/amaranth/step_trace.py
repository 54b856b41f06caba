# SPDX-License-Identifier: Apache-2.0
"""One step of a simulated network, clock by clock: every wire of the boundary, and what the array behind it holds."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Value
from amaranth.sim import Simulator
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of, prefixed
from crossramp.golden.macro.initial_state import streaming_macros
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import step_records, units_of
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import BOUNDARY, PIN_NAMES
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.layers.layered_top import top_of

from ..array.array_setup import IDEAL, ArraySetup, array_models
from ..array.python_array import Pins, to_bits

#: Clocks of a macro's idling before its window that are kept beside those in which it loads: behind other macros it may
#: wait for a whole utterance.
_IDLE = 16


@dataclass(frozen=True, eq=False)
class StepWaves:
    """The clocks of one step, from the end of the step before to the last beat of h.

    Those in which a macro waits for its x longer than it takes to load it are left out.

    Attributes
    ----------
    controls : dict of bool arrays, shape (clocks,)
        state, integrate, reset, hold, ramp_reset, tick; where a cell has a second reset wire, also reset_1.
    rows : int8 array, shape (clocks, rows)
        1 driven positively, -1 negatively, 0 not.
    state_rows : int8 array, shape (clocks, state_lines)
        The same of the lines.
    tap : int64 array, shape (clocks,)
        Index of the ramp cell that is on; -1 for none.
    comparators : bool array, shape (clocks, columns)
    values : array, shape (clocks, columns)
        What the integrators hold, in MAC units; int64, or float64 where a device instance answered.
    codes, state_codes : int64 arrays, shape (columns that the conversion latches,)
        What the gateware's monitor ports showed: codes of the first conversion, and of the second.
    update : bool array, shape (clocks,)
        A beat of the cell update, of c or h, is under way.
    calibration : bool array, shape (ramps, calibration_cells)
        Bias cells selected, the same on all clocks.
    """

    controls: dict[str, np.ndarray]
    rows: np.ndarray
    state_rows: np.ndarray
    tap: np.ndarray
    comparators: np.ndarray
    values: np.ndarray
    codes: np.ndarray
    state_codes: np.ndarray
    update: np.ndarray
    calibration: np.ndarray


def trace_step(
    network: Network | LayeredNetwork,
    x: np.ndarray,
    step: int,
    setup: ArraySetup = IDEAL,
    array: str | None = None,
) -> StepWaves:
    """Simulate an utterance in Amaranth's simulator up to the end of one step; keep that step's clocks of one array.

    Parameters
    ----------
    x : integer array, shape (steps, inputs)
        Pulse codes.
    step : int
        Which step of the array's macro to keep, from 0, in the order in which it takes them: a backward macro begins
        with the last one.
    setup : ArraySetup
        What stands behind every boundary: ideal arrays, or device instances with their calibration.
    array : str or None
        The name of the array whose waves these are (:func:`~crossramp.golden.layers.tile.arrays_of`); the others are
        there too. None: the first one.

    Raises
    ------
    InvalidValue
        If the utterance has no such step, or the network no such array; for a setup that does not fit the network; for
        a network whose initial states come through a stream.
    """
    if not 0 <= step < len(x):
        raise InvalidValue(f"step is {step}; the utterance has steps 0 to {len(x) - 1}")
    spec, top = network.spec, top_of(network)
    if streaming_macros(spec):
        raise InvalidValue("initial is 'stream', and a traced step has no state to start from; give another network")
    arrays = {name: getattr(top, name) for name in arrays_of(spec)}
    array = next(iter(arrays)) if array is None else array
    macro, tile = _place(spec, array)
    models = array_models(network, setup, record=False)
    clocks, records = [], step_records(spec)
    shown = [group for group in step_groups(spec) if group.monitored and group.macro == macro]
    beats = {group.name: [] for group in shown}
    monitor = getattr(top, prefixed(macro, "monitor"))
    # The last beat of a step: h of a macro of several is shown when it is taken; that of the only one always is.
    left, ends = (monitor.h, monitor.end) if macro else (top.h.valid, top.h.payload.end)
    kept = spec.macros[macro].inputs + spec.macros[macro].load_clocks + _IDLE

    async def bench(ctx):
        for name, port in setup.ports(spec).items():
            ctx.set(getattr(top, prefixed(name, "calibration")), port)
        for signal in (*(wires.ready for wires in arrays.values()), top.h.ready, top.logit.ready, top.answer.ready):
            ctx.set(signal, 1)
        waiting = iter(x.ravel().tolist())
        taken, sent, done, begun = True, 0, 0, False
        while done <= step:
            if taken:
                code = next(waiting, None)
                ctx.set(top.x.valid, code is not None)
                ctx.set(top.x.payload.code, code or 0)
                ctx.set(top.x.payload.last, sent >= x.size - spec.inputs)
                sent += 1
            taken = ctx.get(top.x.ready)
            await ctx.tick()
            for name, wires in arrays.items():
                pins = Pins(**{pin: ctx.get(getattr(wires, pin)) for pin in PIN_NAMES})
                comparators, _ = models[name].clock(pins)
                ctx.set(wires.comparators, comparators)
                if name == array:
                    seen = pins, comparators
            there = [group for group in shown if ctx.get(getattr(monitor, group.member))]
            emitting = ctx.get(left)
            if done == step:
                clocks.append((*seen, models[array].macs.copy(), bool(there or emitting)))
                for group in there:
                    fields = Cat(*(Value.cast(getattr(monitor, field.name)) for field in group.fields))
                    beats[group.name].append(ctx.get(fields))
                begun = begun or seen[0].integrate
                if not begun and len(clocks) > kept:
                    del clocks[0]
            done += emitting and ctx.get(ends)

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()

    pins, whole, values = [entry[0] for entry in clocks], spec.macros[macro], {}
    units = whole.unit_tiles[tile]
    for group in shown:
        if group.member == "h":
            continue
        for field, numbers in records[group.name].unpack_integers(beats[group.name]).items():
            values[field] = units_of(numbers, whole)[0, units.start : units.stop]
    spec = arrays_of(spec)[array]
    cells = setup.of(macro).cells(whole).reshape(len(whole.unit_tiles), len(spec.ramps), spec.calibration_cells)
    return StepWaves(
        controls=_controls(spec, pins),
        rows=np.array([to_bits(p.row_pos, spec.rows) - to_bits(p.row_neg, spec.rows) for p in pins], np.int8),
        state_rows=np.array(
            [to_bits(p.state_pos, spec.state_lines) - to_bits(p.state_neg, spec.state_lines) for p in pins], np.int8
        ),
        tap=np.array([p.tap.bit_length() - 1 for p in pins]),
        comparators=np.array([to_bits(entry[1], spec.columns) for entry in clocks], bool),
        values=np.array([entry[2] for entry in clocks]),
        codes=np.concatenate([values[code] for code in spec.conversions[0].values()]),
        state_codes=np.concatenate([values[code] for codes in spec.conversions[1:] for code in codes.values()] or [[]]),
        update=np.array([entry[3] for entry in clocks], bool),
        calibration=cells[tile],
    )


def _place(spec: AnySpecification, array: str) -> tuple[str, int]:
    """The macro of an array, and the array's number there; InvalidValue for a name that no array has."""
    for macro, arrays in arrays_by_macro(spec).items():
        if array in arrays:
            return macro, list(arrays).index(array)
    raise InvalidValue(f"there is no array {array!r}; the network has {', '.join(arrays_of(spec))}")


def _controls(spec: Specification, pins: list[Pins]) -> dict[str, np.ndarray]:
    """Each wire that says what the array does, by its name; those of a bus, behind the first, with their numbers."""
    found = {}
    for wire in BOUNDARY:
        if wire.phase:
            values = np.array([getattr(p, wire.name) for p in pins])
            for bit in range(wire.width(spec)):
                found[f"{wire.name}_{bit}" if bit else wire.name] = (values >> bit & 1).astype(bool)
    return found
