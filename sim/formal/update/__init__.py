# SPDX-License-Identifier: Apache-2.0
"""The cell update and its arithmetic, against an independent reference for every input.

May import ``sim.formal.engine`` and what lies below ``sim``.
"""
