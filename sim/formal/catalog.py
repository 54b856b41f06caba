# SPDX-License-Identifier: Apache-2.0
"""All proofs of the hardware of one specification."""

from dataclasses import replace

from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.spec.specification import Specification

from .array import array_proof
from .conversion import banks_proof, capture_proof, latch_use_proof, pulse_proof
from .engine.entry import Entry
from .layers import given_proof, stack_proof
from .link import answer_proof, command_proof, recorder_proof, results_proof, spaces_proof, uart_proof
from .macro import (
    boundary_proof,
    clocks_proof,
    load_proof,
    projection_proof,
    state_store_proof,
    stream_proof,
    tiles_proof,
    unit_proof,
    whole_proof,
)
from .network import (
    argmax_proof,
    calibration_choice_proof,
    calibrator_proof,
    fork_proof,
    head_clocks_proof,
    head_multiplier_proof,
    head_proof,
    head_reader_proof,
    head_sums_proof,
    network_clocks_proof,
    pacer_proof,
)
from .update import arithmetic_proof, update_proof

#: What lists the proofs of a macro, in the order of the table; some also take how many codes of x come in a clock.
_OF_A_MACRO = (
    capture_proof.proofs,
    latch_use_proof.proofs,
    update_proof.proofs,
    boundary_proof.proofs,
    tiles_proof.proofs,
    clocks_proof.proofs,
    banks_proof.proofs,
    pulse_proof.proofs,
    stream_proof.proofs,
    unit_proof.proofs,
    state_store_proof.proofs,
    whole_proof.proofs,
    arithmetic_proof.proofs,
)
_WITH_LANES = frozenset(
    module.proofs
    for module in (
        latch_use_proof,
        boundary_proof,
        clocks_proof,
        banks_proof,
        pulse_proof,
        stream_proof,
        unit_proof,
    )
)

#: Of macros to which no other one gives values.
_ALONE = frozenset((pulse_proof.proofs, whole_proof.proofs))

#: Of a head, of whatever gives its h.
_OF_A_HEAD = (
    head_sums_proof.proofs,
    head_multiplier_proof.proofs,
    argmax_proof.proofs,
    head_clocks_proof.proofs,
    head_proof.proofs,
)
_OF_A_HEAD_IN_AN_ARRAY = (head_sums_proof.proofs, head_reader_proof.proofs, argmax_proof.proofs)

#: Of one macro with its head.
_OF_ONE_MACRO = (network_clocks_proof.proofs, fork_proof.proofs)

#: Of what boards have, whose macros have one array.
_OF_A_BOARD = (
    pacer_proof.proofs,
    projection_proof.proofs,
    calibrator_proof.proofs,
    calibration_choice_proof.proofs,
    uart_proof.proofs,
    answer_proof.proofs,
    results_proof.proofs,
    spaces_proof.proofs,
    recorder_proof.proofs,
    command_proof.proofs,
)


def proofs_of(spec: AnySpecification) -> list[Entry]:
    """Every proof at the sizes of ``spec``, the quicker ones first within a block.

    Where a state is loaded, :mod:`.load_proof` is about what that brings, from a stream, and everything else is proven
    of the hardware that starts from zero. The columns of a tiled macro are proven as those of one array, and
    :mod:`.tiles_proof` says that its boundary is split by wires. In a network of several layers equal macros are proven
    once; then what stands between them, and the head. Of macros that get values from others, their pulses are not
    proven, nor is the whole behind an array.
    """
    if isinstance(spec, NetworkSpecification):
        return _of_layers(spec)
    plain, loaded = spec.replace(initial="zero"), _loaded(spec)
    blocks = (*_OF_A_HEAD, *_OF_ONE_MACRO)
    if len(spec.unit_tiles) == 1:
        blocks = (*blocks, *_OF_A_BOARD)
    else:
        plain = _joined(plain)
        blocks = (*blocks, projection_proof.proofs)
    return [*_of_macro(spec, 1), *(entry for proofs in blocks for entry in proofs(plain)), *loaded]


def _of_layers(spec: NetworkSpecification) -> list[Entry]:
    """The proofs of a network of several layers."""
    alike: dict[tuple[Specification, int], list[str]] = {}
    for name, macro in spec.macros.items():
        alike.setdefault((macro, spec.x_lanes[name]), []).append(name)
    found = []
    for (macro, lanes), names in alike.items():
        own = [*_of_macro(macro, lanes), *projection_proof.proofs(macro), *_loaded(macro)]
        found += [replace(entry, of=", ".join(names)) for entry in own]
    head = _OF_A_HEAD_IN_AN_ARRAY if spec.head_in_array else _OF_A_HEAD
    of_head = [replace(entry, of="head") for proofs in head for entry in proofs(spec)]
    return [*found, *stack_proof.proofs(spec), *of_head]


def _of_macro(spec: Specification, x_lanes: int) -> list[Entry]:
    """The proofs of a macro that takes so many codes of x in a clock."""
    plain = _joined(spec.replace(initial="zero"))
    found = given_proof.proofs(spec)
    for proofs in _OF_A_MACRO:
        if spec.layout.given and proofs in _ALONE:
            continue
        if proofs is tiles_proof.proofs:
            found += proofs(spec)
        elif proofs in _WITH_LANES:
            found += proofs(plain, x_lanes)
        else:
            found += proofs(plain)
    return found


def _joined(spec: Specification) -> Specification:
    """The same macro with all of its columns in one array."""
    return spec.replace(tile_columns=0, tile_rows=0)


def _loaded(spec: Specification) -> list[Entry]:
    """The proofs of a state that is loaded."""
    return load_proof.proofs(_joined(spec.replace(initial="stream"))) if spec.loads_state else []


#: The proofs of an array of a user's own.
array_proofs = array_proof.proofs
