# SPDX-License-Identifier: Apache-2.0
"""The checker ``protocol.sv``: its text, with the rules of :mod:`.protocol` and the boundary's ports; its instance."""

from crossramp.golden.spec.boundary_wires import PIN_NAMES
from crossramp.golden.spec.specification import Specification

from ..array.boundary_verilog import CONNECTIONS, LISTS, instance, sizes
from ..tools.sources import completed
from .protocol import RULES

#: Where the checker is.
CHECKER = "protocol.sv"


def _rules() -> str:
    """The number of each rule, its bit in ``broken``, and the task that names rule ``k``."""
    numbers = [f"  localparam {rule.upper()} = {bit};  // {text}\n" for bit, (rule, text) in enumerate(RULES.items())]
    cases = [f'        {rule.upper()}: rule = "{rule}";\n' for rule in RULES]
    return "".join(
        [
            *numbers,
            "\n  task name_rule;\n    begin\n      case (k)\n",
            *cases,
            '        default: rule = "a rule without a name";\n      endcase\n    end\n  endtask\n',
        ]
    )


def _unknown() -> str:
    """The wire ``unknown``: some pin is X or Z. A simulator looks again only at a pin that changes."""
    pins = " ||\n      ".join(f"^{name} === 1'bx" for name in PIN_NAMES)
    return f"  wire unknown =\n      {pins};\n"


def checker_source() -> str:
    """The text of :data:`CHECKER`."""
    return completed(CHECKER, LISTS | {"rules.svh": _rules(), "unknown.svh": _unknown()})


def checker_instance(spec: Specification) -> str:
    """Verilog of ``protocol``, the checker for ``spec``, on the boundary's wires, ``clk`` and ``rst``.

    Its outputs are connected to ``broken`` and ``conversions``, 32 bits each.
    """
    parameters = sizes(spec) | {
        "INPUT_MAX": spec.input_max,
        "STATE_PULSE_MAX": spec.state_pulse_max,
        "SETTLE_CLOCKS": spec.settle_clocks,
    }
    others = {name: name for name in ("clk", "rst", "broken", "conversions")}
    return instance("crossramp_protocol", "protocol", parameters, others | CONNECTIONS)
