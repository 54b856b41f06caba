# SPDX-License-Identifier: Apache-2.0
"""Properties of the host link: UART, frames, commands, spaces, results; and of the recorder of pulses.

May import the rooms of ``sim.formal`` before it and what lies below ``sim``.
"""
