# SPDX-License-Identifier: Apache-2.0
"""ONNX models for tests: one recurrent node or a graph, what onnxruntime computes of it, and what we do."""

import numpy as np
import onnx
import onnx.backend.base
from crossramp.convert.float_network.imported_network import FloatNetwork
from crossramp.convert.formats.onnx.onnx_reader import network_of
from onnx import helper, numpy_helper

ORDER = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
AT_RUN_TIME = ("X", "sequence_lens")


def graph_model(nodes, inputs: dict[str, tuple], outputs, constants=None, **options) -> onnx.ModelProto:
    """A model of nodes; sizes of inputs are numbers or names, and constants arrays.

    Options: ``opset`` (14), ``producer`` ("").
    """
    kinds = {"sequence_lens": onnx.TensorProto.INT32}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, kinds.get(n, onnx.TensorProto.FLOAT), shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    opset = helper.make_opsetid("", options.get("opset", 14))
    return helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name=options.get("producer", ""))


def node_model(
    kind: str, arrays: dict[str, np.ndarray], outputs=None, opset: int = 14, **attributes
) -> onnx.ModelProto:
    """A model of one LSTM, GRU or RNN node: what is given at run time is an input, all else a constant."""
    names = [name if name in arrays else "" for name in ORDER]
    while not names[-1]:
        names.pop()
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2] if outputs is None else outputs
    node = helper.make_node(kind, names, outputs, name="recurrent", hidden_size=arrays["R"].shape[2], **attributes)
    inputs = {name: array.shape for name, array in arrays.items() if name in AT_RUN_TIME}
    constants = {name: array for name, array in arrays.items() if name not in AT_RUN_TIME}
    return graph_model([node], inputs, [name for name in outputs if name], constants, opset=opset)


def drawn_arrays(rng, kind: str, directions: int = 1, *, inputs=3, units=4, batch=3, steps=6, parts="XWRB", scale=0.8):
    """Random arrays of a node: those of ``parts``, where l is sequence_lens, h initial_h and c initial_c."""
    gates = GATES[kind]
    shapes = {
        "X": (steps, batch, inputs),
        "W": (directions, gates * units, inputs),
        "R": (directions, gates * units, units),
        "B": (directions, 2 * gates * units),
        "P": (directions, len("iof") * units),
    }
    found = {name: rng.normal(0, scale, shapes[name]).astype(np.float32) for name in parts if name in shapes}
    for letter, name in (("h", "initial_h"), ("c", "initial_c")):
        if letter in parts:
            state = rng.normal(0, scale, (directions, 1, units)).astype(np.float32)
            found[name] = np.repeat(state, batch, axis=1)
    if "l" in parts:
        found["sequence_lens"] = np.array([steps, *rng.integers(1, steps, batch - 1)], np.int32)
    return found


def by_onnxruntime(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs, by onnxruntime with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [one.name for one in session.get_inputs()]
    return session.run(None, {name: feeds[name] for name in wanted})


def by_float_network(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a model of one recurrent node, by the float network that is read from it.

    What a network has as constants may be among the inputs of the model: it is put in.
    """
    (node,) = model.graph.node
    network = bound(model, feeds)
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    batch_first = bool(attributes.get("layout", 0))
    x = feeds[node.input[0]]
    lengths = feeds[node.input[4]] if len(node.input) > 4 and node.input[4] in feeds else None
    directions = network.layers[0]
    (traces,) = network.trace(x if batch_first else x.swapaxes(0, 1), lengths)
    pairs = list(zip(directions, traces, strict=True))
    y = np.stack([trace.h for trace in traces], axis=2)  # batch, steps, directions, units
    last = np.stack([layer.last(trace.h, lengths) for layer, trace in pairs], axis=1)
    found = {"Y": y if batch_first else y.transpose(1, 2, 0, 3), "Y_h": last if batch_first else last.swapaxes(0, 1)}
    if node.op_type == "LSTM":
        last = np.stack([layer.last(trace.values["c"], lengths) for layer, trace in pairs], axis=1)
        found["Y_c"] = last if batch_first else last.swapaxes(0, 1)
    return [found[kind] for kind, name in zip(("Y", "Y_h", "Y_c"), node.output, strict=False) if name]


def bound(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> FloatNetwork:
    """The network of a model some of whose inputs are made constants."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    (node,) = model.graph.node
    run_time = {node.input[k] for k in (0, 4) if len(node.input) > k}
    changed.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in feeds.items() if name not in run_time
    )
    return network_of(changed, next(name for name in node.output if name))


class FloatBackend(onnx.backend.base.Backend):
    """The float networks that :mod:`crossramp.convert.formats.onnx.onnx_reader` makes, as a backend of ONNX."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def prepare(cls, model, device="CPU", **options):
        return _Prepared(model)


class _Prepared(onnx.backend.base.BackendRep):
    def __init__(self, model: onnx.ModelProto):
        self.model = model

    def run(self, inputs, **options):
        names = [one.name for one in self.model.graph.input]
        outputs = by_float_network(self.model, dict(zip(names, inputs, strict=True)))
        return [output.astype(np.float32) for output in outputs]
