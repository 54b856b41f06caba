# SPDX-License-Identifier: Apache-2.0
"""What a proof sees of an elaborated design beside its signals: states of a state machine, words of a memory."""

from amaranth import Array, Const, Elaboratable, Fragment, Module, Signal, Value
from amaranth.hdl import MemoryInstance

from .proof import ProofError, signal_inside


class States:
    """The state machine of an elaborated design: ``states.within("idle", "begin")`` is high in one of these.

    Parameters
    ----------
    fragment : Fragment
    path : str
        Of the state's signal, as :func:`.proof.signal_inside` takes it.
    """

    def __init__(self, fragment: Fragment, path: str = "fsm_state"):
        self.signal = signal_inside(fragment, path)
        self.numbers: dict[str, int] = {}
        for number in range(1 << len(self.signal)):
            try:
                self.numbers[self.signal.decoder(number).split("/")[0]] = number
            except KeyError:  # fewer states than the signal has values
                break

    def within(self, *names: str) -> Value:
        """Whether the machine is in one of the states ``names``."""
        return self.signal.matches(*(self.numbers[name] for name in names))

    @property
    def known(self) -> Value:
        """Whether the machine is in any of its states: an invariant."""
        return self.signal.matches(*self.numbers.values())


def memory_word(fragment: Fragment, path: str, address: Value, name: str) -> Signal:
    """A word of a memory inside an elaborated design, on the same clock. The design does not change.

    Parameters
    ----------
    fragment : Fragment
    path : str
        Names of the submodules down to the memory.
    address : Value
        As wide as the memory's addresses.
    name : str
        Of the signal that is returned.
    """
    memory = _memory(fragment, path)
    word = Signal(Value.cast(memory._read_ports[0]._data).shape(), name=name)
    memory.read_port(domain="comb", addr=address, data=word, en=Const(1), transparent_for=())
    return word


def named(m: Module, name: str, value: Value) -> Signal:
    """``value`` as a signal, which a trace shows under its name."""
    value = Value.cast(value)
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def memory_reads(fragment: Fragment, path: str) -> list[Value]:
    """What each read port of a memory inside an elaborated design gives, in the order of the ports."""
    return [port._data for port in _memory(fragment, path)._read_ports]


def _memory(fragment: Fragment, path: str) -> MemoryInstance:
    for module in path.split("."):
        inner = [part for part, own, *_ in fragment.subfragments if own == module]
        if len(inner) != 1:
            raise ProofError(f"the design has {len(inner)} submodules called {module!r} ({path})")
        fragment = inner[0]
    if not isinstance(fragment, MemoryInstance):
        raise ProofError(f"{path} is not a memory")
    return fragment


def replaced_memory(m: Module, fragment: Fragment, path: str, words: list[Value]) -> None:
    """Let ``words`` take the place of a memory with one clocked read port inside an elaborated design.

    Parameters
    ----------
    words : list of Value
        By address; the memory that they replace may have fewer. Writes to it have no effect.
    """
    *modules, name = path.split(".")
    for module in modules:
        fragment = next(part for part, own, *_ in fragment.subfragments if own == module)
    (port,) = _memory(fragment, name)._read_ports
    fragment.subfragments[:] = [part for part in fragment.subfragments if part[1] != name]
    with m.If(port._en):
        m.d.sync += port._data.eq(Array(words)[port._addr])


def replace_part(fragment: Fragment, name: str, part: Elaboratable) -> None:
    """Put ``part`` in the place of the submodule ``name`` of an elaborated design; it has to drive the same outputs."""
    (index,) = (k for k, (_, own, *_) in enumerate(fragment.subfragments) if own == name)
    _, *rest = fragment.subfragments[index]
    fragment.subfragments[index] = (Fragment.get(part, None), *rest)
