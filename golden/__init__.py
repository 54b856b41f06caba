# SPDX-License-Identifier: Apache-2.0
"""The golden model: what the hardware must compute, bit for bit, in numpy.

A specification (:mod:`.spec`) determines everything else.
:mod:`.network` computes what the hardware must show, :mod:`.inputs` turns recordings and texts into pulse codes,
:mod:`.link` models a board behind its serial link, and :mod:`.analog` samples chips and converts with them.
The gateware, the simulators and the boards are all checked against this package.

Every other package may import it.
It imports numpy and the standard library only (and numba, if it is installed), and nothing else of crossramp.
"""
