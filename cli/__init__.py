# SPDX-License-Identifier: Apache-2.0
"""The commands: one file each, with ``add_parser`` and ``run``; :mod:`.__main__` turns errors into one line.

What several commands share stands beside them: reading inputs, tables, pictures, tools, output folders. May import
every other part of crossramp; nothing imports it.
"""
