# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo over device instances: plans, tasks, workers, results that survive a kill.

Imported by the command line and bench; imports golden alone of crossramp.
"""
