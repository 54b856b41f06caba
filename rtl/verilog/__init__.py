# SPDX-License-Identifier: Apache-2.0
"""From components to Verilog-2005 that every simulator and synthesis tool reads alike.

Imports golden; knows no component in particular.
"""
