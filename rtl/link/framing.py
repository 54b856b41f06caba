# SPDX-License-Identifier: Apache-2.0
"""Frames on a UART: SLIP, length and CRC, one frame at a time, both ways."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import crc, data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.link.link_protocol import END, ESC, ESC_END, ESC_ESC, OVERHEAD, Fault

from ..common.access import UNCHECKED
from .uart import UartReceiver, UartTransmitter

#: Payload of an answer's stream: a byte of its body, and whether it is the last one.
ANSWER_LAYOUT = data.StructLayout({"data": 8, "last": 1})


class SerialCrc(wiring.Component):
    """CRC-32 of bytes, a bit per clock: the line leaves far more clocks than that between two bytes.

    A byte taken with ``valid`` is in the CRC 9 clocks later. ``match`` is high while the last 4 bytes are the CRC,
    least significant byte first, of all before them since ``start``.

    Cost: 32 flip-flops for the CRC and 12 for the byte.
    """

    def __init__(self):
        super().__init__({"start": In(1), "byte": In(8), "valid": In(1), "crc": Out(32), "match": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.processor = processor = crc.Processor(CRC32_ISO_HDLC(data_width=1))
        byte = Signal(8)
        left = Signal(range(9))
        with m.If(self.valid):
            m.d.sync += [byte.eq(self.byte), left.eq(8)]
        with m.Elif(left != 0):
            m.d.sync += [byte.eq(byte >> 1), left.eq(left - 1)]
        m.d.comb += [
            processor.start.eq(self.start),
            processor.data.eq(byte[0]),
            processor.valid.eq(left != 0),
            self.crc.eq(processor.crc),
            self.match.eq(processor.match_detected),
        ]
        return m


class RequestSignature(wiring.Signature):
    """A frame that is kept until it is answered, seen from what keeps it.

    Members
    -------
    frame : 1 bit
        A frame is kept: ``sequence``, ``command``, ``length`` (of its payload) are its header.
    address, byte :
        ``byte`` is byte ``address`` of the body one clock later.
    answer : stream of data (8 bits) and last
        The answer's body without its CRC. Its last byte releases the frame.
    ignore : 1 bit
        Releases the frame without an answer.
    faults, dropped : 5 and 8 bits
        What was dropped without an answer (:class:`~.link_protocol.Fault`), and how many frames; stays at 255.

    Parameters
    ----------
    depth : int
        Longest body of a frame, in bytes.
    """

    def __init__(self, depth: int):
        super().__init__(
            {
                "frame": Out(1),
                "sequence": Out(8),
                "command": Out(8),
                "length": Out(range(depth)),
                "address": In(range(depth)),
                "byte": Out(8),
                "answer": In(stream.Signature(ANSWER_LAYOUT)),
                "ignore": In(1),
                "faults": Out(len(Fault)),
                "dropped": Out(8),
            }
        )


class FramePort(wiring.Component):
    """Receives a frame, keeps it until it is answered, and sends the answer.

    Its golden model is :class:`~.link_protocol.Decoder` with :func:`~.link_protocol.encode`. Only frames whose length
    and CRC are right are shown; everything else is dropped and counted. While a frame is kept nothing else is received:
    what arrives is dropped.

    Latency: ``frame`` rises one clock after the frame's END byte. The port listens again when the answer's END byte
    begins.
    Cost: a memory of ``depth`` bytes, and some 140 flip-flops.

    Parameters
    ----------
    clocks : int
        Of a bit on the line, 4 or more.
    depth : int
        Longest body of a frame, in bytes; 256 to 65536.

    Members
    -------
    rx, tx : 1 bit
        The line.
    request : RequestSignature
    clear : 1 bit
        Forgets the faults and the dropped frames.
    """

    def __init__(self, clocks: int, depth: int):
        clocks, depth = integer("clocks", clocks), integer("depth", depth)
        self.clocks = clocks
        self.depth = depth
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "request": Out(RequestSignature(depth)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.check = check = SerialCrc()
        self._receive(m, check)
        released = self._send(m, check)  # overrides what the CRC is made of
        with m.If(released | self.request.ignore):
            m.d.sync += self.request.frame.eq(0)
            m.d.comb += check.start.eq(1)
        return m

    def _receive(self, m: Module, check: SerialCrc):
        request = self.request
        m.submodules.receiver = uart = UartReceiver(self.clocks)
        m.submodules.buffer = buffer = Memory(shape=8, depth=self.depth, init=[], attrs=UNCHECKED)
        write = buffer.write_port()
        read = buffer.read_port()
        m.d.comb += [uart.rx.eq(self.rx), read.addr.eq(request.address), request.byte.eq(read.data)]

        count = Signal(range(self.depth + 1))  # bytes of the body
        escaped = Signal()
        broken = Signal()
        length_high = Signal()  # the length has bits that no frame's has
        byte = Signal(8)
        store = Signal()
        m.d.comb += [
            byte.eq(uart.data),
            write.addr.eq(count),
            write.data.eq(byte),
            write.en.eq(store),
            check.byte.eq(byte),
        ]
        fault = {kind: Signal(name=f"fault_{kind.name.lower()}") for kind in Fault}  # lowest bit first
        dropped = Signal()
        m.d.sync += [
            request.faults.eq(Mux(self.clear, 0, request.faults | Cat(fault.values()))),
            request.dropped.eq(Mux(self.clear, 0, request.dropped + (dropped & (request.dropped != 255)))),
        ]

        with m.If(uart.fault):
            m.d.comb += fault[Fault.LINE].eq(1)
            m.d.sync += broken.eq(1)
        with m.If(uart.valid):
            with m.If(uart.data == END):
                m.d.sync += [count.eq(0), escaped.eq(0), broken.eq(0), length_high.eq(0)]
                with m.If(~request.frame):
                    m.d.comb += check.start.eq(1)
                with m.If((count != 0) | escaped | broken):
                    whole = ~broken & ~escaped & check.match & ~length_high
                    with m.If(whole & (count == request.length + OVERHEAD) & ~request.frame):
                        m.d.sync += request.frame.eq(1)
                    with m.Else():
                        m.d.comb += [
                            dropped.eq(1),
                            fault[Fault.ESCAPE].eq(escaped),
                            fault[Fault.CHECK].eq(~escaped & ~broken),
                        ]
            with m.Elif(request.frame):
                m.d.comb += fault[Fault.OVERRUN].eq(1)
                m.d.sync += broken.eq(1)
            with m.Elif(~broken):
                with m.If(escaped):
                    m.d.sync += escaped.eq(0)
                    m.d.comb += [
                        byte.eq(Mux(uart.data == ESC_END, END, ESC)),
                        store.eq((uart.data == ESC_END) | (uart.data == ESC_ESC)),
                        fault[Fault.ESCAPE].eq(~store),
                    ]
                    with m.If(~store):
                        m.d.sync += broken.eq(1)
                with m.Elif(uart.data == ESC):
                    m.d.sync += escaped.eq(1)
                with m.Else():
                    m.d.comb += store.eq(1)
        with m.If(store):
            with m.If(count == self.depth):
                m.d.comb += [write.en.eq(0), fault[Fault.SIZE].eq(1)]
                m.d.sync += broken.eq(1)
            with m.Else():
                m.d.comb += check.valid.eq(1)
                m.d.sync += count.eq(count + 1)
                with m.Switch(count):
                    with m.Case(0):
                        m.d.sync += request.sequence.eq(byte)
                    with m.Case(1):
                        m.d.sync += request.command.eq(byte)
                    with m.Case(2):
                        m.d.sync += request.length[:8].eq(byte)
                    with m.Case(3):
                        m.d.sync += [request.length[8:].eq(byte), length_high.eq(byte[len(request.length) - 8 :] != 0)]

    def _send(self, m: Module, check: SerialCrc) -> Signal:
        """Returns what is high on the clock the answer's END begins."""
        answer = self.request.answer
        m.submodules.transmitter = uart = UartTransmitter(self.clocks)
        m.d.comb += self.tx.eq(uart.tx)
        released = Signal()

        byte = Signal(8)  # to be sent, before SLIP
        escape = Signal()  # ESC went ahead of it
        place = Signal(2)  # of a byte in the CRC
        special = Signal()
        sent = Signal()
        m.d.comb += special.eq((byte == END) | (byte == ESC))

        def send_body():
            m.d.comb += uart.bytes.valid.eq(1)
            with m.If(special & ~escape):
                m.d.comb += uart.bytes.payload.eq(ESC)
                m.d.sync += escape.eq(uart.bytes.ready)
            with m.Else():
                m.d.comb += [
                    uart.bytes.payload.eq(Mux(special, Mux(byte == END, ESC_END, ESC_ESC), byte)),
                    sent.eq(uart.bytes.ready),
                ]
                with m.If(uart.bytes.ready):
                    m.d.sync += escape.eq(0)

        with m.FSM():
            with m.State("idle"):
                with m.If(answer.valid):
                    m.d.comb += [uart.bytes.valid.eq(1), uart.bytes.payload.eq(END), check.start.eq(1)]
                    with m.If(uart.bytes.ready):
                        m.next = "body"
            with m.State("body"):
                m.d.comb += byte.eq(answer.payload.data)
                with m.If(answer.valid):
                    send_body()
                m.d.comb += answer.ready.eq(sent)
                with m.If(sent):
                    m.d.comb += [check.byte.eq(byte), check.valid.eq(1)]
                    with m.If(answer.payload.last):
                        m.next = "check"
            with m.State("check"):
                m.d.comb += byte.eq(check.crc.word_select(place, 8))
                send_body()
                with m.If(sent):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 3):
                        m.next = "end"
            with m.State("end"):
                m.d.comb += [uart.bytes.valid.eq(1), uart.bytes.payload.eq(END)]
                with m.If(uart.bytes.ready):
                    m.d.comb += released.eq(1)
                    m.next = "idle"
        return released
