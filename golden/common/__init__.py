# SPDX-License-Identifier: Apache-2.0
"""Helpers that every package uses: checked numbers, wording of file names, install commands, the cache folder.

Every module of crossramp may import these modules.
They import the standard library and numpy only.
"""
