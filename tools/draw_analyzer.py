# SPDX-License-Identifier: Apache-2.0
"""Draws what a logic analyzer shows on the debug header: one step of the shipped model on a virtual board.

The board is the iCEBreaker's core in simulation, and the picture is drawn from the log of its pins alone. Codes read
off the comparators are compared with the golden model's before anything is drawn.
"""

import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from crossramp.boards.definitions.board import find_board, probed_columns
from crossramp.boards.host.driver import BoardDriver
from crossramp.boards.virtual.pin_log import read_pins
from crossramp.boards.virtual.simulated_board import virtual_board
from crossramp.cli.commands import demo
from crossramp.cli.inputs import network_inputs
from crossramp.cli.plots.figures import new_figure, own_settings, save_figure
from crossramp.golden.network.model_file import load_model

RECORDING = files("crossramp.cli") / "demo_data" / "recordings" / "down" / "022cd682_nohash_0.wav"
BOARD = "icebreaker"
STEP = 20  # of the recording; there is sound in it
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "logic-analyzer.png"

#: Seconds that a simulated board may take to come to rest.
_PATIENCE = 120.0

_COLORS = {"rx": "#555555", "tx": "#555555", "busy": "#7a3fa0", "integrate": "#2a9d4a", "hold": "#e07b00"}
_PROBE, _FAINT, _INK = "#1f6fb4", "#9fc3e0", "#333333"


@dataclass(frozen=True)
class Step:
    """One step on the pins.

    Attributes
    ----------
    clock : int
        Hz.
    pins : dict
        Pin name to (clock number, new level) of its edges.
    frame : int
        Clock of the first edge of the STEP frame.
    ticks : list of int
        Clocks on which ``tick`` is high in the first conversion.
    latches : list of int
        For each of them, the clock whose comparators are latched.
    end : int
        Clock on which ``busy`` falls.
    """

    clock: int
    pins: dict
    frame: int
    ticks: list[int]
    latches: list[int]
    end: int

    def level(self, pin: str, clock: int) -> int:
        """Of ``pin`` after ``clock``."""
        return [level for at, level in self.pins[pin] if at <= clock][-1]

    def codes(self) -> list[int]:
        """Of each probe: the number of the last tick on which it was high."""
        probes = sorted(pin for pin in self.pins if pin.startswith("probe"))
        return [max((k for k, at in enumerate(self.latches, 1) if self.level(p, at)), default=0) for p in probes]


def simulate() -> Step:
    """The step on a virtual board; raises if it differs from the golden model."""
    model = load_model(demo.MODEL)
    x = network_inputs.from_audio(model, [str(RECORDING)]).codes[0][: STEP + 1]
    build = find_board(BOARD).build(model.spec)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "pins.vcd"
        with (
            virtual_board(build, pins=log) as port,
            BoardDriver(port, baud=build.baud, timeout=60.0, patience=600.0) as board,
        ):
            board.load(model.network)
            board.reset()
            for codes in x[:-1]:
                board.step(codes, last=False)
            board.h()  # waits for them
            before = _wait(log, build.clock)
            board.step(x[-1], last=False)
            _wait(log, build.clock, before + 1)
        pins = read_pins(log, build.clock)
    step = _cut(build.clock, pins, model.spec.ticks)
    golden = model.network.run(x[None]).codes[0, -1]
    expected = golden[probed_columns(model.spec)].tolist()
    if step.codes() != expected:
        raise SystemExit(f"the pins show {step.codes()}, and the golden model computes {expected}")
    return step


def _wait(log: Path, clock: int, steps: int = 0) -> int:
    """Until the board rests, ``busy`` having risen so often: a question to it would show in the picture. How often."""
    until = time.monotonic() + _PATIENCE
    size = -1
    while time.monotonic() < until:
        before, size = size, log.stat().st_size
        if size == before:  # it is written to the end when the board's clock stops
            busy = [level for _, level in read_pins(log, clock)["busy"]]
            if busy[-1] == 0 and sum(busy) >= steps:
                return sum(busy)
        time.sleep(1.0)
    raise SystemExit(f"the virtual board takes more than {_PATIENCE:g} s")


def _cut(clock: int, pins: dict, count: int) -> Step:
    """The last step in the log."""
    busy = [at for at, level in pins["busy"] if level]
    start, end = busy[-1], pins["busy"][-1][0]
    holds = [(at, level) for at, level in pins["hold"] if at >= start]
    (_, up), (last, down) = holds[:2]
    if (up, down) != (1, 0):
        raise SystemExit("no whole step is in the log")
    ticks = [at for at, level in pins["tick"] if level and at >= start]
    ramp = ticks[:count]
    # A frame's bytes follow one another: the frame begins after the last long silence before the step.
    edges = [at for at, _ in pins["rx"] if at < start]
    silence = max(k for k in range(1, len(edges)) if edges[k] - edges[k - 1] > 1000)
    return Step(clock, pins, edges[silence], ramp, [*(at - 1 for at in ramp[1:]), last - 1], end)


@own_settings
def draw(path: Path, step: Step) -> None:
    """Three views of the step: all of it, its first ramp, and one tick."""
    figure = new_figure(12, 13.5)
    whole, ramp, tick = figure.subplots(3, 1, height_ratios=(5, 7, 6.2))
    pins = sorted(pin for pin in step.pins if pin.startswith("probe"))
    spec = load_model(demo.MODEL).spec
    probes = {
        pin: f"probe {k}: {spec.bank_of_column(column)}[{spec.unit_of_column(column)}]"
        for k, (pin, column) in enumerate(zip(pins, probed_columns(spec), strict=True))
    }
    figure.suptitle(
        f"The pins of a virtual iCEBreaker ({step.clock / 1e6:g} MHz, 1,000,000 baud): one step of the shipped model",
        fontsize=13,
    )
    _draw_whole(whole, step)
    _draw_ramp(ramp, step, probes)
    _draw_tick(tick, step, probes)
    save_figure(figure, path, dpi=100)


def _draw_whole(axes, step: Step) -> None:
    view = _View(axes, step, step.frame - 600, step.end + 1800)
    for row, pin in enumerate(("rx", "tx", "busy", "integrate", "hold", "tick")):
        view.trace(row, pin)
    view.finish(["rx", "tx", "busy", "integrate", "hold", "tick"])
    view.time(step.frame)
    ends = {pin: [at for at, _ in step.pins[pin] if step.frame <= at <= step.end + 1000] for pin in ("rx", "tx")}
    first, second = ([at for at, level in step.pins["integrate"] if level and at > step.frame])[:2]
    view.note(0, (step.frame + ends["rx"][-1]) / 2, "STEP frame from the host")
    view.note(1, ends["tx"][-1], "  its answer", align="left")
    view.note(2, (first + step.end) / 2, "the step is being computed")
    view.note(3, first, "  pulses of x and h", align="left")
    view.note(3, second, "  c", align="left")
    view.note(4, (first + step.ticks[0]) / 2, "the emulator multiplies")
    view.note(4, (step.ticks[0] + step.latches[-1]) / 2, "first ramp")
    view.note(4, (second + step.end) / 2, "second")
    axes.set_title("the whole step; 0 is the first start bit of the STEP frame", loc="left", fontsize=10)


def _draw_ramp(axes, step: Step, probes: dict[str, str]) -> None:
    spacing = step.ticks[1] - step.ticks[0]
    view = _View(axes, step, step.ticks[0] - spacing, step.latches[-1] + 3 * spacing)
    view.trace(0, "hold")
    view.trace(1, "tick")
    for row, (pin, code) in enumerate(zip(probes, step.codes(), strict=True), 2):
        view.trace(row, pin, faint=True)
        levels = [step.level(pin, at) for at in step.latches]
        view.levels(row, step.latches, levels)
        view.note(row, step.latches[-1] + 0.4 * spacing, f"code {code}", align="left")
    view.finish(["hold", "tick", *probes.values()])
    view.time(step.ticks[0])
    axes.set_title(
        f"the first ramp: {len(step.ticks)} ticks; dark: the comparators as they are latched, with the last clock of a "
        "tick; 0 is the first tick",
        loc="left",
        fontsize=10,
    )


def _draw_tick(axes, step: Step, probes: dict[str, str]) -> None:
    k = len(step.ticks) // 2
    start, stop = step.ticks[k - 1], step.ticks[k]
    view = _View(axes, step, start - 12, stop + 12)
    view.trace(0, "tick")
    for row, pin in enumerate(probes, 1):
        view.trace(row, pin)
        level = step.level(pin, step.latches[k - 1])
        axes.plot((step.latches[k - 1] + 0.5) / view.unit, view.height(row, level), "o", color=_INK, ms=4.5, zorder=3)
    view.finish(["tick", *probes.values()])
    view.time(start)
    axes.axvline((step.latches[k - 1] + 0.5) / view.unit, color=_INK, lw=0.8, ls="--")
    view.note(0, step.latches[k - 1] - 1, "latched here", align="right")
    axes.set_title(
        f"tick {k} alone: while the emulator compares, other columns pass by; what stands there at the end counts",
        loc="left",
        fontsize=10,
    )


class _View:
    """A part of the log on a pair of axes, a row a pin, the first on top; x in microseconds."""

    def __init__(self, axes, step: Step, start: int, stop: int):
        self.axes, self.step, self.start, self.stop = axes, step, start, stop
        self.unit = step.clock / 1e6  # clocks a microsecond

    @staticmethod
    def height(row: int, level=0.5):
        """Where ``level`` is drawn, 0 to 1; the middle of the row if none is given."""
        return 0.7 * level - 0.35 - row

    def trace(self, row: int, pin: str, faint: bool = False) -> None:
        edges = [(at, level) for at, level in self.step.pins[pin] if self.start < at < self.stop]
        edges = [(self.start, self.step.level(pin, self.start)), *edges]
        edges.append((self.stop, edges[-1][1]))
        self._steps(row, edges, _FAINT if faint else _COLORS.get(pin, _PROBE), 0.5 if faint else 1.0)

    def levels(self, row: int, clocks: list[int], levels: list[int]) -> None:
        self._steps(row, list(zip(clocks, levels, strict=True)), _PROBE, 2.0)

    def _steps(self, row: int, edges: list, color: str, width: float) -> None:
        at, levels = np.array(edges).T
        self.axes.step(at / self.unit, self.height(row, levels), where="post", color=color, lw=width)

    def note(self, row: int, clock: float, text: str, align: str = "center") -> None:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
        x, y = clock / self.unit, self.height(row)
        self.axes.text(x, y, text, ha=align, va="center", fontsize=9, color=_INK, bbox=box)

    def finish(self, names: list[str]) -> None:
        self.axes.set_yticks([self.height(row) for row in range(len(names))], names)
        self.axes.set_ylim(-len(names) + 0.4, 0.6)
        self.axes.set_xlim(self.start / self.unit, self.stop / self.unit)
        self.axes.tick_params(axis="y", length=0)
        self.axes.spines[["top", "right", "left"]].set_visible(False)

    def time(self, origin: int) -> None:
        """Number the axis from clock ``origin`` on."""
        zero = origin / self.unit
        self.axes.xaxis.set_major_formatter(lambda x, _: f"{x - zero:g}")
        width = (self.stop - self.start) / self.unit
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if width / s <= 14)
        first = np.ceil((self.start / self.unit - zero) / step)
        last = np.floor((self.stop / self.unit - zero) / step)
        self.axes.set_xticks([zero + step * k for k in np.arange(first, last + 1)])
        self.axes.set_xlabel("µs")


def main() -> None:
    """Simulate, check, draw."""
    draw(PICTURE, simulate())


if __name__ == "__main__":
    main()
