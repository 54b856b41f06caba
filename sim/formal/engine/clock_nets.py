# SPDX-License-Identifier: Apache-2.0
"""Which nets clock the flip-flops of a design in RTLIL, and whether each of them is an input."""

import re
from dataclasses import dataclass, field

#: Ports of yosys's cells at which a clock enters.
_CLOCK_PORTS = ("CLK", "RD_CLK", "WR_CLK")


@dataclass
class _ModuleNets:
    inputs: set[str] = field(default_factory=set)
    #: Type of each cell, and the nets at its ports.
    cells: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def undriven_clocks(text: str, top: str = "\\top") -> list[str]:
    """The nets that clock flip-flops, or memories, and are not inputs of the module ``top``.

    yosys removes the flip-flops behind such a net, and then every claim about their outputs holds.

    Parameters
    ----------
    text : str
        RTLIL as Amaranth writes it: a module of Verilog that it instantiates is not among its modules, and has its
        clock at the port ``clk`` or ``i_clk``.

    Returns
    -------
    list of str
        ``MODULE NET`` each; a clock that a parent passes down counts in the parent alone.
    """
    modules = _parsed(text)
    clocks: dict[str, set[str]] = {}

    def clock_inputs(name: str) -> set[str]:
        """Inputs of a module that clock something in it."""
        if name not in clocks:
            clocks[name] = set()
            clocks[name] = nets(name) & modules[name].inputs
        return clocks[name]

    def nets(name: str) -> set[str]:
        found = set()
        for kind, ports in modules[name].cells:
            if kind in modules:
                found |= {ports[port] for port in clock_inputs(kind) if port in ports}
            elif kind.startswith("$") and "unclocked" not in ports:
                found |= {ports[f"\\{port}"] for port in _CLOCK_PORTS if f"\\{port}" in ports}
            else:
                found |= {net for port, net in ports.items() if port in ("\\clk", "\\i_clk")}
        return found

    return sorted(f"{name} {net}" for name in modules for net in nets(name) - modules[name].inputs)


def _parsed(text: str) -> dict[str, _ModuleNets]:
    modules, module, cell = {}, None, None
    for line in text.splitlines():
        words = line.split()
        if line.startswith("module "):
            module = modules[words[1]] = _ModuleNets()
        elif module is not None and words[:1] == ["wire"] and "input" in words:
            module.inputs.add(words[-1])
        elif module is not None and words[:1] == ["cell"]:
            cell = (words[1], {})
            module.cells.append(cell)
        elif cell is not None and re.match(r"    parameter \\CLK_ENABLE (0|1'0)$", line):
            cell[1]["unclocked"] = ""
        elif cell is not None and (connect := re.match(r"    connect (\\\S+) (.+)$", line)):
            cell[1][connect[1]] = connect[2].removesuffix(" [0]")
        elif line == "  end":
            cell = None
    return modules
