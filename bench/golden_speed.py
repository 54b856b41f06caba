# SPDX-License-Identifier: Apache-2.0
"""How fast the golden network is, as a ratio to float LSTMs: torch.nn.LSTM and onnxruntime, one thread each.

    python bench/golden_speed.py            # needs the extra `bench`

All contenders run utterances of 49 steps through 40 inputs and 32 units, in turn within one process; times are the
process's CPU time, and a ratio is the median over the turns, so that a busy machine slows all alike. golden's time
includes the check of every input code, all conversions, the head and the argmax; the float LSTMs run without a head.
"""

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch load their BLAS

import time

import numpy as np
import onnx
import onnxruntime
import torch
from crossramp.golden.network import Network
from crossramp.golden.specification import Specification
from onnx import TensorProto, helper, numpy_helper

SPEC = Specification(inputs=40, units=32, classes=12)
STEPS = 49
BATCHES = (1, 64, 1024)
SECONDS = 4.0  # of turns, a batch size
AIM = {64: 0.6, 1024: 0.6}


def network(rng: np.random.Generator) -> Network:
    """Weights and biases spread as training leaves them: normal, a fifth of full scale."""

    def draw(limit, shape):
        return np.clip(np.rint(rng.normal(0, limit / 5, shape)), -limit, limit).astype(int)

    return Network(
        SPEC,
        draw(SPEC.weight_max, (SPEC.rows, SPEC.columns)),
        draw(SPEC.head_weight_max, (SPEC.classes, SPEC.units)),
        draw(SPEC.head_bias_max, SPEC.classes),
    )


def onnx_session(lstm: torch.nn.LSTM) -> onnxruntime.InferenceSession:
    """The same LSTM in ONNX, whose banks are in the order i, o, f, g."""

    def reorder(tensor):
        i, f, g, o = tensor.detach().numpy().reshape(4, SPEC.units, -1)
        return np.concatenate([i, o, f, g])[None]

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
    """The kinds of work of one step of the fast path, each alone on arrays of its size, for `turns`."""
    fast, batch, columns = golden.lstm.fast, min(len(x), 512), SPEC.columns
    x = x[:batch].astype(np.float32)
    drive = np.ones((SPEC.units + 1, batch), np.float32)
    z, z_h = np.empty((2, columns, batch), np.float32)
    narrow, index = np.empty((columns, batch), np.int32), np.empty((columns, batch), np.intp)
    macs = golden.run(x.astype(int)).steps.macs
    places = [macs[:, t % macs.shape[1]].T + 16425 for t in range(8)]  # new ones each time: no branch is learned
    places = [np.ascontiguousarray(place) for place in places]
    turn = iter(range(1 << 60))
    a, b = np.ones((2, SPEC.units, batch), np.float32)

    def products():
        np.matmul(fast.x_weights, x[:, 0].T, out=z)
        np.matmul(fast.h_weights, drive, out=z_h)
        np.add(z, z_h, out=z)

    def casts():
        np.copyto(narrow, z, casting="unsafe")
        np.copyto(index, narrow)

    def lookups():
        place = places[next(turn) % 8]
        for where, table, _ in fast.lookups:
            table.take(place[where], out=z_h[where], mode="clip")
        fast.state_table.take(place[: SPEC.units], out=a, mode="clip")

    def update():
        for _ in range(5):  # f·c, i·g, their sum, the nudge, o·t
            np.multiply(a, b, out=a)
        np.rint(a, out=a)
        np.rint(a, out=a)
        np.clip(a, -b, b, out=a)

    return {"matrix products": products, "casts to indices": casts, "look-ups": lookups, "cell update": update}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of turns, a batch size (default %(default)g)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    golden = network(rng)
    lstm = torch.nn.LSTM(SPEC.inputs, SPEC.units, batch_first=True)
    session = onnx_session(lstm)
    print(f"seed {args.seed}; numpy {np.__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
    print(f"{SPEC.inputs} inputs, {SPEC.units} units, {STEPS} steps; golden: int64 codes in, answers out")
    print("\nbatch  golden µs/step  of torch  of onnxruntime  trace/golden   aim")
    for batch in BATCHES:
        x = np.clip(np.rint(rng.normal(0, 5, (batch, STEPS, SPEC.inputs))), -15, 15).astype(np.int64)
        real = torch.from_numpy((x / 15).astype(np.float32))
        steps_first = np.ascontiguousarray(real.numpy().transpose(1, 0, 2))
        _check(golden, lstm, session, x, real, steps_first)

        @torch.inference_mode()
        def run_torch(real=real):
            lstm(real)

        contenders = {
            "golden": lambda x=x: golden.answers(x),
            "torch": run_torch,
            "onnxruntime": lambda steps_first=steps_first: session.run(None, {"X": steps_first}),
        }
        times = turns(contenders, args.seconds)
        trace = min(turns({"trace": lambda x=x: golden.run(x)}, 0.0)["trace"])
        of = {name: np.median(times[name] / times["golden"]) for name in ("torch", "onnxruntime")}
        aim = "" if batch not in AIM else f"{AIM[batch]} {'reached' if of['torch'] >= AIM[batch] else 'MISSED'}"
        print(
            f"{batch:5d}  {np.median(times['golden']) / STEPS * 1e6:14.1f}  {of['torch']:8.2f}  "
            f"{of['onnxruntime']:14.2f}  {trace / np.median(times['golden']):12.1f}   {aim}"
        )
        alone = {name: np.median(values) for name, values in turns(parts(golden, x), 0.3).items()}
        blocks = max(1, batch // 512)
        whole = np.median(times["golden"]) / STEPS
        shares = [f"{name} {blocks * seconds / whole:.0%}" for name, seconds in alone.items()]
        print(f"       limited by: {', '.join(shares)}; the rest: calls, input check and cast, head")


def _check(golden, lstm, session, x, real, steps_first):
    """No ratio of wrong results: golden's paths agree in every bit, the float LSTMs within rounding."""
    few = x[:32]
    if not np.array_equal(golden.answers(few), golden.run(few).answers):
        raise SystemExit("golden's fast path differs from its trace; no ratio is worth printing")
    with torch.inference_mode():
        expected = lstm(real)[0].numpy().transpose(1, 0, 2)
    if not np.allclose(session.run(None, {"X": steps_first})[0][:, 0], expected, atol=1e-4):
        raise SystemExit("onnxruntime's LSTM differs from torch's; no ratio is worth printing")


if __name__ == "__main__":
    main()
