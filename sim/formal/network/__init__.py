# SPDX-License-Identifier: Apache-2.0
"""Properties of what stands around the macro: head and calibrator.

May import the rooms of ``sim.formal`` before it, ``sim.checking``, and what lies below ``sim``.
"""
