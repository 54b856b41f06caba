# SPDX-License-Identifier: Apache-2.0
"""What stands behind the boundary in a simulation: what the array holds, and which calibration cells are selected."""

from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import Specification

from .array_interface import Array
from .programming import Programming, calibration_port


@dataclass(frozen=True, eq=False)
class ArraySetup:
    """An array and its calibration, for every simulator.

    Parameters
    ----------
    content : Programming, DeviceInstance, Array or None
        None: the ideal array with the network's weights. Of a device instance, every value is that of
        :class:`~crossramp.golden.analog.conversion.device_array.DeviceArray`, noise included. An
        :class:`.array_interface.Array` stands behind the boundary itself, in Amaranth's simulator.
    calibration : int or None
        The calibration port throughout: bit k * calibration_cells + n selects cell n of ramp k. None selects
        the ``nominal`` cells of a device instance, and no cells of any other array.
    """

    content: Programming | DeviceInstance | Array | None = None
    calibration: int | None = None

    @property
    def device(self) -> DeviceInstance | None:
        """The device instance, or None for any other array."""
        return self.content if isinstance(self.content, DeviceInstance) else None

    def port(self, spec: Specification) -> int:
        """What to drive on the calibration port; InvalidValue for a calibration of more cells than there are."""
        return calibration_port(spec, self.calibration, self.content)

    def cells(self, spec: Specification) -> np.ndarray:
        """:meth:`port` by ramp; bool, shape (arrays x ramps, calibration_cells)."""
        port, shape = self.port(spec), (len(spec.unit_tiles) * len(spec.ramps), spec.calibration_cells)
        return np.array([port >> cell & 1 for cell in range(calibration_bits(spec))], bool).reshape(shape)

    def loaded(self, network: Network) -> Programming | DeviceInstance:
        """What the array of a Verilog bench holds.

        Raises
        ------
        InvalidValue
            For content of another specification, or an Array, which is Python.
        """
        if self.content is None:
            return Programming.ideal(network.spec, network.weights.macro, lines=network.weights.lines)
        if not isinstance(self.content, Programming | DeviceInstance):
            raise InvalidValue(
                f"a {type(self.content).__name__} cannot stand in a Verilog bench; give a Programming or a device "
                "instance, or take Amaranth's simulator or cocotb"
            )
        if self.content.spec != network.spec:
            raise InvalidValue(
                f"the programming is for specification {self.content.spec.hardware_hash}, the network for "
                f"{network.spec.hardware_hash}; write the programming anew"
            )
        return self.content


IDEAL = ArraySetup()
"""The ideal array, no calibration cell selected."""
