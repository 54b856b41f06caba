# SPDX-License-Identifier: Apache-2.0
"""The images that a host writes into a board's memories, and the check that a model belongs to the board."""

import struct
from collections.abc import Mapping, Sequence

from crossramp.golden.analog.conversion.calibration_setting import nominal_port
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import check_integers
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.link.board_memory import (
    Build,
    Region,
    head_image,
    lines_image,
    projection_image,
    thresholds_image,
    weights_image,
)
from crossramp.golden.link.link_protocol import Space
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import FORMAT


class WrongModel(InvalidValue):
    """The board was built for another specification; one line that names what differs."""


def check_specification(build: Build, spec: AnySpecification, port: str) -> None:
    """Refuse a model that the board on ``port`` was not built for.

    Lanes do not matter: they change clocks, and no answer.

    Raises
    ------
    WrongModel
        Names every parameter that differs, with both values.
    """
    # A model's lanes may be more than another number of units has.
    have, want = build.spec.implemented(lanes=1), spec.implemented(lanes=1)
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


def _flat(spec: AnySpecification) -> dict:
    """Every parameter by its name in messages."""
    content = {"macros": ", ".join(spec.macros) or "one"}
    if content["macros"] != "one":
        content |= spec.to_dict()
        del content["layers"]
    for macro, own in spec.macros.items():
        # What their formats leave out, too.
        found = {"cell": own.cell, "projection": 0} | own.replace(format=FORMAT).to_dict()
        for gate, table in found.pop("gates").items():
            found |= {f"{name} of gate {gate}": value for name, value in table.items()}
        content |= {f"{name} of {macro}" if macro else name: value for name, value in found.items()}
    return content


def network_images(
    build: Build, network: Network | LayeredNetwork, thresholds: Sequence | Mapping[str, Sequence] | None = None
) -> dict[Region, bytes]:
    """All words of the regions that hold a network, as far as the board has them.

    Parameters
    ----------
    build : Build
    network : Network or LayeredNetwork
        Of the same specification, lanes apart.
    thresholds : sequence of integer arrays, shape (ticks,), or None
        For each ramp of ``spec.ramps``, in any order. None: the ideal ones. Of a network of several macros, a mapping
        of their names to such sequences.

    Raises
    ------
    InvalidValue
        For thresholds of a wrong shape or range, or given to a board whose array is on pins.
    """
    if not build.columns_per_clock and thresholds is not None:
        raise InvalidValue(f"{build.board}: its array has ramps of its own; leave out the thresholds")
    given = thresholds if isinstance(thresholds, Mapping) else {"": thresholds} if thresholds is not None else {}
    for name in given:
        if name not in build.spec.macros:
            known = ", ".join(build.spec.macros)
            raise InvalidValue(f"thresholds of {name!r}; give a mapping from macros of the network, which are {known}")
    made = {
        Space.WEIGHTS: lambda name, weights: weights_image(build, weights.macro, name),
        Space.THRESHOLDS: lambda name, weights: thresholds_image(build, _floors(build, given.get(name), name), name),
        Space.LINES: lambda name, weights: lines_image(build, weights.lines, name),
        Space.PROJECTION: lambda name, weights: projection_image(build, weights.projection, name),
    }
    weights = network.weights.macros if build.several else {"": network.weights}
    images = {}
    for region in build.regions:
        if region.space in made:
            images[region] = made[region.space](region.macro, weights[region.macro])
        elif region.space == Space.HEAD:
            images[region] = head_image(build, network.weights)
    return images


def _floors(build: Build, thresholds: Sequence | None, macro: str) -> Sequence | None:
    """The thresholds of a macro, checked."""
    if thresholds is None:
        return None
    spec = build.spec.macros[macro]
    limit = (1 << (spec.mac_bits - 1)) - 1
    return check_integers("thresholds", thresholds, (len(spec.ramps), spec.ticks), limit)


def settings_image(build: Build, hold: int | None = None, tick: int = 1, calibration: int | None = None) -> bytes:
    """All words of SETTINGS; parameters as :meth:`.driver.BoardDriver.load` takes them.

    Raises
    ------
    InvalidValue
        For clocks out of range, or more calibration cells than there are.
    """
    # Each macro keeps its own settle_clocks: the least of them makes none wait longer.
    hold = min(macro.settle_clocks for macro in build.spec.macros.values()) if hold is None else hold
    for name, clocks in (("hold", hold), ("tick", tick)):
        if not 0 <= clocks <= 0xFFFF:
            raise InvalidValue(f"{name} is {clocks} clocks; allowed: 0 to 65535")
    cells = build.calibration_bits
    if calibration is None:
        calibration = 0 if build.columns_per_clock else nominal_port(build.spec)
    if not 0 <= calibration < 1 << cells:
        raise InvalidValue(f"calibration is {calibration:x}; allowed: 0 to {(1 << cells) - 1:x}, for {cells} cells")
    rest = build.word_bytes(Space.SETTINGS) * (build.words(Space.SETTINGS) - 2)
    return struct.pack("<HH", hold, tick) + calibration.to_bytes(rest, "little")
