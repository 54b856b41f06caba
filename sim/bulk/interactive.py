# SPDX-License-Identifier: Apache-2.0
"""A network in a simulator that waits: the codes of a step may be chosen by the logits of the step before."""

import os
import selectors
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.lstm import checked_integers
from crossramp.golden.network.network import Network
from crossramp.golden.network.step_record import step_records

from ..amaranth.amaranth_bench import Bench, beat_values
from ..array.programming import Programming, calibration_port
from ..checking.shown_steps import shown_values
from ..tools.growth import LOOK_SECONDS, Growth
from ..tools.simulators import HardwareError, SimulationError, SimulatorMissing, choose_simulator, environment
from .bulk_bench import bench_command, broken_rules, read_summary, write_array
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
        With the readout ``"step"``.
    simulator : str
        ``"verilator"``, ``"icarus"``, ``"amaranth"`` (needs no other tool, and is the slowest), or ``"auto"``: the
        first of these that is here.
    device : DeviceInstance or None
        The array behind the hardware; None: the ideal one.
    calibration : int or None
        The calibration port throughout, as :func:`.bulk_simulation.simulate_bulk` takes it.
    idle, stall, array_stall, seed : int
        Pauses, as :func:`.bulk_simulation.simulate_bulk` takes them; not in Amaranth's simulator.
    workdir : path or None
        Where models are built and kept, see :func:`.build_cache.cache_folder`.
    optimize : bool
        Verilator: compile for speed. False builds sooner, for few steps.

    Attributes
    ----------
    simulator : str
        The one it runs in.
    steps : int
        Done so far.
    end_clocks : int64 array, shape (steps,), or None
        Once the session is closed: the clock on which each step's last beat of h left. From one to the next is what a
        character takes with a host that takes no time: the head, the load of x, and the macro, nothing overlapping
        (and a clock or so of the bench's).

    Raises
    ------
    InvalidValue
        For another readout, a calibration or percentage out of range, or a device of another specification.
    SimulatorMissing, SimulationError
        If the simulator is not here, or the bench cannot be built.
    """

    def __init__(
        self,
        network: Network,
        *,
        simulator: str = "auto",
        device: DeviceInstance | None = None,
        calibration: int | None = None,
        idle: int = 0,
        stall: int = 0,
        array_stall: int = 0,
        seed: int = 1,
        workdir: Path | str | None = None,
        optimize: bool = True,
    ):
        self.spec = spec = network.spec
        if spec.readout != "step":
            raise InvalidValue(f"the readout is {spec.readout!r}: only 'step' has logits after every step")
        if simulator not in SIMULATORS:
            raise InvalidValue(f"simulator is {simulator!r}; allowed: {', '.join(SIMULATORS)}")
        pauses = {"idle": idle, "stall": stall, "array_stall": array_stall}
        for name, percent in pauses.items():
            if not 0 <= percent <= 90:
                raise InvalidValue(f"{name} is {percent}; allowed: 0 to 90 percent")
        calibration = calibration_port(spec, calibration, device)
        if device is not None and device.spec != spec:
            raise InvalidValue(
                f"the device is of specification {device.spec.content_hash}, the network of {spec.content_hash}"
            )
        self.simulator = _chosen(simulator)
        self.steps = 0
        self.end_clocks: np.ndarray | None = None
        self._found: list[dict[str, np.ndarray]] = []
        if self.simulator == "amaranth":
            if any(pauses.values()):
                raise InvalidValue("Amaranth's simulator makes no pauses; leave out idle, stall and array_stall")
            self._backend = _Amaranth(network, network.weights if device is None else device, calibration)
        else:
            programming = Programming.ideal(spec, network.weights) if device is None else device
            command = bench_command(network, self.simulator, errs=device is not None, optimize=optimize, folder=workdir)
            plusargs = [f"+{name}={percent}" for name, percent in pauses.items()] + [f"+seed={seed}"]
            plusargs.append(f"+calibration={calibration:x}")
            self._backend = _Verilog(spec, self.simulator, command, plusargs, programming)

    def step(self, codes: np.ndarray, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """One step through the simulated gateware.

        Parameters
        ----------
        codes : integer array, shape (inputs,)
            Pulse codes within ±input_max.
        last : bool
            Whether this is the utterance's last step: the next one starts from a state reset.

        Returns
        -------
        (h, logits) : int64 arrays, shapes (hidden,) and (classes,)

        Raises
        ------
        ValueError
            For codes of a wrong shape or out of range, or a session that is closed.
        SimulationError
            If the simulation crashes or takes too long.
        HardwareError
            A SimulationError, if the gateware stops, or gives anything but one step's beats, framed as they must be.
        """
        if self._backend is None:
            raise ValueError("the session is closed; start another")
        codes = checked_integers("codes", codes, (self.spec.inputs,), self.spec.input_max)
        found = self._backend.step(codes, last, self.steps)
        self._found.append({name: values[0] for name, values in found.items()})
        self.steps += 1
        return self._found[-1]["h"], self._found[-1]["logits"]

    def observed(self, first: int = 0) -> dict[str, np.ndarray]:
        """All that the gateware showed of the steps from ``first`` on: int64 arrays, the steps' axis first.

        ``codes``, ``c``, ``state_pulses``, ``state_codes``, ``h``, ``logits``, ``answers``, as golden names them.
        """
        found = self._found[first:]
        return {name: np.stack([step[name] for step in found]) for name in (found or [{}])[0]}

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

    def __init__(self, network: Network, programming, calibration: int):
        self.spec = network.spec
        self.bench = Bench(network, programming, calibration)

    def step(self, codes: np.ndarray, last: bool, number: int) -> dict[str, np.ndarray]:
        spec, bench = self.spec, self.bench
        mask = (1 << spec.input_bits) - 1
        payloads = (codes & mask).tolist()
        payloads[-1] |= last << spec.input_bits
        bench.payloads += payloads
        bench.run_to(number + 1)
        new = {name: bench.beats[name][record.beats * number :] for name, record in step_records(spec).items()}
        return beat_values(spec, new, np.array([last]))

    def close(self) -> np.ndarray:
        return np.array(self.bench.ends, np.int64)

    def stop(self):
        pass


class _Verilog:
    """The free-running bench as a process that reads x from its standard input."""

    def __init__(self, spec, simulator: str, command: list[str], plusargs: list[str], programming):
        self.spec, self.simulator = spec, simulator
        self._temporary = tempfile.TemporaryDirectory(prefix="crossramp-")
        self.folder = Path(self._temporary.name)
        write_array(programming, self.folder / "array")
        # Nothing moves for a head's clocks at most; ten times that, where pauses are asked for.
        clocks = 20 * (spec.clocks_per_step + spec.inputs + spec.head_clocks) + 1000
        self._growth = Growth(self.folder / "alive")
        command = [*command, f"+trace={self.folder}", "+x=-", f"+array={self.folder / 'array'}", *plusargs]
        self._process = subprocess.Popen(
            [*command, f"+watchdog={clocks}"],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._text = b""

    def step(self, codes: np.ndarray, last: bool, number: int) -> dict[str, np.ndarray]:
        try:
            self._process.stdin.write(step_stimulus(codes, last))
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
        """End the process, whatever it does, and remove its files."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._temporary.cleanup()
