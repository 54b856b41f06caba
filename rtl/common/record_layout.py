# SPDX-License-Identifier: Apache-2.0
"""The shapes of :mod:`crossramp.golden.macro.step_groups` in Amaranth: payloads of streams, and the monitor ports."""

from amaranth.hdl import ShapeLike, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from crossramp.golden.macro.step_groups import Field, step_groups
from crossramp.golden.spec.specification import Specification


def field_shape(field: Field, spec: Specification) -> ShapeLike:
    """The shape of a field: an array of ``lanes`` numbers, or one number."""
    number = (signed if field.signed else unsigned)(field.bits(spec))
    return data.ArrayLayout(number, spec.lanes) if field.per_lane else number


def _payload(name: str, spec: Specification) -> data.StructLayout:
    group = next(group for group in step_groups(spec) if group.name == name)
    return data.StructLayout({field.name: field_shape(field, spec) for field in group.fields})


def h_layout(spec: Specification) -> data.StructLayout:
    """Payload of the h stream: ``lanes`` pulse codes, the step's last beat, the utterance's last step."""
    return _payload("h", spec)


def logit_layout(spec: Specification) -> data.StructLayout:
    """Payload of the logit stream: an exact logit, and whether it is the last class's."""
    return _payload("logits", spec)


def answer_layout(spec: Specification) -> data.StructLayout:
    """Payload of the answer stream: the class, and whether the utterance was too long for its sums to mean anything."""
    return _payload("answers", spec)


class MonitorSignature(wiring.Signature):
    """What passes through the update pipeline, for benches and probes; seen from the macro (docs/boundary.md).

    Each group has a strobe of its name, high with a beat of its fields. ``stalled``: only the array's ready is missing
    for the next clock of the step.

    Parameters
    ----------
    spec : Specification
    with_h : bool
        Also the beats of h, where the stream itself is inside: strobe ``h``, high where one is taken.
    """

    def __init__(self, spec: Specification, *, with_h: bool = False):
        members = {}
        for group in step_groups(spec):
            if group.monitored or (with_h and group.name == "h"):
                members[group.name] = Out(1)
                members |= {field.name: Out(field_shape(field, spec)) for field in group.fields}
        super().__init__(members | {"stalled": Out(1)})
