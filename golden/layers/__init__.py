# SPDX-License-Identifier: Apache-2.0
"""Specifications of more than one macro or array: layers, directions, tiles, and the TOML form of a specification.

Imports the rooms ``cell``, ``spec`` and ``common`` of golden.
"""
