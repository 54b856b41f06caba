# SPDX-License-Identifier: Apache-2.0
"""Helpers that every package uses: errors, checked numbers, wording, hashes, whole files, install commands, cache.

Every module of crossramp may import these modules.
They import the standard library and numpy only.
"""
