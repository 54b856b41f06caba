# SPDX-License-Identifier: Apache-2.0
"""How far ngspice and the behavioral model agree: effect by effect, chip by chip, and what finer decks change.

python bench/spice_agreement.py                    # some minutes on 2 cores; needs ngspice
python bench/spice_agreement.py --write docs/spice.md
"""

import argparse
import time
from pathlib import Path

import numpy as np
from crossramp.cli.inputs.network_inputs import from_audio
from crossramp.cli.output.tables import markdown
from crossramp.golden.analog.chip.sampling import ALL, sample
from crossramp.golden.analog.chip.translate import to_device
from crossramp.golden.analog.chip.wire_resistance import effective
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.model_file import load_model
from crossramp.sim.amaranth.step_trace import StepWaves, trace_step
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.spice.accuracy import Accuracy
from crossramp.sim.spice.agreement import report
from crossramp.sim.spice.column_equation import window_volts
from crossramp.sim.spice.pin_voltages import ConversionClocks
from crossramp.sim.spice.resistor_network import Lines, transfer
from crossramp.sim.spice.spice_step import NOISE, decks, golden_answers, simulate, spice_answers

ROOT = Path(__file__).parent.parent
MARKERS = ("<!-- begin: written by bench/spice_agreement.py -->", "<!-- end: written by bench/spice_agreement.py -->")
COLUMNS, SEED = 32, 1
STEP = 24  # the middle of a word, where h is large
EFFECTS = ALL - NOISE
CELLS = {"programming", "levels", "range", "stuck", "drift", "capacitors", "read_voltage", "ramp_cells"}

#: What is shown in a row: a name, technology, changes of it, effects that are on.
CHIPS = (
    ("rram, all off", "rram", {}, set()),
    ("rram, cells and capacitors err", "rram", {}, CELLS),
    ("rram, amplifier gain", "rram", {}, {"gain"}),
    ("rram, leakage", "rram", {}, {"leakage"}),
    ("rram, compression", "rram", {}, {"compression"}),
    ("rram, offset and delay", "rram", {}, {"offset", "delay"}),
    ("rram, wires", "rram", {}, {"wires"}),
    ("rram, all on", "rram", {}, EFFECTS),
    ("rram, all on, single-ended", "rram", {"pair": "single-ended"}, EFFECTS),
    ("rram, all on, external ramp", "rram", {"ramp": "external"}, EFFECTS - {"wires"}),
    ("pcm, all on", "pcm", {}, EFFECTS),
    ("charge, all off", "charge", {}, set()),
    ("charge, all on", "charge", {}, EFFECTS),
)

#: Variations of the deck's accuracy.
STUDY = (
    ("as shipped", Accuracy()),
    ("edges of 1e-3 clocks", Accuracy(edge=1e-3)),
    ("edges of 1e-4 clocks", Accuracy(edge=1e-4)),
    ("edges of 4e-6 clocks", Accuracy(edge=4e-6)),
    ("steps of at most 1/8 clock", Accuracy(step=0.125)),
    (
        "tolerances a tenth",
        Accuracy(options="reltol=1e-5 vntol=1e-9 abstol=1e-13 chgtol=1e-19 trtol=1"),
    ),
)


class Bench:
    """The shipped model and one word."""

    def __init__(self):
        self.model = load_model("kws")
        file = sorted((ROOT / "cli" / "demo_data" / "recordings" / "yes").glob("*.wav"))[0]
        self.codes = from_audio(self.model, [file]).codes[0]
        count = self.model.spec.columns
        self.columns = sorted(np.random.default_rng(SEED).choice(count, COLUMNS, replace=False).tolist())

    def array(self, technology, changes, effects):
        tech = load(technology).replace(changes)
        return sample(tech, self.model.spec, self.model.weights.macro, SEED, switches=frozenset(effects))

    def run(self, array, accuracy=None):
        """(report, spice answers, seconds, decks) of one chip."""
        device = to_device(array)
        waves = trace_step(self.model.network, self.codes, STEP, ArraySetup(device))
        texts = decks(array, device, waves, self.columns, accuracy=accuracy)
        began = time.monotonic()
        results = simulate(texts)
        seconds = time.monotonic() - began
        spice = spice_answers(array, waves, texts, results)
        golden = golden_answers(array, device, waves, self.columns)
        return report(array, waves, texts, spice, golden), spice, seconds, len(texts)

    def agreement(self) -> str:
        rows = []
        for name, technology, changes, effects in CHIPS:
            content, _, seconds, _ = self.run(self.array(technology, changes, effects))
            parts, volts = content["conversions"], content["microvolts_per_mac"]
            worst = [max(part[key] for part in parts) for key in ("column_mac", "ramp_mac", "simplified_mac")]
            cells = [f"{mac * volts:.1f} ({mac:.4f})" for mac in (*worst, content["unexplained_mac"])]
            rows.append((name, *cells, f"{content['codes_differ']} of {content['codes']}"))
            print(f"{name}: {rows[-1][1:]}, {seconds:.0f} s", flush=True)
        header = (
            "chip",
            "columns, µV (MAC)",
            "ramps",
            "of these, simplifications",
            "not explained",
            "codes that differ",
        )
        return markdown(header, rows)

    def study(self) -> str:
        array = self.array("rram", {}, EFFECTS - {"wires"})
        rows, base = [], None
        for name, accuracy in STUDY:
            content, spice, _, _ = self.run(array, accuracy)
            base = base or spice
            moved = [
                max(np.abs(getattr(a, key) - getattr(b, key)).max() for a, b in zip(spice, base, strict=True)) * 1e6
                for key in ("window", "ramps")
            ]
            decisions = sum(int((a.comparators != b.comparators).sum()) for a, b in zip(spice, base, strict=True))
            residue = content["unexplained_mac"] * content["microvolts_per_mac"]
            rows.append((name, f"{moved[0]:.2f}", f"{moved[1]:.2f}", decisions, f"{residue:.2f}"))
            print(rows[-1], flush=True)
        header = ("deck", "columns move, µV", "ramps move, µV", "decisions that change", "not explained, µV")
        return markdown(header, rows)

    def wires(self) -> str:
        """The product of ladders against the whole network, for pulses at random."""
        spec, rows = self.model.spec, []
        array = self.array("rram", {}, CELLS)
        cells = Lines.of(array).cells
        tech = array.technology
        ohms = tech["wires.row_resistance"], tech["wires.column_resistance"]
        pulses = np.random.default_rng(SEED).integers(-spec.input_max, spec.input_max, (4000, spec.rows), endpoint=True)
        for factor in (0.3, 1, 3, 10, 30):
            row, column = (factor * ohm for ohm in ohms)
            whole = transfer(cells, row, column)
            errors = []
            for matrix in (cells, effective(cells, row, column)):
                lines = pulses @ (matrix - whole) / array.unit
                errors.append(lines[:, 0::2] - lines[:, 1::2])
            rows.append(
                (
                    f"{row:.3g}, {column:.3g}",
                    *(f"{error.std():.3g}, {np.abs(error).max():.3g}" for error in errors),
                )
            )
        header = ("row, column wire, ohm a cell", "what wires do: MAC rms, most", "the model's error: MAC rms, most")
        return markdown(header, rows)

    def compression(self) -> str:
        """The compression of the final charge against the circuit's equation, over a whole word."""
        spec, rows = self.model.spec, []
        h = self.model.network.lstm.hidden(self.codes[None])[0]
        before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
        bias = np.full((len(h), spec.bias_rows), spec.input_max)
        pulses = np.concatenate([self.codes, before, bias], axis=1)
        for early in (20.0, 50.0, 100.0, 200.0, 500.0):
            changes = {"integrator.early_voltage": early}
            found = {on: self.volts(self.array("rram", changes, on), pulses) for on in ((), ("compression",))}
            charge, exact = found[()], found[("compression",)]
            y = np.abs(charge) / early
            model = charge / (1 + y / 2 + y * y / 12)
            inside = np.abs(charge) < 0.5
            unit = self.array("rram", changes, ()).volts_per_mac
            effect, error = ((part[inside]) / unit for part in (charge - exact, model - exact))
            rows.append(
                (
                    f"{early:g}",
                    f"{np.sqrt(np.mean(effect**2)):.3f}, {np.abs(effect).max():.2f}",
                    f"{np.sqrt(np.mean(error**2)):.3f}, {np.abs(error).max():.2f}",
                )
            )
        header = ("Early voltage, V", "what compression does: MAC rms, most", "the model's error: MAC rms, most")
        return markdown(header, rows)

    def volts(self, array, pulses) -> np.ndarray:
        spec, found = self.model.spec, []
        for lengths in pulses:
            clocks = np.arange(1, spec.input_max + 1)[:, None]
            rows = np.where(np.abs(lengths) >= clocks, np.sign(lengths), 0)
            waves = StepWaves({}, rows, rows, None, None, None, None, None, None, None)
            window = ConversionClocks(False, (0, spec.input_max), 0, ())
            found.append(window_volts(array, waves, range(spec.columns), window))
        return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the tables between the marks of FILE")
    args = parser.parse_args()
    bench = Bench()
    sections = [
        f"**Agreement**: {COLUMNS} random columns of the shipped model, both conversions of step {STEP} of a word,\n"
        f"on chip {SEED} of each technology.\n"
        "The figures are the largest difference of a column at the end of its window, and of a ramp on any tick.\n\n"
        + bench.agreement(),
        "**The deck's own accuracy** (rram, all effects but wires):\n\n" + bench.study(),
        "**Wires**, 4,000 random steps of all columns, against the whole network:\n\n" + bench.wires(),
        "**Compression**, all columns of a whole word that end within the ramp, against the circuit's equation:\n\n"
        + bench.compression(),
    ]
    text = "\n\n".join(sections)
    print(text)
    if args.write is not None:
        before, _, rest = args.write.read_text().partition(MARKERS[0])
        _, _, after = rest.partition(MARKERS[1])
        args.write.write_text(f"{before}{MARKERS[0]}\n{text}\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
