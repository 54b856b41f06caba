# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo over chips: plans, tasks, workers, results that survive a kill, and the accuracy of a model.

Imports golden and the room ``array`` of sim.
"""
