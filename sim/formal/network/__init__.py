# SPDX-License-Identifier: Apache-2.0
"""Properties of what stands around the macro: the head, the calibrator, and the pacer.

May import the rooms of ``sim.formal`` before it and what lies below ``sim``.
"""
