# SPDX-License-Identifier: Apache-2.0
"""Readers of trained networks: from a file or a module to a :class:`.FloatNetwork`.

:mod:`.read_network` chooses the reader of a file; the rooms below have one format each. Imports convert and golden;
the library of a format only inside the function that reads it.
"""
