# SPDX-License-Identifier: Apache-2.0
"""The host link in gateware: UART, frames, commands, and the spaces that a host reads and writes.

Imports golden and the rooms ``network``, ``macro`` and ``common`` of rtl.
"""
