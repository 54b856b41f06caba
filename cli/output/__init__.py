# SPDX-License-Identifier: Apache-2.0
"""What commands write: tables, JSON, folders, maps, messages on stderr.

Imports golden, and the room ``process`` of cli.
"""
