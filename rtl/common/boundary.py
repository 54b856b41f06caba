# SPDX-License-Identifier: Apache-2.0
"""The analog boundary: every wire between the periphery and the array behind it."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.tile import arrays_of
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification


class ArraySignature(wiring.Signature):
    """The wires between the digital periphery and the array, seen from the periphery.

    Every output is a flip-flop's, so an analog circuit sees no glitch. Clock by clock, a conversion is: ``reset`` falls
    and ``integrate`` rises; the window lasts ``spec.windows[0]`` clocks (``spec.windows[1]`` in the second conversion);
    ``hold`` follows at once, for ``settle_clocks`` clocks or until ``ready``; then the ticks. ``docs/boundary.md`` has
    the timing diagram and the rules, each of which the protocol checker holds.

    Parameters
    ----------
    spec : Specification

    Members (periphery to array)
    ----------------------------
    row_pos, row_neg : rows bits each
        Drive row r with the positive or the negative read voltage: high for as many clocks as the pulse code's
        magnitude, from the first clock of the window on. Never both. Only in conversions that drive the row.
    state_pos, state_neg : state_lines bits each
        The same for the wires of lines, ``units`` for each; of an LSTM the state cells of bank g in the second
        conversion. Absent in cells without lines.
    state : 1 bit
        High throughout the second conversion (window, hold, ramp): only the columns that it latches matter.
    integrate : 1 bit
        The integrators accumulate.
    reset : reset_groups bits, 1 or 2
        The integrators are emptied. At least 3 clocks before every window. A second bit is that of banks that hold
        their charge: low from the first window to the end of the second conversion.
    hold : 1 bit
        Nothing is driven, the integrators keep their value; high until the last tick's comparators are latched.
    ramp_reset : 1 bit
        The ramps go to their start, and apply the calibration cells selected. High from the first clock of hold to the
        clock before the first tick.
    tick : 1 bit
        High for one clock at the start of each tick: all ramps go one step on.
    tap : ticks bits, those of the longest ramp: 2**adc_bits - 1 unless a ramp has bits of its own or turns
        One-hot, valid from its tick to the next: which ramp cell makes this step. Tap 0 takes the ramp from its start
        to the first threshold. A ramp with fewer ticks has no cells on the taps behind them, and stays.
    calibration : ramps x calibration_cells bits
        Which bias cells are applied while ``ramp_reset`` is high; constant otherwise. Ramp 0's cells are lowest.

    Members (array to periphery)
    ----------------------------
    comparators : columns bits
        High while the column's value exceeds its ramp. Asynchronous: may change at any time, also at a clock edge. Read
        on the clocks of the ramp that have ``ready`` high, once a tick.
    ready : 1 bit, synchronous
        Low makes the periphery wait, before a window, in hold, and on every tick (the comparators of a tick are latched
        on the first clock with ``ready`` high, the tick's own clock included). A window, once open, is never stretched.
        May depend on ``tick`` and ``hold`` without a clock between.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(
            {
                wire.name: (Out if wire.to_array else In)(wire.width(spec), init=wire.reset_value(spec))
                for wire in BOUNDARY
            }
        )


def array_members(spec: Specification) -> dict[str, wiring.Member]:
    """Members of a component for the arrays behind it: ``array``, or ``array0``, ``array1``, ... of a tiled macro."""
    return {name: Out(ArraySignature(array)) for name, array in arrays_of(spec).items()}


def connect_arrays(m: Module, inner: wiring.Component, outer: wiring.Component, spec: Specification) -> None:
    """Pass the arrays of ``inner``, for a macro of ``spec``, on as those of ``outer``, which ``m`` is the inside of."""
    for name in arrays_of(spec):
        wiring.connect(m, getattr(inner, name), wiring.flipped(getattr(outer, name)))


def split_array(m: Module, whole, tiles: list, spec: Specification) -> None:
    """Connect the boundary of a tiled macro to those of its tiles. Wires alone, so the outputs stay free of glitches.

    Rows and phases go to every tile; wires of lines, columns and calibration cells are the tile's own. A tile may make
    all wait: ``ready`` is high while all are.

    Parameters
    ----------
    m : Module
    whole : interface of ArraySignature(spec)
    tiles : list of interfaces
        Of the signatures of :func:`array_members`, in their order.
    spec : Specification
    """
    units, banks, lines = spec.units, len(spec.gate_names), len(spec.layout.lines)
    cells = len(spec.ramps) * spec.calibration_cells
    comparators = [[] for _ in range(banks)]
    for number, (tile, own) in enumerate(zip(tiles, spec.unit_tiles, strict=True)):
        for wire in BOUNDARY:
            if not wire.to_array:
                continue
            value = getattr(whole, wire.name)
            if wire.size == "state_lines":
                value = Cat(value[k * units + own.start : k * units + own.stop] for k in range(lines))
            elif wire.size == "calibration":
                value = value[number * cells : (number + 1) * cells]
            m.d.comb += getattr(tile, wire.name).eq(value)
        for bank, parts in enumerate(comparators):
            parts.append(tile.comparators[bank * len(own) : (bank + 1) * len(own)])
    m.d.comb += [
        whole.comparators.eq(Cat(*(part for parts in comparators for part in parts))),
        whole.ready.eq(Cat(*(tile.ready for tile in tiles)).all()),
    ]
