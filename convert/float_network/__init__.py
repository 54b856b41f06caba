# SPDX-License-Identifier: Apache-2.0
"""A trained network in real numbers, before any integer: every reader makes it, and the quantizer starts from it.

:mod:`.float_layer` has one direction of a layer, :mod:`.float_network` the layers, their head and their readout.
Imports golden alone.
"""
