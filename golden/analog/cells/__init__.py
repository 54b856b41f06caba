# SPDX-License-Identifier: Apache-2.0
"""Conductances of cells: targets of ramps and weights for a technology, and files of targets and of measured values.

:mod:`.ramp_report` lists steps, conductances and errors of one ideal ramp.

Imports the room ``chip`` of analog and everything below it.
"""
