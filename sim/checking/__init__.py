# SPDX-License-Identifier: Apache-2.0
"""Checks: whole traces against the golden model, and the rules of the analog boundary at every clock.

Imports golden and the rooms ``array`` and ``tools`` of sim.
"""
