# SPDX-License-Identifier: Apache-2.0
"""The analog side in numpy: technologies, device instances sampled from them, and what converts in one.

A *technology* (:mod:`.technology`, ``technologies/*.toml``) gives constants with units and sources. :mod:`.sampling`
draws from it, by a seed, one physical array in SI units (:mod:`.physical`); that becomes a *device instance* in MAC
units (:mod:`.device`), which is all that any model of conversion sees: :mod:`.convert` here, ``device_crossbar.sv``
and the array model of :mod:`crossramp.sim`. Like the rest of golden it imports numpy and the standard library alone.
"""
