# SPDX-License-Identifier: Apache-2.0
"""The ideal crossbar in integers: its weights, the ramps, and what a column converts, also in tiles.

:mod:`.array_protocol` is what each model of an array does, and the ideal one; :mod:`.integers` has the exact products.
Imports the rooms ``cell``, ``spec``, ``layers`` and ``common`` of golden.
"""
