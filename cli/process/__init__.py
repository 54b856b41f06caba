# SPDX-License-Identifier: Apache-2.0
"""The process around a command: exit statuses, signals, child processes, tools that were found.

Imports :mod:`crossramp.golden.common`.
"""
