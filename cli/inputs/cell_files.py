# SPDX-License-Identifier: Apache-2.0
"""Cells that files give in place of drawn ones: ``--conductances`` of every command that takes it."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

from crossramp.golden.analog.chip.given_cells import Conductances
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.model_file import Model
from crossramp.golden.network.network import Network

from ..output.messages import LOGGER
from .subjects import one_macro


@dataclass(frozen=True, eq=False)
class Given:
    """Cells that files give in place of drawn ones, with a warning if they are not what the array needs.

    Attributes
    ----------
    cells : Conductances
    files : tuple of str
    gains : dict of str to float
        Least-squares gains, see :func:`crossramp.golden.analog.cells.targets.gains`.
    warning : str or None
        What :func:`warn` shows.
    """

    cells: Conductances
    files: tuple[str, ...]
    gains: dict[str, float]
    warning: str | None

    @classmethod
    def of(cls, files: tuple[str, ...], technology: Technology, model, g_max: float | None) -> "Given":
        """Read files for a model (or network); ConductanceError for what does not fit it."""
        from crossramp.golden.analog.cells.conductance_tables import load_conductances
        from crossramp.golden.analog.cells.targets import gains, warning

        spec, weights = model.spec, model.weights
        cells = load_conductances(files, spec, technology, weights, g_max)
        found = gains(cells, technology, spec, weights)
        return cls(cells, files, found, warning(cells, found, technology))

    def to_dict(self) -> dict:
        """As JSON types, for reports."""
        return {
            "conductances": list(self.files),
            "conductance_gains": {name: round(gain, 6) for name, gain in self.gains.items()},
            "warnings": [] if self.warning is None else [self.warning],
        }


#: The options of :func:`.options.add_conductances`, as attributes.
OPTIONS = ("conductances", "conductances_g_max")


def files_of(args: argparse.Namespace) -> tuple[tuple[str, ...], float | None]:
    """Files of given cells, and the g_max of AIHWKit's in siemens; UserError for what is wrong."""
    g_max = args.conductances_g_max
    if g_max is not None and not 0 < g_max < 1e6:
        raise UserError(f"--conductances-g-max is {g_max:g} µS; expected a conductance above 0")
    if g_max is not None and not args.conductances:
        raise UserError("--conductances-g-max belongs to --conductances; add a file, or leave it out")
    return tuple(args.conductances or ()), None if g_max is None else g_max * 1e-6


def warn(given: Iterable[Given]) -> None:
    """Show the warnings, each once, on stderr."""
    for text in _warnings(given):
        LOGGER.warning("%s", text)


def _warnings(given: Iterable[Given]) -> list[str]:
    return list(dict.fromkeys(one.warning for one in given if one.warning is not None))


def told_of(given: Iterable[Given]) -> dict:
    """Files and warnings of several arrays' cells, as JSON types."""
    files = dict.fromkeys(file for one in given for file in one.files)
    return {"conductances": list(files), "warnings": _warnings(given)}


def given_of(args: argparse.Namespace, technology: Technology, model: Model | None) -> Given | None:
    """The cells that the arguments' files give ``model``; what is unlikely right is told on stderr.

    Raises
    ------
    UserError, ConductanceError
        For what is wrong; also for files without a model.
    """
    files, g_max = files_of(args)
    if not files:
        return None
    if model is None:
        raise UserError("--conductances are those of one array; add --model MODEL")
    one_macro(model.spec, "--conductances")
    given = Given.of(files, technology, model, g_max)
    warn([given])
    return given


def given_at(args: argparse.Namespace, arrays: Iterable[tuple[Technology, Network]]) -> tuple[Given, ...]:
    """The cells that the arguments' files give each of several arrays, one object for all that are alike; none: ().

    Shows warnings and raises as :func:`given_of`.
    """
    from crossramp.golden.analog.cells.origin import origin

    files, g_max = files_of(args)
    found, known = [], {}
    for technology, network in arrays if files else ():
        one_macro(network.spec, "--conductances")
        made = [origin(kind, network.spec, technology, network.weights)["targets"] for kind in ("weights", "ramps")]
        key = (technology.name, network.spec.content_hash, *made)
        if key not in known:
            known[key] = Given.of(files, technology, network, g_max)
        found.append(known[key])
    warn(known.values())
    return tuple(found)
