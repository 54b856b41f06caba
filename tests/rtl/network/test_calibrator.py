# SPDX-License-Identifier: Apache-2.0
"""The calibrator against golden.analog.calibration: the same registers, whatever the array, pauses and cells."""

import numpy as np
import pytest
from amaranth import Cat, Mux, Signal
from amaranth.lib import wiring
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, calibrate, calibrates, selected
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.conversion.tiled_device import TiledDevice
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.layers.tile import tiles_of
from crossramp.golden.macro.initial_state import Starts
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.network import calibrator as module
from crossramp.rtl.network.calibrator import CalibratedMacro, Calibrator
from crossramp.sim.array.python_array import ArrayModel, drive_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import simulate
from tests.support.calibration_bench import CalibratorRun, instance, plan_of
from tests.support.chips import macro_of
from tests.support.strategies import inputs_of, network_of, seeds, specifications, starts_of

SMALL = Specification(
    inputs=3,
    units=5,
    classes=2,
    lanes=2,
    adc_bits=4,
    input_bits=3,
    state_pulse_bits=4,
    bias_rows=2,
    calibration_cells=4,
)


def assert_equals_golden(run: CalibratorRun, device: DeviceInstance, first: int = 0):
    golden = calibrate(device, run.plan, first)
    assert (run.registers, run.failed) == (golden.registers.tolist(), golden.failed.tolist())
    assert run.rows == 0  # a MAC of 0
    run.checker.check_finished()
    return golden


@given(
    spec=specifications(max_units=4, max_inputs=4, max_bits=4, any_ramps=True).filter(
        lambda spec: spec.calibration_cells and calibrates(spec)
    ),
    seed=seeds,
    noisy=st.booleans(),
    compact=st.booleans(),
    repeats=st.integers(0, 2),
)
@settings(max_examples=10)
def test_registers_equal_golden(spec, seed, noisy, compact, repeats):
    """Noise, late comparators, dead and stuck cells, ramps out of reach, an array that stalls."""
    plan, device = plan_of(spec, repeats), instance(spec, seed, noisy=noisy, reach=1.2)
    run = CalibratorRun(plan, device, stall=0.1, seed=seed, compact=compact)
    golden = assert_equals_golden(run, device)
    assert len(run.model.conversions) == golden.conversions


def of_cell(cell: str) -> Specification:
    return Specification(
        cell=cell, inputs=3, units=5, classes=2, lanes=2, adc_bits=4, input_bits=3, weight_bits=4, calibration_cells=4
    )


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell, seed):
    spec = of_cell(cell)
    late = any(gate not in spec.conversions[0] for gate in spec.gate_names)
    succeeded = False
    for k in range(3):
        plan, device = plan_of(spec, 1), instance(spec, seed + k)
        run = CalibratorRun(plan, device, stall=0.05, seed=k, compact=k == 2)
        golden = assert_equals_golden(run, device)
        assert len(run.model.conversions) == golden.conversions
        assert not (late and run.lines)
        succeeded |= not golden.failed.all()
    assert succeeded


@pytest.mark.parametrize("cell", CELLS)
def test_clocks_of_every_cell(cell, seed):
    plan, device = plan_of(of_cell(cell), 1), instance(of_cell(cell), seed)
    for compact in (False, True):
        run = CalibratorRun(plan, device, compact=compact)
        assert run.clocks == plan.clocks(compact=compact)


@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_array_has_registers_of_its_own(cell, lanes, seed):
    """Whatever lanes and tiles have in common: each array is calibrated as it would be alone."""
    spec = of_cell(cell).replace(units=7, lanes=lanes)
    spec = spec.replace(tile_columns=3 * len(spec.gate_names))
    tiles = tiles_of(spec)
    chip = TiledDevice(spec, tuple(instance(tile, seed + k) for k, tile in enumerate(tiles)))
    plan = plan_of(spec, 1)
    run = CalibratorRun(plan, chip, stall=0.05, seed=seed)
    found = [calibrate(device, own) for device, own in zip(chip.tiles, plan.tiles, strict=True)]
    assert run.registers == [register for one in found for register in one.registers.tolist()]
    assert run.failed == [bad for one in found for bad in one.failed.tolist()]
    assert len(set(run.registers)) > 1
    for checker in run.checkers:
        checker.check_finished()


@pytest.mark.parametrize("cell", ["gru_reset_after", "lstm_peephole"])
def test_lines_that_are_driven_would_be_found(cell, seed, monkeypatch):
    """A macro that silences its bias rows alone: what the first update makes of silent columns goes on the lines."""
    plan = plan_of(of_cell(cell), 1)
    device = instance(of_cell(cell), seed)

    def driver(self, m, sequencer, group, codes):
        signature = self.signature
        with monkeypatch.context() as patch:
            patch.setattr(type(self), "signature", wiring.Signature({"array": signature.members["array"]}))
            return plain(self, m, sequencer, group, codes)

    plain = Macro._driver
    monkeypatch.setattr(Macro, "_driver", driver)
    assert CalibratorRun(plan, device).lines


CLOCKS = {
    "running": ({}, {}),
    "one repeat": ({}, {"repeats_log2": 0}),
    "x loads longer than a step runs": ({"inputs": 90, "adc_bits": 2}, {}),
    "x loads exactly as long as a decision waits": ({"inputs": 64}, {}),
    "one clock less": ({"inputs": 63}, {}),
    "one input, one cell": ({"inputs": 1, "calibration_cells": 1}, {}),
    "all lanes": ({"lanes": 5}, {}),
    "a projection": ({"projection": 3}, {}),
    "registered comparators": ({"comparator_registers": 1}, {}),
    "compact": ({}, {"compact": True}),
    "compact, x loads longer": ({"inputs": 70}, {"compact": True}),
}


@pytest.mark.parametrize("case", CLOCKS.values(), ids=CLOCKS.keys())
def test_clocks(case, seed):
    changes, options = case
    spec = SMALL.replace(**changes)
    options = {"repeats_log2": 1, "compact": False} | options
    plan, device = plan_of(spec, options["repeats_log2"]), instance(spec, seed)
    run = CalibratorRun(plan, device, compact=options["compact"])
    assert_equals_golden(run, device)
    assert run.clocks == plan.clocks(compact=options["compact"])


@pytest.mark.parametrize("start_after", [0, 2, 6, 7])
def test_an_utterance_under_way_ends_first_and_the_next_one_waits(start_after, seed):
    """Asked for before, amid, or right behind an utterance of six codes, or when the next one has begun."""
    plan, device = plan_of(SMALL), instance(SMALL, 1, noisy=False)
    utterances = [*inputs_of(SMALL, seed, 1, 2), *inputs_of(SMALL, seed + 1, 2, 1)]
    run = CalibratorRun(plan, device, utterances=utterances, start_after=start_after, stall=0.1, seed=seed)
    golden = assert_equals_golden(run, device)
    before = -(-start_after // 6)
    nominal = macro_of(device, selected(SMALL, [8, 8]))
    calibrated = macro_of(device, golden.cells)
    expected = [(nominal if k < before else calibrated).run(x[None]).h[0] for k, x in enumerate(utterances)]
    np.testing.assert_array_equal(run.units(), np.concatenate(expected))
    assert (nominal.run(utterances[0][None]).codes != calibrated.run(utterances[0][None]).codes).any()


@pytest.mark.parametrize("cell", ["lstm_peephole", "gru", "rnn_tanh"])
@pytest.mark.parametrize("initial", ["zero", "constant", "stream"])
def test_a_state_that_is_kept_outlives_no_calibration(cell, initial, seed):
    """An utterance whose state is kept is not over; what starts anew after the calibration has its own state."""
    spec = of_cell(cell).replace(initial=initial, keeps_state=1)
    plan, device = plan_of(spec), instance(spec, 1, noisy=False)
    utterances = list(inputs_of(spec, seed, 3, 1))
    starts = Starts(np.array([True, False, False]), starts_of(spec, seed, 3).given)
    run = CalibratorRun(plan, device, utterances=utterances, start_after=2, stall=0.1, seed=seed, starts=starts)
    golden = assert_equals_golden(run, device)
    weights = network_of(spec, 1).weights
    nominal, calibrated = (
        Network(spec, weights, DeviceArray(device, cells))
        for cells in (selected(spec, [8] * len(spec.ramps)), golden.cells)
    )
    x = np.stack(utterances)
    (before,) = nominal.play([x[:2]], starts.of(slice(0, 2)))
    (after,) = calibrated.play([x[2:]], starts.of(slice(2, 3)))
    np.testing.assert_array_equal(run.units(), np.concatenate([before.h, after.h])[:, 0])


@pytest.mark.parametrize("initial", ["constant", "stream"])
def test_loading_a_state_costs_a_calibration_nothing(initial, seed):
    spec = SMALL.replace(initial=initial)
    plan, device = plan_of(spec, 1), instance(spec, seed)
    for compact in (False, True):
        run = CalibratorRun(plan, device, compact=compact)
        assert_equals_golden(run, device)
        assert run.clocks == plan.clocks(compact=compact)


def test_noise_goes_on_where_it_was(seed):
    plan, device = plan_of(SMALL, 1), instance(SMALL, seed)
    run = CalibratorRun(plan, device, first=1234)
    golden = assert_equals_golden(run, device, 1234)
    assert calibrate(device, plan, 0).counts.tolist() != golden.counts.tolist()


def test_an_ideal_array_gets_its_nominal_setting(rng):
    spec = SMALL.replace(calibration_cells=5)
    for lsb in (1, 3, 20):
        cells = np.tile(lsb * 2.0 ** np.arange(5), (2, 1))
        device = DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro, cells)
        for start in (16, 9, 28):
            shifted = device.replace(ramp_start=device.ramp_start - start * lsb)
            golden = calibrate(shifted, CalibrationPlan(spec, 0))
            # The middle exactly; elsewhere nothing shows that a setting one lower is not as near.
            assert (golden.registers == (start if start == 16 else start - 1)).all()
            assert not golden.failed.any()


@pytest.mark.parametrize(("start", "register"), [(-3, 0), (40, 31)])
def test_a_ramp_out_of_reach_fails_alone(start, register):
    spec = SMALL.replace(calibration_cells=5)
    cells = np.tile(2.0 ** np.arange(5), (2, 1))
    device = DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro, cells)
    device = device.replace(ramp_start=device.ramp_start - [start, 16])
    run = CalibratorRun(CalibrationPlan(spec, 0), device)
    golden = assert_equals_golden(run, device)
    assert (golden.registers.tolist(), golden.failed.tolist()) == ([register, 16], [True, False])


def test_the_middle_is_taken_only_while_no_other_setting_is_nearer():
    """Of 15 columns 4 reach K with setting 16, and 8 with 15: the middle, nearest at first, is not taken in the end."""
    spec = SMALL.replace(calibration_cells=5)
    cells = np.tile(2.0 ** np.arange(5), (2, 1))
    ideal = DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro, cells)
    offsets = np.zeros(20)
    offsets[np.r_[0:10, 15:20]] = [1.0] * 4 + [0.0] * 4 + [-1.0] * 7  # of the banks with a sigmoid
    device = ideal.replace(ramp_start=ideal.ramp_start - [16, 16], offsets=offsets)
    run = CalibratorRun(CalibrationPlan(spec, 0), device)
    golden = assert_equals_golden(run, device)
    assert golden.registers.tolist() == [15, 16]


def test_a_calibration_begins_anew_every_time():
    """Out of reach, within, out of reach beyond, within: no register, count or failure is left of the one before."""
    spec = SMALL.replace(calibration_cells=5)
    cells = np.tile(2.0 ** np.arange(5), (2, 1))
    ideal = DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro, cells)
    plan, dut = CalibrationPlan(spec, 0), CalibratedMacro(CalibrationPlan(spec, 0))
    starts = [(-3, 40), (9, 16), (40, -3), (28, 9)]
    devices = [ideal.replace(ramp_start=ideal.ramp_start - start) for start in starts]

    class Chips:
        """One array after the other."""

        def __init__(self):
            self.model = ArrayModel(spec, devices[0])

        def clock(self, pins):
            return self.model.clock(pins)

    chips = Chips()

    async def array(ctx):
        await drive_array(ctx, dut.array, chips)

    async def bench(ctx):
        for device in devices:
            chips.model = ArrayModel(spec, device)
            ctx.set(dut.calibrate.start, 1)
            await ctx.tick()
            ctx.set(dut.calibrate.start, 0)
            await ctx.tick().until(~dut.calibrate.busy)
            golden = calibrate(device, plan)
            word = ctx.get(dut.calibrate.registers)
            assert [word & 31, word >> 5] == golden.registers.tolist()
            assert ctx.get(dut.calibrate.failed) == sum(bool(failed) << r for r, failed in enumerate(golden.failed))
        assert [calibrate(device, plan).failed.tolist() for device in devices] == [[True] * 2, [False] * 2] * 2

    simulate(dut, bench, background=(array,))


def test_activations_whose_threshold_is_not_at_zero_are_shifted():
    """clipped_relu's first threshold, 1/16, is at 7.5 MAC units here: 7 cells of 1, 4 of 2; saturated beyond."""
    gates = (Gate("clipped_relu", 0.375), Gate("sigmoid", 2.0), Gate("tanh", 2.0), Gate("sigmoid", 2.0))
    spec = SMALL.replace(gates=gates, weight_bits=5, calibration_cells=5)
    with pytest.raises(ValueError, match=r"nearest to 0 lies at 7\.5 MAC units; to calibrate it, give lsb"):
        CalibrationPlan(spec)
    for lsb, start, register, failed in ((1.0, 12, 11, False), (2.0, 14, 14, False), (1.0, 36, 31, True)):
        device = DeviceInstance.ideal(
            spec, network_of(spec, 1).weights.macro, np.tile(lsb * 2.0 ** np.arange(5), (3, 1))
        )
        device = device.replace(ramp_start=device.ramp_start - lsb * start)
        plan = CalibrationPlan(spec, 0, (lsb,) * 3)
        assert plan.shifts == (round(7 / lsb + 0.1), 0, 0)
        run = CalibratorRun(plan, device)
        golden = assert_equals_golden(run, device)
        assert (golden.registers[0], golden.failed[0]) == (register, failed)


def test_a_host_reads_and_writes_the_registers(rng):
    dut = CalibratedMacro(plan_of(SMALL))
    width = 2 * SMALL.calibration_cells

    async def bench(ctx):
        assert ctx.get(dut.calibrate.registers) == 0x88  # the middle of each
        for value in rng.integers(0, 1 << width, 4).tolist():
            ctx.set(dut.calibrate.value, value)
            ctx.set(dut.calibrate.load, 1)
            await ctx.tick()
            ctx.set(dut.calibrate.load, 0)
            ctx.set(dut.calibrate.value, 0)
            await ctx.tick().repeat(2)
            assert (ctx.get(dut.calibrate.registers), ctx.get(dut.array.calibration)) == (value, value)

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"calibration_cells": 0}, {}, "calibration_cells is 0"),
        ({}, {"repeats_log2": 9}, "repeats_log2 is 9; allowed: 0 to 8"),
        ({}, {"lsb": (1.0,)}, r"lsb is \(1.0,\); expected 2 numbers of MAC units above 0"),
        ({}, {"lsb": (1.0, 0.0)}, "expected 2 numbers of MAC units above 0"),
    ],
)
def test_impossible_plans_are_refused(changes, options, message):
    with pytest.raises(ValueError, match=message):
        CalibrationPlan(SMALL.replace(**changes), **options)


# ---- planted faults, and a macro that shows what it may --------------------------------------------------------------


class OtherBanks(CalibrationPlan):
    """Counts each ramp's codes in the other's banks."""

    @property
    def gates(self):
        return super().gates[::-1]


class NextTick(CalibrationPlan):
    """Counts the codes above K."""

    @property
    def ticks(self):
        return tuple(tick + 1 for tick in super().ticks)


class OffByOne(CalibrationPlan):
    """Ends one setting too high."""

    @property
    def shifts(self):
        return tuple(shift + 1 for shift in super().shifts)


@pytest.mark.parametrize("fault", [OtherBanks, NextTick, OffByOne])
def test_comparison_fails_with_a_wrong(fault):
    plan, device = plan_of(SMALL), instance(SMALL, 1)
    run = CalibratorRun(plan, device, dut=CalibratedMacro(fault(SMALL, 0, plan.lsb)))
    with pytest.raises(AssertionError):
        assert_equals_golden(run, device)


class LoudMacro(Macro):
    """Does not silence its bias rows."""

    def __init__(self, spec, *, quiet, **options):
        super().__init__(spec, **options)
        self.quiet = Signal()


def test_comparison_fails_with_bias_rows_that_are_driven(monkeypatch):
    monkeypatch.setattr(module, "Macro", LoudMacro)
    device = instance(SMALL, 1)
    run = CalibratorRun(plan_of(SMALL), device)
    assert run.rows == 0b11 << SMALL.inputs + SMALL.units
    run.rows = 0
    with pytest.raises(AssertionError):
        assert_equals_golden(run, device)


class BabblingMacro(Macro):
    """Shows full codes on lanes beyond the last unit, and whenever no beat is there: they hold no meaning."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        spec, monitor = self.spec, self.monitor
        beat = Signal(range(spec.beats))
        strobe = monitor.gates | monitor.output
        with m.If(strobe):
            m.d.sync += beat.eq(Mux(beat == spec.beats - 1, 0, beat + 1))
        for lane in range(spec.lanes):
            beyond = (beat == spec.beats - 1) if lane >= spec.units - (spec.beats - 1) * spec.lanes else 0
            with m.If(~strobe | beyond):
                m.d.comb += [getattr(monitor, gate)[lane].eq(spec.ticks) for gate in "ifgo"]
        return m


class CountsEveryLane(Calibrator):
    """Takes every lane of a beat for a unit."""

    def _counting(self, m):
        return [Cat((self.monitor.gates | self.monitor.output) for _ in range(self.plan.spec.lanes))]


@pytest.mark.parametrize("every_lane", [False, True])
def test_lanes_beyond_the_last_unit_do_not_count(every_lane, monkeypatch):
    monkeypatch.setattr(module, "Macro", BabblingMacro)
    if every_lane:
        monkeypatch.setattr(module, "Calibrator", CountsEveryLane)
    spec = SMALL.replace(units=4, lanes=3)
    device = instance(spec, 1)
    run = CalibratorRun(plan_of(spec), device)
    if every_lane:
        with pytest.raises(AssertionError):
            assert_equals_golden(run, device)
    else:
        assert_equals_golden(run, device)
