# SPDX-License-Identifier: Apache-2.0
"""Proofs of the top of several layers and of what stands between its macros.

Imports the room ``engine`` of this one, and golden and rtl.
"""
