# SPDX-License-Identifier: Apache-2.0
"""What makes the proof of the commands inductive: their registers, state by state, by what the request holds."""

from amaranth import Cat, Module, Mux, Signal

from ..engine.inspection import named
from ..engine.proof import implies, signal_inside
from .command_bench import ARGUMENTS, OK, PAYLOAD


def command_invariants(proof, m: Module) -> None:
    """Assert them for a :class:`.command_proof.CommandProof`."""
    for write in (_overall, _arguments, _codes, _words, _reading, _answer):
        write(proof, m)


def _overall(p, m: Module) -> None:
    dut, states, at = p.dut, p.states, p.at
    through = states.within("begin", "arguments", "codes", "gather", "store", "sweep")
    idle, begin, sent = (states.within(name) for name in ("idle", "begin", "sent"))
    answering = named(m, "answering", states.within("header", "fetch", "data"))
    p.invariant(m, states.known, "state")
    p.invariant(m, implies(~idle & ~sent, p.kept), "works on a frame")
    p.invariant(m, implies(~p.kept, ~p.answered & ~p.decided & ~p.begun | idle | sent), "nothing without a frame")
    p.invariant(m, (dut.at == at) | (~through & (dut.at[: len(at)] == at)), "the byte that is shown")
    fresh = ~p.begun & ~p.decided & ~p.acted & (p.number == 0) & (p.handed == 0) & ~p.stepped
    fresh &= (p.stores == 0) & (p.word_at == PAYLOAD + 4)
    p.invariant(m, ~(idle & p.kept) | (fresh & ~p.bad_seen & (p.clocks == 0) & ~p.answered), "a frame begins")
    with m.If(begin):
        zero = Cat(dut.index, dut.within, dut.commit, dut.too_long, dut.bad_address, dut.bad_value, dut.reset)
        p.invariant(m, (zero == 0) & (dut.length == 1) & (at == PAYLOAD), "begin: all is clear")
        p.invariant(m, fresh & ~p.bad_seen & (p.clocks == 1) & ~p.answered, "begin: nothing yet")
    through = states.within("arguments", "codes", "gather", "store", "sweep")
    p.invariant(m, implies(through, p.passes & ~dut.length_wrong & ~p.begun & ~p.answered & (p.number == 0)), "through")
    p.invariant(m, implies(through & ~p.commits, ~dut.reset & (p.decided == dut.commit)), "through: decided")
    first = states.within("arguments") & (dut.index == 0) & (at == PAYLOAD)
    p.invariant(m, implies(p.commits, first), "goes through again")
    p.invariant(m, implies(through & p.commits, (p.expected == OK) & ~p.decided), "through: decides")
    p.invariant(m, implies(through & dut.commit & ~p.commits, p.judged == OK), "through again: it was right")
    p.invariant(m, implies(through & ~dut.commit, ~p.acted), "the first time, nothing is done")
    p.invariant(m, implies(through & dut.commit, p.is_step | p.is_read | p.is_write), "through again: what is done so")
    p.invariant(m, implies(through & ~p.is_read & ~p.is_write, ~dut.bad_address), "an address of READ and WRITE alone")
    p.invariant(m, ~dut.reset | (states.within("header") & p.is_reset), "reset")
    p.invariant(m, implies(answering, ~p.answered & ~p.command[7]), "answering")
    p.invariant(m, implies(sent & p.kept, p.answered), "sent")
    p.invariant(m, implies(p.answered, sent & (p.begun | ~p.kept)), "answered")
    pulse = named(m, "reset_now", p.decides & p.is_reset & (p.expected == OK))
    p.invariant(m, dut.tag == Mux(pulse, p.arguments[0], p.tag), "tag")
    p.invariant(m, dut.started == (p.started | pulse), "started")
    p.invariant(m, (p.number > PAYLOAD) | ~p.kept | ((p.read_word == 0) & (p.read_byte == 0)), "no data yet")
    begins = (p.stores == 0) & (p.word_at == PAYLOAD + 4)
    p.invariant(m, ~p.kept | p.is_write | begins, "words of a WRITE alone")
    p.invariant(m, p.accepted_steps <= p.build.spec.max_steps, "steps")


def _arguments(p, m: Module) -> None:
    dut, at = p.dut, p.at
    index, given = dut.index, p.arguments
    whole = p.length + Mux(p.is_read, given[4], p.stores) + 3
    base = named(m, "clocks_before", Mux(p.commits, whole, Mux(dut.commit, 0, 2)))
    other, not_previous = (signal_inside(p.fragment, name) for name in ("other_tag", "not_previous"))
    accepted = p.accepted_steps
    next_byte, previous_byte = (
        [named(m, f"{name}_{k}", given[1 + k] != Cat(number)[8 * k : 8 * k + 8]) for k in range(4)]
        for name, number in (("not_next", accepted), ("not_previous", (accepted - 1)[: len(accepted) + 1]))
    )
    p.next_bytes, p.previous_bytes, p.base = next_byte, previous_byte, base
    high = [given[k][len(dut.address[8 * k : 8 * k + 8]) :] for k in range(4)]
    p.high = named(m, "address_high", Cat(*high) != 0)
    begins = (p.stores == 0) & (p.word_at == PAYLOAD + 4)
    with m.If(p.states.within("arguments")):
        p.invariant(m, (at == PAYLOAD + index) & (index < p.argument_bytes), "arguments: which")
        p.invariant(m, p.clocks == base + index, "arguments: clocks")
        p.invariant(m, dut.within == 0, "arguments: no word yet")
        p.invariant(m, begins | p.commits, "arguments: no word was through")
        p.invariant(m, ~dut.commit | ~p.acted & (p.handed == 0) & ~p.stepped, "arguments: nothing done")
        p.invariant(m, (p.handed == 0) & ~p.stepped, "arguments: no step")
        p.invariant(m, dut.commit | (~p.bad_seen & ~dut.bad_value), "arguments: no bad value")
        p.invariant(m, ~dut.commit | ~dut.bad_value | p.is_step, "arguments: no bad value again")
        p.invariant(m, ~dut.too_long & (dut.commit & p.is_read | (dut.length == 1)), "arguments: no length yet")
        with m.Switch(index):
            for k in range(1, ARGUMENTS):
                with m.Case(k):
                    known = min(k, 4)
                    p.invariant(m, other == (given[0] != p.tag), "arguments: the tag")
                    got = Cat(*next_byte[: k - 1]) != 0 if k > 1 else 0
                    p.invariant(m, dut.not_next == got, "arguments: the next step")
                    got = Cat(*previous_byte[: k - 1]) != 0 if k > 1 else 0
                    p.invariant(m, not_previous == got, "arguments: the step before")
                    with m.If(p.is_read | p.is_write):
                        part = dut.address[: 8 * known]
                        p.invariant(m, part == Cat(*given[:known])[: len(part)], "arguments: address")
                        bad = Cat(*high[:known]) != 0 if sum(map(len, high[:known])) else 0
                        p.invariant(m, dut.bad_address == Mux(dut.commit, 0, bad), "arguments: high bytes")
            with m.Default():
                p.invariant(m, ~dut.bad_address, "arguments: nothing is wrong yet")
    # The address does not change if it is read again.
    words = Mux(p.is_read, given[4], Mux(p.commits, p.stores, p.first_time))
    with m.If(dut.commit & p.states.within("arguments", "gather", "store")):
        p.invariant(m, ~(p.is_read | p.is_write) | ~p.high, "again: the address is right")
        p.invariant(m, ~(p.is_read | p.is_write) | (p.first + words <= p.space_words), "again: inside the space")


def _compared(p, m: Module) -> None:
    """Behind the arguments of a STEP, while its number is that of a step to come."""
    dut = p.dut
    other, not_previous = (signal_inside(p.fragment, name) for name in ("other_tag", "not_previous"))
    p.invariant(m, other == (p.arguments[0] != p.tag), "codes: the tag")
    p.invariant(m, dut.not_next == (Cat(*p.next_bytes) != 0), "codes: the next step")
    p.invariant(m, not_previous == (Cat(*p.previous_bytes) != 0), "codes: the step before")


def _codes(p, m: Module) -> None:
    dut, at = p.dut, p.at
    step = named(m, "number_of_step", Cat(*p.arguments[1:5]))
    with m.If(p.states.within("codes")):
        inside = (at >= PAYLOAD + ARGUMENTS) & (at <= p.length + PAYLOAD)
        p.invariant(m, p.is_step & inside, "codes: which")
        p.invariant(m, p.clocks == p.base + (at - PAYLOAD), "codes: clocks")
        p.invariant(m, dut.step_last == p.arguments[5][0], "codes: last")
        p.invariant(m, dut.commit | (dut.bad_value == (p.bad_seen | (p.arguments[5] > 1))), "codes: values")
        p.invariant(m, p.handed == Mux(dut.commit, at - PAYLOAD - ARGUMENTS, 0), "codes: handed over")
        p.invariant(m, ~p.stepped & (dut.index == 0) & (dut.length == 1) & (dut.within == 0), "codes: no step yet")
        p.invariant(m, ~dut.bad_address & ~dut.too_long, "codes: no address")
        p.invariant(m, (p.stores == 0), "codes: no word")
        _compared(p, m)
    with m.If(p.is_step & dut.commit & p.states.within("arguments", "codes")):
        right = p.started & (p.arguments[0] == p.tag) & (step == p.accepted_steps) & ~p.complete
        p.invariant(m, right & (p.accepted_steps != p.build.spec.max_steps), "again: the step that is next")
    looked = (p.place >= PAYLOAD + ARGUMENTS) & (dut.commit | (p.states.within("codes") & (at > p.place)))
    fits = (p.place < p.length + PAYLOAD) & p.is_step
    p.bad_held = named(m, "bad_held", _out_of_range(p, m))
    with m.If(p.kept & p.states.within("arguments", "codes") & looked & fits & p.bad_held):
        p.invariant(m, ~dut.commit & p.bad_seen, "codes: the chosen one is right, or was seen")


def _out_of_range(p, m: Module):
    bits = p.build.spec.input_bits
    high = p.held[bits - 1 :]
    return ((high != 0) & (~high != 0)) | (p.held == (1 << 8) - (1 << (bits - 1)))


def _words(p, m: Module) -> None:
    dut, at, memory = p.dut, p.at, p.dut.memory
    gather, store = p.states.within("gather"), p.states.within("store")
    # The first time, whole words from the beginning; then, whole words to the end, which was that of a word.
    left = Mux(p.commits, p.stores, Mux(dut.commit, (p.first_time - p.stores)[: len(p.stores)], p.stores))
    size = named(m, "whole_bytes", left * p.word_bytes)
    end, begin = p.length + PAYLOAD, Mux(p.commits, PAYLOAD + 4, p.word_at)
    whole = Mux(dut.commit, end == begin + size, begin == PAYLOAD + 4 + size)
    with m.If(p.is_write & p.states.within("arguments", "gather", "store")):
        p.invariant(m, whole, "words: whole ones")
        p.invariant(m, p.stores <= p.word_at - (PAYLOAD + 4), "words: of a byte or more")
        p.invariant(m, ~dut.commit | p.commits | (p.stores <= p.first_time), "words: as many as before")
        p.invariant(m, ~dut.commit | p.commits | (p.first_time <= p.length), "words: of bytes")
        p.invariant(m, p.word_at <= p.length + PAYLOAD, "words: inside the request")
    address = (p.first + p.stores)[: len(memory.address)]
    with m.If(gather | store):
        p.invariant(m, p.is_write & (at <= p.length + PAYLOAD), "words: of a WRITE")
        p.invariant(m, p.clocks == p.base + (at - PAYLOAD) + p.stores, "words: clocks")
        p.invariant(m, (dut.address == address), "words: address")
        bad = p.high | ((p.stores != 0) & (p.first[: len(memory.address)] + p.stores > p.space_words))
        p.invariant(m, dut.commit | (dut.bad_address == bad), "words: beyond the end")
        p.invariant(m, dut.commit | (dut.bad_value == p.bad_seen), "words: values")
        p.invariant(m, (dut.index == 0) & (dut.length == 1) & ~dut.too_long, "words: nothing to read")
        p.invariant(m, (p.handed == 0) & ~p.stepped, "words: no step")
        p.invariant(m, ~p.commits, "words: decided before")
        shown = Mux(store, p.word_bytes, dut.within)
        p.invariant(m, at == p.word_at + shown, "words: bytes")
        p.invariant(m, (p.word_at >= PAYLOAD + 4) & ((p.stores == 0) == (p.word_at == PAYLOAD + 4)), "words: where")
        p.invariant(m, Mux(store, dut.within == 0, dut.within < p.word_bytes), "words: bytes of one")
        # Where the chosen byte is in the word that is being gathered.
        held = p.byte_of(m, memory.word, shown, "byte_gathered")
        there = p.looks & (p.inside < shown)
        p.invariant(m, ~there | (held == p.held), "words: the chosen byte")


def _reading(p, m: Module) -> None:
    dut, count = p.dut, p.arguments[4]
    done = named(m, "swept", (count - dut.count)[:8])
    swept = named(m, "swept_bytes", 1 + done * p.word_bytes)
    address = p.first + done
    with m.If(p.states.within("sweep")):
        p.invariant(m, p.is_read & ~dut.commit & (dut.count <= count), "sweep: of a READ")
        p.invariant(m, p.clocks == 2 + 5 + done, "sweep: clocks")
        p.invariant(m, dut.address == address[: len(dut.address)], "sweep: address")
        past = p.first[: len(dut.address)] + done > p.space_words
        p.invariant(m, dut.bad_address == (p.high | ((done != 0) & past)), "sweep: beyond the end")
        p.invariant(m, dut.too_long == (swept > p.build.payload), "sweep: too long")
        p.invariant(m, dut.too_long | (dut.length == swept), "sweep: length")
        p.invariant(m, (dut.index == 0) & ~dut.bad_value & (dut.within == 0), "sweep: nothing else")
        p.invariant(m, (p.stores == 0) & (p.handed == 0) & ~p.stepped & ~p.bad_seen, "sweep: nothing done")
    with m.If(p.is_read & dut.commit & p.states.within("arguments")):
        p.invariant(m, (dut.length == p.read_bytes) & (p.read_bytes <= p.build.payload), "again: length of the answer")
        p.invariant(m, count != 0, "again: some words")
        p.invariant(m, p.acted == 0, "again: nothing done")


def _answer(p, m: Module) -> None:
    dut, number = p.dut, p.number
    header, fetch, data = (p.states.within(name) for name in ("header", "fetch", "data"))
    ok = p.status == OK
    with m.If(header):
        p.invariant(m, (number == dut.index) & (dut.index < 5), "header: which byte")
        p.invariant(m, dut.length == p.answer_length, "header: length")
        p.invariant(m, dut.status == p.status, "header: status")
        p.invariant(m, (number == 0) | p.begun, "header: begun")
        p.invariant(m, ~p.begun | p.decided, "header: decided")
        p.invariant(m, ~(dut.commit & ~p.begun) | p.decided, "header: decided before")
        p.invariant(m, p.begun | ~p.decided | dut.commit, "header: decides at its beginning")
        p.invariant(m, ~p.is_read | ~ok | (dut.address == p.first[: len(dut.address)]), "header: address")
        p.invariant(m, ~p.is_read | ~ok | dut.commit, "header: READ was judged")
    with m.If(fetch | data):
        p.invariant(m, p.decided & p.begun & ok & (number >= 5), "data: of an answer that is OK")
        p.invariant(m, p.is_echo | p.is_status | p.is_read, "data: of what has data")
        p.invariant(m, (dut.length + number == p.answer_length + PAYLOAD) & (dut.length != 0), "data: bytes left")
        p.invariant(m, (dut.index == (number - 5)[:5]) | ~p.is_status, "data: index")
        p.invariant(m, ~p.is_echo | (data & (p.at == number - 1)), "data: ECHO")
        with m.If(p.is_read):
            read = p.read_word * p.word_bytes + p.read_byte
            p.invariant(m, number == PAYLOAD + 1 + read, "data: READ")
            p.invariant(m, p.read_byte < p.word_bytes, "data: byte of a word")
            p.invariant(m, p.read_word < p.arguments[4], "data: word of a READ")
            address = (p.first + p.read_word + data)[: len(dut.address)]
            p.invariant(m, dut.address == address, "data: address")
            p.invariant(m, ~fetch | ((p.read_byte == 0) & (p.was_word == dut.address)), "data: the word is there")
            p.invariant(m, ~data | (dut.within == p.read_byte), "data: where in the word")
            match = Signal(name="word_matches")
            with m.Switch(p.read_byte):
                for k in range(p.word_bytes):
                    with m.Case(k):
                        last = 8 * (p.word_bytes - k)
                        m.d.comb += match.eq(dut.word[:last] == p.stored[8 * k : 8 * p.word_bytes])
            p.invariant(m, ~(data & (p.read_word == p.word)) | match, "data: the chosen word")
    with m.If(p.kept & p.states.within("header", "fetch", "data", "sent")):
        p.invariant(m, ~p.commits, "answer: decided before")
        fits = Mux(p.is_read, p.read_bytes, p.length + 1) <= p.build.payload
        p.invariant(m, ~((p.is_read | p.is_echo) & ok) | fits, "answer: fits a frame")
        p.invariant(m, ~(p.is_step & ok) | (dut.commit == p.stepped), "answer: of a step")
        p.invariant(m, ~(p.is_write & ok) | ((p.rest == 0) & dut.commit), "answer: of a WRITE")
        p.invariant(m, ok | ~(p.acted | dut.commit), "answer: of what was refused")
