# SPDX-License-Identifier: Apache-2.0
"""FPGA boards, what they carry, and the host's side of their link.

:mod:`.board` describes a board and finds them all, one file each; :mod:`.core` is what every FPGA holds, :mod:`.top`
puts it between a board's pins, :mod:`.synthesis` makes the bitstream. :mod:`.driver` talks to a board through
:mod:`.port`; :mod:`.virtual` is one without hardware. :mod:`.replay` runs netlists against golden.

It may import sim, rtl and golden; only cli may import it.
"""
