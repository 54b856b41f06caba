# SPDX-License-Identifier: Apache-2.0
"""Netlists of FPGA builds in simulation: models of their cells, and questions and answers on their pins.

Imports :mod:`crossramp.golden.common` and the room ``tools`` of sim.
"""
