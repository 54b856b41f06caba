# SPDX-License-Identifier: Apache-2.0
"""Properties of the host link: bytes, frames and commands.

May import the rooms of ``sim.formal`` before it, ``sim.checking``, and what lies below ``sim``.
"""
