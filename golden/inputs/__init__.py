# SPDX-License-Identifier: Apache-2.0
"""Inputs: from WAV files, folders of recordings and texts to the signed pulse codes that drive the crossbar's rows.

Imports :mod:`crossramp.golden.common`.
"""
