# SPDX-License-Identifier: Apache-2.0
"""The pages: links, paths, commands, names in code and figures are those of the tree."""

import argparse
import ast
import importlib
import importlib.util
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from crossramp.cli.main import COMMANDS, parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

#: Folders of the tree, as paths in the text begin.
FOLDERS = (
    "golden",
    "convert",
    "rtl",
    "sim",
    "boards",
    "train",
    "cli",
    "tests",
    "tools",
    "bench",
    "docs",
    ".ci",
    ".github",
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in found if language in languages]


# ---- links and paths ------------------------------------------------------------------------------------------------


def headings(text: str) -> set[str]:
    """The anchors that GitHub and Sphinx give the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(name: str, text: str) -> list[str]:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / name).parent / path if path else ROOT / name
        if not place.exists() or (anchor and anchor not in headings(place.read_text(encoding="utf-8"))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    assert broken_links(name, read(name)) == []


def test_a_broken_link_is_seen():
    text = "[a](docs/ramp.md) [b](docs/ramps.md) [c](docs/ramp.md#no-such-heading) [d](docs/index.md#glossary)"
    assert broken_links("README.md", text) == ["docs/ramps.md", "docs/ramp.md#no-such-heading"]


def missing_paths(text: str) -> list[str]:
    """Paths of the tree that a text names and that do not exist; ``*`` and upper-case words stand for anything."""
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, FOLDERS))})/[^\s`]*)`", text)
    patterns = {path: re.sub(r"\b[A-Z]+\b", "*", path.partition("::")[0]).rstrip("/") for path in named}
    return [path for path, pattern in patterns.items() if not any(ROOT.glob(pattern))]


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md"])
def test_paths_exist(name):
    assert missing_paths(prose(read(name))) == []


def test_a_path_that_is_gone_is_seen():
    assert missing_paths("`rtl/macro/update.py`, `rtl/update.py`, `cli/commands/NAME.py` and `golden/`") == [
        "rtl/update.py"
    ]


def test_every_page_is_in_the_index():
    index = read("docs/index.md")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name


# ---- commands -------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[str]:
    """Every ``crossramp`` command line of a page, in blocks of shell and within the text."""
    lines = [line for block in blocks(text, "sh", "") for line in block.splitlines()]
    lines = [part.strip() for line in lines for part in line.split("#")[0].split("&&")]
    lines += re.findall(r"`([^`\n]+)`", prose(text))
    return [line for line in lines if re.match(r"crossramp [a-z-]", line)]


def subcommands(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Those of a parser; ``crossramp train`` has some of its own."""
    return dict(pair for action in whole._actions if action.nargs == argparse.PARSER for pair in action.choices.items())


def options_of(whole: argparse.ArgumentParser) -> set[str]:
    return set(whole._option_string_actions).union(*map(options_of, subcommands(whole).values()))


def wrong_commands(text: str) -> list[str]:
    options = {name: options_of(sub) for name, sub in subcommands(parser()).items()}
    wrong = []
    for line in commands(text):
        command = line.split()[1]
        named = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", line))
        if command in COMMANDS:
            wrong += [line] if named - options[command] else []
        elif not command.startswith("-"):
            wrong.append(line)
    return wrong


def test_commands_and_their_options_exist():
    assert sum(len(commands(read(name))) for name in NAMES) > 50
    assert [(name, line) for name in NAMES for line in wrong_commands(read(name))] == []


def test_a_command_that_is_none_is_seen():
    text = "`crossramp simulate kws --random 3` `crossramp simulate kws --randon 3` `crossramp emulate kws`"
    assert wrong_commands(text) == ["crossramp simulate kws --randon 3", "crossramp emulate kws"]


def test_the_page_of_commands_has_every_command():
    text = read("docs/commands.md")
    for name in COMMANDS:
        assert re.search(rf"^\| `crossramp {name}[ `]", text, re.MULTILINE), name


# ---- names in code --------------------------------------------------------------------------------------------------


def resolves(name: str) -> bool:
    """Whether ``crossramp.…`` is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            found = getattr(found, attribute, None)
        return found is not None
    return False


def unknown_names(text: str) -> list[str]:
    names = re.findall(r"`(crossramp\.[\w.]*\w)`", text)
    names += [
        f"crossramp.{name}" for name in re.findall(r"`((?:golden|convert|rtl|sim|boards|train|cli)\.\w[\w.]*\w)`", text)
    ]
    for block in blocks(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("crossramp"):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
    # A configuration file's key may look like a name; a file's name does.
    return [name for name in names if not name.endswith((".py", ".md", ".toml", ".sv", ".npz")) and not resolves(name)]


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md"])
def test_names_in_code_exist(name):
    assert unknown_names(read(name)) == []


def test_a_name_that_is_gone_is_seen():
    text = "`golden.inputs.features.pulse_codes` `golden.inputs.features.pulses`\n"
    text += "```python\nfrom crossramp.sim import A\n```\n"
    assert unknown_names(text) == ["crossramp.golden.inputs.features.pulses", "crossramp.sim.A"]


# ---- figures, form and pictures -------------------------------------------------------------------------------------


def headlines() -> list[str]:
    """The figures of the README's table, from the pages that the measuring scripts wrote."""
    results = read("docs/results.md")
    aware = re.search(
        r"^\| `kws-aware` \| as made \| ([\d.]+ ± [\d.]+) \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|$", results, re.M
    )
    gateware = re.search(r"^\| `kws` \| ideal \| ([\d.]+ %) \| \1 \| ([\d,]+) \| 0 \| (\d+) \|", results, re.MULTILINE)
    float_network = re.search(r"^\| 5 \| ([\d.]+) \|", results, re.MULTILINE)
    interval = re.search(r"95 % interval [\d.]+ to [\d.]+ %", read("docs/evaluate.md"))
    return [
        f"**{gateware[1]}**",
        f"of {gateware[2]} values none differs",
        f"**{gateware[3]}**, where the analog phases alone take",
        f"float network {float_network[1]} %",
        interval[0],
        f"**{aware[1]} %**",
        f"the worst chip {aware[2]} %",
    ]


def test_the_headline_figures_are_the_measured_ones():
    readme = read("README.md")
    assert [figure for figure in headlines() if figure not in readme] == []


def test_a_figure_that_was_not_measured_is_seen():
    for number in ("92.7", "16,437,113", "118", "93.4", "91.1", "91.8", "89.8"):
        readme = read("README.md").replace(number, number[:-1] + "0")
        assert [figure for figure in headlines() if figure not in readme], number


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short(name):
    """Tables apart, whose rows cannot be broken."""
    lines = prose(read(name)).splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "!["))] == []


def test_every_decision_has_a_topic_a_title_and_a_date():
    text = read("docs/decisions.md")
    topics = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert len(topics) == 10
    for topic in topics:
        assert f"- [{topic}](#" in text
    parts = re.split(r"^### .+\n", text, flags=re.MULTILINE)[1:]
    assert len(parts) > 60
    assert [part[:60] for part in parts if not re.match(r"\n20\d\d-\d\d-\d\d ·\s", part)] == []
    # Merging joins both sides' paragraphs here, so one that was edited on both sides would stand twice.
    long = Counter(line for line in text.splitlines() if len(line) > 40)
    assert [line for line, count in long.items() if count > 1] == []


@pytest.fixture(scope="module")
def drawing():
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "tools" / "draw_architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_the_imports(drawing):
    told = "type: python tools/draw_architecture.py"
    assert drawing.content(drawing.shown()) == drawing.RECORD.read_text(encoding="utf-8"), told
    assert drawing.PICTURE.exists()


def test_an_import_against_the_arrows_is_seen(drawing, tmp_path):
    for package in drawing.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.wav", "__pycache__"))
    assert drawing.shown(tmp_path) == drawing.shown()
    with (tmp_path / "golden" / "spec" / "gates.py").open("a") as file:
        file.write("\nfrom ..inputs import features\n")
    changed = drawing.shown(tmp_path)
    assert "golden.inputs" in changed["golden.spec"]["arrows"]
    assert changed != drawing.shown()


def test_the_picture_s_rooms_are_those_of_the_import_test(drawing):
    """Two readers of the same imports, written apart: neither misses a room."""
    from tests.test_imports import ROOMS

    expected = {f"{package}.{room or 'main'}" for package, rooms in ROOMS.items() for room in rooms}
    assert set(drawing.shown()) - set(drawing.PACKAGES) == expected
