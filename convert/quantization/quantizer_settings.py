# SPDX-License-Identifier: Apache-2.0
"""What a user can choose of a quantization."""

from dataclasses import dataclass

from crossramp.golden.common.declared import check, declared
from crossramp.golden.common.errors import InvalidValue


class QuantizationError(InvalidValue):
    """A network, or a setting, cannot become integers; one line that names the layer or the setting."""


@dataclass(frozen=True)
class QuantizerSettings:
    """Resolutions and methods. The defaults are the methods that lose least.

    Parameters
    ----------
    adc_bits, input_bits, weight_bits : int
        As in a :class:`~crossramp.golden.spec.specification.Specification`, for every layer.
    head_weight_bits : int
        Of a digital head, and of digital projections.
    lanes : int
        Units that are updated in one clock; changes no answer.
    max_steps : int
        Longest utterance of the model; 0: that of the calibration data, or up to the next power of two.
    input_scale : str
        The full scale of each input: of least squared error (``"least-squares"``), its largest value (``"max"``), or
        the largest value of all inputs (``"shared"``).
    weight_range : str
        The real value of a full-scale weight of each ramp: of least squared error of the pre-activations
        (``"output-error"``), or the largest weight (``"max"``).
    rounding : str
        Of weights: ``"error-fed"``, in which later rows of a column make up for the error of earlier ones, or
        ``"nearest"``.
    bias_correction : bool
        Whether biases take up the mean error of the pre-activations.

    Raises
    ------
    QuantizationError
        For a value that is not allowed.
    """

    adc_bits: int = declared("bits of the ramps", 2, 8, default=5)
    input_bits: int = declared("bits of pulse codes, with sign", 2, 8, default=5)
    weight_bits: int = declared("bits of weights, with sign", 2, 8, default=5)
    head_weight_bits: int = declared("bits of weights of head and projection", 2, 16, default=8)
    lanes: int = declared("units updated in one clock", 1, 65536, default=1)
    max_steps: int = declared("longest utterance; 0: from the data", 0, 1 << 16, default=0)
    input_scale: str = declared(
        "full scale of inputs", default="least-squares", choices=("least-squares", "max", "shared")
    )
    weight_range: str = declared("range of weights", default="output-error", choices=("output-error", "max"))
    rounding: str = declared("rounding of weights", default="error-fed", choices=("error-fed", "nearest"))
    bias_correction: bool = True

    def __post_init__(self):
        check(self, QuantizationError)
        if not isinstance(self.bias_correction, bool):
            raise QuantizationError(f"bias_correction is {self.bias_correction!r}; allowed: true, false")

    @property
    def input_max(self) -> int:
        """Largest pulse code of a row."""
        return (1 << (self.input_bits - 1)) - 1

    @property
    def weight_max(self) -> int:
        """Levels of a full-scale weight."""
        return (1 << (self.weight_bits - 1)) - 1

    @classmethod
    def of_bits(cls, bits: int, **more) -> "QuantizerSettings":
        """Ramps, pulse codes and weights of one resolution."""
        return cls(adc_bits=bits, input_bits=bits, weight_bits=bits, **more)


#: What a conversion without any of these methods does, to compare with.
NAIVE = {"input_scale": "shared", "weight_range": "max", "rounding": "nearest", "bias_correction": False}
