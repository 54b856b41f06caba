# SPDX-License-Identifier: Apache-2.0
"""The trainable networks: in floating point, and in the exact integers of the hardware with straight-through
gradients.

Imports golden.
"""
