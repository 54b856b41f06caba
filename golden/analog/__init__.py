# SPDX-License-Identifier: Apache-2.0
"""The analog side in numpy: technologies, chips that are sampled from them, and the conversions of a chip.

A technology (:mod:`.technologies`) gives constants with units and sources.
:mod:`.chip` samples one physical array in SI units from it, by a seed,
and translates it into a *device instance* in MAC units.
A device instance is all that a model of conversion sees: :mod:`.conversion` here,
``device_crossbar.sv`` and the array models of :mod:`crossramp.sim`.
:mod:`.fast` does the same for Monte Carlo.
:mod:`.cells` computes what to program into cells, and reads and writes files of conductances.

Like the rest of golden it imports numpy and the standard library only.
"""
