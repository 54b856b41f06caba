# SPDX-License-Identifier: Apache-2.0
"""The top of a network of several layers: its macros, what joins their streams, and the head."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.network_specification import NetworkSpecification, projection_name
from crossramp.golden.macro.initial_state import State, streaming_macros
from crossramp.golden.macro.step_groups import stored_strobe
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.layered_weights import LayeredWeights
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.row_sums import RowSum
from crossramp.golden.spec.specification import Specification

from ..common.boundary import array_members
from ..common.record_layout import MonitorSignature, answer_layout, h_layout, logit_layout
from ..macro.given_codes import given_name
from ..macro.loader import x_layout
from ..macro.macro import Macro
from ..macro.projection import projection_signature
from ..macro.state_loader import initial_layout
from ..network.head import Head
from ..network.head_multiplier import program_signature
from ..network.network_top import NetworkTop
from .code_streams import HeadCodes, KeepFlags, Serializer, SideBySide
from .utterance_memory import UtteranceMemory


class LayeredTop(wiring.Component):
    """x codes in, answers out, an array behind every macro; taps for what the head sees, and for the logits.

    Its golden model is :class:`~.layered_network.LayeredNetwork`. Each macro is a
    :class:`~crossramp.rtl.macro.macro.Macro` as it is in a network of one; the members that belong to it begin with its
    name. The taps are part of the flow: whoever does not look at them ties ``ready`` high.

    Latency: of layers of one direction, the steps of the utterance, those of each further layer one step later; a layer
    of two directions begins when the utterance is complete. Then the head's.
    Throughput: ``spec.clocks_per_step`` clocks a step. With a layer of two directions the memory in front of it takes
    the next utterance when this one has been read.
    Back-pressure: each stream stalls only what feeds it.
    Where layers keep their states, each has its own and keeps it as the utterance says that it has finished.

    Parameters
    ----------
    spec : NetworkSpecification
    weights : LayeredWeights or None
        Those of the head, and of projections, are in ROMs; the macros' are the arrays'. None: they are written at run
        time, as in a :class:`~crossramp.rtl.network.network_top.NetworkTop`: those of a digital head through the member
        ``program``, those of each digital projection through ``NAME_project``.
    compact : bool
        See :class:`~crossramp.rtl.macro.macro.Macro`.

    Members
    -------
    x, h, logit, answer : streams
    busy : 1 bit
    NAME_initial : stream of initial_layout
        Of each macro whose specification says ``initial = "stream"``; of a layer of two directions each takes its own.
    NAME_array : ArraySignature
        Of the macro NAME; of a tiled one ``NAME_array0``, ...
    NAME_calibration : calibration_bits
    NAME_monitor : MonitorSignature
        With the macro's h.

    Attributes
    ----------
    blocks : dict of str to Component
        Once it is elaborated: the macros, and what stands between them and the head, by the submodules' names.
    """

    def __init__(self, spec: NetworkSpecification, weights: LayeredWeights | None = None, *, compact: bool = False):
        self.spec, self.compact = spec, compact
        self.weights = None if weights is None else weights.checked(spec)
        of_head = () if weights is None else (self.weights.head, self.weights.head_biases)
        self.head = Head(spec, *of_head)
        self.blocks: dict[str, wiring.Component] = {}
        members = {
            "x": In(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state)))),
            "h": Out(stream.Signature(h_layout(spec))),
            "logit": Out(stream.Signature(logit_layout(spec))),
            "answer": Out(stream.Signature(answer_layout(spec))),
            "busy": Out(1),
        }
        for name, macro in streaming_macros(spec).items():
            members[f"{name}_initial"] = In(stream.Signature(initial_layout(macro)))
        if self.head.programmable:
            members["program"] = In(program_signature(spec))
        for name, macro in spec.macros.items():
            if weights is None and macro.digital_projection:
                members[f"{name}_project"] = In(projection_signature(macro))
            members |= {
                f"{name}_calibration": In(calibration_bits(macro)),
                **{f"{name}_{array}": member for array, member in array_members(macro).items()},
                f"{name}_monitor": Out(MonitorSignature(macro, with_h=True)),
            }
        super().__init__(members)

    @classmethod
    def of(cls, network: LayeredNetwork) -> "LayeredTop":
        """The hardware of a golden network, its head's weights in ROMs."""
        return cls(network.spec, network.weights)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        macros = {name: self._macro(m, name) for name in spec.macros}
        m.submodules.head = head = self.head
        wiring.connect(m, head.logit, wiring.flipped(self.logit))
        wiring.connect(m, head.answer, wiring.flipped(self.answer))
        if head.programmable:
            wiring.connect(m, wiring.flipped(self.program), head.program)
        m.d.comb += self.busy.eq(Cat(*(macro.busy for macro in macros.values()), head.busy).any())

        # What the layer takes: for each part of a step its stream, its codes, and whether its steps come reversed.
        flags = self._keep_flags(m) if spec.keeps_state else None
        parts = [(wiring.flipped(self.x) if flags is None else self._flagged(m, flags), spec.inputs, False)]
        h = None
        for number, layer in enumerate(spec.layers):
            names = spec.names_of(number)
            orders = [name.endswith("_backward") for name in names]
            if spec.passes_groups(number):
                x, keep = self._inputs(m, names[0], macros), []
                if flags is not None and number in flags.layers:
                    keep = [getattr(flags, f"keep_{number}")]
                    last = h.valid & x.ready & h.payload.end & h.payload.last
                    m.d.comb += getattr(flags, f"leaves_{number}").eq(last)
                _pass_groups(m, h, x, *keep)
            else:
                for name, source in zip(names, self._in_order(m, number, parts, orders), strict=True):
                    wiring.connect(m, source, self._inputs(m, name, macros))
            streams = {name: self._stream(m, name, macros) for name in names}
            h = None if layer.bidirectional else streams[names[0]]
            if h is not None and (number == len(spec.layers) - 1 or spec.passes_groups(number + 1)):
                continue
            parts = [
                (self._serialized(m, name, layer.last, streams[name]), layer.macro.hidden, order)
                for name, order in zip(names, orders, strict=True)
            ]
        if h is None:
            h = self._for_head(m, parts)
        m.d.comb += [
            self.h.payload.eq(h.payload),
            head.h.payload.eq(h.payload),
            # Neither ready depends on its own valid, and the head's, once high, stays until the transfer.
            self.h.valid.eq(h.valid & head.h.ready),
            head.h.valid.eq(h.valid & self.h.ready),
            h.ready.eq(head.h.ready & self.h.ready),
        ]
        return m

    def _keep_flags(self, m: Module) -> KeepFlags:
        """What tells the layers behind the first which utterances keep their states."""
        layers = self.spec.layers
        m.submodules.keep_flags = flags = KeepFlags(
            [number for number, layer in enumerate(layers) if number and layer.macro.keeps_state]
        )
        return flags

    def _flagged(self, m: Module, flags: KeepFlags):
        """What x is for the first layer, where others are told what came with it."""
        spec, x = self.spec, self.x
        first = stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.layers[0].macro.keeps_state)))
        codes = first.create(path=("first_x",))
        code = Signal(range(spec.inputs))  # of the step that enters
        taken = Signal()
        end = Signal()
        m.d.comb += [
            codes.valid.eq(x.valid & ~flags.full),
            x.ready.eq(codes.ready & ~flags.full),
            *(getattr(codes.payload, name).eq(getattr(x.payload, name)) for name in codes.payload.shape().members),
            taken.eq(x.valid & x.ready),
            end.eq(taken & (code == spec.inputs - 1)),
            flags.enters.eq(end & x.payload.last),
            flags.keep.eq(x.payload.keep),
        ]
        with m.If(taken):
            m.d.sync += code.eq(Mux(end, 0, code + 1))
        return codes

    def _add(self, m: Module, name: str, block: wiring.Component) -> wiring.Component:
        """A submodule, which is then one of :attr:`blocks`."""
        m.submodules[name] = self.blocks[name] = block
        return block

    def _macro(self, m: Module, name: str) -> Macro:
        """A macro, with its array, calibration and monitor."""
        options = {"programmable": True}
        if self.weights is not None:
            weights = self.weights.macros[name]
            options = {
                "projection_weights": weights.projection,
                "initial": State(weights.initial_register, weights.initial_h),
            }
        macro = Macro(self.spec.macros[name], compact=self.compact, x_lanes=self.spec.x_lanes[name], **options)
        self._add(m, name, macro)
        if macro.spec.initial == "stream":
            wiring.connect(m, wiring.flipped(getattr(self, f"{name}_initial")), macro.initial)
        if macro.programmable:
            wiring.connect(m, wiring.flipped(getattr(self, f"{name}_project")), macro.program)
        for array in array_members(macro.spec):
            wiring.connect(m, getattr(macro, array), wiring.flipped(getattr(self, f"{name}_{array}")))
        monitor = getattr(self, f"{name}_monitor")
        m.d.comb += [
            getattr(monitor, member).eq(getattr(macro.monitor, member)) for member in macro.monitor.signature.members
        ]
        m.d.comb += [
            macro.calibration.eq(getattr(self, f"{name}_calibration")),
            monitor.h.eq(macro.h.valid & macro.h.ready),
            monitor.codes.eq(macro.h.payload.codes),
            monitor.end.eq(macro.h.payload.end),
            monitor.last.eq(macro.h.payload.last),
        ]
        return macro

    def _stream(self, m: Module, name: str, macros: dict[str, Macro]):
        """The h that leaves a cell of a layer: where an array projects it, that macro's, which the cell sees too."""
        macro = macros[name]
        h = self._leaving(m, name, macros)
        for one in macro.spec.row_sums:
            self._sum(m, macro, macros[f"{name}_{one.name}"], one, h)
        return h

    def _inputs(self, m: Module, name: str, macros: dict[str, Macro]):
        """The x stream of a cell of a layer, which the macros of its partial sums take too, all at once."""
        sinks = [macros[name].x, *(macros[f"{name}_{one.name}"].x for one in self.spec.macros[name].row_sums)]
        if len(sinks) == 1:
            return sinks[0]
        x = sinks[0].signature.create(path=(name, "inputs"))
        for sink in sinks:
            others = Cat(other.ready for other in sinks if other is not sink)
            m.d.comb += [sink.payload.eq(x.payload), sink.valid.eq(x.valid & others.all())]
        m.d.comb += x.ready.eq(Cat(sink.ready for sink in sinks).all())
        return x

    def _sum(self, m: Module, macro: Macro, tile: Macro, one: RowSum, h) -> None:
        """Connect a macro of partial sums: to what its rows need, and to the macro that its codes return to.

        What it needs comes long after it has driven what came before, so it need not be waited for.
        """
        source = getattr(macro, given_name(one.name))
        m.d.comb += [
            source.payload.codes.eq(tile.h.payload.codes),
            source.payload.last.eq(tile.h.payload.last),
            source.valid.eq(tile.h.valid),
            tile.h.ready.eq(source.ready),
        ]
        cell = macro.spec.layout
        for group in tile.spec.layout.given:
            needed = getattr(tile, given_name(group))
            if group == cell.output:
                m.d.comb += [
                    needed.payload.codes.eq(h.payload.codes),
                    needed.payload.last.eq(h.payload.last),
                    needed.valid.eq(h.valid & h.ready),
                ]
            else:
                m.d.comb += [
                    needed.payload.codes.eq(getattr(macro.monitor, group)),
                    needed.valid.eq(getattr(macro.monitor, stored_strobe(cell.update_of(group)))),
                ]

    def _leaving(self, m: Module, name: str, macros: dict[str, Macro]):
        """The same without what partial sums need."""
        macro = macros[name]
        if not macro.spec.array_projects:
            return macro.h
        dense = macros[projection_name(name)]
        _pass_groups(m, macro.h, dense.x)
        h = stream.Signature(h_layout(dense.spec)).create(path=(name, "projected_h"))
        m.d.comb += [
            macro.projected.payload.eq(dense.h.payload),
            macro.projected.valid.eq(dense.h.valid & h.ready),  # it takes each on the clock on which it leaves
            h.payload.eq(dense.h.payload),
            h.valid.eq(dense.h.valid),
            dense.h.ready.eq(h.ready),
        ]
        return h

    def _serialized(self, m: Module, name: str, spec: Specification, h):
        """A macro's h stream of ``spec``, one code a clock."""
        serializer = self._add(m, f"{name}_serializer", Serializer(spec))
        wiring.connect(m, h, serializer.h)
        return serializer.codes

    def _in_order(self, m: Module, number: int, parts: list, orders: list[bool]) -> list:
        """A stream for each macro of a layer: through a memory where one of them, or of those before, goes backward."""
        if not any(orders) and not any(reverse for _, _, reverse in parts):
            return [parts[0][0]]
        memory = self._add(m, f"layer{number}_memory", self._memory(parts, orders))
        for k, (source, _, _) in enumerate(parts):
            wiring.connect(m, source, getattr(memory, f"write_{k}"))
        return [getattr(memory, f"read_{k}") for k in range(len(orders))]

    def _memory(self, parts: list, orders: list[bool]) -> UtteranceMemory:
        spec = self.spec
        return UtteranceMemory([(count, order) for _, count, order in parts], orders, spec.input_bits, spec.max_steps)

    def _for_head(self, m: Module, parts: list):
        """The h stream of a head behind two directions."""
        spec = self.spec
        codes = self._add(m, "head_codes", HeadCodes(spec))
        if spec.readout == "step":
            (source,) = self._in_order(m, len(spec.layers), parts, [False])
        else:
            counts = [count for _, count, _ in parts]
            both = self._add(m, "side_by_side", SideBySide(*counts, spec.input_bits))
            wiring.connect(m, parts[0][0], both.first)
            wiring.connect(m, parts[1][0], both.second)
            source = both.codes
        wiring.connect(m, source, codes.codes)
        return codes.h


def _pass_groups(m: Module, h, x, *keep) -> None:
    """The h stream of a macro is the x stream of another one, which loads as many codes a clock."""
    m.d.comb += [
        x.payload.as_value().eq(Cat(h.payload.codes, h.payload.last, *keep)),
        x.valid.eq(h.valid),
        h.ready.eq(x.ready),
    ]


def top_of(network: Network | LayeredNetwork) -> NetworkTop | LayeredTop:
    """The hardware of a golden network."""
    return (LayeredTop if isinstance(network, LayeredNetwork) else NetworkTop).of(network)
