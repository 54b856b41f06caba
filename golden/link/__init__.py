# SPDX-License-Identifier: Apache-2.0
"""The host link: its protocol, and a golden model of the board that answers behind it.

Imports the rooms ``network``, ``macro``, ``array``, ``layers``, ``spec`` and ``common`` of golden.
"""
