# SPDX-License-Identifier: Apache-2.0
"""Networks in floating point, trained first: cells, macros and layers of them.

Imports golden.
"""
