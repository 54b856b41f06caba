# SPDX-License-Identifier: Apache-2.0
"""One chip: from a technology and a seed to a physical array in SI units, and from there to a device instance.

:mod:`.sampling` draws the chip, :mod:`.given_cells` replaces drawn cells by measured ones,
:mod:`.translate` converts SI units to MAC units.
Imports the rooms ``technologies`` and ``conversion`` of analog, and golden below them.
"""
