# SPDX-License-Identifier: Apache-2.0
"""Makes the ONNX files beside it: networks that PyTorch's exporters write, and what PyTorch computes of them.

``python tests/convert/data/make_onnx_exports.py [NAME ...]`` needs torch and onnxscript; the tests need neither, since
an export takes seconds. The files are made by torch 2.13.0 and onnxscript 0.7.2.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).parent
INPUTS, UNITS, CLASSES = 3, 4, 5


class Net(nn.Module):
    """A recurrent layer, what reads it out, and a head."""

    def __init__(self, kind: str = "LSTM", read: Callable = lambda out, h: out.mean(1), width: int = UNITS, **options):
        super().__init__()
        self.layer = getattr(nn, kind)(INPUTS, UNITS, **{"batch_first": True} | options)
        self.head = nn.Linear(width, CLASSES)
        self.read = read

    def forward(self, x):
        out, state = self.layer(x)
        return self.head(self.read(out, state[0] if isinstance(state, tuple) else state))


class Sandwich(nn.Module):
    """LSTM, a narrow linear layer, LSTM, a hidden layer and a head."""

    def __init__(self):
        super().__init__()
        self.first, self.narrow = nn.LSTM(INPUTS, UNITS, batch_first=True), nn.Linear(UNITS, 2)
        self.second = nn.LSTM(2, UNITS, batch_first=True)
        self.head = nn.Sequential(nn.Linear(UNITS, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, CLASSES))

    def forward(self, x):
        return torch.softmax(self.head(self.second(self.narrow(self.first(x)[0]))[0][:, -1]), -1)


class ByHand(nn.Module):
    """Two directions of two modules, one on the flipped input."""

    def __init__(self, back: bool = True):
        super().__init__()
        self.ahead, self.behind = nn.GRU(INPUTS, UNITS, batch_first=True), nn.GRU(INPUTS, UNITS, batch_first=True)
        self.head, self.back = nn.Linear(2 * UNITS, CLASSES), back

    def forward(self, x):
        behind = self.behind(x.flip(1))[0]
        return self.head(torch.cat([self.ahead(x)[0], behind.flip(1) if self.back else behind], 2))


class Learned(nn.Module):
    """Learned initial states, a normalized input, and a linear layer on all steps of all samples at once."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(INPUTS, UNITS, batch_first=True)
        self.h, self.c = nn.Parameter(torch.randn(1, 1, UNITS)), nn.Parameter(torch.randn(1, 1, UNITS))
        self.head = nn.Linear(UNITS, CLASSES)
        self.register_buffer("mean", torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("deviation", torch.tensor([2.0, 0.5, 3.0]))

    def forward(self, x):
        batch = x.shape[0]
        start = self.h.expand(-1, batch, -1).contiguous(), self.c.expand(-1, batch, -1).contiguous()
        out, _ = self.layer((x - self.mean) / self.deviation, start)
        return self.head(out.reshape(-1, UNITS)).view(batch, -1, CLASSES)


class Given(nn.Module):
    """An initial state that comes at run time."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUTS, UNITS, batch_first=True)

    def forward(self, x, h0):
        return self.layer(x, h0)


def both_ends(out, h):
    return torch.cat([out[:, -1, :UNITS], out[:, 0, UNITS:]], 1)


TWO = {"num_layers": 2, "bidirectional": True}
OLD, NEW, FIXED = "legacy", "dynamo", "dynamo, fixed sizes"

#: Name of the file: the exporter, and what makes the module.
EXPORTS = {
    "lstm_mean_legacy": (OLD, lambda: Net(width=8, **TWO)),
    "lstm_mean_dynamo": (NEW, lambda: Net(width=8, **TWO)),
    "lstm_mean_fixed": (FIXED, lambda: Net(width=8, **TWO)),
    "lstm_every_step_time_first": (OLD, lambda: Net(read=lambda out, h: out, width=8, batch_first=False, **TWO)),
    "lstm_last_legacy": (OLD, lambda: Net(read=lambda out, h: out[:, -1], num_layers=3)),
    "gru_last_dynamo": (NEW, lambda: Net("GRU", lambda out, h: out[:, -1])),
    "gru_last_fixed": (FIXED, lambda: Net("GRU", lambda out, h: out[:, -1])),
    "lstm_h_of_the_last_layer": (OLD, lambda: Net(read=lambda out, h: h[-1], num_layers=3)),
    "lstm_h_of_both": (OLD, lambda: Net(read=lambda out, h: torch.cat([h[-2], h[-1]], 1), width=8, **TWO)),
    "lstm_both_ends": (NEW, lambda: Net(read=both_ends, width=8, bidirectional=True)),
    "lstm_last_of_both": (OLD, lambda: Net(read=lambda out, h: out[:, -1], width=8, bidirectional=True)),
    "rnn_relu_legacy": (OLD, lambda: Net("RNN", nonlinearity="relu", bias=False)),
    "rnn_unrolled_dynamo": (FIXED, lambda: Net("RNN", lambda out, h: out[:, -1])),
    "lstm_linear_lstm": (OLD, Sandwich),
    "gru_by_hand": (OLD, ByHand),
    "gru_by_hand_not_flipped_back": (OLD, lambda: ByHand(False)),
    "lstm_learned_states": (OLD, Learned),
    "gru_state_at_run_time": (OLD, Given),
    "lstm_maximum": (OLD, lambda: Net(read=lambda out, h: out.amax(1))),
}


def exported(how: str, module: nn.Module, x: torch.Tensor) -> onnx.ModelProto:
    """The model that an exporter writes, without the paths of the machine that it notes."""
    arguments, names = (x,), ["x"]
    if isinstance(module, Given):
        arguments, names = (x, torch.zeros(1, 2, UNITS)), ["x", "h0"]
    axes = {"x": {0: "batch", 1: "steps"}}
    if how == OLD:
        file = io.BytesIO()
        torch.onnx.export(module, arguments, file, dynamo=False, input_names=names, dynamic_axes=axes)
        model = onnx.load_from_string(file.getvalue())
    else:
        shapes = None if how == FIXED else (dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC),)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                module, arguments, path, dynamo=True, input_names=names, dynamic_shapes=shapes, external_data=False
            )
            model = onnx.load(path)
    for one in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        one.ClearField("doc_string")
        one.ClearField("metadata_props")
    for one in model.graph.initializer:
        one.ClearField("doc_string")
    model.graph.ClearField("value_info")
    return model


def main(names: list[str]):
    expected = HERE / "onnx_exports.npz"
    arrays = dict(np.load(expected)) if expected.exists() else {}
    for number, (name, (how, make)) in enumerate(EXPORTS.items()):
        if names and name not in names:
            continue
        torch.manual_seed(number)
        module = make().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.uniform_(-0.9, 0.9)
        x = torch.randn(2, 7, INPUTS)
        onnx.save(exported(how, module, x), HERE / f"{name}.onnx")
        given = (x, torch.zeros(1, 2, UNITS)) if isinstance(module, Given) else (x,)
        answer = module(*given)
        arrays[f"{name}.x"] = x.numpy()
        arrays[f"{name}.y"] = (answer[0] if isinstance(answer, tuple) else answer).detach().numpy()
    np.savez_compressed(expected, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
