# SPDX-License-Identifier: Apache-2.0
"""The network top: macro, head, and a tap for h."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.array.weights import Weights
from crossramp.golden.macro.initial_state import State
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import Specification

from ..common.boundary import array_members, connect_arrays
from ..common.record_layout import MonitorSignature, answer_layout, h_layout, logit_layout
from ..macro.loader import x_layout
from ..macro.macro import Macro
from ..macro.projection import projection_signature
from ..macro.state_loader import initial_layout
from .calibrator import CalibratedMacro, CalibrateSignature
from .head import Head
from .head_multiplier import program_signature


class NetworkTop(wiring.Component):
    """x codes in, answers out; the array on the other side, and taps for h and the logits.

    Its golden model is :class:`~.network.Network`. The h tap and the logit tap are part of the flow: whoever does
    not look at them ties ``ready`` high.

    Latency: the steps of the utterance, then the head's.
    Back-pressure: each stream stalls only what feeds it; a beat of h moves when tap and head both take it.

    Parameters
    ----------
    spec : Specification
    weights : Weights or None
        Those of the head, and of a projection, are in ROMs; the macro's are the array's. None: the head's are written
        at run time through the member ``program``, see :class:`.head.Head`, and those of a projection through the
        member ``project``, see :class:`.projection.Projection`.
    compact : bool
        See :class:`.macro.Macro`.
    plan : CalibrationPlan or None
        Given: with a calibrator, whose member ``calibrate`` takes the place of ``calibration``.
    """

    def __init__(
        self,
        spec: Specification,
        weights: Weights | None = None,
        *,
        compact: bool = False,
        plan: CalibrationPlan | None = None,
    ):
        self.spec = spec
        self.weights = weights
        self.compact = compact
        self.plan = plan
        self.head = Head(spec) if weights is None else Head(spec, weights.head, weights.head_biases)
        members = {
            "x": In(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state)))),
            **({"initial": In(stream.Signature(initial_layout(spec)))} if spec.initial == "stream" else {}),
            "h": Out(stream.Signature(h_layout(spec))),
            "logit": Out(stream.Signature(logit_layout(spec))),
            "answer": Out(stream.Signature(answer_layout(spec))),
            **(
                {"calibration": In(calibration_bits(spec))}
                if plan is None
                else {"calibrate": Out(CalibrateSignature(spec))}
            ),
            "busy": Out(1),
            **array_members(spec),
            "monitor": Out(MonitorSignature(spec)),
        }
        self.programs_projection = weights is None and bool(spec.projection)
        if self.head.programmable:
            members["program"] = In(program_signature(spec))
        if self.programs_projection:
            members["project"] = In(projection_signature(spec))
        super().__init__(members)

    @classmethod
    def of(cls, network: Network, plan: CalibrationPlan | None = None) -> "NetworkTop":
        """The hardware of a golden network, its weights in ROMs."""
        return cls(network.spec, network.weights, plan=plan)

    def elaborate(self, platform):
        m = Module()
        options = {"compact": self.compact}
        if self.weights is not None:
            options["projection_weights"] = self.weights.projection
            options["initial"] = State(self.weights.initial_register, self.weights.initial_h)
        if self.plan is None:
            macro = Macro(self.spec, programmable=self.programs_projection, **options)
        else:
            macro = CalibratedMacro(self.plan, **options)
        m.submodules.macro = macro
        m.submodules.head = head = self.head

        wiring.connect(m, wiring.flipped(self.x), macro.x)
        connect_arrays(m, macro, self, self.spec)
        if self.spec.initial == "stream":
            wiring.connect(m, wiring.flipped(self.initial), macro.initial)
        wiring.connect(m, macro.monitor, wiring.flipped(self.monitor))
        wiring.connect(m, head.logit, wiring.flipped(self.logit))
        wiring.connect(m, head.answer, wiring.flipped(self.answer))
        if head.programmable:
            wiring.connect(m, wiring.flipped(self.program), head.program)
        if self.programs_projection:
            wiring.connect(m, wiring.flipped(self.project), macro.program)
        if self.plan is None:
            m.d.comb += macro.calibration.eq(self.calibration)
        else:
            wiring.connect(m, macro.calibrate, wiring.flipped(self.calibrate))
        m.d.comb += [
            self.busy.eq(macro.busy | head.busy),
            self.h.payload.eq(macro.h.payload),
            head.h.payload.eq(macro.h.payload),
            # Neither ready depends on its own valid, and the head's, once high, stays until the transfer.
            self.h.valid.eq(macro.h.valid & head.h.ready),
            head.h.valid.eq(macro.h.valid & self.h.ready),
            macro.h.ready.eq(head.h.ready & self.h.ready),
        ]
        return m
