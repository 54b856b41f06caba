# SPDX-License-Identifier: Apache-2.0
"""What commands are given: recordings, feature files, labeled data, chips and files of conductances.

Imports golden, train.data, sim, and the rooms ``output``, ``plots`` and ``process`` of cli.
"""
