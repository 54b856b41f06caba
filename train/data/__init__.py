# SPDX-License-Identifier: Apache-2.0
"""Training data: recordings, spectrograms and texts, and their variations.

Imports golden and the room ``recipes`` of train.
"""
