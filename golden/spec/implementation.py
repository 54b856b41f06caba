# SPDX-License-Identifier: Apache-2.0
"""The implementation: how the hardware does it, and the clocks of each of its components."""

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

        Of a projection in an array too.
        """
        projection = self.projection_macro
        behind = 0 if projection is None else projection.analog_clocks_per_step
        return sum(self.windows) + sum(self.conversion_ticks) + behind

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
            return 1 + self.projection_macro.macro_clocks - self.projection_macro.analog_clocks_per_step
        return self.projection * self.beats + 4 if self.projection else 0

    @property
    def macro_clocks(self) -> int:
        """Of ``rtl.macro.sequencer.Sequencer``, one step, nothing waiting for anything.

        The array's own; for each conversion one clock for the pulse registers, the hold and the update; the projection.
        """
        own = len(self.conversions) * (1 + self.settle_clocks + self.update_clocks)
        return self.analog_clocks_per_step + own + self.projection_clocks

    @property
    def clocks_per_step(self) -> int:
        """Of ``rtl.network.network_top.NetworkTop``, one step of a running utterance.

        x arrives in time, all outputs are taken at once, and the array is ready. The macro's clocks, but never less
        than ``inputs``, since x loads one code per clock. With the readout ``"step"`` never less than
        ``head_clocks``: the head goes through its classes while the next step runs, whose last h waits.
        """
        return max(self.macro_clocks, self.inputs, self.head_clocks if self.readout == "step" else 0)
