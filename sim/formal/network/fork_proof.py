# SPDX-License-Identifier: Apache-2.0
"""The fork of h: every beat of the macro goes to the head and to the tap, once each."""

import numpy as np
from amaranth import Fragment, Module, Signal
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.network_top import NetworkTop

from ..engine.entry import Entry
from ..engine.proof import Proof, signal_inside
from .head_clocks_proof import head_clocks


class ForkProof(Proof):
    """The network top, with any source of h in place of the macro.

    Environment: h has any payload, and keeps the rule of streams, as :mod:`~.macro.stream_proof` claims of the macro:
    a beat that waits stays, with its payload. Whoever reads the tap, the logits and the answers is ready on any clocks.
    The head's weights are zeros, since nothing that is claimed depends on them.

    Claims:

    - On each clock either the macro's beat is taken, by the tap and by the head, or none of the three moves. Hence
      neither loses a beat nor gets one twice.
    - Tap and head see the macro's payload.
    - A beat that is shown at the tap stays until it is taken, with its payload.
    - A beat is taken as soon as both are ready.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec = self.spec
        hidden = np.zeros((spec.hidden, spec.units), int) if spec.projection else None
        head = np.zeros((spec.classes, spec.hidden), int), np.zeros(spec.classes, int)
        dut = NetworkTop(spec, Weights(np.zeros((spec.rows, spec.columns), int), *head, hidden))
        fragment = Fragment.get(dut, None)
        valid, payload, ready = (signal_inside(fragment, f"macro.h__{name}") for name in ("valid", "payload", "ready"))
        fragment.subfragments.remove(next(part for part in fragment.subfragments if part[1] == "macro"))
        m.submodules.dut = fragment

        # ---- environment
        tap, head = dut.h, dut.head.h
        waits, before = Signal(name="macro_waits"), Signal(len(payload), name="macro_before")
        m.d.comb += [
            valid.eq(self.free(m, 1, "macro_valid")),
            payload.eq(self.free(m, len(payload), "macro_payload")),
            tap.ready.eq(self.free(m, 1, "tap_ready")),
            dut.logit.ready.eq(self.free(m, 1, "logit_ready")),
            dut.answer.ready.eq(self.free(m, 1, "answer_ready")),
        ]
        m.d.sync += [waits.eq(valid & ~ready), before.eq(payload)]
        with m.If(waits):
            self.assume(m, valid & (payload == before))

        # ---- claims
        moves = {name: Signal(name=f"{name}_moves") for name in ("macro", "tap", "head")}
        m.d.comb += [
            moves["macro"].eq(valid & ready),
            moves["tap"].eq(tap.valid & tap.ready),
            moves["head"].eq(head.valid & head.ready),
        ]
        self.claim(m, moves["tap"] == moves["macro"], "the tap gets every beat once")
        self.claim(m, moves["head"] == moves["macro"], "the head gets every beat once")
        self.claim(m, moves["macro"] == (valid & tap.ready & head.ready), "a beat moves as soon as both are ready")
        with m.If(moves["macro"]):
            self.claim(m, tap.payload.as_value() == payload, "the tap sees the macro's payload")
            self.claim(m, head.payload.as_value() == payload, "the head sees the macro's payload")
        shown, was = Signal(name="tap_waits"), Signal(len(payload), name="tap_before")
        m.d.sync += [shown.eq(tap.valid & ~tap.ready), was.eq(tap.payload.as_value())]
        with m.If(shown):
            self.claim(m, tap.valid, "a beat that waits at the tap stays")
            self.claim(m, tap.payload.as_value() == was, "the payload of a beat that waits at the tap stays")
            self.cover(m, moves["macro"], "a beat that waited at the tap moves")
        self.cover(m, waits & ~head.ready & tap.ready, "the head waits")
        # A head that is ready for the last beat of an utterance stays so until it comes.
        head_clocks(self, m, dut.head, fragment.find_subfragment("head"), claimed=False)


def proofs(spec: Specification) -> list[Entry]:
    """The proof at the sizes of ``spec``."""
    return [Entry("network", "head and tap both get every beat of h, once", lambda: ForkProof(spec))]
