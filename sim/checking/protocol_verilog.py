# SPDX-License-Identifier: Apache-2.0
"""The checker ``protocol.sv``: its text, with the rules of :mod:`.protocol` and the boundary's ports; its instance."""

from crossramp.golden.spec.boundary_wires import PIN_NAMES
from crossramp.golden.spec.specification import Specification

from ..array.boundary_verilog import LISTS, connections, instance, of_array, sizes
from ..tools.sources import completed
from .protocol import RULES, driven_pins, sum_lines, sum_pulse_max

#: Where the checker is.
CHECKER = "protocol.sv"


#: The checker's state by name, and the bits of each: proofs read it from the outputs ``state_NAME``.
STATE = {
    **dict.fromkeys(("resets", "window", "holds", "ticks"), 32),
    **dict.fromkeys(
        ("pending", "keeping", "second", "was_reset", "was_integrate", "was_hold", "was_ready", "was_state"), 1
    ),
}


def _numbers() -> str:
    """The number of each rule: its bit in ``broken``."""
    return "".join(
        f"  localparam {rule.upper()} = {bit};  // {text}\n" for bit, (rule, text) in enumerate(RULES.items())
    )


def _names() -> str:
    """The task that names rule ``k``."""
    cases = [f'        {rule.upper()}: rule = "{rule}";\n' for rule in RULES]
    return "".join(
        [
            "  task name_rule;\n    begin\n      case (k)\n",
            *cases,
            '        default: rule = "a rule without a name";\n      endcase\n    end\n  endtask\n',
        ]
    )


def _unknown() -> str:
    """The wire ``unknown``: some pin is X or Z. A simulator looks again only at a pin that changes."""
    pins = " ||\n      ".join(f"^{name} === 1'bx" for name in PIN_NAMES)
    return f"`ifdef FORMAL\n  wire unknown = 0;\n`else\n  wire unknown =\n      {pins};\n`endif\n"


def _state() -> str:
    """The outputs of a proof."""
    outputs = "".join(
        f"    output {f'[{bits - 1}:0] ' if bits > 1 else ''}state_{name},\n" for name, bits in STATE.items()
    )
    return f"`ifdef FORMAL\n{outputs}`endif\n"


def _state_values() -> str:
    values = "".join(f"  assign state_{name} = {name};\n" for name in STATE)
    return f"`ifdef FORMAL\n{values}`endif\n"


def checker_source() -> str:
    """The text of :data:`CHECKER`."""
    lists = {
        "rules.svh": _numbers(),
        "rule_names.svh": _names(),
        "unknown.svh": _unknown(),
        "checker_state.svh": _state(),
        "checker_state_values.svh": _state_values(),
    }
    return completed(CHECKER, LISTS | lists)


def checker_parameters(spec: Specification) -> dict[str, int]:
    """The parameters of the checker for ``spec``."""
    (first_rows, first_lines), (second_rows, second_lines) = (
        driven_pins(spec, k) for k in (0, len(spec.conversions) - 1)
    )
    sums = {"SUM_LINES": sum_lines(spec), "LONGEST_SUM": sum_pulse_max(spec)} if sum_lines(spec) else {}
    return (
        sizes(spec)
        | sums
        | {
            "CONVERSIONS": len(spec.conversions),
            "FIRST_WINDOW": spec.windows[0],
            "SECOND_WINDOW": spec.windows[-1],
            "FIRST_ROWS": first_rows,
            "SECOND_ROWS": second_rows,
            "FIRST_LINES": first_lines,
            "SECOND_LINES": second_lines,
            "LONGEST_ROW": spec.input_max,
            "LONGEST_LINE": spec.state_pulse_max,
            "FIRST_TICKS": spec.conversion_ticks[0],
            "SECOND_TICKS": spec.conversion_ticks[-1],
            "SETTLE_CLOCKS": spec.settle_clocks,
        }
    )


def checker_instance(spec: Specification, array: str = "array", ready: str | None = None) -> str:
    """Verilog of ``protocol``, the checker for ``spec``, on the boundary's wires, ``clk`` and ``rst``.

    Its outputs are connected to ``broken`` and ``conversions``, 32 bits each. For one of several arrays, these names,
    and that of the instance, begin with the array's; ``ready`` is then the wire that says whether all arrays of its
    macro are ready, which is what the macro waits for.
    """
    others = {"clk": "clk", "rst": "rst"} | {name: of_array(array, name) for name in ("broken", "conversions")}
    parameters: dict[str, object] = dict(checker_parameters(spec))
    for name, bits in (("ROWS", spec.rows), ("LINES", max(spec.state_lines, 1))):
        for mask in (f"FIRST_{name}", f"SECOND_{name}", f"SUM_{name}"):
            if mask in parameters:
                parameters[mask] = f"{bits}'h{parameters[mask]:x}"
    pins = connections(array) | ({} if ready is None else {"ready": ready})
    return instance("crossramp_protocol", of_array(array, "protocol"), parameters, others | pins)
