# SPDX-License-Identifier: Apache-2.0
"""All proofs of the hardware of one specification."""

from crossramp.golden.spec.specification import Specification

from .array import array_proof
from .conversion import banks_proof, capture_proof, latch_use_proof, pulse_proof
from .engine.entry import Entry
from .link import answer_proof, command_proof, recorder_proof, results_proof, spaces_proof, uart_proof
from .macro import (
    boundary_proof,
    clocks_proof,
    load_proof,
    projection_proof,
    state_store_proof,
    stream_proof,
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
    head_sums_proof,
    network_clocks_proof,
    pacer_proof,
)
from .update import arithmetic_proof, update_proof

#: What lists the proofs of a block, in the order of the table.
BLOCKS = (
    capture_proof.proofs,
    latch_use_proof.proofs,
    update_proof.proofs,
    boundary_proof.proofs,
    clocks_proof.proofs,
    banks_proof.proofs,
    pulse_proof.proofs,
    stream_proof.proofs,
    unit_proof.proofs,
    state_store_proof.proofs,
    whole_proof.proofs,
    arithmetic_proof.proofs,
    head_sums_proof.proofs,
    head_multiplier_proof.proofs,
    argmax_proof.proofs,
    head_clocks_proof.proofs,
    head_proof.proofs,
    network_clocks_proof.proofs,
    fork_proof.proofs,
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


def proofs_of(spec: Specification) -> list[Entry]:
    """Every proof at the sizes of ``spec``, the quicker ones first within a block.

    Where a state is loaded, :mod:`.load_proof` is about what that brings, from a stream, and everything else is proven
    of the hardware that starts from zero.
    """
    plain = spec.replace(initial="zero")
    loaded = load_proof.proofs(spec.replace(initial="stream")) if spec.loads_state else []
    return [entry for proofs in BLOCKS for entry in proofs(plain)] + loaded


#: The proofs of an array of a user's own.
array_proofs = array_proof.proofs
