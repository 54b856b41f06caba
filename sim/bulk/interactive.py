# SPDX-License-Identifier: Apache-2.0
"""A network in a simulator that waits: the codes of a step may be chosen by the logits of the step before."""

import os
import selectors
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.layers.tile import need_one_array
from crossramp.golden.macro.initial_state import streaming_macros
from crossramp.golden.macro.step_record import step_records
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.network import Network

from ..amaranth.amaranth_bench import Bench, unpacked
from ..array.array_setup import IDEAL, ArraySetup
from ..checking.shown_steps import shown_values
from ..tools.growth import LOOK_SECONDS, Growth
from ..tools.run_options import BUILD, NO_PAUSES, BuildOptions, Pauses
from ..tools.simulators import HardwareError, SimulationError, SimulatorMissing, choose_simulator, environment
from .bulk_bench import bench_command, broken_rules, read_summary, write_arrays
from .bulk_records import CLOCKS, read_log, step_stimulus

#: What a session runs in; ``"auto"``: the first of the others that is here.
SIMULATORS = ("auto", "verilator", "icarus", "amaranth")


class Session:
    """One network, simulated step by step: each call of :meth:`step` feeds one x and gives what comes out.

    The simulated clock stands still between the calls; within a step every stream pauses as asked.

    >>> with Session(network) as session:
    ...     h, logits = session.step(codes)

    Parameters
    ----------
    network : Network
        With the readout ``"step"``, and without a stream of initial states.
    simulator : str
        ``"verilator"``, ``"icarus"``, ``"amaranth"`` (needs no other tool, and is the slowest), or ``"auto"``: the
        first of these that is here.
    array : ArraySetup
        What stands behind the boundary.
    pauses : Pauses
        Not in Amaranth's simulator.
    build : BuildOptions
        Of the Verilog simulators.

    Attributes
    ----------
    simulator : str
        The one that it runs in.
    steps : int
        Done so far.
    end_clocks : int64 array, shape (steps,), or None
        Once the session is closed: the clock on which each step's last beat of h left. From one to the next is what a
        character takes with a host that takes no time: the head, the load of x, and the macro, nothing overlapping
        (and a clock or so of the bench's).

    Raises
    ------
    InvalidValue
        For another network or simulator, an array or calibration that does not fit, or pauses in Amaranth's simulator.
    SimulatorMissing, SimulationError
        If the simulator is not installed, or the bench cannot be built.
    """

    def __init__(
        self,
        network: Network,
        simulator: str = "auto",
        *,
        array: ArraySetup = IDEAL,
        pauses: Pauses = NO_PAUSES,
        build: BuildOptions = BUILD,
    ):
        need_one_array(network.spec, "a session")
        self.spec = network.spec
        if self.spec.readout != "step":
            raise InvalidValue(f"the readout is {self.spec.readout!r}: only 'step' has logits after every step")
        if streaming_macros(self.spec):
            raise InvalidValue("initial is 'stream': a session has no states to start from; give a network without it")
        if simulator not in SIMULATORS:
            raise InvalidValue(f"simulator is {simulator!r}; allowed: {', '.join(SIMULATORS)}")
        self.simulator = _chosen(simulator)
        self.steps = 0
        self.end_clocks: np.ndarray | None = None
        self._found: list[Trace] = []
        if self.simulator == "amaranth":
            if pauses.most:
                raise InvalidValue("Amaranth's simulator makes no pauses; leave out idle, stall and array_stall")
            self._backend = _Amaranth(network, array)
        else:
            self._backend = _Verilog(network, self.simulator, array, pauses, build)

    def step(self, codes: np.ndarray, last: bool = False, keep: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """One step through the simulated gateware.

        Parameters
        ----------
        codes : integer array, shape (inputs,)
            Pulse codes within ±input_max.
        last : bool
            Whether this is the utterance's last step: the next one is the first of another.
        keep : bool
            With ``last``: the other utterance goes on from the state of this one.

        Returns
        -------
        (h, logits) : int64 arrays, shapes (hidden,) and (classes,)

        Raises
        ------
        InvalidValue
            For codes of a wrong shape or out of range, a session that is closed, or ``keep`` where the specification
            keeps no state.
        SimulationError
            If the simulation crashes or takes too long.
        HardwareError
            A SimulationError, if the gateware stops, or gives anything but one step's beats, framed as they must be.
        """
        if self._backend is None:
            raise ValueError("the session is closed; start another")
        codes = checked_integers("codes", codes, (self.spec.inputs,), self.spec.input_max)
        if keep and not self.spec.keeps_state:
            raise InvalidValue("keep is set, but keeps_state of the specification is 0; write 1 there")
        found = self._backend.step(codes, last, keep, self.steps)
        self._found.append(Trace(**{name: values[:1] for name, values in found.items()}))
        self.steps += 1
        return self._found[-1].h[0], self._found[-1].logits[0]

    def trace(self, first: int = 0) -> Trace:
        """All that the gateware showed of the steps from ``first`` on, as of one utterance: shapes (1, steps, ...)."""
        return Trace.stack(self._found[first:])

    def close(self):
        """End the simulation. HardwareError if a rule of the boundary, or of a stream, was broken on the way."""
        backend, self._backend = self._backend, None
        if backend is not None:
            self.end_clocks = backend.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        elif self._backend is not None:  # what went wrong already is what is to be told
            self._backend.stop()
            self._backend = None


def _chosen(simulator: str) -> str:
    if simulator == "amaranth":
        return simulator
    try:
        return choose_simulator(simulator)
    except SimulatorMissing:
        if simulator == "auto":
            return "amaranth"
        raise


class _Amaranth:
    """A step in Amaranth's simulator, in this process."""

    def __init__(self, network: Network, array: ArraySetup):
        self.spec = network.spec
        self.bench = Bench(network, array)

    def step(self, codes: np.ndarray, last: bool, keep: bool, number: int) -> dict[str, np.ndarray]:
        spec, bench = self.spec, self.bench
        mask = (1 << spec.input_bits) - 1
        payloads = (codes & mask).tolist()
        payloads[-1] |= (last + 2 * keep) << spec.input_bits
        bench.payloads += payloads
        bench.run_to(number + 1)
        new = {name: bench.beats[name][record.beats * number :] for name, record in step_records(spec).items()}
        return shown_values(spec, unpacked(spec, new), np.array([last]))

    def close(self) -> np.ndarray:
        return np.array(self.bench.ends, np.int64)

    def stop(self):
        pass


class _Verilog:
    """The free-running bench as a process that reads x from its standard input."""

    def __init__(self, network: Network, simulator: str, array: ArraySetup, pauses: Pauses, build: BuildOptions):
        self.spec, self.simulator = network.spec, simulator
        spec = network.spec
        calibration, contents = array.port(spec), array.loaded(network)
        command = bench_command(network, simulator, build, errs=array.errs)
        self._temporary = tempfile.TemporaryDirectory(prefix="crossramp-")
        self.folder = Path(self._temporary.name)
        write_arrays(contents, self.folder / "array")
        # Nothing moves for a head's clocks at most; ten times that, where pauses are asked for.
        clocks = 20 * (spec.clocks_per_step + spec.inputs + spec.head_clocks) + 1000
        self._growth = Growth(self.folder / "alive")
        plusargs = [f"+trace={self.folder}", "+x=-", f"+array={self.folder / 'array'}", *pauses.plusargs]
        plusargs += [*build.plusargs(pauses.seed), f"+calibration={calibration:x}", f"+watchdog={clocks}"]
        self._process = subprocess.Popen(
            [*command, *plusargs],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._text = b""

    def step(self, codes: np.ndarray, last: bool, keep: bool, number: int) -> dict[str, np.ndarray]:
        try:
            self._process.stdin.write(step_stimulus(codes, last, keep))
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended(number) from None
        self._wait(number)
        spec = self.spec
        logs = {
            name: read_log(self.folder, record, number * record.beats) for name, record in step_records(spec).items()
        }
        try:
            return shown_values(spec, logs, np.array([last]))
        except HardwareError as error:
            raise HardwareError(f"step {number}: {error}") from None

    def _wait(self, number: int):
        """Until the bench says that the step is answered."""
        output = self._process.stdout.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(output, selectors.EVENT_READ)
            while b"answered\n" not in self._text:
                if not ready.select(LOOK_SECONDS):
                    self._look(f"step {number}")
                    continue
                new = os.read(output, 1 << 16)
                if not new:
                    raise self._ended(number)
                self._text += new
        self._text = self._text.replace(b"answered\n", b"", 1)

    def _look(self, what: str):
        """After a wait in vain: SimulationError if the simulation hangs; it may be as slow as it is."""
        try:
            self._growth.look(f"{self.simulator}: {what}")
        except SimulationError:
            self.stop()
            raise

    def _ended(self, number: int) -> SimulationError:
        status = self._process.wait()
        text = self._text.decode(errors="replace")
        self.stop()
        # In order it ends of itself only where nothing moves any more.
        kind = SimulationError if status else HardwareError
        return kind(f"{self.simulator} ended with status {status} in step {number}:\n{text[-2000:]}")

    def close(self) -> np.ndarray:
        try:
            rest = None
            while rest is None:
                try:
                    rest, _ = self._process.communicate(timeout=LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    self._look("its end")
            log = (self._text + rest).decode(errors="replace")
            if self._process.returncode:
                raise SimulationError(f"{self.simulator} ended with status {self._process.returncode}:\n{log[-2000:]}")
            broken = broken_rules(read_summary(self.folder, log))
            if broken:
                raise HardwareError(f"the hardware broke rules: {', '.join(broken)}\n{log[-2000:]}")
            return read_log(self.folder, CLOCKS)["clock"][:, 0]
        finally:
            self.stop()

    def stop(self):
        """End the process, even if it is busy, and remove its files."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._temporary.cleanup()
