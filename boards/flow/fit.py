# SPDX-License-Identifier: Apache-2.0
"""Whether a specification can fit a board, as far as it is known before synthesis, and the message if it cannot."""

from collections.abc import Mapping

from crossramp.golden.cell.description import INPUT
from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.link.board_memory import Build, identity_image
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.emulation.emulated_conversion import emulated_conversions

from ..definitions.board import Board, BoardError, boards
from ..definitions.families import FAMILIES

#: (words, bits) of one SPRAM of the UP5K, and its name in nextpnr's reports.
_SPRAM, _SPRAM_SHAPE = "ICESTORM_SPRAM", (16384, 16)

#: Memories that a refusal names.
_LARGEST = 3

#: The part of a resource that a placer can be expected to fill.
_PLACEABLE = 0.97


class TooLarge(BoardError):
    """A design that does not fit a board; says which resource, how much of it, and what would fit."""


def register_bits(spec: AnySpecification) -> int:
    """Flip-flops that the periphery of ``spec`` has at least: codes, cell state, pulse codes, and what drives rows."""
    return sum(map(_register_bits, spec.macros.values()))


def _register_bits(spec: Specification) -> int:
    """Those of one macro."""
    cell = spec.layout
    capture = spec.code_bits
    state = spec.units * (spec.state_bits if cell.register else 0)
    codes = {INPUT: spec.inputs * spec.input_bits} | dict.fromkeys(cell.inner_rows, spec.units * spec.input_bits)
    if cell.output in cell.row_groups:
        codes[cell.output] = spec.hidden * spec.input_bits
    if cell.line_value:
        codes[cell.line_value] = spec.units * spec.state_pulse_bits
    wires = spec.rows - spec.bias_rows + spec.state_lines
    return capture + state + sum(codes.values()) + 2 * wires


#: Memories that are read only, whose bits are cheaper in logic: yosys's cost of a bit of ROM.
_ROMS, _ROM_COST = ("identity",), 1 / 16

#: By how much logic must be dearer than blocks until yosys surely takes blocks: its costs have more parts than these.
_SURELY = 1.5


def memory_words(build: Build) -> dict[str, tuple[int, int]]:
    """Words and bits of each memory of :class:`.board_core.BoardCore`, by name; of several macros with the macro's."""
    spec = build.spec
    sum_bits = spec.sum_max.bit_length() + 1
    found = {
        "sums": (2 << (spec.h_beats - 1).bit_length(), spec.lanes * sum_bits),
        "identity": (len(identity_image(build)), 8),
        "frame": (build.payload + 8, 8),
        "h": (spec.h_beats, spec.lanes * spec.input_bits),
        "logits": (spec.classes, spec.logit_bits),
    }
    if not spec.head_in_array:
        lanes = spec.head_lanes
        found["head"] = (spec.classes * (-(-spec.hidden // lanes) + 1), lanes * spec.head_bias_bits)
    for macro in spec.macros:
        for name, shape in _words_of_macro(build, macro).items():
            found[f"{macro} {name}" if macro else name] = shape
    if isinstance(spec, NetworkSpecification):
        found |= _words_between_layers(spec)
    return found


def _words_between_layers(spec: NetworkSpecification) -> dict[str, tuple[int, int]]:
    """Memories of utterances, and queues of codes that leave a macro one a clock."""
    found, parts = {}, {"x": spec.inputs}
    for number, layer in enumerate(spec.layers):
        names = spec.names_of(number)
        if layer.bidirectional or (number > 0 and spec.layers[number - 1].bidirectional):
            for name, codes in parts.items():
                found[f"utterance of {name}"] = (spec.max_steps * codes, spec.input_bits)
        parts = dict.fromkeys(names, layer.macro.hidden)
        followed = number + 1 < len(spec.layers)
        if layer.bidirectional or (followed and not spec.passes_groups(number + 1)):
            last = layer.last
            for name in names:  # and the marks of a step's end and an utterance's
                found[f"{name} queue"] = (last.h_beats, last.lanes * last.input_bits + 2)
    return found


def _words_of_macro(build: Build, macro: str) -> dict[str, tuple[int, int]]:
    spec, columns = build.spec.macros[macro], build.columns(macro)
    codes, found = spec.lanes * spec.input_bits, {}
    if spec.digital_projection:
        found["projection"] = (build.words(Space.PROJECTION, macro), spec.lanes * spec.head_weight_bits)
        found["codes to project"] = (spec.beats, codes)
    if spec.beats > 1 and spec.layout.register:
        found["states"] = (spec.beats, spec.lanes * spec.state_bits)
    if build.columns_per_clock:
        found["weights"] = (build.words(Space.WEIGHTS, macro), columns * spec.weight_bits)
        found["thresholds"] = (build.words(Space.THRESHOLDS, macro), spec.mac_bits)
        found["macs"] = (len(spec.gate_names) * build.groups(macro), columns * spec.mac_bits)
        found["row pulses"] = (spec.input_max, 2 * spec.rows)
        if spec.state_lines:
            found["state pulses"] = (spec.state_pulse_max, 2 * spec.state_lines)
        found["row codes"] = (spec.rows, spec.input_bits)
        conversions = emulated_conversions(spec, build.groups(macro))
        if any(conversion.has_lines and not conversion.is_direct for conversion in conversions):
            found["line pulses"] = (len(spec.layout.lines) * build.groups(macro), columns * spec.state_pulse_bits)
        if spec.trained_lines:
            found["line weights"] = (build.words(Space.LINES, macro), columns * spec.weight_bits)
    return found


def memory_blocks(board: Board, build: Build) -> dict[str, int]:
    """Least number of blocks of RAM of each memory that yosys surely puts into them, by name as :func:`memory_words`.

    A memory is made of blocks of one shape. Weights in SPRAM are left out.
    """
    family = FAMILIES[board.family]
    found = {}
    for name, (depth, width) in memory_words(build).items():
        if _is_weights(name) and board.weight_ram_style == "huge":
            continue
        blocks = min(-(-depth // words) * -(-width // bits) for words, bits in family.memory_shapes)
        logic = depth * width * (_ROM_COST if name in _ROMS else family.cell_cost)
        if logic > _SURELY * blocks * family.block_cost:
            found[name] = blocks
    return found


def least_resources(board: Board, build: Build) -> dict[str, int]:
    """What a build takes at the very least, by the names of nextpnr's reports.

    A lower bound that costs nothing to know: what exceeds it would be synthesized for hours to be refused in the end.
    """
    family = FAMILIES[board.family]
    needed = {family.register: register_bits(build.spec), family.memory: sum(memory_blocks(board, build).values())}
    if build.columns_per_clock and board.weight_ram_style == "huge":
        shapes = [shape for name, shape in memory_words(build).items() if _is_weights(name)]
        needed[_SPRAM] = sum(-(-depth // _SPRAM_SHAPE[0]) * -(-width // _SPRAM_SHAPE[1]) for depth, width in shapes)
    return needed


def _is_weights(memory: str) -> bool:
    """Whether a memory holds the weights of an array."""
    return memory.endswith("weights") and not memory.endswith("line weights")


def excess(board: Board, needed: Mapping[str, float]) -> str | None:
    """The resource of which most is missing, in proportion; None if all suffice."""
    over = {name: needed[name] / have for name, have in board.capacity.items() if needed.get(name, 0) > have}
    return max(over, key=over.get, default=None)


def check_size(board: Board, build: Build) -> None:
    """Refuse at once what cannot fit.

    Raises
    ------
    TooLarge
    """
    needed = least_resources(board, build)
    resource = excess(board, needed)
    if resource is not None:
        raise TooLarge(refusal(board, build, resource, needed[resource], at_least=True))


def refusal(board: Board, build: Build, resource: str, needed: int, *, at_least: bool = False) -> str:
    """One line: what is needed, what the board has, and what would fit.

    Parameters
    ----------
    needed : int
        Of ``resource``: as placed, or with ``at_least`` the bound of :func:`least_resources`.
    """
    family, have = FAMILIES[board.family], board.capacity[resource]
    word = family.primitives.get(resource, resource)
    need, most = f"{needed:,} {word}", f"{have:,}"
    if resource == family.memory:
        words, bits = family.memory_shapes[0]
        blocks = memory_blocks(board, build)
        largest = sorted(blocks, key=blocks.get, reverse=True)[:_LARGEST]
        need += f" ({needed * words * bits:,} bits; most of them {', '.join(f'{n} {blocks[n]:,}' for n in largest)})"
        most += f" ({have * words * bits:,} bits)"
    return (
        f"{board.name}: {_sizes(build.spec)} take {'at least ' if at_least else ''}"
        f"{need}, and the board has {most}; {_what_fits(board, build, resource, None if at_least else needed)}"
    )


def _sizes(spec: AnySpecification) -> str:
    if not isinstance(spec, NetworkSpecification):
        return f"{spec.units} units and {spec.inputs} inputs"
    return f"macros of {', '.join(str(macro.units) for macro in spec.macros.values())} units and {spec.inputs} inputs"


def _what_fits(board: Board, build: Build, resource: str, needed: int | None) -> str:
    """About how many units fit with all else as it is, and the boards that can hold it as it is."""
    if isinstance(build.spec, NetworkSpecification):
        parts = ["give fewer or smaller layers"]
    else:
        units = _units_that_fit(board, build, resource, needed)
        count = f"about {units} {'unit' if units == 1 else 'units'}" if units else "no number of units"
        parts = [f"{count} would fit"]
    larger = [other.name for other in boards().values() if other is not board and _may_hold(other, build, board)]
    if larger:
        parts.append(f"or try --board {' or '.join(larger)}")
    return ", ".join(parts)


def _units_that_fit(board: Board, build: Build, resource: str, needed: int | None) -> int:
    """About how many units of a single macro fit."""
    spec = build.spec
    beside = {FAMILIES[board.family].register: FAMILIES[board.family].beside}
    if needed is not None:  # what the estimate did not see stays as it is with fewer units
        beside = {resource: needed - least_resources(board, build).get(resource, 0)}

    def fits(units: int) -> bool:
        expected = least_resources(board, board.build(spec.replace(units=units, lanes=1), build.baud))
        for name, more in beside.items():
            expected[name] = (expected.get(name, 0) + more) / _PLACEABLE
        return excess(board, expected) is None

    low, high = 0, spec.units
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _may_hold(other: Board, build: Build, board: Board) -> bool:
    """Whether another board with an emulator has twice the room of what is known, and is larger than this one."""
    if not other.columns_per_clock:
        return False
    least = least_resources(other, other.build(build.spec))
    register, this = FAMILIES[other.family].register, FAMILIES[board.family].register
    if other.capacity[register] <= board.capacity[this]:
        return False
    return excess(other, {name: 2 * count for name, count in least.items()}) is None
