# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization: from a trained network in real numbers and some data to a model, without retraining.

:mod:`.quantizer` composes the parts. :mod:`.weight_rounding` and :mod:`.full_scales` have the numerical methods,
:mod:`.observed` what a layer sees of the data, :mod:`.rescaled` brings outputs within ±1 first.
Imports the room ``float_network`` of convert, and golden.
"""
