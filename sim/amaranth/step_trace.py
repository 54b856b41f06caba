# SPDX-License-Identifier: Apache-2.0
"""One step of a simulated network, clock by clock: every wire of the boundary, and what the array behind it holds."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Value
from amaranth.sim import Simulator
from crossramp.golden.analog.conversion.tiled_device import Device, tiles_of_device
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.tile import arrays_of, tiles_of
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import step_records, units_of
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import BOUNDARY, PIN_NAMES
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.network_top import NetworkTop

from ..array.python_array import ArrayModel, Pins, from_bits, to_bits


@dataclass(frozen=True, eq=False)
class StepWaves:
    """The clocks of one step, from the end of the step before to the last beat of h.

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
    network: Network,
    x: np.ndarray,
    step: int,
    device: Device | None = None,
    calibration: np.ndarray | None = None,
    tile: int = 0,
) -> StepWaves:
    """Simulate an utterance in Amaranth's simulator up to the end of one step; keep that step's clocks of one array.

    Parameters
    ----------
    x : integer array, shape (steps, inputs)
        Pulse codes.
    step : int
        Which step to keep, from 0.
    device : DeviceInstance, TiledDevice or None
        The chip that stands behind the boundary; None: ideal arrays.
    calibration : bool array, shape (arrays x ramps, calibration_cells), or None
        Bias cells selected throughout; None: none.
    tile : int
        The number of the array whose waves these are; the others are there too.

    Raises
    ------
    InvalidValue
        If the utterance has no such step.
    """
    if not 0 <= step < len(x):
        raise InvalidValue(f"step is {step}; the utterance has steps 0 to {len(x) - 1}")
    spec = network.spec
    top = NetworkTop.of(network)
    arrays = {name: getattr(top, name) for name in arrays_of(spec)}
    parts = [tile_weights(spec, part, network.weights) for part in tiles_of(spec)] if device is None else None
    models = [
        ArrayModel(part, held, record=False)
        for part, held in zip(tiles_of(spec), parts or tiles_of_device(device), strict=True)
    ]
    shape = len(models), len(spec.ramps), spec.calibration_cells
    chosen = np.zeros(shape, bool) if calibration is None else np.asarray(calibration, bool).reshape(shape)
    clocks, records = [], step_records(spec)
    shown = [group for group in step_groups(spec) if group.monitored]
    beats = {group.name: [] for group in shown}

    async def bench(ctx):
        monitor, ready = top.monitor, [array.ready for array in arrays.values()]
        if chosen.size:
            ctx.set(top.calibration, from_bits(chosen.ravel()))
        for signal in (*ready, top.h.ready, top.logit.ready, top.answer.ready, top.x.valid):
            ctx.set(signal, 1)
        waiting = iter(x.ravel().tolist())
        taken, done = True, 0
        while done <= step:
            if taken:
                code = next(waiting, None)
                ctx.set(top.x.valid, code is not None)
                ctx.set(top.x.payload.code, code or 0)
            taken = ctx.get(top.x.ready)
            await ctx.tick()
            seen = []
            for array, model in zip(arrays.values(), models, strict=True):
                pins = Pins(**{name: ctx.get(getattr(array, name)) for name in PIN_NAMES})
                comparators, _ = model.clock(pins)
                ctx.set(array.comparators, comparators)
                seen.append((pins, comparators))
            there = [group for group in shown if ctx.get(getattr(monitor, group.name))]
            emitting = ctx.get(top.h.valid)
            if done == step:
                clocks.append((*seen[tile], models[tile].macs.copy(), bool(there or emitting)))
                for group in there:
                    fields = Cat(*(Value.cast(getattr(monitor, field.name)) for field in group.fields))
                    beats[group.name].append(ctx.get(fields))
            done += emitting and ctx.get(top.h.payload.end)

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()

    pins = [entry[0] for entry in clocks]
    values = {}
    for name, found in beats.items():
        values |= {field: units_of(numbers, spec)[0] for field, numbers in records[name].unpack_integers(found).items()}
    spec, units = models[tile].spec, spec.unit_tiles[tile]
    values = {name: found[..., units.start : units.stop] for name, found in values.items()}
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
        calibration=chosen[tile],
    )


def _controls(spec: Specification, pins: list[Pins]) -> dict[str, np.ndarray]:
    """Each wire that says what the array does, by its name; those of a bus, behind the first, with their numbers."""
    found = {}
    for wire in BOUNDARY:
        if wire.phase:
            values = np.array([getattr(p, wire.name) for p in pins])
            for bit in range(wire.width(spec)):
                found[f"{wire.name}_{bit}" if bit else wire.name] = (values >> bit & 1).astype(bool)
    return found
