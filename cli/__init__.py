# SPDX-License-Identifier: Apache-2.0
"""The command line: one module for each command in :mod:`.commands`, and what commands share beside it.

:mod:`.main` parses the arguments, runs one command, and turns errors into one line and an exit status.
:mod:`.verification` runs utterances through generated hardware and compares every value with the golden model.

May import every other part of crossramp; nothing imports it.
"""
