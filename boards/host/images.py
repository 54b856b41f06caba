# SPDX-License-Identifier: Apache-2.0
"""The images that a host writes into a board's memories, and the check that a model belongs to the board."""

import struct
from collections.abc import Sequence

from crossramp.golden.analog.conversion.calibration_setting import nominal_port
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import check_integers
from crossramp.golden.link.board_memory import (
    Build,
    head_image,
    lines_image,
    projection_image,
    thresholds_image,
    weights_image,
)
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import FORMAT, Specification


class WrongModel(InvalidValue):
    """The board was built for another specification; one line that names what differs."""


def check_specification(build: Build, spec: Specification, port: str) -> None:
    """Refuse a model that the board on ``port`` was not built for.

    Lanes do not matter: they change clocks, and no answer.

    Raises
    ------
    WrongModel
        Names every parameter that differs, with both values.
    """
    # A model's lanes may be more than another number of units has.
    have, want = build.spec.replace(lanes=1), spec.replace(lanes=1)
    if have == want:
        return
    board, model = _flat(have), _flat(want)
    # Another cell has other gates and perhaps no state: only what both have can be told beside it.
    names = [name for name in model if name in board and board[name] != model[name]]
    differ = [f"{name} is {board[name]} there and {model[name]} in the model" for name in names]
    raise WrongModel(
        f"the board on {port} ({build.board}) was built for another specification: {'; '.join(differ)}; "
        f"crossramp build MODEL --board {build.board} makes the model's bitstream"
    )


def _flat(spec: Specification) -> dict:
    # Whatever their formats leave out.
    content = {"cell": spec.cell, "projection": 0} | spec.replace(format=FORMAT).to_dict()
    for gate, table in content.pop("gates").items():
        content |= {f"{name} of gate {gate}": value for name, value in table.items()}
    return content


def network_images(build: Build, network: Network, thresholds: Sequence | None = None) -> dict[Space, bytes]:
    """All words of the spaces that hold a network, as far as the board has them.

    Parameters
    ----------
    build : Build
    network : Network
        Of the same specification, lanes apart.
    thresholds : sequence of integer arrays, shape (ticks,), or None
        For each ramp of ``spec.ramps``, in any order. None: the ideal ones.

    Raises
    ------
    InvalidValue
        For thresholds of a wrong shape or range, or given to a board whose array is on pins.
    """
    spec = build.spec
    images = {Space.HEAD: head_image(build, network.weights)}
    if spec.projection:
        images[Space.PROJECTION] = projection_image(build, network.weights.projection)
    if not build.columns_per_clock:
        if thresholds is not None:
            raise InvalidValue(f"{build.board}: its array has ramps of its own; leave out the thresholds")
        return images
    if thresholds is not None:
        limit = (1 << (spec.mac_bits - 1)) - 1
        thresholds = check_integers("thresholds", thresholds, (len(spec.ramps), spec.ticks), limit)
    images[Space.WEIGHTS] = weights_image(build, network.weights.macro)
    images[Space.THRESHOLDS] = thresholds_image(build, thresholds)
    if spec.trained_lines:
        images[Space.LINES] = lines_image(build, network.weights.lines)
    return images


def settings_image(build: Build, hold: int | None = None, tick: int = 1, calibration: int | None = None) -> bytes:
    """All words of SETTINGS; parameters as :meth:`.driver.BoardDriver.load` takes them.

    Raises
    ------
    InvalidValue
        For clocks out of range, or more calibration cells than there are.
    """
    spec = build.spec
    hold = spec.settle_clocks if hold is None else hold
    for name, clocks in (("hold", hold), ("tick", tick)):
        if not 0 <= clocks <= 0xFFFF:
            raise InvalidValue(f"{name} is {clocks} clocks; allowed: 0 to 65535")
    cells = calibration_bits(spec)
    if calibration is None:
        calibration = 0 if build.columns_per_clock else nominal_port(spec)
    if not 0 <= calibration < 1 << cells:
        raise InvalidValue(f"calibration is {calibration:x}; allowed: 0 to {(1 << cells) - 1:x}, for {cells} cells")
    rest = build.word_bytes(Space.SETTINGS) * (build.words(Space.SETTINGS) - 2)
    return struct.pack("<HH", hold, tick) + calibration.to_bytes(rest, "little")
