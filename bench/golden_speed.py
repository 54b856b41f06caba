# SPDX-License-Identifier: Apache-2.0
"""How fast the golden network is, as a ratio to float LSTMs: torch.nn.LSTM and onnxruntime, one thread each.

    python bench/golden_speed.py            # needs the extra `bench`

All contenders run utterances of 49 steps through 40 inputs and 32 units, in turn within one process. Times are the
process's CPU time, and a ratio is the median over the turns, printed with its quartiles, so that a busy machine slows
all alike. golden's time includes the check of every input code, all conversions, the head and the argmax; the float
LSTMs run without a head. golden runs twice: with numba's code, and with numpy alone.
"""

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch load their BLAS

import time

import numba
import numpy as np
import onnx
import onnxruntime
import torch
from crossramp.golden.array.weights import Weights
from crossramp.golden.macro import compiled
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from onnx import TensorProto, helper, numpy_helper

SPEC = Specification(inputs=40, units=32, classes=12)
STEPS = 49
BATCHES = (1, 64, 1024)
SECONDS = 4.0  # of turns, a batch size
AIM = {1: 0.6, 64: 1.0, 1024: 1.0}  # of torch, compiled


def network(rng: np.random.Generator) -> Network:
    """Weights and biases spread as training leaves them: normal, a fifth of full scale."""

    def draw(limit, shape):
        return np.clip(np.rint(rng.normal(0, limit / 5, shape)), -limit, limit).astype(int)

    weights = Weights(
        draw(SPEC.weight_max, (SPEC.rows, SPEC.columns)),
        draw(SPEC.head_weight_max, (SPEC.classes, SPEC.units)),
        draw(SPEC.head_bias_max, SPEC.classes),
    )
    return Network(SPEC, weights)


def onnx_session(lstm: torch.nn.LSTM) -> onnxruntime.InferenceSession:
    """The same LSTM in ONNX, whose banks are in the order i, o, f, g."""

    def reorder(tensor):
        banks = tensor.detach().numpy()
        return np.concatenate([banks[SPEC.bank(gate)] for gate in "iofg"])[None]

    biases = np.concatenate([reorder(lstm.bias_ih_l0), reorder(lstm.bias_hh_l0)], axis=1)[:, :, 0]
    arrays = {"W": reorder(lstm.weight_ih_l0), "R": reorder(lstm.weight_hh_l0), "B": biases}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=SPEC.units)],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [STEPS, None, SPEC.inputs])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [STEPS, 1, None, SPEC.units])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def turns(contenders: dict, seconds: float) -> dict[str, np.ndarray]:
    """CPU seconds of each call, of all threads together, the contenders taking turns."""
    times = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, call in contenders.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: np.array(values) for name, values in times.items()}


def parts(golden: Network, x: np.ndarray) -> dict:
    """The kinds of work of one compiled step, each alone on arrays of its size, for `turns`."""
    steps, batch = golden.lstm.fast.compiled, min(len(x), 512)
    x = x[:batch]
    drive = np.ones((batch, len(steps.weights)), np.float32)
    h = drive[:, SPEC.inputs : -1]
    macs, c = np.empty((batch, SPEC.columns), np.float32), np.zeros((batch, SPEC.units), np.float32)
    found = golden.run(x).macs
    # New ones each time: no branch is learned. An index counts from the lowest MAC.
    places = [(found[:, t] + SPEC.rows * SPEC.weight_max * SPEC.input_max).astype(np.float32) for t in range(8)]
    turn = iter(range(1 << 60))
    call = compiled.kernels()

    def load():
        call["load"](x, 0, drive)

    def products():
        np.matmul(drive, steps.weights, out=macs)

    def update():
        call["advance"](places[next(turn) % 8], *steps.tables, *steps.scalars, c, h)

    return {"matrix products": products, "conversion and update": update, "load of x": load}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of turns, a batch size (default %(default)g)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    golden, plain = (network(np.random.default_rng(args.seed)) for _ in range(2))
    if not golden.lstm.fast.compile():
        raise SystemExit("numba is missing, or does not take this numpy; install the extra `bench`")
    plain.lstm.fast.compile = lambda: False
    rng = np.random.default_rng(args.seed)
    lstm = torch.nn.LSTM(SPEC.inputs, SPEC.units, batch_first=True)
    session = onnx_session(lstm)
    versions = ((one.__name__, one.__version__) for one in (np, numba, torch, onnxruntime))
    print(f"seed {args.seed}; {', '.join(' '.join(pair) for pair in versions)}")
    print(f"{SPEC.inputs} inputs, {SPEC.units} units, {STEPS} steps; golden: int64 codes in, answers out")
    print("speeds of golden as ratios: median (quartiles) over the turns\n")
    print(f"batch  {'of torch':18}{'of onnxruntime':18}{'numpy, of torch':18}{'of its trace':14}aim")
    for batch in BATCHES:
        x = np.clip(np.rint(rng.normal(0, 5, (batch, STEPS, SPEC.inputs))), -15, 15).astype(np.int64)
        real = torch.from_numpy((x / 15).astype(np.float32))
        steps_first = np.ascontiguousarray(real.numpy().transpose(1, 0, 2))
        _check(golden, plain, lstm, session, x, real, steps_first)

        @torch.inference_mode()
        def run_torch(real=real):
            lstm(real)

        contenders = {
            "golden": lambda x=x: golden.answers(x),
            "numpy": lambda x=x: plain.answers(x),
            "torch": run_torch,
            "onnxruntime": lambda steps_first=steps_first: session.run(None, {"X": steps_first}),
        }
        times = turns(contenders, args.seconds)
        trace = min(turns({"trace": lambda x=x: golden.run(x)}, 0.0)["trace"])
        of_torch = times["torch"] / times["golden"]
        aim = f"{AIM[batch]} {'reached' if np.median(of_torch) >= AIM[batch] else 'MISSED'}"
        columns = (of_torch, times["onnxruntime"] / times["golden"], times["torch"] / times["numpy"])
        print(f"{batch:5d}  {''.join(map(_spread, columns))}{trace / np.median(times['golden']):<14.1f}{aim}")
        alone = {name: np.median(values) for name, values in turns(parts(golden, x), 0.3).items()}
        blocks = max(1, batch // 512)
        whole = np.median(times["golden"]) / STEPS
        shares = [f"{name} {blocks * seconds / whole:.0%}" for name, seconds in alone.items()]
        print(f"       limited by: {', '.join(shares)}; the rest: calls, check of the inputs, head")


def _spread(ratios: np.ndarray) -> str:
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    return f"{f'{middle:.2f} ({low:.2f}-{high:.2f})':18}"


def _check(golden, plain, lstm, session, x, real, steps_first):
    """No ratio of wrong results: golden's paths agree in every bit, the float LSTMs within rounding."""
    few = x[:32]
    traced = golden.run(few).h
    for one in (golden, plain):
        if not np.array_equal(one.lstm.fast.hidden(few), traced):
            raise SystemExit("golden's fast path differs from its trace; no ratio is worth printing")
    with torch.inference_mode():
        expected = lstm(real)[0].numpy().transpose(1, 0, 2)
    if not np.allclose(session.run(None, {"X": steps_first})[0][:, 0], expected, atol=1e-4):
        raise SystemExit("onnxruntime's LSTM differs from torch's; no ratio is worth printing")


if __name__ == "__main__":
    main()
