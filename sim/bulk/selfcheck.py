# SPDX-License-Identifier: Apache-2.0
"""A self-checking testbench that runs with Icarus Verilog or Verilator alone, over recorded vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from crossramp.golden.macro.initial_state import Played, random_starts
from crossramp.golden.network.network import Network
from crossramp.rtl.verilog.verilog_writer import Port

from ..array.array_setup import IDEAL
from ..array.boundary_verilog import IDEAL_ARRAY
from ..checking.protocol_verilog import CHECKER
from . import bench_verilog
from .bulk_bench import bench_sources, write_arrays
from .bulk_records import write_expected, write_initial, write_stimulus_hex
from .bulk_simulation import checked_batches
from .vector_doc import vectors_text


def write_selfcheck(
    folder: Path | str,
    network: Network,
    x_batches: np.ndarray | Sequence[np.ndarray] | Played,
    *,
    module: str,
    ports: Sequence[Port],
    verilog: str,
    seed: int = 1,
) -> list[Path]:
    """Write a testbench, the behavioral crossbar, its programming and recorded vectors into ``folder``.

    The testbench compares every code, c, h, logit and answer with ``!==``, checks the boundary's protocol, counts what
    it compared, prints a line beginning with ``PASS`` or ``FAIL``, and ends with a nonzero status unless it
    passed. ``RUN.md`` in the folder says how to start it; it runs from that folder.

    Parameters
    ----------
    folder : path
        Made if missing.
    network : Network
    x_batches : integer array, shape (batch, steps, inputs), a sequence of such, or Played
        Pulse codes of the recorded utterances.
    module : str
        Top module of the generated Verilog.
    ports : sequence of Port
        Its ports, see :func:`crossramp.rtl.verilog.verilog_writer.port_table`.
    verilog : str
        Path of the generated Verilog as seen from ``folder``, for the commands in ``RUN.md``.
    seed : int
        Default of the plusarg ``+seed``, which draws idle clocks and stalls.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InvalidValue
        For stimuli of wrong shape or range, starts that do not fit, or ports of another specification.
    """
    spec = network.spec
    batches, starts = checked_batches(spec, x_batches)
    head = any(port.name == "answer_valid" for port in ports)
    folder = Path(folder)
    vectors = folder / "vectors"
    vectors.mkdir(parents=True, exist_ok=True)
    for name, text in bench_sources(spec).items():
        (folder / name).write_text(text)
    (folder / "wrapper.v").write_text(
        "// SPDX-License-Identifier: Apache-2.0\n" + bench_verilog.wrapper(spec, module, ports)
    )
    utterances = sum(map(len, batches))
    (folder / "testbench.sv").write_text(
        "// SPDX-License-Identifier: Apache-2.0\n"
        f"// Self-checking testbench for specification {spec.hardware_hash}; RUN.md says how to start it.\n"
        + bench_verilog.top(spec, head=head, clock_input=False, utterances=utterances)
    )
    write_arrays(IDEAL.loaded(network), vectors / "array")
    write_stimulus_hex(vectors / "x.hex", spec, batches, starts.keep)
    write_initial(vectors, spec, starts)
    write_expected(vectors, spec, network.play(batches, starts), head=head)
    shown = "\n\n".join(f"With {tool}:\n\n```sh\n{text}\n```" for tool, text in commands(verilog).items())
    lengths = ", ".join(str(x.shape[1]) for x in batches for _ in x)
    (folder / "RUN.md").write_text(
        _RUN.format(commands=shown, seed=seed, utterances=utterances, lengths=lengths, vectors=vectors_text(spec, head))
    )
    return sorted(path for path in folder.rglob("*") if path.is_file())


#: Steps of the utterances that :func:`write_testbench` records.
RECORDED_STEPS = (4, 1, 3)


def write_testbench(
    folder: Path | str,
    model,
    *,
    name: str,
    top: str = "network",
    seed: int = 1,
    ports: Sequence[Port] | None = None,
) -> dict[str, str]:
    """The self-checking testbench of a model's generated Verilog ``folder/name.v``, in ``folder/testbench``.

    Parameters
    ----------
    model : crossramp.golden.network.model_file.Model
    name : str
        Top module.
    top : str
        ``"network"`` or ``"macro"``.
    seed : int
        Draws the recorded utterances' pulse codes, over their whole range.
    ports : sequence of Port or None
        Of the top module; None: those of docs/boundary.md, without a calibrator.

    Returns
    -------
    dict
        Tool name to the commands that build and run it from ``folder/testbench``.
    """
    network, spec = model.network, model.spec
    rng = np.random.default_rng(seed)
    lengths = [min(steps, spec.max_steps) for steps in RECORDED_STEPS]
    batches = [rng.integers(-spec.input_max, spec.input_max + 1, (1, steps, spec.inputs)) for steps in lengths]
    verilog = f"../{name}.v"
    place = Path(folder) / "testbench"
    write_selfcheck(
        place,
        network,
        Played(batches, random_starts(spec, len(lengths), rng)),
        module=name,
        ports=bench_verilog.generated_ports(spec, head=top != "macro") if ports is None else ports,
        verilog=verilog,
        seed=seed,
    )
    return commands(verilog)


def commands(verilog: str) -> dict[str, str]:
    """Tool name to the commands that build and run a testbench folder; ``verilog``: path of the hardware from there."""
    sources = " ".join([verilog, "wrapper.v", IDEAL_ARRAY, CHECKER, bench_verilog.BULK, "testbench.sv"])
    return {
        "Icarus Verilog": f"iverilog -g2012 -s {bench_verilog.TOP} -o testbench.vvp {sources}\nvvp -n testbench.vvp",
        "Verilator (5.036 or newer)": (
            'verilator --binary --timing -Wall -CFLAGS "-std=c++20 -fcoroutines" \\\n'
            f"    --top-module {bench_verilog.TOP} -o testbench {sources}\nobj_dir/testbench"
        ),
    }


_RUN = """\
# Self-checking testbench

{utterances} recorded utterances of random pulse codes, of {lengths} steps. From this folder:

{commands}

It prints PASS or FAIL; the exit status is 0 only for PASS. Random pauses on every stream and in the array:
add `+idle=20 +stall=20 +array_stall=20 +seed={seed}` (percent). With Icarus, `+waves=testbench.vcd` dumps everything.
Below a path with a space, Verilator's makefiles do not work: add `--Mdir` and a folder without one for all it makes.

## The vector files

{vectors}
"""
