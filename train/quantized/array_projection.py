# SPDX-License-Identifier: Apache-2.0
"""The projection of h by an array: a dense macro that converts within each step, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from crossramp.golden.cell.description import INPUT
from crossramp.golden.spec.specification import Specification
from torch import Tensor

from .conversion_tables import ConversionTables
from .imperfections import Array
from .step_plan import step_plan
from .update_program import Gradients, StoreProgram

__all__ = ["ArrayProjection", "Projected", "charge_gradient"]


def _store(spec: Specification) -> tuple[str, StoreProgram]:
    """The only code of the macro that projects for ``spec``, and what it stores of it."""
    plan = step_plan(spec.projection_macro)
    (code,), ((store,),) = plan.codes[0], plan.programs
    return code, store


@dataclass
class Projected:
    """What the conversions of a pass leave for the way back.

    Attributes
    ----------
    values, slopes : tensors, shape (steps, batch, projection)
    macs : tensor of the same shape, or None
        If it is asked for.
    """

    values: Tensor
    slopes: Tensor
    macs: Tensor | None

    @classmethod
    def empty(cls, spec: Specification, drive: Tensor, trace: bool) -> Projected:
        """Tensors for all steps of a pass of ``spec``, whose inputs' charges are ``drive``."""
        new = [drive.new_empty(*drive.shape[:2], spec.projection) for _ in range(2 + trace)]
        return cls(new[0], new[1], new[2] if trace else None)


@dataclass
class ArrayProjection:
    """The array of a projection in one pass, with its ramps.

    Attributes
    ----------
    spec : Specification
        Of the macro whose h it projects.
    array : Array
        Of ``spec.projection_macro``.
    tables : ConversionTables
    """

    spec: Specification
    array: Array
    tables: ConversionTables

    def convert(self, step: int, levels: Tensor, codes: Tensor, kept: Projected) -> Tensor:
        """The rounded integers that a step stores, shape (batch, projection), before they saturate.

        Parameters
        ----------
        levels : tensor, shape (projection, units)
        codes : tensor, shape (batch, units)
            h as the cell makes it.
        """
        macs = torch.mm(self.array.charge(codes), levels.t())
        macs = self.array.seen(0, macs, {INPUT: codes}, self.array.variance(codes))
        self.tables.convert(0, macs, kept.values[step], kept.slopes[step])
        self.array.late(kept.values[step], 0)
        if kept.macs is not None:
            kept.macs[step] = macs
        code, store = _store(self.spec)
        return store.rounded({code: kept.values[step]})


def charge_gradient(spec: Specification, values: Tensor, slopes: Tensor, gradient: Tensor, out: Tensor) -> None:
    """Writes the gradient of a step's charges, shape (batch, projection), from that of the rounded integers.

    Parameters
    ----------
    spec : Specification
        Of the macro whose h is projected.
    values, slopes : tensors, shape (batch, projection)
    gradient : tensor
        Overwritten.
    """
    code, store = _store(spec)
    store.back({code: values}, Gradients({code: out}), gradient)
    out.mul_(slopes)
