# SPDX-License-Identifier: Apache-2.0
"""What is trained: keyword spotting and language modeling, from a folder of data to a model file.

Imports golden and every other room of train.
"""
