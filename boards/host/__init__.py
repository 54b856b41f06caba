# SPDX-License-Identifier: Apache-2.0
"""The host's end of the serial link: loads a network into a board, runs utterances, reads results back.

Imports golden only, so that a host needs neither Amaranth nor a simulator.
"""
