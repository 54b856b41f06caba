# SPDX-License-Identifier: Apache-2.0
"""How far SPICE and the behavioral model agree: every voltage, every decision, and what explains the rest."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray

from ..amaranth.step_trace import StepWaves
from .column_equation import window_volts
from .deck import Deck
from .pin_voltages import conversions
from .spice_step import Answers, gateware_codes

#: Largest difference that nothing explains, as a part of the integrators' swing (25 µV of 0.5 V): some ten times what
#: the deck's edges leave, see docs/spice.md.
UNEXPLAINED = 5e-5


def report(
    array: PhysicalArray,
    waves: StepWaves,
    decks: Sequence[Deck],
    spice: Sequence[Answers],
    golden: Sequence[Answers],
) -> dict:
    """Everything as JSON types; voltages in V, differences in MAC units unless named otherwise.

    A conversion *agrees* if what ngspice found of ramps, and of columns against the circuit's own equation
    (:mod:`.column_equation`), differs by at most :data:`UNEXPLAINED`, and each
    decision on which ngspice and the behavioral model differ has margins of opposite sign, as far apart as the
    voltages are. ``simplified`` is what the behavioral model differs from that equation by.
    """
    parts = []
    for conversion, ours, theirs in zip(_of(waves, spice), spice, golden, strict=True):
        if ours.columns != theirs.columns:
            raise ValueError(f"the answers are of columns {ours.columns} and {theirs.columns}")
        parts.append(_conversion(array, waves, decks, conversion, ours, theirs))
    return {
        "columns": [array.spec.column_name(k) for k in sorted({k for part in spice for k in part.columns})],
        "microvolts_per_mac": array.volts_per_mac * 1e6,
        "smallest_ramp_step_mac": _smallest_step(array, golden),
        "conversions": parts,
        "codes": sum(len(part["rows"]) for part in parts),
        "codes_differ": sum(part["codes_differ"] for part in parts),
        "largest_mac": max(max(part["column_mac"], part["ramp_mac"]) for part in parts),
        "unexplained_mac": max(max(part["unexplained_mac"], part["ramp_mac"]) for part in parts),
        "agrees": all(part["agrees"] for part in parts),
    }


def _of(waves: StepWaves, answers: Sequence[Answers]):
    kinds = {conversion.second: conversion for conversion in conversions(waves)}
    return [kinds[answer.second] for answer in answers]


def _conversion(array, waves, decks, conversion, spice: Answers, golden: Answers) -> dict:
    volts, spec = array.volts_per_mac, array.spec
    exact = window_volts(array, waves, spice.columns, conversion, [deck.columns for deck in decks])
    gateware = gateware_codes(spec, waves, golden)
    rows, accounted = [], True
    for k, column in enumerate(spice.columns):
        differ = np.flatnonzero(spice.comparators[k] != golden.comparators[k])
        apart = np.abs(spice.margins[k] - golden.margins[k]).max()
        accounted &= bool((np.abs(golden.margins[k, differ]) <= apart).all())
        near = int(differ[0]) if len(differ) else int(np.abs(golden.margins[k]).argmin())
        rows.append(
            {
                "column": spec.column_name(column),
                "spice_code": int(spice.codes[k]),
                "golden_code": int(golden.codes[k]),
                "gateware_code": int(gateware[k]),
                "spice_volts": float(spice.window[k]),
                "golden_volts": float(golden.window[k]),
                "hold_difference_microvolts": float((spice.hold[k] - golden.hold[k]) * 1e6),
                "difference_microvolts": float((spice.window[k] - golden.window[k]) * 1e6),
                "explained_microvolts": float((exact[k] - golden.window[k]) * 1e6),
                "nearest_tick": near + 1,
                "spice_margin_microvolts": float(spice.margins[k, near] * 1e6),
                "golden_margin_microvolts": float(golden.margins[k, near] * 1e6),
                "ticks_differ": [int(tick) + 1 for tick in differ],
            }
        )
    ramps = float(np.abs(spice.ramps - golden.ramps).max() / volts)
    unexplained = float(np.abs(spice.window - exact).max() / volts)
    allowed = UNEXPLAINED * array.technology["integrator.swing"] / volts
    return {
        "second": conversion.second,
        "rows": rows,
        "codes_differ": int((spice.codes != golden.codes).sum()),
        "gateware_differ": int((gateware != golden.codes).sum()),
        "column_mac": float(np.abs(spice.window - golden.window).max() / volts),
        "hold_mac": float(np.abs(spice.hold - golden.hold).max() / volts),
        "ramp_mac": ramps,
        "simplified_mac": float(np.abs(exact - golden.window).max() / volts),
        "unexplained_mac": unexplained,
        "agrees": bool(max(ramps, unexplained) <= allowed and accounted),
    }


def _smallest_step(array: PhysicalArray, golden: Sequence[Answers]) -> float:
    steps = np.concatenate([np.diff(answers.ramps, axis=1).ravel() for answers in golden]) / array.volts_per_mac
    return float(steps[steps > 0].min()) if (steps > 0).any() else 0.0
