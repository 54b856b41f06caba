# SPDX-License-Identifier: Apache-2.0
"""Pictures. :mod:`.figures` alone imports matplotlib.

Imports golden, sim, and the room ``process`` of cli.
"""
