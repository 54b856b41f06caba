# SPDX-License-Identifier: Apache-2.0
"""Specifications as TOML: read by the standard library, written with the unit of every parameter beside it.

A written file reads back as an equal specification, every float to its last bit.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..common.declared import declarations
from ..common.whole_file import whole_file
from ..spec.gates import SpecificationError
from ..spec.specification import PARTS
from .network_specification import AnySpecification, NetworkSpecification, specification_from

_TITLES = ("network", "converter", "implementation: clocks and cost, outside the hash")


def load_spec(path: str | os.PathLike) -> AnySpecification:
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
        return specification_from(content)
    except OSError as error:
        raise SpecificationError(
            f"{path}: cannot be read ({error.strerror}); give a specification's TOML file"
        ) from None
    except SpecificationError as error:
        raise SpecificationError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # tomllib's and the decoder's errors are ValueErrors
        raise SpecificationError(f"{path}: no valid TOML ({error}); correct it there") from None


def save_spec(path: str | os.PathLike, spec: AnySpecification) -> None:
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


def spec_text(spec: AnySpecification) -> str:
    """``spec`` as TOML text, ending in a newline; each layer of several is a table ``[[layers]]``."""
    content = spec.to_dict()
    lines = [f"# A crossramp specification, hash {spec.content_hash}."]
    if isinstance(spec, NetworkSpecification):
        lines += _assignments(content, [("the whole network", NetworkSpecification)])
        for number, table in enumerate(content["layers"]):
            lines += ["", f"# layer {number}", "[[layers]]"]
            if "bidirectional" in table:
                lines.append("bidirectional = true")
            lines += _assignments(table, zip(_TITLES, PARTS, strict=True))[1:]
            lines += _gates(table["gates"], "layers.gates")
    else:
        lines += _assignments(content, zip(_TITLES, PARTS, strict=True)) + _gates(content["gates"], "gates")
    return "\n".join(lines) + "\n"


def _assignments(content: Mapping, parts: Iterable[tuple[str, type]]) -> list[str]:
    """The plain parameters of a table, those of each part below its title."""
    plain = {name: value for name, value in content.items() if not isinstance(value, dict | list | bool)}
    assignments = {name: f"{name} = {_value(value)}" for name, value in plain.items()}
    width, lines = max(map(len, assignments.values())), []
    if "format" in assignments:
        lines.append(f"{assignments['format']:<{width}}  # of this file: what its hash is made from")
    for title, part in parts:
        lines += ["", f"# {title}"]
        for name, declared in declarations(part):
            if name in assignments:
                lines.append(f"{assignments[name]:<{width}}  # {declared.meaning}")
    return lines


def _gates(gates: Mapping[str, Mapping], table: str) -> list[str]:
    """The tables of the gates."""
    lines = []
    for name, gate in gates.items():
        lines += [
            "",
            f"[{table}.{name}]",
            f"activation = {_value(gate['activation'])}",
            f"weight_range = {_value(gate['weight_range'])}  # real value of a full-scale weight",
        ]
        if "bits" in gate:
            lines.append(f"bits = {gate['bits']}  # of its own ramp, in place of adc_bits")
    return lines


def _value(value: int | float | str) -> str:
    """A TOML value; the repr of a float is the shortest text that reads back as the same float."""
    if isinstance(value, str):
        # Names of activations, latches, ...: the specification admits no quote, backslash or control character.
        return f'"{value}"'
    return repr(value)
