# SPDX-License-Identifier: Apache-2.0
"""Specifications as TOML: read by the standard library, written with the unit of every parameter beside it.

A written file reads back as an equal specification, every float to its last bit.
"""

import os
import tomllib
from pathlib import Path

from .lstm_cell import GATES
from .specification import Specification, SpecificationError

# What the comment beside a parameter says.
_COMMENTS = {
    "inputs": "codes of one input vector",
    "units": "LSTM units",
    "classes": "outputs of the head",
    "bias_rows": "rows driven at full scale",
    "adc_bits": "bits of a conversion",
    "input_bits": "bits of a pulse code of x and h, sign included",
    "weight_bits": "bits of a weight, sign included",
    "state_bits": "bits of the cell state, sign included",
    "state_frac_bits": "bits of those behind the point",
    "state_pulse_bits": "bits of the cell state's pulse code, sign included",
    "state_cell": "weight levels of a state cell",
    "lanes": "units updated in one clock",
    "latch": "last_high or first_trip",
    "settle_clocks": "clocks of hold before a ramp",
    "calibration_cells": "bias cells of each ramp",
    "readout": "mean, last or step",
    "head_weight_bits": "bits of a head weight, sign included",
    "max_steps": "steps of the longest utterance",
    "cell": "kind of recurrent cell",
    "projection": "codes that h is projected to; 0 or nothing: none",
}


def load_spec(path: str | os.PathLike) -> Specification:
    """The specification in a TOML file: parameters at the top, gates as tables ``[gates.i]`` to ``[gates.o]``.

    Parameters that have a default may be left out, the gates only all together.

    Raises
    ------
    SpecificationError
        For a file that cannot be read, is no TOML, or holds an unknown, missing or illegal parameter; one line that
        starts with the path.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_bytes().decode())
        return Specification.from_dict(content)
    except OSError as error:
        raise SpecificationError(
            f"{path}: cannot be read ({error.strerror}); give a specification's TOML file"
        ) from None
    except SpecificationError as error:
        raise SpecificationError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # tomllib's and the decoder's errors are ValueErrors
        raise SpecificationError(f"{path}: no valid TOML ({error}); correct it there") from None


def save_spec(path: str | os.PathLike, spec: Specification) -> None:
    """Write ``spec`` as TOML, complete or not at all.

    Raises
    ------
    SpecificationError
        If the file cannot be written.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        try:
            unfinished.write_text(spec_text(spec), encoding="utf-8", newline="\n")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SpecificationError(f"{path}: cannot be written ({error.strerror}); choose another path") from None


def spec_text(spec: Specification) -> str:
    """``spec`` as TOML text, ending in a newline."""
    content = spec.to_dict()
    gates = content.pop("gates")
    assignments = {name: f"{name} = {_value(value)}" for name, value in content.items()}
    width = max(map(len, assignments.values()))
    lines = [f"# A crossramp specification, hash {spec.content_hash}.", ""]
    lines += [f"{text:<{width}}  # {_COMMENTS[name]}" for name, text in assignments.items()]
    for name in GATES:
        lines += [
            "",
            f"[gates.{name}]",
            f"activation = {_value(gates[name]['activation'])}",
            f"weight_range = {_value(gates[name]['weight_range'])}  # real value of a full-scale weight",
        ]
    return "\n".join(lines) + "\n"


def _value(value: int | float | str) -> str:
    """A TOML value; the repr of a float is the shortest text that reads back as the same float."""
    if isinstance(value, str):
        # Names of activations, latches, ...: the specification admits no quote, backslash or control character.
        return f'"{value}"'
    return repr(value)
