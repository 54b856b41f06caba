# SPDX-License-Identifier: Apache-2.0
"""What every worker of a sweep needs besides its tasks: network, recordings, and the points of the plan; as bytes."""

import hashlib
import io
import json
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from crossramp.golden.analog.chip.given_cells import NAMES, Conductances
from crossramp.golden.analog.conversion.calibration_setting import CalibrationSetting
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification, specification_from
from crossramp.golden.macro.initial_state import streaming_macros
from crossramp.golden.network.layered_network import LayeredNetwork, network_of
from crossramp.golden.network.layered_weights import LayeredWeights, weights_from
from crossramp.golden.network.network import Network
from crossramp.golden.spec.state_scale import SpecificationWarning, caution

from .plan import Plan, Point

_CELLS = "cells"  # arrays of given cells: cells.0.positive and so on


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that decides results, code apart; travels as bytes, which equal content makes equal.

    Parameters
    ----------
    spec : Specification
    weights : Weights
    codes : integer array, shape (recordings, steps, inputs)
        Pulse codes.
    labels : int64 array, shape (recordings,), or for bits (recordings, steps)
        Class indices; -1 where unknown, or not to be counted.
    points : tuple of Point
    metrics : tuple of str
    seed : int
        Of instance 0.
    logit_scale : float or None
        Of a text's model, see :class:`~crossramp.golden.inputs.text_codes.TextSettings`; for the metric ``"bits"``
        alone.
    given : tuple of Conductances
        Cells that take the place of drawn ones in every instance, of each point; empty where all are drawn.

    Raises
    ------
    InvalidValue
        For answers, accuracy or flips, of a model with the readout ``"step"``, or bits of another, or without a scale;
        for given cells of another number than points; for a network whose initial states come through a stream.
    """

    spec: AnySpecification
    weights: Weights | LayeredWeights
    codes: np.ndarray
    labels: np.ndarray
    points: tuple[Point, ...]
    metrics: tuple[str, ...]
    seed: int
    logit_scale: float | None = None
    given: tuple[Conductances, ...] = ()

    def __post_init__(self):
        if self.given and len(self.given) != len(self.points):
            raise InvalidValue(f"cells are given for {len(self.given)} points; the plan has {len(self.points)}")
        if streaming_macros(self.spec):
            raise InvalidValue("initial is 'stream', and a sweep has no states to start from; give another network")
        if "bits" in self.metrics and (self.spec.readout != "step" or self.logit_scale is None):
            raise InvalidValue("bits are those of characters; give a model of texts, whose readout is 'step'")
        counted = sorted({"accuracy", "flips"} & set(self.metrics))
        if self.spec.readout == "step" and counted:
            raise InvalidValue(
                f"the readout is 'step', and {' and '.join(counted)} count one answer a recording; "
                "sweep other metrics, or give a model whose readout is mean or last"
            )

    @classmethod
    def of(
        cls, plan: Plan, model, codes: np.ndarray, labels: np.ndarray, given: tuple[Conductances, ...] = ()
    ) -> "Problem":
        """The problem of a plan, a :class:`.model_file.Model`, recordings, and given cells if any."""
        data = np.asarray(codes), np.asarray(labels, np.int64)
        return cls(model.spec, model.weights, *data, plan.points, plan.metrics, plan.seed, given=given)

    @cached_property
    def text(self) -> str:
        """All but the arrays, as JSON."""
        content = {
            "specification": self.spec.to_dict(),
            "metrics": list(self.metrics),
            "seed": self.seed,
            "technologies": [],
            "points": [],
            **({} if self.logit_scale is None else {"logit_scale": self.logit_scale}),
        }
        if self.given:
            places = {id(cells): place for place, cells in enumerate(self._different)}
            content["given"] = [places[id(cells)] for cells in self.given]
        known = {}
        for point in self.points:
            technology = point.technology
            if technology.content_hash not in known:
                known[technology.content_hash] = len(known)
                content["technologies"].append(technology.to_dict())
            content["points"].append(
                {
                    "technology": known[technology.content_hash],
                    "adc_bits": point.adc_bits,
                    "calibration": str(point.calibration),
                    "switches": sorted(point.switches),
                    "values": point.values,
                }
            )
        return json.dumps(content, sort_keys=True)

    def to_bytes(self) -> bytes:
        """An ``.npz`` archive, without pickles."""
        buffer = io.BytesIO()
        arrays = self.weights.arrays() | {"codes": self.codes.astype(np.int16), "labels": self.labels}
        for place, cells in enumerate(self._different):
            arrays |= {f"{_CELLS}.{place}.{name}": values for name, values in cells.arrays().items()}
        np.savez_compressed(buffer, text=np.frombuffer(self.text.encode(), np.uint8), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Problem":
        """What :meth:`to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {
                name: file[name] for name in file if name.partition(".")[0] not in ("text", "codes", "labels", _CELLS)
            }
            codes, labels = (np.asarray(file[name], np.int64) for name in ("codes", "labels"))
            content = json.loads(bytes(file["text"]))
            places = content.get("given", ())
            names = [{n: f"{_CELLS}.{k}.{n}" for n in NAMES} for k in range(max(places, default=-1) + 1)]
            different = [Conductances(**{n: file[key] for n, key in one.items() if key in file}) for one in names]
        technologies = [_technology(entry) for entry in content["technologies"]]
        points = tuple(
            Point(
                technologies[entry["technology"]],
                entry["adc_bits"],
                CalibrationSetting.parse(entry["calibration"]),
                frozenset(entry["switches"]),
                {name: tuple(value) if isinstance(value, list) else value for name, value in entry["values"].items()},
            )
            for entry in content["points"]
        )
        spec = specification_from(content["specification"])
        metrics, scale = tuple(content["metrics"]), content.get("logit_scale")
        given = tuple(different[place] for place in places)
        rest = {"metrics": metrics, "seed": content["seed"], "logit_scale": scale, "given": given}
        return cls(spec, weights_from(spec, arrays).checked(spec), codes, labels, points=points, **rest)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """16 hexadecimal digits each of what decides results."""
        model = [json.dumps(self.spec.to_dict(), sort_keys=True).encode()]
        model += [np.ascontiguousarray(values, "<i8").tobytes() for values in self.weights.arrays().values()]
        points = [
            [p.technology.content_hash, p.adc_bits, str(p.calibration), sorted(p.switches), p.values]
            for p in self.points
        ]
        return {
            "plan": _hash(json.dumps([self.metrics, self.seed, points], sort_keys=True).encode()),
            "model": _hash(*model),
            "data": _hash(*(np.ascontiguousarray(values, "<i8").tobytes() for values in (self.codes, self.labels))),
            # No such key where nothing is given: earlier results keep what they belong to.
            **({"conductances": _hash(*map(_content, self.given))} if self.given else {}),
        }

    @cached_property
    def _different(self) -> list[Conductances]:
        """Given cells, each object once."""
        return list({id(cells): cells for cells in self.given}.values())

    def cells(self, point: int) -> Conductances | None:
        """Given cells of a point, by its place; None where all are drawn."""
        return self.given[point] if self.given else None

    def cautions(self) -> list[str]:
        """What the specifications of the points are warned of, each text once."""
        macros = (macro for point in self.points for macro in self.network(point).spec.macros.values())
        return list(dict.fromkeys(filter(None, map(caution, macros))))

    @property
    def conversions(self) -> int:
        """Codes that one instance converts."""
        a_step = sum(macro.codes_per_step for macro in self.spec.macros.values())
        return self.codes.shape[0] * self.codes.shape[1] * a_step

    def network(self, point: Point) -> Network | LayeredNetwork:
        """The ideal network of a point; what its specification is warned of is in :meth:`cautions`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpecificationWarning)
            spec = self.spec if point.adc_bits is None else self.spec.converting(point.adc_bits)
        return network_of(spec, self.weights)


def _technology(content: dict) -> Technology:
    head, constants = content["technology"], content["constants"]
    return Technology(
        head["name"],
        head["description"],
        head["read_mode"],
        head["pair"],
        head["ramp"],
        {name: entry["value"] for name, entry in constants.items()},
        {name: entry["source"] for name, entry in constants.items()},
    )


def _content(cells: Conductances) -> bytes:
    """What given cells are, whichever files they come from."""
    parts = []
    for name, values in cells.arrays().items():
        # One NaN for all that is drawn, and one 0: what computes alike is alike.
        plain = np.where(np.isnan(values), np.nan, values + 0.0)
        parts += [name.encode(), repr(values.shape).encode(), np.ascontiguousarray(plain, "<f8").tobytes()]
    return _hash(*parts).encode()


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]
