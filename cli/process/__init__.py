# SPDX-License-Identifier: Apache-2.0
"""The process around a command: exit statuses, signals, child processes, warnings, tools that were found.

Imports :mod:`crossramp.golden.common` and the specification's warnings.
"""
