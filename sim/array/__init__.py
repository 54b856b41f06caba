# SPDX-License-Identifier: Apache-2.0
"""Arrays behind the analog boundary: ideal or sampled, in Python and in SystemVerilog, clock by clock.

Imports golden.
"""
