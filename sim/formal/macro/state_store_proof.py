# SPDX-License-Identifier: Apache-2.0
"""Where the register is kept between steps: every unit reads what was written for it, from a ring as from a memory."""

from amaranth import Fragment, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.update import StateMemory, StateRing

from ..engine.entry import Entry
from ..engine.proof import Proof, signal_inside
from ..engine.register_memory import RegisterMemories


class StateStoreProof(Proof):
    """A ring or a memory of cell states, update after update.

    Environment: an update reads every group once and writes every group once. Reads and writes come at any time, but
    a group is written before the next but one is read: together with the next read, or with nothing read between.
    Values are any. The next update begins at any time after the last write. With ``reads_twice``, an update that reads
    every group once and writes none may come before any other. A memory shows any value where a row is
    read on the clock on which it is written.

    Claims, for a group that stands for all of them: when it is read, the store shows the values that were written for
    it last, lane by lane. What an update did not write yet is what the update before wrote.

    Parameters
    ----------
    units, bits, lanes : int
    memory : bool
        :class:`~.update.StateMemory`; otherwise :class:`~.update.StateRing`.
    reads_twice : bool
        Whether an update of the cell reads the register that another one stores, as a GRU's reset gate does.
    """

    def __init__(self, units: int, bits: int, lanes: int, *, memory: bool, reads_twice: bool = False, **options):
        super().__init__(**options)
        self.sizes, self.memory, self.reads_twice = (units, bits, lanes), memory, reads_twice

    def describe(self, m: Module) -> None:
        _, bits, lanes = self.sizes
        store = (StateMemory if self.memory else StateRing)(*self.sizes)
        groups, width = store.groups, bits * lanes
        m.submodules.dut = fragment = Fragment.get(store, RegisterMemories())

        # ---- environment: reads and writes of an update
        read, write = Signal(), Signal()
        reads, writes = Signal(range(groups + 1)), Signal(range(groups + 1))
        occupied = Signal()  # a group was read and not written yet
        top = self.free(m, width, "top_value")
        looks = Signal()  # an update that reads alone
        m.d.comb += [
            occupied.eq((reads != writes) & ~looks),
            write.eq(self.free(m, 1, "may_write") & occupied),
            read.eq(self.free(m, 1, "may_read") & (reads != groups) & (~occupied | write)),
            *(store.read.eq(read), store.write.eq(write), store.top.as_value().eq(top)),
        ]
        m.d.sync += [reads.eq(reads + read), writes.eq(writes + write)]
        ends = Signal()
        m.d.comb += ends.eq((write & (writes == groups - 1)) | (read & looks & (reads == groups - 1)))
        with m.If(ends):
            m.d.sync += [reads.eq(0), writes.eq(0)]
        if self.reads_twice:
            with m.If(ends | ((reads == 0) & ~read)):
                m.d.sync += looks.eq(self.free(m, 1, "looks_next"))

        # ---- scoreboard of one group
        group = self.choice(m, groups, "group")
        kept, known = Signal(width), Signal()
        with m.If(write & (writes == group)):
            m.d.sync += [kept.eq(top), known.eq(1)]

        with m.If(read & (reads == group) & known):
            self.claim(m, store.bottom.as_value() == kept, "a unit reads what was written for it last")
            self.cover(m, kept == (1 << width) - 1, "a unit reads")
            if groups > 1:
                self.cover(m, (group != 0) & write, "a unit reads while another is written")
        self.cover(m, read & known & (reads == group) & (kept == 1) & (group == groups - 1), "the last group reads")
        if self.reads_twice:
            self.cover(m, read & known & looks & (reads == groups - 1), "an update reads alone")

        # ---- invariants
        self.invariant(m, (reads <= groups) & (writes < groups), "reads and writes of an update")
        self.invariant(m, looks | (reads == writes) | (reads == writes + 1), "at most one group is on its way")
        self.invariant(m, ~looks | (writes == 0), "nothing is written while an update reads alone")
        self.invariant(m, (reads != groups) | occupied, "the next update begins after the last write")
        away = Signal()  # the group is on its way
        m.d.comb += away.eq(occupied & (writes == group))
        if self.memory:
            board = {"groups": groups, "reads": reads, "writes": writes, "write": write}
            self._memory_invariants(m, fragment, board | {"kept": kept, "known": known, "group": group})
            return
        ring = signal_inside(fragment, "ring")
        place = Signal(range(2 * groups))
        m.d.comb += place.eq(Mux(reads > group, group + groups - reads, group - reads))
        for k in range(groups):
            with m.If((place == k) & known & ~away):
                self.invariant(m, ring[k * width : (k + 1) * width] == kept, "the ring holds the group")

    def _memory_invariants(self, m: Module, fragment: Fragment, board: dict) -> None:
        groups = board["groups"]
        read_group, write_group = signal_inside(fragment, "read_group"), signal_inside(fragment, "write_group")
        shown, was_read = (signal_inside(fragment, f"memory.{name}") for name in ("read_0", "was_read_0"))
        self.invariant(m, read_group == Mux(board["reads"] == groups, 0, board["reads"]), "the next group to read")
        self.invariant(m, write_group == board["writes"], "the next group to write")
        with m.If(board["known"]):
            self.invariant(m, was_read, "the port has read")
            for k in range(groups):
                row = signal_inside(fragment, f"memory.row_{k}")
                with m.If(board["group"] == k):
                    self.invariant(m, row == board["kept"], "the memory holds the group")
        # The port shows the next group, unless it read it on the clock on which it was written. It reads it again then,
        # before it is needed.
        collided = Signal()
        following = signal_inside(fragment, "following")
        m.d.sync += collided.eq(board["write"] & (write_group == following))
        with m.If(collided):
            self.invariant(
                m, (board["reads"] == groups) & (board["writes"] == groups - 1), "a group read while written"
            )
        with m.If(board["known"] & (read_group == board["group"]) & ~collided):
            self.invariant(m, shown == board["kept"], "the port shows the group")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of what keeps the register at the sizes of ``spec``: the ring, and the memory if it has two groups."""
    cell = spec.layout
    if not cell.register:
        return []
    sizes, name = (spec.units, spec.state_bits, spec.lanes), cell.register
    twice = any(read and number != cell.update_of(name) for number, read in enumerate(cell.register_reads))
    claim = f"{name} of every unit comes back as it was written, from the"

    def proof(memory: bool) -> StateStoreProof:
        return StateStoreProof(*sizes, memory=memory, reads_twice=twice)

    entries = [Entry("state", f"{claim} ring", lambda: proof(memory=False))]
    if spec.beats > 1:
        entries.append(Entry("state", f"{claim} memory of compact hardware", lambda: proof(memory=True)))
    return entries
