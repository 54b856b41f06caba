# SPDX-License-Identifier: Apache-2.0
"""Properties of what stands behind the boundary, a user's array included.

May import the rooms of ``sim.formal`` before it, ``sim.checking``, and what lies below ``sim``.
"""
