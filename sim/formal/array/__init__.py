# SPDX-License-Identifier: Apache-2.0
"""Properties of what stands behind the boundary: an array of your own.

May import the rooms of ``sim.formal`` before it, ``sim.checking``, ``sim.array``, and what lies below ``sim``.
"""
