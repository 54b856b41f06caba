# SPDX-License-Identifier: Apache-2.0
"""What the emulator does in each conversion of a step, and in how many clocks; derived from the cell."""

from dataclasses import dataclass

from crossramp.golden.spec.specification import Specification


@dataclass(frozen=True)
class EmulatedConversion:
    """One conversion of a step.

    Attributes
    ----------
    spec : Specification
    number : int
        0, or 1 for the second one of a step.
    groups : int
        Groups of columns in a bank.
    """

    spec: Specification
    number: int
    groups: int

    @property
    def has_rows(self) -> bool:
        """Whether pulses on rows are measured and multiplied."""
        return self.spec.layout.drives_rows(self.number)

    @property
    def has_lines(self) -> bool:
        """Whether pulses on lines are measured and multiplied."""
        return self.spec.layout.drives_lines(self.number)

    @property
    def is_direct(self) -> bool:
        """Whether a measured pulse is all that its column holds: one constant cell on a line, no rows, nothing held."""
        cell = self.spec.layout
        latched = tuple(self.spec.conversions[self.number])
        charged = [line_cell for line_cell in self.spec.line_cells if line_cell.bank in latched]
        alone = len(latched) == len(charged) == 1 and not charged[0].trained
        return alone and not self.has_rows and cell.lines == (charged[0].line,) and not self.loads

    @property
    def loads(self) -> bool:
        """Whether the sums of some columns go on from what earlier windows have brought."""
        return bool(self.spec.layout.held)

    @property
    def banks(self) -> range:
        """Numbers of the banks whose sums are computed: every bank, or those that the second conversion latches."""
        return range(len(self.spec.gate_names)) if self.number == 0 else self.latched

    @property
    def latched(self) -> range:
        """Numbers of the banks that the conversion latches, which are adjacent."""
        names = tuple(self.spec.conversions[self.number])
        return range(self.spec.gate_names.index(names[0]), self.spec.gate_names.index(names[-1]) + 1)

    @property
    def hold_clocks(self) -> int:
        """Clocks of a hold in which the sums are computed."""
        spec = self.spec
        measuring = spec.rows * spec.input_max if self.has_rows else 0
        measuring += spec.state_lines * spec.state_pulse_max if self.has_lines else 0
        if self.is_direct:
            return measuring + 4
        group = 1 + 2 * self.loads + (spec.rows + 1) * self.has_rows + (len(spec.line_cells) + 1) * self.has_lines
        return measuring + len(self.banks) * self.groups * group + 1 + self.has_rows + 2 * self.has_lines + 1

    @property
    def tick_clocks(self) -> int:
        """Clocks by which each tick is longer than with an array that is always ready."""
        return len(self.latched) * self.groups + 2


def emulated_conversions(spec: Specification, groups: int) -> tuple[EmulatedConversion, ...]:
    """The conversions of a step."""
    return tuple(EmulatedConversion(spec, number, groups) for number in range(len(spec.conversions)))
