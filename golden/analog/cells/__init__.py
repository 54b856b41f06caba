# SPDX-License-Identifier: Apache-2.0
"""Files of conductances: what the cells of a technology are to be programmed to, and what was measured of them.

Imports the room ``chip`` of analog and everything below it.
"""
