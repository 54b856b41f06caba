# SPDX-License-Identifier: Apache-2.0
"""What a board is: pins, capacity, family. One file for each shipped board, and a reader for a user's own.

Imports golden.
"""
