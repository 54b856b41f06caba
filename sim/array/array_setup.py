# SPDX-License-Identifier: Apache-2.0
"""What stands behind the boundary in a simulation: what the array holds, and which calibration cells are selected."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.tiled_device import Device, tiles_of_device
from crossramp.golden.array.tiled_array import weights_of_arrays
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of, need_one_array, tiles_of
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import Specification

from .array_interface import Array
from .programming import Programming, calibration_port
from .python_array import ArrayModel


@dataclass(frozen=True, eq=False)
class ArraySetup:
    """An array and its calibration, for every simulator.

    Parameters
    ----------
    content : Programming, DeviceInstance, TiledDevice, Array, mapping or None
        None: the ideal array with the network's weights. Of a device instance, every value is that of
        :class:`~crossramp.golden.analog.conversion.device_array.DeviceArray`, noise included. An
        :class:`.array_interface.Array` stands behind the boundary itself, in Amaranth's simulator. Of a network of
        several macros a mapping: one of these for each macro, by its name
        (:attr:`~.network_specification.NetworkSpecification.macros`); those left out are ideal.
    calibration : int, mapping or None
        The calibration port throughout: bit k * calibration_cells + n selects cell n of ramp k. None selects
        the ``nominal`` cells of a device instance, and no cells of any other array. Of a network of several macros a
        mapping of such numbers.
    """

    content: Programming | Device | Array | Mapping | None = None
    calibration: int | Mapping | None = None

    @classmethod
    def of_chip(cls, chip: PlacedChip) -> "ArraySetup":
        """A chip behind every macro, its bias cells chosen."""
        if tuple(chip.devices) == ("",):
            return cls(chip.devices[""], chip.ports[""])
        return cls(dict(chip.devices), chip.ports)

    def of(self, macro: str) -> "ArraySetup":
        """What is said about one macro of a network, by its name; the only one of a network has none."""
        parts = (part.get(macro) if isinstance(part, Mapping) else part for part in (self.content, self.calibration))
        return ArraySetup(*parts)

    def check(self, spec: AnySpecification) -> None:
        """Raises InvalidValue for macros that the network has not, or one thing for several macros."""
        names = tuple(spec.macros)
        for part in (self.content, self.calibration):
            if part is None or (names == ("",) and not isinstance(part, Mapping)):
                continue
            if not isinstance(part, Mapping):
                raise InvalidValue(
                    f"the network has {len(names)} macros, but one {type(part).__name__} is given; give a mapping with "
                    f"one for each of {', '.join(names)}"
                )
            for name in part:
                if name not in names:
                    raise InvalidValue(f"there is no macro {name!r}; the network has {', '.join(names)}")

    @property
    def device(self) -> Device | None:
        """The device instance, or None for any other array."""
        return self.content if isinstance(self.content, Device) else None

    @property
    def errs(self) -> bool:
        """Whether there is a device instance, or several."""
        contents = self.content.values() if isinstance(self.content, Mapping) else [self.content]
        return any(isinstance(content, Device) for content in contents)

    def ports(self, spec: AnySpecification) -> dict[str, int]:
        """What to drive on the calibration port of each macro, see :meth:`port`; raises what :meth:`check` does too."""
        self.check(spec)
        return {name: self.of(name).port(macro) for name, macro in spec.macros.items()}

    def port(self, spec: Specification) -> int:
        """What to drive on the calibration port; InvalidValue for a calibration of more cells than there are."""
        return calibration_port(spec, self.calibration, self.content)

    def cells(self, spec: Specification) -> np.ndarray:
        """:meth:`port` by ramp; bool, shape (arrays x ramps, calibration_cells)."""
        port, shape = self.port(spec), (len(spec.unit_tiles) * len(spec.ramps), spec.calibration_cells)
        return np.array([port >> cell & 1 for cell in range(calibration_bits(spec))], bool).reshape(shape)

    def loaded(self, network: Network | LayeredNetwork) -> dict[str, Programming | DeviceInstance]:
        """What each array of a bench holds, by its name (:func:`~crossramp.golden.layers.tile.arrays_of`).

        The arrays of one bench are all ideal ones, or all device instances.

        Raises
        ------
        InvalidValue
            For content of another specification; an Array, which is Python; a device instance for some macros only.
        """
        self.check(network.spec)
        found, devices, weights = {}, {}, weights_of_arrays(network)
        for macro, arrays in arrays_by_macro(network.spec).items():
            parts = self.of(macro)._parts(network.spec.macros[macro], [weights[array] for array in arrays])
            found |= dict(zip(arrays, parts, strict=True))
            devices[macro] = isinstance(parts[0], DeviceInstance)
        if self.errs and not all(devices.values()):
            missing = ", ".join(name for name, there in devices.items() if not there)
            raise InvalidValue(f"there is no device instance for {missing}; give one for every macro, or for none")
        return found

    def _parts(self, spec: Specification, weights: list[Weights]) -> list[Programming | DeviceInstance]:
        """What each array of one macro holds."""
        if self.content is None:
            pairs = zip(tiles_of(spec), weights, strict=True)
            return [Programming.ideal(tile, part.macro, lines=part.lines) for tile, part in pairs]
        if not isinstance(self.content, Programming | Device):
            raise InvalidValue(
                f"a {type(self.content).__name__} cannot stand in a Verilog bench; give a Programming or a device "
                "instance, or take Amaranth's simulator or cocotb"
            )
        if self.content.spec != spec:
            raise InvalidValue(
                f"the programming is for specification {self.content.spec.hardware_hash}, the network for "
                f"{spec.hardware_hash}; write the programming anew"
            )
        if isinstance(self.content, Programming):
            need_one_array(spec, "a programming")
            return [self.content]
        return list(tiles_of_device(self.content))


IDEAL = ArraySetup()
"""The ideal array, no calibration cell selected."""


def array_models(network: Network | LayeredNetwork, setup: ArraySetup = IDEAL, **options) -> dict[str, ArrayModel]:
    """A model of each array of a network, by its name (:func:`~crossramp.golden.layers.tile.arrays_of`).

    Parameters
    ----------
    options
        As :class:`.python_array.ArrayModel` takes them, the same for each.

    Raises
    ------
    InvalidValue
        What :meth:`ArraySetup.loaded` raises.
    """
    specs = arrays_of(network.spec)
    return {name: ArrayModel(specs[name], held, **options) for name, held in setup.loaded(network).items()}
