# SPDX-License-Identifier: Apache-2.0
"""A macro with its calibrator around a device instance, in Amaranth's simulator; instances worth calibrating."""

import numpy as np
from amaranth import Cat, Module
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.analog.conversion.device import DeviceInstance, grid_bits, on_grid
from crossramp.golden.analog.conversion.tiled_device import TiledDevice
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.macro.initial_state import FROM_THE_START, State, initial_beats
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.calibrator import CalibratedMacro
from crossramp.sim.array.python_array import ArrayModel, random_stalls
from crossramp.sim.checking.protocol import ProtocolChecker

from tests.support.amaranth_benches import Boundary, receive, send, simulate, stand_behind, x_payloads
from tests.support.strategies import network_of


def instance(spec: Specification, seed: int, *, noisy: bool = True, reach: float = 0.6) -> DeviceInstance:
    """A chip whose ramps start anywhere within ``reach`` of half their cells' range, with all that disturbs counts.

    Cells err by a tenth, one in ten is dead and one in ten stuck at the largest. Columns have offsets, some comparators
    are late; with ``noisy``, conversions, ramp steps and decisions are.
    """
    rng = np.random.default_rng([seed, 3])
    ramps, width, columns = len(spec.ramps), spec.calibration_cells, spec.columns
    lsb = 2.0 ** rng.integers(-1, 4)
    cells = lsb * 2.0 ** np.arange(width) * (1 + 0.1 * rng.standard_normal((ramps, width)))
    fate = rng.random(cells.shape)
    cells[fate < 0.1] = 0.0
    cells[fate > 0.9] = 1.3 * lsb * 2.0 ** (width - 1)
    half = lsb * 2.0 ** (width - 1)
    weights = network_of(spec, seed).weights
    ideal = DeviceInstance.ideal(spec, weights.macro, lines=weights.lines)
    bits, _ = grid_bits(spec)
    late = np.where(rng.random(columns) < 0.1, rng.integers(1, 3, columns), 0)
    changes = {
        "calibration_cells": on_grid(cells, bits),
        "ramp_start": on_grid(ideal.ramp_start - half + half * reach * rng.uniform(-1, 1, ramps), bits),
        "offsets": rng.normal(0, lsb * rng.choice([0.0, 0.3, 3.0]), columns),
        "delays": np.minimum(late, spec.ticks),
        "seed": int(rng.integers(1 << 62)),
    }
    if noisy:
        changes |= {
            "noise_variance": rng.uniform(0, lsb**2, columns),
            "ramp_noise": rng.uniform(0, lsb / 4, (ramps, spec.ticks)),
            "comparator_noise": lsb / 3,
        }
    return ideal.replace(**changes)


class CalibratorRun:
    """Calibrates, and shows everything that a test wants to know.

    Parameters
    ----------
    plan : CalibrationPlan
    content
        Of the :class:`~crossramp.sim.ArrayModel`.
    utterances : list of integer arrays, shape (steps, inputs)
    start_after : int
        How many codes of their x are sent before the calibration is asked for; the others are offered at once.
    stall : float
        Probability that the array stalls, and x and h pause.
    starts : Starts
        What the utterances start from.

    Attributes
    ----------
    registers, failed : lists
    clocks : int
        That ``busy`` was high.
    h : list
        Beats of the utterances' h.
    rows, lines : int
        All rows, and all wires of lines, that were ever driven while the calibration ran.
    """

    def __init__(
        self,
        plan,
        content,
        *,
        utterances=(),
        start_after=0,
        stall=0.0,
        seed=1,
        dut=None,
        compact=False,
        first=0,
        starts=FROM_THE_START,
    ):
        spec = plan.spec
        rng = np.random.default_rng(seed)
        starts = starts if spec.initial == "stream" and starts.given is None else starts.checked(spec, len(utterances))
        if dut is None:
            weights = network_of(spec, 1).weights
            initial = State(weights.initial_register, weights.initial_h)
            dut = CalibratedMacro(plan, compact=compact, projection_weights=weights.projection, initial=initial)
        self.dut = dut
        self.plan, self.clocks, self.rows, self.lines, self.h = plan, 0, 0, 0, []
        stalls, garbage = (int(rng.integers(1 << 32)) for _ in range(2))
        arrays = arrays_of(spec)
        contents = content.tiles if isinstance(content, TiledDevice) else [content]
        self.models = []
        for number, (array, held) in enumerate(zip(arrays.values(), contents, strict=True)):
            # All stall alike, since an array that waits for another keeps what it shows.
            options = {"ready": random_stalls(stalls, stall) if stall else None, "garbage_seed": garbage + number}
            self.models.append(ArrayModel(array, held, first=first, **options))
        self.checkers = [ProtocolChecker(array) for array in arrays.values()]
        self.model, self.checker = self.models[0], self.checkers[0]
        width, payloads = spec.calibration_cells, x_payloads(utterances, starts.keep if spec.keeps_state else None)
        beats = sum(len(x) for x in utterances) * spec.h_beats

        def pause():
            return int(rng.geometric(1 - stall)) - 1 if stall else 0

        m = Module()
        m.submodules.dut = dut
        interfaces = [getattr(dut, name) for name in arrays]
        boundaries = [Boundary(m, interface) for interface in interfaces]

        async def array(ctx):
            await stand_behind(ctx, *zip(boundaries, self.models, self.checkers, strict=True))

        async def watch(ctx):
            port = interfaces[0]
            driven = Cat(port.row_pos | port.row_neg), Cat(port.state_pos | port.state_neg)
            async for _, _, busy, quiet, rows, lines in ctx.tick().sample(
                dut.calibrate.busy, dut.calibrator.quiet, *driven
            ):
                self.clocks += busy
                self.rows |= rows if quiet else 0
                self.lines |= lines if quiet else 0

        async def load(ctx):
            if spec.initial == "stream":
                await send(ctx, dut.initial, initial_beats(spec, starts), pause)

        async def host(ctx):
            await send(ctx, dut.x, payloads[:start_after], pause)
            ctx.set(dut.calibrate.start, 1)
            await ctx.tick()
            ctx.set(dut.calibrate.start, 0)
            await send(ctx, dut.x, payloads[start_after:], pause)
            await ctx.tick().until(~dut.calibrate.busy)
            word, failed = ctx.get(dut.calibrate.registers), ctx.get(dut.calibrate.failed)
            ramps = range(len(arrays) * len(spec.ramps))
            self.registers = [word >> width * r & ((1 << width) - 1) for r in ramps]
            self.failed = [bool(failed >> r & 1) for r in ramps]

        async def take(ctx):
            self.h = await receive(ctx, dut.h, beats, pause)
            await ctx.tick().repeat(3)

        slowest = (plan.steps + beats) * (spec.clocks_per_step + spec.load_clocks + spec.inputs + 50)
        simulate(m, host, take, background=(array, watch, load), clocks=int(slowest * (1 + 40 * stall)) + 2000)
        for model in self.models:
            model.finish()

    def units(self) -> np.ndarray:
        """h of the utterances; int64, shape (steps, hidden)."""
        spec = self.plan.spec
        lanes = np.array([[beat.codes[lane] for lane in range(spec.lanes)] for beat in self.h], np.int64)
        return lanes.reshape(-1, spec.h_beats * spec.lanes)[:, : spec.hidden]


def plan_of(spec: Specification, repeats_log2: int = 0, lsb: float = 4.0) -> CalibrationPlan:
    """A plan for any activations."""
    return CalibrationPlan(spec, repeats_log2, (lsb,) * len(spec.ramps))
