# SPDX-License-Identifier: Apache-2.0
"""Tables and pictures of docs/ramp.md, of ramps sampled over many chips.

``python tools/ramp_tables.py --measure`` samples them (ten minutes) and writes docs/linearity.csv and the pictures,
``--draw`` the pictures alone; ``--write`` writes the tables into the page, from that file; without any it prints them.
A test compares page, file, and a sample of chips.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from crossramp.cli.commands import linearity
from crossramp.cli.output.messages import Progress
from crossramp.cli.output.tables import markdown, with_tables
from crossramp.cli.plots.figures import new_figure, own_settings, save_figure
from crossramp.cli.plots.linearity_plot import plot_linearity, plot_supply
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.ramp_cells import SCHEMES
from crossramp.golden.analog.chip.ramp_linearity import Linearity, linearity_of, probe, supply_errors, with_scheme
from crossramp.golden.analog.conversion.calibration_setting import NOMINAL
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.ramps import ramps
from crossramp.golden.spec.activations import REGISTRY

PAGE = Path(__file__).parents[1] / "docs" / "ramp.md"
DATA = Path(__file__).parents[1] / "docs" / "linearity.csv"
IMAGES = Path(__file__).parents[1] / "docs" / "images"

CHIPS = 100
BITS = range(3, 9)

#: Chips beyond the default technology, for which sigmoid and tanh are told at 5 bits: name, technology, constants.
OTHERS = (
    ("rram, 4 spare columns", "rram", {"ramp.spares": 4.0}),
    ("rram after 4 months", "rram", {"operation.time": 1e7}),
    ("rram, faults not made up for", "rram", {"cell.fault_aware": 0.0}),
    ("rram, no stuck cells", "rram", {"cell.stuck_on": 0.0, "cell.stuck_off": 0.0}),
    ("pcm", "pcm", {}),
    ("charge", "charge", {}),
)

_WAYS = tuple((scheme, calibration) for scheme in ("one-shot", "converted") for calibration in ("nominal", "found"))
_ALL_WAYS = tuple((scheme, calibration) for scheme in SCHEMES for calibration in ("nominal", "found"))


def measure() -> list[dict]:
    """Everything that the page tells, as rows of docs/linearity.csv."""
    rows, progress = [], Progress()
    names = [name for name, act in REGISTRY.items() if not act.turns]  # the page shows the others apart
    jobs = [("rram", load("rram"), name, bits) for name in names for bits in BITS]
    jobs += [(label, load(tech).replace(c), name, 5) for label, tech, c in OTHERS for name in ("sigmoid", "tanh")]
    for number, (label, tech, name, bits) in enumerate(jobs, 1):
        progress.show(f"{number} of {len(jobs)}: {label}, {name}, {bits} bits")
        rows += [{"chips": label, **row} for row in measured(tech, name, bits)]
    progress.clear()
    return rows


def measured(tech, name: str, bits: int, chips: int = CHIPS) -> list[dict]:
    """Rows of one activation."""
    spec = probe(name, bits)
    weights = np.random.default_rng(0).integers(-15, 16, (spec.rows, spec.columns))
    ramp = ramps(spec)[0]
    variants = [linearity.Variant(None, NOMINAL, Linearity(ramp, ramp.thresholds[None]))]
    for scheme in SCHEMES if tech.read_mode == "current" else SCHEMES[:1]:
        found = linearity_of(ChipSample(with_scheme(tech, scheme), chips), spec, weights)
        variants += [linearity.Variant(scheme, setting, each[0]) for setting, each in found.items()]
    return [linearity.row(spec.ramps[0].text, bits, variant) for variant in variants]


def draw() -> None:
    """The pictures of the page."""
    tech, found = load("rram"), {}
    for name in ("sigmoid", "tanh"):
        spec = probe(name, 5)
        weights = np.random.default_rng(0).integers(-15, 16, (spec.rows, spec.columns))
        ramp = ramps(spec)[0]
        variants = [linearity.Variant(None, NOMINAL, Linearity(ramp, ramp.thresholds[None]))]
        for scheme in SCHEMES:
            each = linearity_of(ChipSample(with_scheme(tech, scheme), CHIPS), spec, weights)
            variants += [linearity.Variant(scheme, setting, one[0]) for setting, one in each.items()]
        found[name, 5] = variants
    plot_linearity(IMAGES / "linearity.png", found, f"{CHIPS} chips of rram")
    spec = probe("sigmoid", 5)
    weights = np.random.default_rng(0).integers(-15, 16, (spec.rows, spec.columns))
    errors = supply_errors(ChipSample(tech, 25), spec, weights, np.linspace(0.75, 1.25, 11))
    plot_supply(IMAGES / "supply.png", errors, spec, tech)
    draw_bits(read(), IMAGES / "linearity-bits.png")


@own_settings
def draw_bits(rows: list[dict], path: Path) -> None:
    """MSE against the bits of a code."""
    figure = new_figure(13, 3.9)
    figure.suptitle(f"Mean squared error of the activation, {CHIPS} chips of rram", fontsize=13)
    styles = {
        ("ideal", "nominal"): ("#333333", "--"),
        ("one-shot", "nominal"): ("#c0392b", "-"),
        ("one-shot", "found"): ("#e07b00", "-"),
        ("converted", "found"): ("#1f6fb4", "-"),
    }
    for ax, name in zip(
        figure.subplots(1, 4, sharey=True), ("sigmoid", "tanh", "hard_tanh", "softplus[0,1]"), strict=True
    ):
        for (scheme, calibration), (color, line) in styles.items():
            each = [row for row in rows if (row["chips"], row["activation"]) == ("rram", name)]
            each = [row for row in each if (row["scheme"], row["calibration"]) == (scheme, calibration)]
            bits, mean, most = (np.array([row[key] for row in each]) for key in ("bits", "mse", "mse_95"))
            label = linearity.ramp_name(scheme, calibration)
            ax.semilogy(bits, mean, line, marker="o", ms=4, color=color, lw=1.5, label=label)
            if scheme != "ideal":
                ax.fill_between(bits, mean, most, color=color, alpha=0.12, lw=0)
        ax.set(title=name, xlabel="bits")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        if name == "sigmoid":
            ax.set_ylabel("MSE (band: mean to 95 %)")
            ax.legend(frameon=False, fontsize=8)
    save_figure(figure, path, dpi=110)


def read() -> list[dict]:
    """docs/linearity.csv."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = {"chips", "activation", "scheme", "calibration"}
    for row in rows:
        row |= {name: float(value) for name, value in row.items() if name not in texts}
        row["bits"] = int(row["bits"])
    return rows


def tables() -> dict[str, str]:
    """Name in the page to table, as Markdown."""
    rows = read()
    found = {(r["chips"], r["activation"], r["bits"], r["scheme"], r["calibration"]): r for r in rows}
    names = list(dict.fromkeys(row["activation"] for row in rows))

    def of_bits(key, text) -> str:
        lines = []
        for name in names:
            values = [[text(found["rram", name, bits, *way][key]) for way in _WAYS] for bits in BITS]
            lines.append((name, *(" / ".join(each) for each in values)))
        return markdown(("activation", *(f"{bits} bits" for bits in BITS)), lines)

    others = []
    for label in ("rram", *(label for label, _, _ in OTHERS)):
        for name in ("sigmoid", "tanh"):
            each = [found.get((label, name, 5, *way)) for way in _ALL_WAYS]
            texts = ["–" if r is None else f"{r['inl_rms_lsb']:.2f} ({r['inl_rms_lsb_95']:.2f})" for r in each]
            others.append((label, name, *texts))
    ways = [linearity.ramp_name(*way) for way in _ALL_WAYS]
    header = ("chips", "activation", *ways)
    return {
        "inl": of_bits("inl_rms_lsb", lambda value: f"{value:.2f}"),
        "mse": of_bits("mse", lambda value: f"{value:.1e}".replace("e-0", "e-")),
        "missing": of_bits("missing_codes", lambda value: f"{value:.1f}"),
        "dnl": of_bits("dnl_max_lsb", lambda value: f"{value:.2f}"),
        "others": markdown(header, others),
    }


def written(text: str) -> str:
    """``text``, the page, with its tables made anew."""
    return with_tables(text, tables())


def main() -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.measure:
        rows = measure()
        with DATA.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                texts = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
                writer.writerow(texts)
    if args.measure or args.draw:
        draw()
    if args.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    if not (args.measure or args.draw or args.write):
        print("\n\n".join(tables().values()))


if __name__ == "__main__":
    main()
