# SPDX-License-Identifier: Apache-2.0
"""Generated Verilog whose registers have no initial values."""

import re


def strip_initial(text: str) -> str:
    """``text`` without the registers' initial values; memories keep their contents.

    For simulations that start from random flip-flops, to see that reset alone puts the design in order.
    """
    return re.sub(r"^ *initial (?!begin\b|wake_at_time_zero\b)[^;]*;\n", "", text, flags=re.MULTILINE)
