# SPDX-License-Identifier: Apache-2.0
"""A crossbar that synthesizes, for FPGAs without an array, and a pacer for arrays slower than the clock.

Imports golden and the room ``common`` of rtl.
"""
