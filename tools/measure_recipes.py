# SPDX-License-Identifier: Apache-2.0
"""Trains every model from its recipe, measures it, and writes docs/results.md: all figures there come from one run.

    python tools/measure_recipes.py SPEECH RECORDINGS TEXT --work build/results

SPEECH: what is trained on, in the layout of Google Speech Commands v0.02 (recordings, or spectrograms with index.csv);
RECORDINGS: what accuracy is measured on, a folder a class (its official test set, or a part of it); TEXT: any UTF-8
text. Hours on two cores. Interrupted, the same command goes on: trainings from their last epoch, and what is done and
still made of the same things is not done again. --ship puts the shipped models into golden/models.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import result_pages
from crossramp.golden.analog.technologies.technology import FOLDER as TECHNOLOGIES
from crossramp.train.recipes.recipe import FOLDER, load_recipe

ROOT = Path(__file__).parents[1]
SHIPPED = ("kws", "kws-aware", "text")
BITS = ("-3", "-4", "", "-8")
#: Recipes and the technologies that their models are measured on, in the order of the work: what others share first.
MODELS = {
    "kws": ("rram", "charge"),
    "kws-aware": ("rram",),
    "text": ("rram",),
    "text-aware": ("rram",),
    "text-projection": ("rram",),
    "kws-charge": ("charge",),
    **{f"kws{bits}": ("rram", "charge") for bits in BITS if bits},
    **{f"kws-aware{bits}": ("rram",) for bits in BITS if bits},
    **{f"kws-charge{bits}": ("charge",) for bits in BITS if bits},
    **dict.fromkeys(result_pages.NETWORKS, ()),
}
#: Chips a figure, by technology. Bad chips of rram are rare, so that the resolution that is shipped has many; 8 bits
#: take four times as long, and a text takes as long on one chip as speech on ten.
CHIPS = {"rram": 40, "charge": 20}
CHIPS_OF_5_BITS = {"rram": 100, "charge": 20}
CHIPS_OF_8_BITS, CHIPS_OF_TEXTS = 20, 5
FIRST_SEED = 1
#: Of texts that go through the Verilog.
CHARACTERS = 3000
#: Of networks that spot words, so that their steps are short; lanes change no answer.
LANES = 16


@dataclass(frozen=True)
class Job:
    """A command that makes a file.

    Attributes
    ----------
    name : str
    command : tuple of str
        Arguments of crossramp.
    output : Path
        What it makes: a model file, or what it prints.
    inputs : tuple of Path
        Files that it depends on; a job waits until they are made.
    after : tuple of Path
        Files that it waits for, but does not depend on.
    """

    name: str
    command: tuple[str, ...]
    output: Path
    inputs: tuple[Path, ...] = ()
    after: tuple[Path, ...] = ()

    @property
    def stamp(self) -> str:
        """Changes with the command and with the content of every input."""
        digest = hashlib.sha256(json.dumps(self.command).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def done(self) -> bool:
        """Whether the output exists and was made from the present inputs."""
        stamp = self.output.with_name(self.output.name + ".stamp")
        return self.output.is_file() and stamp.is_file() and stamp.read_text() == self.stamp

    def finish(self, stamp: str) -> None:
        """Keeps ``stamp``, of when it was begun: what changes meanwhile is not what the output is made of."""
        self.output.with_name(self.output.name + ".stamp").write_text(stamp)


def jobs(args: argparse.Namespace) -> list[Job]:
    """All of them, each after what it needs."""
    work, found = args.work, []
    shelf = ("--shelf", str(work / "shelf"))
    for name, technologies in MODELS.items():
        task = name.partition("-")[0]
        model, recipe = work / f"{name}.npz", FOLDER / f"{name}.toml"
        data, measured = (args.text, args.text) if task == "text" else (args.speech, args.recordings)
        more = () if task == "text" else ("--lanes", str(LANES), "--eval", str(args.recordings))
        first = () if name == task else (work / f"{task}.npz",)  # its float network is on the shelf then
        command = ("train", task, str(data), "-o", str(model), "--recipe", name, *shelf, *more)
        devices = load_recipe(name).devices
        trained_on = () if devices is None else (technology_file(devices.technology),)
        found.append(Job(f"train {name}", command, model, (recipe, *trained_on), first))
        evaluate = ("evaluate", str(model), str(measured), "--json", "--jobs", "1")
        for technology in technologies:
            output = work / f"{name}.{technology}.json"
            chips = chips_of(name, technology)
            inputs = (model, technology_file(technology))
            found.append(Job(f"measure {name} on {technology}", (*evaluate, *chips), output, inputs))
        if name in ("kws", "kws-aware"):
            output = work / f"{name}.rram-unknown.json"
            chips = (*chips_of(name, "rram"), "--set", "cell.fault_aware=0")
            inputs = (model, technology_file("rram"))
            found.append(Job(f"measure {name} on rram with faults unknown", (*evaluate, *chips), output, inputs))
        if name in result_pages.NETWORKS:
            output = work / f"{name}.rtl.json"
            found.append(Job(f"RTL of {name}", (*evaluate, "--rtl"), output, (model,)))
        if name in SHIPPED:
            output, picture = work / f"{name}.rtl.json", work / f"{name}.rtl.png"
            how = "nominal" if name == "kws-aware" else "both"  # aware networks are meant to do without
            chip = ("--rtl", "--technology", "rram", "--chips", "1", "--calibration", how)
            drawn = ("--characters", str(CHARACTERS)) if task == "text" else ("--confusion", str(picture))
            inputs = (model, technology_file("rram"))
            found.append(Job(f"RTL of {name}", (*evaluate, *chip, *drawn), output, inputs))
    return [job for job in found if not args.only or any(part in job.name for part in args.only)]


def chips_of(name: str, technology: str) -> tuple[str, ...]:
    """Arguments of crossramp evaluate: which chips a model is measured on."""
    if name.startswith("text"):
        count = CHIPS_OF_TEXTS
    elif name.endswith("-8"):
        count = CHIPS_OF_8_BITS
    else:
        count = (CHIPS if name.endswith(BITS[:2]) else CHIPS_OF_5_BITS)[technology]
    return ("--technology", technology, "--chips", str(count), "--first-seed", str(FIRST_SEED))


def technology_file(name: str) -> Path:
    return TECHNOLOGIES / f"{name}.toml"


def run(todo: list[Job], processes: int, say: Callable[[str], None], logs: Path) -> int:
    """Runs what is not done, several at a time, and returns how many failed; an interruption ends them all."""
    waiting, running, failed = list(todo), {}, 0
    try:
        while waiting or running:
            for job in list(waiting):
                if len(running) >= processes:
                    break
                unmade = {other.output for other in (*waiting, *running)}
                if unmade.intersection((*job.inputs, *job.after)):
                    continue
                waiting.remove(job)
                if not all(path.is_file() for path in job.inputs):
                    say(f"{job.name}: left out, {next(path for path in job.inputs if not path.is_file())} is missing")
                    failed += 1
                elif job.done:
                    say(f"{job.name}: done before")
                else:
                    running[job] = job.stamp, start(job, logs)
                    say(f"{job.name}: begun")
            for job, (stamp, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[job]
                if process.returncode:
                    failed += 1
                    say(f"{job.name}: failed with status {process.returncode}; see {logs / slug(job)}")
                else:
                    job.finish(stamp)
                    say(f"{job.name}: done")
            time.sleep(0.2)
    except KeyboardInterrupt:
        for _, process in running.values():
            process.terminate()
        raise
    return failed


def slug(job: Job) -> str:
    return job.name.replace(" ", "-").replace(",", "") + ".log"


def start(job: Job, logs: Path) -> subprocess.Popen:
    """What the command prints goes into its log; if the output is not a model file, into the output."""
    into = None if job.output.suffix == ".npz" else job.output
    command = [sys.executable, "-m", "crossramp", *job.command]
    with open(logs / slug(job), "a") as log:
        if into is None:
            return subprocess.Popen(command, stdout=log, stderr=log)
        with open(into, "w") as out:
            return subprocess.Popen(command, stdout=out, stderr=log)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", metavar="SPEECH", type=Path, help="Speech Commands: recordings or spectrograms")
    parser.add_argument("recordings", metavar="RECORDINGS", type=Path, help="recordings to measure on, CLASS/*.wav")
    parser.add_argument("text", metavar="TEXT", type=Path, help="a UTF-8 text")
    parser.add_argument(
        "--work", type=Path, default=Path("build/results"), metavar="DIR", help="models and measurements"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only work whose name contains it")
    parser.add_argument("--write", action="store_true", help="measure nothing; write the pages from existing results")
    parser.add_argument("--ship", action="store_true", help="put the shipped models into golden/models, too")
    args = parser.parse_args(arguments)
    logs = args.work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    todo = jobs(args)
    failed = 0 if args.write else run(todo, args.jobs, lambda text: print(text, flush=True), logs)
    if failed:
        return 1
    if args.ship:
        for name in SHIPPED:
            shutil.copyfile(args.work / f"{name}.npz", ROOT / "golden" / "models" / f"{name}.npz")
    done = {job.output.name for job in todo if job.done}
    result_pages.write_networks(args.work, ROOT / "docs", done)
    if not args.only:
        result_pages.write(args.work, ROOT / "docs", done)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
