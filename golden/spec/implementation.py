# SPDX-License-Identifier: Apache-2.0
"""The implementation: how the hardware does it, and the clocks of each of its components."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..common.declared import declared


@dataclass(frozen=True, kw_only=True)
class ImplementationParameters:
    """Parameters that cost clocks or cells and leave every answer as it is, and the clocks that follow from them.

    Each formula stands here once, for the component that it names; the component's docstring refers to it, and its
    test in ``tests/rtl`` holds the clocks that it counts equal to it.

    Parameters
    ----------
    lanes : int
        Units that the cell update and the h stream treat in one clock, 1 to ``units``.
    settle_clocks : int
        Least clocks of hold between an integration and its ramp, 1 to 255; an array lengthens it by ``ready``.
    comparator_registers : int
        Flip-flops between each comparator and its column's latches, 0 or 1. With one, all latches of a column see the
        same value, so that a comparator that is marginal on several ticks in a row still gives a code of one of them;
        it takes a clock more for each conversion. See docs/boundary.md.
    tile_rows, tile_columns : int
        Most rows that cross one array, and most columns of one array; 0: no limit. See :mod:`.tile`.
    """

    lanes: int = declared("units updated in one clock", 1, lambda spec: spec.units, default=1)
    settle_clocks: int = declared("clocks of hold before a ramp", 1, 255, default=1)
    comparator_registers: int = declared("registers between a comparator and its latches", 0, 1, default=0, neutral=0)
    tile_rows: int = declared("most rows of one array; 0: no limit", 0, 1 << 20, default=0, neutral=0)
    tile_columns: int = declared("most columns of one array; 0: no limit", 0, 1 << 20, default=0, neutral=0)

    @property
    def beats(self) -> int:
        """Groups of ``lanes`` units in a bank, the last perhaps partly filled."""
        return -(-self.units // self.lanes)

    @property
    def initial_beats(self) -> int:
        """Groups of ``lanes`` units that a state which is loaded has."""
        return self.beats if self.layout.register else self.h_beats

    @property
    def load_clocks(self) -> int:
        """Of ``rtl.macro.state_loader.StateLoader``, once an utterance: from the clock on which its x is there.

        One before the groups, one for each of them, and one in which the step begins.
        """
        return self.initial_beats + 2 if self.loads_state else 0

    @property
    def analog_clocks_per_step(self) -> int:
        """Clocks that no periphery can avoid: the window of each conversion, and its longest ramp.

        Of a projection in an array too; and of partial sums for which a conversion waits.
        """
        phases = [window + ticks for window, ticks in zip(self.windows, self.conversion_ticks, strict=True)]
        return sum(phases) + sum(self._waits(phases, self._analog_sum_clocks)) + self._analog_projection_clocks

    @property
    def _analog_projection_clocks(self) -> int:
        projection = self.projection_macro
        return 0 if projection is None else projection.analog_clocks_per_step

    @property
    def _analog_sum_clocks(self) -> int:
        """The window and the linear ramp of an array of partial sums."""
        return self.input_max + (1 << (self.code_pulse_bits - 1)) - 1

    def _waits(self, phases: Sequence[int], sums: int) -> list[int]:
        """Clocks that each conversion waits for partial sums, which take ``sums``; conversions take ``phases``.

        Those of values that the step has just computed begin with the conversion's turn, those of h with the step.
        """
        found, passed = [], 0
        for number, clocks in enumerate(phases):
            needs = {one.needs for one in self.row_sums if one.conversion == number}
            wait = sums if "step" in needs else max(sums - passed, 0) if "before" in needs else 0
            found.append(wait)
            passed += wait + clocks
        return found

    @property
    def _phase_clocks(self) -> list[int]:
        """Of each conversion, with its update: one clock for the pulse registers, the window, hold, ramp and update."""
        around = 1 + self.settle_clocks + self.update_clocks
        return [window + ticks + around for window, ticks in zip(self.windows, self.conversion_ticks, strict=True)]

    @property
    def sum_macro_clocks(self) -> int:
        """:attr:`macro_clocks` of each macro of partial sums: its update has as many groups as this one."""
        return self._analog_sum_clocks + 1 + self.settle_clocks + self.update_clocks

    @property
    def sum_waits(self) -> list[int]:
        """Clocks that each conversion waits for partial sums before its window."""
        return self._waits(self._phase_clocks, self.sum_macro_clocks)

    @property
    def update_clocks(self) -> int:
        """Of ``rtl.macro.macro.Macro``, one update.

        One per beat, and one in the product register; one before, if comparators are registered: the last code lands.
        """
        return self.beats + 1 + self.comparator_registers

    @property
    def projection_clocks(self) -> int:
        """What a projection adds to :attr:`analog_clocks_per_step`, 0 without.

        Of ``rtl.macro.projection.Projection``: ``lanes`` products a clock, and four to the last code. In an array: the
        clock in which its macro takes the codes, and what that needs beside its array.
        """
        if self.projection_macro is not None:
            return 1 + self.projection_macro.macro_clocks - self._analog_projection_clocks
        return self.projection * self.beats + 4 if self.projection else 0

    @property
    def macro_clocks(self) -> int:
        """Of ``rtl.macro.sequencer.Sequencer``, one step, nothing waiting for anything.

        The array's own; for each conversion one clock for the pulse registers, the hold and the update, and the partial
        sums that it needs; the projection.
        """
        return sum(self._phase_clocks) + sum(self.sum_waits) + self._analog_projection_clocks + self.projection_clocks

    @property
    def clocks_per_step(self) -> int:
        """Of ``rtl.network.network_top.NetworkTop``, one step of a running utterance.

        x arrives in time, all outputs are taken at once, and the array is ready. The macro's clocks, but never less
        than ``inputs``, since x loads one code per clock. With the readout ``"step"`` never less than
        ``head_clocks``: the head goes through its classes while the next step runs, whose last h waits.
        """
        return max(self.macro_clocks, self.inputs, self.head_clocks if self.readout == "step" else 0)
