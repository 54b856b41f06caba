# SPDX-License-Identifier: Apache-2.0
"""The golden model: what the hardware must compute, bit for bit, in numpy.

Here live the specification (:mod:`.specification`), the activations and the ramps made of them, conversion, the LSTM
step, the network, the model file, and the speech features. Everything else is checked against this package, so it
imports numpy and the standard library alone, and nothing else of crossramp.
"""
