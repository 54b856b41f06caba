# SPDX-License-Identifier: Apache-2.0
"""What the host link of a specification is built for in proofs: as a board states it."""

from crossramp.golden.link.board_memory import Build
from crossramp.golden.spec.specification import Specification


def link_build(spec: Specification, columns_per_clock: int = 1, clock: int = 12_000_000) -> Build:
    """The build of a board with the iCEBreaker's clock and emulator, and the ``lanes`` of ``spec``."""
    return Build("proof", spec, min(columns_per_clock, spec.units), clock)
