# SPDX-License-Identifier: Apache-2.0
"""Properties of conversions: pulses, banks that hold, capture, and where a latched code is used.

May import the rooms of ``sim.formal`` before it, ``sim.checking``, and what lies below ``sim``.
"""
