# SPDX-License-Identifier: Apache-2.0
"""One chip behind a whole network: the arrays of every macro, and their bias cells chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...array.weights import Weights
from ...common.errors import InvalidValue
from ...layers.network_specification import AnySpecification
from ...network.layered_network import LayeredNetwork
from ...network.layered_weights import LayeredWeights, weights_of_macro
from ...network.network import Network
from ..conversion.calibration_setting import NOMINAL, CalibrationSetting, SettledCalibration
from ..conversion.tiled_device import Device, device_array
from .chip_sample import ChipSample
from .sampling import device, tile_seed

_MACROS = 9  # of spawn keys of chips' seeds; those of parts and of tiles lie below it


@dataclass(frozen=True, eq=False)
class PlacedChip:
    """What stands behind each macro of a network, by its name; of the only macro of a network ``""``.

    Attributes
    ----------
    devices : mapping of str to DeviceInstance or TiledDevice
    calibrations : mapping of str to SettledCalibration
    """

    devices: Mapping[str, Device]
    calibrations: Mapping[str, SettledCalibration]

    @classmethod
    def of(
        cls,
        spec: AnySpecification,
        weights: Weights | LayeredWeights,
        chips: ChipSample,
        seed: int,
        calibration: CalibrationSetting = NOMINAL,
    ) -> "PlacedChip":
        """Chip ``seed`` of a sample, its bias cells chosen as ``calibration`` says.

        In a network of several macros each has arrays of its own, with seeds made of the chip's (:func:`macro_seed`).

        Raises
        ------
        InvalidValue
            For a calibration that a macro's ramps do not have, or given cells of a network of several macros.
        """
        check_chips(spec, chips, calibration)
        devices = {}
        for name, macro in spec.macros.items():
            held, own = weights_of_macro(weights, name), macro_seed(spec, name, seed)
            options = {"switches": chips.switches, "conductances": chips.conductances}
            devices[name] = device(chips.technology, macro, held, own, **options)
        settled = {name: calibration.settle(one, chips.technology) for name, one in devices.items()}
        return cls(devices, settled)

    def behind(self, network: Network | LayeredNetwork) -> Network | LayeredNetwork:
        """The network in front of this chip."""
        arrays = {name: device_array(one, self.calibrations[name].cells) for name, one in self.devices.items()}
        return network.behind(arrays) if isinstance(network, LayeredNetwork) else network.behind(arrays[""])

    @property
    def ports(self) -> dict[str, int]:
        """What selects the bias cells, by macro."""
        return {name: settled.port for name, settled in self.calibrations.items()}

    @property
    def shown_port(self) -> str:
        """The same for people: hexadecimal, of several macros with their names."""
        return ", ".join(f"{name} {port:x}".strip() for name, port in self.ports.items())

    @property
    def failed(self) -> list[str]:
        """Ramps that a calibration found beyond the reach of their cells, of several macros with their names."""
        return [f"{name} {ramp}".strip() for name, settled in self.calibrations.items() for ramp in settled.failed]


def check_chips(spec: AnySpecification, chips: ChipSample, calibration: CalibrationSetting) -> None:
    """InvalidValue as :meth:`PlacedChip.of` raises it."""
    if chips.conductances is not None and tuple(spec.macros) != ("",):
        raise InvalidValue(
            f"cells are given, but the network has the macros {', '.join(spec.macros)}; leave out --conductances"
        )
    for macro in spec.macros.values():
        calibration.check(macro)


def macro_seed(spec: AnySpecification, macro: str, seed: int) -> int:
    """The seed of a macro's arrays in chip ``seed``, 0 to 2**63 - 1: the chip's own if the network has one macro."""
    if not macro:
        return seed
    sequence = np.random.SeedSequence(seed, spawn_key=(_MACROS, list(spec.macros).index(macro)))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def array_seed(spec: AnySpecification, macro: str, number: int, seed: int) -> int:
    """The seed of array ``number`` of a macro in chip ``seed``; 0 to 2**63 - 1."""
    own = macro_seed(spec, macro, seed)
    return own if len(spec.macros[macro].unit_tiles) == 1 else tile_seed(own, number)
