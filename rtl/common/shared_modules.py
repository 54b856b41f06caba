# SPDX-License-Identifier: Apache-2.0
"""Components of which a design has many equal ones, each written once: the platform of generated Verilog."""

from amaranth import ClockSignal, Instance, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

#: Equal components from which on generated Verilog has one module for all of them. Fewer are written out in the module
#: that has them, where synthesis tools that keep hierarchies optimize across them.
SHARED_FROM = 128


class SharedModules:
    """Collects modules that instances refer to; the ``platform`` of an elaboration for :func:`~.to_verilog`.

    Elaborating thousands of equal components costs most of the time and memory of a wide design's generation, and
    reading them most of a simulator's.

    Parameters
    ----------
    prefix : str
        Begins the names of the modules.

    Attributes
    ----------
    components : dict of str to Component
        By the name of their module, in the order of their first instance.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.components: dict[str, wiring.Component] = {}

    def instance(self, component: wiring.Component, kind: str, values: dict[str, Value]) -> Instance:
        """An instance of the module of ``component``, which is the same object for all that are equal.

        Parameters
        ----------
        component : Component
            Its members are plain values.
        kind : str
            Of the name of its module.
        values : dict of Value
            What each member is connected to.
        """
        name = next((name for name, known in self.components.items() if known is component), None)
        if name is None:
            name = f"{self.prefix}_{kind}_{len(self.components)}"
            self.components[name] = component
        ports = {
            f"{'i' if member.flow == In else 'o'}_{port}": values[port]
            for port, member in component.signature.members.items()
        }
        return Instance(name, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
