# SPDX-License-Identifier: Apache-2.0
"""The optimization loop that all tasks share, its stages, checkpoints and event files.

Imports golden and the rooms ``network`` and ``recipes`` of train.
"""
