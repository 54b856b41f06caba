# SPDX-License-Identifier: Apache-2.0
"""Specifications as TOML: read by the standard library, written with the unit of every parameter beside it.

A written file reads back as an equal specification, every float to its last bit.
"""

import os
import tomllib
from pathlib import Path

from ..common.declared import declarations
from ..common.whole_file import whole_file
from .gates import SpecificationError
from .specification import PARTS, Specification

_TITLES = ("network", "converter", "implementation: clocks and cost, outside the hash")


def load_spec(path: str | os.PathLike) -> Specification:
    """The specification in a TOML file: parameters at the top, gates as tables ``[gates.i]`` to ``[gates.o]``.

    Parameters that have a default may be left out, the gates only all together.

    Raises
    ------
    SpecificationError
        For a file that cannot be read, is not TOML, or holds an unknown, missing or illegal parameter; one line that
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
    try:
        with whole_file(path) as draft:
            draft.write_text(spec_text(spec), encoding="utf-8", newline="\n")
    except OSError as error:
        raise SpecificationError(f"{path}: cannot be written ({error.strerror}); choose another path") from None


def spec_text(spec: Specification) -> str:
    """``spec`` as TOML text, ending in a newline."""
    content = spec.to_dict()
    gates = content.pop("gates")
    assignments = {name: f"{name} = {_value(value)}" for name, value in content.items()}
    width = max(map(len, assignments.values()))
    lines = [f"# A crossramp specification, hash {spec.content_hash}."]
    if "format" in assignments:
        lines.append(f"{assignments['format']:<{width}}  # of this file: what its hash is made from")
    for title, part in zip(_TITLES, PARTS, strict=True):
        lines += ["", f"# {title}"]
        for name, declared in declarations(part):
            if name in assignments:
                lines.append(f"{assignments[name]:<{width}}  # {declared.meaning}")
    for name in gates:
        lines += [
            "",
            f"[gates.{name}]",
            f"activation = {_value(gates[name]['activation'])}",
            f"weight_range = {_value(gates[name]['weight_range'])}  # real value of a full-scale weight",
        ]
        if "bits" in gates[name]:
            lines.append(f"bits = {gates[name]['bits']}  # of its own ramp, in place of adc_bits")
    return "\n".join(lines) + "\n"


def _value(value: int | float | str) -> str:
    """A TOML value; the repr of a float is the shortest text that reads back as the same float."""
    if isinstance(value, str):
        # Names of activations, latches, ...: the specification admits no quote, backslash or control character.
        return f'"{value}"'
    return repr(value)
