# SPDX-License-Identifier: Apache-2.0
"""The macro: the whole digital periphery of one crossbar, from a stream of pulse codes to the codes of its columns.

Rows are driven by :mod:`.loader` and :mod:`.pulses`, :mod:`.ramp_counter` counts ticks,
:mod:`.capture` latches and reads codes, :mod:`.update` and :mod:`.projection` compute c and h,
and :mod:`.sequencer` orders them.
Imports golden and the room ``common`` of rtl.
"""
