# SPDX-License-Identifier: Apache-2.0
"""Networks of several layers: what stands between their macros, and the top.

Imports common, macro and network beside golden.
"""
