# SPDX-License-Identifier: Apache-2.0
"""Frames: the port shows what a decoder of its own accepts, as it came."""

from amaranth import Cat, Module, Mux, Signal

from ..engine.inspection import memory_word, named
from ..engine.proof import implies, signal_inside
from .frame_bench import CRC_BEGINS, CRC_RESIDUE, END, ESC, ESC_END, ESC_ESC, OVERHEAD, FrameBench, crc_byte


class FrameProof(FrameBench):
    """Receiving: a frame is shown exactly if a decoder of its own accepts it, and what it holds is what came.

    The decoder is written from RFC 1055 and the CRC's polynomial, a byte at once; it reads the receiver's bytes and
    faults (:class:`.uart_proof.ReceiverProof` says what these are for a line).

    Environment: see :class:`FrameBench`.

    Claims, for any line, and any answers, ignored frames and ``clear`` at any time:

    - ``frame`` rises exactly one clock behind the END of a body without a fault, with whole escapes, of at most
      ``depth`` bytes, whose CRC is right, whose length is that of its payload, and which came while no frame was kept.
    - ``sequence``, ``command`` and ``length`` are that frame's as long as it is kept; it is kept until the END of its
      answer begins, or until it is ignored.
    - ``byte`` is, one clock behind ``address``, that byte of the body as it came, for every address inside it.
    - ``faults`` and ``dropped`` count what golden's decoder counts, between two ``clear``; ``dropped`` stays at 255.
    """

    def describe(self, m: Module) -> None:
        self.bench(m)
        port, request, depth = self.port, self.port.request, self.depth
        data, valid, fault = self.data, self.valid, self.fault

        # ---- the decoder
        count, escaped, broken = Signal(range(depth + 1), name="n"), Signal(name="after_esc"), Signal(name="spoiled")
        crc = Signal(32, init=CRC_BEGINS, name="crc_of_body")
        header = [Signal(8, name=f"header_{k}") for k in range(4)]
        length = Cat(header[2], header[3])
        is_end, is_escape = named(m, "is_end", valid & (data == END)), named(m, "is_escape", data == ESC)
        good_escape = (data == ESC_END) | (data == ESC_ESC)
        inside = named(m, "inside", valid & ~is_end & ~request.frame & ~broken)
        plain = named(m, "plain", inside & Mux(escaped, good_escape, ~is_escape))
        byte = named(m, "byte_of_body", Mux(escaped, Mux(data == ESC_END, END, ESC), data))
        taken = named(m, "taken", plain & (count != depth))
        spoils = {
            "line": named(m, "spoils_line", fault),
            "escape": named(m, "spoils_escape", inside & escaped & ~good_escape),
            "size": named(m, "spoils_size", plain & (count == depth)),
            "overrun": named(m, "spoils_overrun", valid & ~is_end & request.frame),
        }
        something = named(m, "something", (count != 0) | escaped | broken)
        accepted = named(
            m,
            "accepted",
            is_end & ~request.frame & ~broken & ~escaped & (crc == CRC_RESIDUE) & (count == length + OVERHEAD),
        )
        dropped = named(m, "drops", is_end & something & ~accepted)
        m.d.sync += escaped.eq(Mux(inside, ~escaped & is_escape, escaped))
        with m.If(Cat(spoils.values()) != 0):
            m.d.sync += broken.eq(1)
        with m.If(taken):
            m.d.sync += [count.eq(count + 1), crc.eq(crc_byte(m, crc, byte, "crc_next"))]
            for k in range(4):
                with m.If(count == k):
                    m.d.sync += header[k].eq(byte)
        with m.If(is_end):
            m.d.sync += [count.eq(0), escaped.eq(0), broken.eq(0)]
        released = signal_inside(self.fragment, "released")
        gone = named(m, "gone", request.frame & (request.ignore | released))
        with m.If((is_end & ~request.frame) | gone):
            m.d.sync += crc.eq(CRC_BEGINS)

        # ---- when a frame is shown, and what of it
        was_kept, was_accepted, was_gone = (Signal(name=name) for name in ("was_kept", "was_accepted", "was_gone"))
        m.d.sync += [was_kept.eq(request.frame), was_accepted.eq(accepted), was_gone.eq(gone)]
        self.claim(m, was_kept | (request.frame == was_accepted), "a frame is shown exactly if the decoder accepts it")
        self.claim(m, ~was_kept | (request.frame == ~was_gone), "a frame is kept until its answer's END or an ignore")
        with m.If(request.frame):
            self.claim(m, request.sequence == header[0], "the sequence number is the frame's")
            self.claim(m, request.command == header[1], "the command is the frame's")
            self.claim(m, request.length == length, "the length is the frame's")
            self.claim(m, length <= depth - OVERHEAD, "a frame fits the buffer")

        # ---- a byte of the body, which stands for all
        place, held = self.choice(m, depth, "place"), Signal(8, name="held")
        looked = Signal()
        with m.If(taken & (count == place)):
            m.d.sync += held.eq(byte)
        m.d.sync += looked.eq(request.frame & (request.address == place) & (place < length + OVERHEAD))
        with m.If(looked):
            self.claim(m, request.byte == held, "the byte at an address is the one that came")

        # ---- what is counted
        seen = Signal(5, name="faults_so_far")
        drops = Signal(8, name="drops_so_far")
        check_fault = dropped & ~escaped & ~broken
        new = Cat(
            spoils["line"], spoils["escape"] | (dropped & escaped), check_fault, spoils["size"], spoils["overrun"]
        )
        m.d.sync += [seen.eq(seen | new), drops.eq(Mux(dropped & (drops != 255), drops + 1, drops))]
        with m.If(port.clear):
            m.d.sync += [seen.eq(0), drops.eq(0)]
        self.claim(m, request.faults == seen, "faults are those of what was dropped")
        self.claim(m, request.dropped == drops, "dropped frames are counted")

        self.cover(m, taken & (count == 4) & escaped, "an escaped byte of a payload")
        self.cover(m, dropped & (self.left == 0), "a frame that is dropped")
        self.cover(m, was_accepted & (length == 1), "a frame that is shown")
        self.cover(m, looked & (place == 4) & request.frame, "a byte of it")
        if not self.invariants:
            return

        # ---- invariants: the port's registers are the decoder's
        fragment = self.fragment
        high = named(m, "length_is_high", (length >> len(request.length)) != 0)
        for own, name in ((count, "count"), (escaped, "escaped"), (broken, "broken")):
            self.invariant(m, signal_inside(fragment, name) == own, f"both have the same {name}")
        self.invariant(m, count <= depth, "count")
        self.invariant(m, implies(request.frame, (count == 0) & ~escaped), "nothing is taken while a frame is kept")
        filled = signal_inside(fragment, "length_high")
        self.invariant(m, implies(request.frame, ~filled), "a frame that is shown has a length that fits")
        with m.If(~request.frame & ~broken):
            self.invariant(m, (count <= 3) | (filled == high), "the length's high bits")
            self.invariant(m, (count > 3) | ~filled, "the length's high bits are known later")
            self.invariant(m, (count <= 3) | (request.length == length[: len(request.length)]), "length")
            self.invariant(m, (count != 3) | (request.length[:8] == header[2]), "length's low byte")
            self.invariant(m, (count == 0) | (request.sequence == header[0]), "sequence")
            self.invariant(m, (count <= 1) | (request.command == header[1]), "command")
        shown = memory_word(fragment, "buffer", place, "held_there")
        own = named(m, "own", Mux(request.frame, place < length + OVERHEAD, count > place))
        self.invariant(m, ~own | (shown == held), "what the buffer holds")
        self.invariant(m, request.frame | (self.crc_of_what_is_left(m) == crc), "both have the same CRC")
        matches = signal_inside(fragment, "check.match")
        self.invariant(m, request.frame | (self.left != 0) | (matches == (crc == CRC_RESIDUE)), "both see it match")
