# SPDX-License-Identifier: Apache-2.0
"""The top of several layers: where h goes, whatever the macros, what stands between them, and the head do."""

import numpy as np
from amaranth import Fragment, Module, Signal, Value
from amaranth.lib.wiring import Out
from crossramp.golden.layers.network_specification import NetworkSpecification, projection_name
from crossramp.golden.network.layered_weights import file_arrays, weights_from
from crossramp.rtl.layers.layered_top import LayeredTop

from ..engine.entry import Entry
from ..engine.inspection import named
from ..engine.proof import Proof, implies
from .streams_proof import between_proofs


def stack_of(spec: NetworkSpecification) -> tuple[LayeredTop, Fragment]:
    """The top of a network, elaborated; its weights are zeros, since nothing that is claimed depends on them."""
    zeros = {name: np.zeros(array.shape(part), np.int64) for name, (array, part) in file_arrays(spec).items()}
    top = LayeredTop(spec, weights_from(spec, zeros))
    return top, Fragment.get(top, None)


class StackProof(Proof):
    """Where h goes in a network of several layers.

    Environment: every macro, every queue and memory between them, and the head give anything on any clock. What feeds
    the head keeps the rule of streams: a beat that waits stays, as is claimed of each block that may be there. The
    head's ``ready``, once high in front of a beat that waits, stays
    (:class:`~crossramp.sim.formal.network.head_clocks_proof.HeadClocksProof`).

    Claims:

    - Tap and head get every beat that the last layer gives, once each, as soon as both are ready, with its payload; a
      beat that waits at the tap stays.
    - Where an array projects, its codes go back to the cell on the clock on which they leave the layer, and on no
      other.

    Parameters
    ----------
    spec : NetworkSpecification
    """

    def __init__(self, spec: NetworkSpecification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec, (top, fragment) = self.spec, stack_of(self.spec)
        for name, block in {**top.blocks, "head": top.head}.items():
            fragment.subfragments.remove(next(part for part in fragment.subfragments if part[1] == name))
            for path, member, value in block.signature.flatten(block):
                if member.flow == Out and path[0] != "monitor" and not path[0].startswith("array"):
                    signal = Value.cast(value)
                    m.d.comb += signal.eq(self.free(m, len(signal), "_".join(map(str, (name, *path)))))
        m.submodules.dut = fragment
        m.d.comb += top.h.ready.eq(self.free(m, 1, "tap_ready"))

        last = spec.names_of(len(spec.layers) - 1)[0]
        source = top.blocks["head_codes" if spec.layers[-1].bidirectional else self._leaving(last)].h
        valid, ready, payload = source.valid, source.ready, source.payload.as_value()
        tap, head = top.h, top.head.h
        waits, before = Signal(name="source_waits"), Signal(len(payload), name="source_before")
        offered = Signal(name="head_offered")  # the head is ready for a beat that waits for the tap
        m.d.sync += [waits.eq(valid & ~ready), before.eq(payload), offered.eq(valid & head.ready & ~tap.ready)]
        self.assume(m, implies(waits, valid & (payload == before)))
        self.assume(m, implies(offered, head.ready))
        moves = {
            "source": named(m, "source_moves", valid & ready),
            "tap": named(m, "tap_moves", tap.valid & tap.ready),
            "head": named(m, "head_moves", head.valid & head.ready),
        }
        for name in ("tap", "head"):
            self.claim(m, moves[name] == moves["source"], f"the {name} gets every beat once")
        self.claim(m, moves["source"] == (valid & tap.ready & head.ready), "a beat moves as soon as both are ready")
        with m.If(moves["source"]):
            self.claim(m, tap.payload.as_value() == payload, "the tap sees the last layer's payload")
            self.claim(m, head.payload.as_value() == payload, "the head sees the last layer's payload")
        shown, was = Signal(name="tap_waits"), Signal(len(payload), name="tap_before")
        m.d.sync += [shown.eq(tap.valid & ~tap.ready), was.eq(tap.payload.as_value())]
        with m.If(shown):
            self.claim(m, tap.valid, "a beat that waits at the tap stays")
            self.claim(m, tap.payload.as_value() == was, "the payload of a beat that waits at the tap stays")
            self.cover(m, moves["source"], "a beat that waited at the tap moves")
        for name, macro in spec.macros.items():
            if macro.array_projects:
                self._join(m, name, top.blocks[name].projected, top.blocks[projection_name(name)].h)

    def _leaving(self, cell: str) -> str:
        """The macro whose h leaves a cell of a layer."""
        return projection_name(cell) if self.spec.macros[cell].array_projects else cell

    def _join(self, m: Module, name: str, back, leaves) -> None:
        """Codes that an array projects, on their way back to the cell."""
        self.claim(m, back.valid == (leaves.valid & leaves.ready), f"{name}: projected codes return as they leave")
        with m.If(back.valid):
            same = back.payload.as_value() == leaves.payload.as_value()
            self.claim(m, same, f"{name}: the projected codes that leave return")
            self.cover(m, back.payload.end, f"{name}: the last projected codes of a step return")


def proofs(spec: NetworkSpecification) -> list[Entry]:
    """The proofs of the top and of what stands between its macros, at the sizes of ``spec``."""
    top, _ = stack_of(spec)
    claim = "head and tap get every beat of the last layer once; projected codes return as they leave"
    return [*between_proofs(top), Entry("network", claim, lambda: StackProof(spec), of="top")]
