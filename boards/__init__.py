# SPDX-License-Identifier: Apache-2.0
"""FPGA boards: what they carry, how their bitstreams are made, and the host's side of their link.

:mod:`.definitions` describes boards, :mod:`.flow` makes bitstreams, :mod:`.host` talks to a board,
and :mod:`.virtual` runs a board's design in a simulator.

May import sim, rtl and golden; only cli may import it.
"""
