# SPDX-License-Identifier: Apache-2.0
"""The tables and pictures of docs/results.md, from what tools/measure_recipes.py measured; imported by it alone."""

import dataclasses
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
from crossramp.cli.plots.figures import new_figure, own_settings, save_figure
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.network.model_file import Model, load_model
from crossramp.train.recipes.recipe import load_recipe

BEGIN, END = "<!-- begin: written by tools/measure_recipes.py -->", "<!-- end: written by tools/measure_recipes.py -->"
OF_NETWORKS = "<!-- begin: networks, by the same -->", "<!-- end: networks -->"
BITS = {3: "-3", 4: "-4", 5: "", 8: "-8"}
AWARE = {"rram": "kws-aware", "charge": "kws-charge"}
CALIBRATIONS = {"nominal": "as made", "found": "calibrated"}
#: Other cells, or several layers.
NETWORKS = ("kws-gru", "kws-rnn", "kws-two-layer", "kws-bidirectional", "kws-two-layer-bidirectional")
TEXTS = ("text", "text-aware", "text-projection")
PICTURED = ("kws", "kws-aware")  # confusion matrices of their RTL
NOTHING = "–"


def write(work: Path, docs: Path, done: set[str]) -> None:
    """Writes what stands between the marks of docs/results.md, and docs/images/results-*.png.

    ``done``: names of the files in ``work`` that were made from the present inputs; others are left out.
    """
    measured = Measured(work, done)
    parts = [
        *speech(measured),
        *validation(measured),
        *claim(measured),
        *spread(measured),
        *text(measured),
        *hardware(measured),
        *origins(measured),
    ]
    draw_bits(measured, docs / "images" / "results-bits.png")
    for name in PICTURED:
        drawn = work / f"{name}.rtl.png"
        if drawn.is_file():
            (docs / "images" / f"results-{name}.png").write_bytes(drawn.read_bytes())
    _put(docs / "results.md", (BEGIN, END), parts)


def write_networks(work: Path, docs: Path, done: set[str]) -> None:
    """Writes the table of other cells and of several layers, of those that are measured; none: leaves it as it is."""
    measured = Measured(work, done)
    if any(measured.model(name) for name in NETWORKS):
        _put(docs / "results.md", OF_NETWORKS, networks(measured))


def _put(page: Path, marks: tuple[str, str], lines: list[str]) -> None:
    """Lines in the place of what stands between two marks of a page."""
    begin, end = marks
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{page}: lacks the marks {begin} and {end}; put them where the tables belong")
    unfinished = page.with_suffix(".unfinished")
    unfinished.write_text(before + begin + "\n" + "\n".join(lines).strip() + "\n" + end + after)
    unfinished.replace(page)


class Measured:
    """Models and measurements of a working folder; None for a missing file, or one made from other inputs."""

    def __init__(self, work: Path, done: set[str]) -> None:
        self.work, self.done = work, done

    def model(self, name: str) -> Model | None:
        return load_model(self.work / f"{name}.npz") if f"{name}.npz" in self.done else None

    def json(self, name: str) -> dict | None:
        return json.loads((self.work / f"{name}.json").read_text()) if f"{name}.json" in self.done else None

    def on(self, name: str, technology: str, calibration: str) -> dict | None:
        """What chips of a technology did to a model, one way of calibration."""
        content = self.json(f"{name}.{technology}")
        if content is None:
            return None
        (found,) = (one for one in content["chips"] if one["calibration"] == calibration)
        return found

    def evaluation(self, name: str) -> dict:
        model = self.model(name)
        return {} if model is None else model.provenance.get("evaluation", {})


def speech(measured: Measured) -> list[str]:
    """A table a technology: float, ideal, unaware and aware, by bits."""
    about = measured.json("kws.rram")
    lines = ["### Twelve words", ""]
    if about is not None:
        low, high = about["ideal"]["interval"]
        lines += [
            f"Accuracy in percent on {about['recordings']:,} recordings, as mean ± standard deviation of the chips.",
            f"The 95 % interval of a single figure, from so many recordings, is about ±{50 * (high - low):.1f} points.",
            "All figures share the recordings, so differences between them are more certain than that.",
        ]
    for technology, aware in AWARE.items():
        lines += ["", f"Chips of `{technology}`, {_counts(measured, technology)}:", ""]
        head = ["bits", "float", "ideal", *(f"unaware, {how}" for how in CALIBRATIONS.values())]
        head += ["aware: ideal", *(f"aware, {how}" for how in CALIBRATIONS.values())]
        lines += [_row(head), "| ---: " * len(head) + "|"]
        for bits, suffix in BITS.items():
            plain, trained = f"kws{suffix}", f"{aware}{suffix}"
            cells = [
                str(bits),
                _percent(measured.evaluation(plain).get("float_accuracy")),
                _ideal(measured, plain, technology),
            ]
            cells += [_spread(measured.on(plain, technology, how)) for how in CALIBRATIONS]
            cells += [_ideal(measured, trained, technology)]
            cells += [_spread(measured.on(trained, technology, how)) for how in CALIBRATIONS]
            lines.append(_row(cells))
    return [*lines, "", "![Accuracy by bits](images/results-bits.png)", ""]


def _counts(measured: Measured, technology: str) -> str:
    """How many chips stand behind the figures of a technology."""
    counts = {bits: measured.on(f"kws{suffix}", technology, "nominal") for bits, suffix in BITS.items()}
    counts = {bits: found["count"] for bits, found in counts.items() if found}
    usual = max(counts.values(), default=0)
    others = [f"{count} with {bits} bits" for bits, count in counts.items() if count != usual]
    return ", ".join([f"{usual} for each figure", *others])


def validation(measured: Measured) -> list[str]:
    """Float and ideal on the validation part, which has four times the clips."""
    lines = ["On the validation part of SPEECH, mean over the classes, in percent:", ""]
    lines += [_row(["bits", "float", "ideal"]), "| ---: | ---: | ---: |"]
    for bits, suffix in BITS.items():
        model = measured.model(f"kws{suffix}")
        about = {} if model is None else model.provenance
        shares = [about.get(f"{stage}_validation_accuracy") for stage in ("float", "quantized")]
        lines.append(_row([str(bits), *map(_percent, shares)]))
    return [*lines, ""]


def claim(measured: Measured) -> list[str]:
    """Aware training without calibration against unaware training with it, on the same chips."""
    lines = ["### Aware training in place of calibration", ""]
    lines += [
        "Accuracy of the aware network as made, minus that of the unaware network calibrated, in points:",
        "mean ± its standard error over the chips.",
        "Chips and recordings are the same for both.",
        "",
    ]
    lines += [_row(["bits", *AWARE]), "| ---: " * (1 + len(AWARE)) + "|"]
    for bits, suffix in BITS.items():
        cells = [str(bits)]
        for technology, aware in AWARE.items():
            one = measured.on(f"{aware}{suffix}", technology, "nominal")
            other = measured.on(f"kws{suffix}", technology, "found")
            if one is None or other is None:
                cells.append(NOTHING)
                continue
            pairs = zip(one["values"], other["values"], strict=True)
            gains = np.array([100 * (a["accuracy"] - b["accuracy"]) for a, b in pairs if a["seed"] == b["seed"]])
            cells.append(f"{gains.mean():+.2f} ± {gains.std(ddof=1) / math.sqrt(len(gains)):.2f}")
        lines.append(_row(cells))
    return [*lines, ""]


def spread(measured: Measured) -> list[str]:
    """How bad the bad chips are, and what it is worth that programming knows its faults."""
    lines = ["### Good chips and bad ones", ""]
    lines += [
        "Accuracy in percent at 5 bits, on chips of `rram`.",
        "*Faults unknown*: the same chips, but programming does not know which cells are stuck,",
        "so that no other cell compensates for them (`cell.fault_aware = 0`, [devices.md](devices.md)).",
        "",
    ]
    head = ["model", "chips", "mean ± standard deviation", "median", "95 % of the chips have at least", "worst"]
    lines += [_row(head), "| --- | --- | ---: | ---: | ---: | ---: |"]
    for name in ("kws", "kws-aware"):
        for array, told in (("rram", ""), ("rram-unknown", "faults unknown, ")):
            for how in CALIBRATIONS:
                found = measured.on(name, array, how)
                shares = [chip["accuracy"] for chip in found["values"]] if found else []
                tail = (np.median(shares), np.quantile(shares, 0.05), min(shares)) if shares else (None,) * 3
                cells = [f"`{name}`", f"{told}{CALIBRATIONS[how]}", _spread(found)]
                lines.append(_row([*cells, *map(_percent, tail)]))
    return [*lines, ""]


def networks(measured: Measured) -> list[str]:
    """Other cells, and several layers, beside the LSTM: what they take, and how good they are."""
    lines = ["### Other cells, several layers", ""]
    lines += [
        "Accuracy in percent at 5 bits, 32 units a macro, on the ideal array: of the golden model, and of the Verilog.",
        "",
    ]
    head = ["model", "macros", "clocks per step", "of the array", "memristors", "float", "ideal", "Verilog", "recipe"]
    lines += [_row(head), "| --- | --- " + "| ---: " * (len(head) - 3) + "| --- |"]
    for name in ("kws", *NETWORKS):
        model, content = measured.model(name), measured.json(f"{name}.rtl")
        if model is None:
            if name != "kws":
                continue
            model = load_model(name)
        spec, about = model.spec, model.provenance
        macros = list(spec.macros.values())
        cells = ", ".join(f"{cell} × {count}" for cell, count in Counter(macro.cell for macro in macros).items())
        facts = [f"`{name}`", cells, str(spec.clocks_per_step), str(spec.analog_clocks_per_step)]
        facts.append(f"{sum(sum(macro.devices.values()) for macro in macros):,}")
        shares = [about["evaluation"].get(f"{kind}_accuracy") for kind in ("float", "golden")]
        shares.append(content["hardware"][0]["accuracy"] if content else None)
        lines.append(_row([*facts, *map(_percent, shares), f"`{about['recipe_hash']}`"]))
    return [*lines, ""]


def text(measured: Measured) -> list[str]:
    """Bits per character."""
    found = measured.on("text", "rram", "nominal")
    count = NOTHING if found is None else found["count"]
    lines = ["### Characters", ""]
    lines += [f"Bits per character of the test part, on {count} chips: mean ± standard deviation of the chips.", ""]
    head = ["model", "float", "ideal", *(f"`rram`, {how}" for how in CALIBRATIONS.values())]
    lines += [_row(head), "| --- " + "| ---: " * (len(head) - 1) + "|"]
    for name in TEXTS:
        evaluation = measured.evaluation(name)
        cells = [f"`{name}`", *(_bits(evaluation.get(f"{kind}_bits_per_character")) for kind in ("float", "golden"))]
        for how in CALIBRATIONS:
            found = measured.on(name, "rram", how)
            cells.append(NOTHING if found is None else f"{found['mean']:.3f} ± {found['deviation']:.3f}")
        lines.append(_row(cells))
    return [*lines, ""]


def hardware(measured: Measured) -> list[str]:
    """What the generated Verilog gave."""
    lines = ["### The generated Verilog", ""]
    lines += [
        _row(["model", "array", "result", "golden", "values compared", "different", "clocks per step", "simulator"])
    ]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for name in ("kws", "kws-aware", "text"):
        content = measured.json(f"{name}.rtl")
        metric, show = ("bits", _bits) if name == "text" else ("accuracy", lambda share: f"{_percent(share)} %")
        for told in content["hardware"] if content else []:
            array = "ideal" if told["array"] == "ideal" else _chip(told)
            cells = [f"`{name}`", array, show(told[metric]), show(told["golden"]), f"{told['compared']:,}"]
            lines.append(_row([*cells, str(told["mismatches"]), str(told["clocks_per_step"]), told["simulator"]]))
    for name in PICTURED:
        if (measured.work / f"{name}.rtl.png").is_file():
            told = f"What was said and what the generated Verilog of {name} answered"
            lines += ["", f"![{told}](images/results-{name}.png)"]
    return [*lines, ""]


def origins(measured: Measured) -> list[str]:
    """Hashes of all that the figures depend on."""
    lines = [
        "### Provenance",
        "",
        _row(["model", "content", "recipe", "data", "torch"]),
        "| --- | --- | --- | --- | --- |",
    ]
    names = [*(f"kws{suffix}" for suffix in BITS.values()), *TEXTS]
    names += [f"{aware}{suffix}" for aware in AWARE.values() for suffix in BITS.values()]
    for name in names:
        model = measured.model(name)
        if model is None:
            continue
        about = model.provenance
        stale = "" if about["recipe_hash"] == _recipe_hash(name, about) else " (another than in the tree)"
        cells = [f"`{name}`", f"`{model.content_hash}`", f"`{about['recipe_hash']}`{stale}"]
        lines.append(_row([*cells, f"`{about['data_sha256'][:16]}`", about["versions"]["torch"]]))
    hashes = ", ".join(f"`{name}` `{load(name).content_hash}`" for name in AWARE)
    return [*lines, "", f"Technologies: {hashes}."]


def _recipe_hash(name: str, about: dict) -> str:
    """Of the recipe in the tree, with the lanes that the model was made with."""
    recipe = load_recipe(name)
    hardware = dataclasses.replace(recipe.hardware, lanes=about["recipe"]["hardware"]["lanes"])
    return dataclasses.replace(recipe, hardware=hardware).content_hash


@own_settings
def draw_bits(measured: Measured, path: Path) -> None:
    """Accuracy by bits, a panel a technology."""
    figure = new_figure(10.5, 4.6)
    axes = figure.subplots(1, len(AWARE), sharey=True)
    for axis, (technology, aware) in zip(axes, AWARE.items(), strict=True):
        place = np.arange(len(BITS))
        floats = [measured.evaluation(f"kws{s}").get("float_accuracy", math.nan) for s in BITS.values()]
        axis.plot(place, [100 * value for value in floats], ":", color="black", label="float")
        ideal = [
            (measured.json(f"kws{s}.{technology}") or {}).get("ideal", {}).get("accuracy", math.nan)
            for s in BITS.values()
        ]
        axis.plot(place, [100 * value for value in ideal], "o-", color="tab:gray", label="ideal array")
        series = [
            ("kws", "nominal", "unaware", "tab:red", "s--"),
            ("kws", "found", "unaware, calibrated", "tab:orange", "s-"),
        ]
        series += [
            (aware, "nominal", "aware", "tab:blue", "D--"),
            (aware, "found", "aware, calibrated", "tab:cyan", "D-"),
        ]
        for turn, (model, how, label, color, style) in enumerate(series):
            found = [measured.on(f"{model}{s}", technology, how) for s in BITS.values()]
            mean = [100 * one["mean"] if one else math.nan for one in found]
            spread = [100 * one["deviation"] if one else math.nan for one in found]
            axis.errorbar(
                place + 0.06 * (turn - 1.5), mean, spread, fmt=style, color=color, capsize=3, ms=5, label=label
            )
        axis.set_xticks(place, [f"{bits} bits" for bits in BITS])
        axis.set_title(f"chips of {technology}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy, % (bars: standard deviation of the chips)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    figure.suptitle("Twelve words: what bits, chips, calibration and aware training do")
    save_figure(figure, path, dpi=130)


def _chip(told: dict) -> str:
    return f"`{told['array']}`, chip {told['seed']}, {CALIBRATIONS[told['calibration']]}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f}"


def _bits(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _ideal(measured: Measured, name: str, technology: str) -> str:
    """As measured beside the chips, or, before that, when it was trained: the same recordings."""
    content = measured.json(f"{name}.{technology}")
    share = content["ideal"]["accuracy"] if content else measured.evaluation(name).get("golden_accuracy")
    return _percent(share)


def _spread(found: dict | None) -> str:
    return NOTHING if found is None else f"{100 * found['mean']:.1f} ± {100 * found['deviation']:.1f}"
