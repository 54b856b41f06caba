# SPDX-License-Identifier: Apache-2.0
"""Technologies: what cells, lines and converters are made of, as constants with a unit and a source each.

Each ``*.toml`` file of this folder is one technology.
Imports :mod:`crossramp.golden.common`.
"""
