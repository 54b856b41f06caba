# SPDX-License-Identifier: Apache-2.0
"""Access to a memory that is loaded at run time."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Attribute of a memory of which no word is read on the clock it is written: yosys then adds nothing for that case.
UNCHECKED = {"no_rw_check": 1}


class AccessSignature(wiring.Signature):
    """Reads and writes words of a memory while its owner does not use it, seen from the requesting side.

    Members
    -------
    address : range(words)
        Of the word that ``data`` shows one clock later, and that ``write`` changes.
    write : 1 bit
    value : shape
        What ``write`` puts there. On that clock, ``data`` means nothing.
    data : shape

    Parameters
    ----------
    words : int
    shape : ShapeLike
        Of a word.
    """

    def __init__(self, words: int, shape):
        super().__init__({"address": Out(range(words)), "write": Out(1), "value": Out(shape), "data": In(shape)})
