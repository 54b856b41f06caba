# SPDX-License-Identifier: Apache-2.0
"""A whole network: macro, dense head, and the calibrator that may stand beside the macro.

Imports golden and the rooms ``macro`` and ``common`` of rtl.
"""
