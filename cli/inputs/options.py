# SPDX-License-Identifier: Apache-2.0
"""The options that several commands take, each with one wording of its help.

A command adds those it needs to its parser; the modules beside this one read what was given.
Nothing here imports numpy, so that the help of a command costs little.
"""

import argparse

#: What ``--simulator`` takes where a network is simulated, and where a board is.
SIMULATORS = ("auto", "verilator", "icarus", "amaranth")
BOARD_SIMULATORS = ("auto", "verilator", "amaranth")

DEVICE_SEED = 1

_MODEL = "a model file, or the name of a shipped model (kws, kws-aware, text)"
_SUBJECT = "a model file, a specification, or the name of a shipped one (kws, array8x8)"


# ---- what is run -----------------------------------------------------------------------------------------------------


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL, for :func:`~crossramp.golden.network.model_file.load_model`."""
    parser.add_argument("model", metavar="MODEL", help=_MODEL)


def add_model_option(parser, about: str) -> None:
    """``--model MODEL`` of commands that also run without a model; ``about`` says what it is for."""
    parser.add_argument("--model", metavar="MODEL", help=f"{about}: {_MODEL}")


def add_subject(parser: argparse.ArgumentParser, **more) -> None:
    """MODEL or SPEC.toml, of commands that need no weights."""
    parser.add_argument("model", metavar="MODEL|SPEC.toml", help=_SUBJECT, **more)


def add_utterances(parser: argparse.ArgumentParser, seed: str = "seed of --random (default 1)") -> None:
    """AUDIO or what stands in its place, for :func:`.network_inputs.from_arguments`; comes last of all positionals."""
    add = parser.add_argument_group("utterances", "one of AUDIO, --features and --random").add_argument
    add("audio", metavar="AUDIO", nargs="*", help="recordings (.wav), or folders of them; demo: those of this package")
    add(
        "--features",
        metavar="X.npy",
        help="an array (utterances, steps, inputs): of floats, real features with full scale ±1.0, beyond which they "
        "saturate; of integers, pulse codes. Or X.npz with pulse codes and labels",
    )
    add("--random", type=int, metavar="N", help="N utterances of random pulse codes")
    add("--seed", type=int, metavar="S", help=seed)
    add("--steps", type=int, metavar="T", help="steps of each random utterance")


def add_macro(parser, default: str = "the first one") -> None:
    """``--macro NAME``, for :func:`.subjects.chosen_macro`; ``default`` says what is taken without it."""
    about = f"of a network of several layers: this macro, such as layer0; info lists them (default: {default})"
    parser.add_argument("--macro", metavar="NAME", help=about)


# ---- hardware and simulator ------------------------------------------------------------------------------------------


#: Options of :func:`add_implementation`, as attributes: parameters of a specification.
IMPLEMENTATION = ("lanes", "tile_rows", "tile_columns")


def add_lanes(parser) -> None:
    """``--lanes N``; None: the model's."""
    parser.add_argument("--lanes", type=int, metavar="N", help="units updated in one clock (default: the model's)")


def add_implementation(parser) -> None:
    """``--lanes``, ``--tile-rows`` and ``--tile-columns``, for :func:`.subjects.implemented`; None: the model's."""
    add_lanes(parser)
    add_tiles(parser)


def add_tiles(parser) -> None:
    """``--tile-rows`` and ``--tile-columns``, for :func:`.subjects.implemented`; None: the model's."""
    for name in ("rows", "columns"):
        told = f"most {name} of one array; 0: no limit (default: the model's)"
        parser.add_argument(f"--tile-{name}", type=int, metavar="N", help=told)


def add_simulator(parser, choices: tuple[str, ...] = SIMULATORS, default: str | None = "auto", of: str = "") -> None:
    """``--simulator NAME``, for :func:`crossramp.cli.verification.choose` or a virtual board.

    Parameters
    ----------
    default : str or None
        None where the command needs to know whether the option was given.
    of : str
        What the option belongs to, such as ``--rtl``.
    """
    slow = "Amaranth, which needs nothing and is slow"
    parser.add_argument(
        "--simulator",
        choices=choices,
        default=default,
        help=f"{of and f'with {of}: '}auto (default): Verilator if it is installed, otherwise {slow}",
    )


def add_board(
    parser: argparse.ArgumentParser, default: str | None = None, required: bool = False, of: str = ""
) -> None:
    """``--board NAME|FILE.py``, for :func:`crossramp.boards.definitions.board.find_board`."""
    known = "one of crossramp build --list, or a file that describes one"
    parser.add_argument(
        "--board",
        metavar="NAME|FILE.py",
        default=None if of else default,
        required=required,
        help=f"{of and f'with {of}: '}{known}{f' (default {default})' if default else ''}",
    )


def add_baud(parser: argparse.ArgumentParser) -> None:
    """``--baud N``; None: the board's."""
    parser.add_argument("--baud", type=int, metavar="N", help="bits per second of the UART (default: the board's)")


def add_tools(parser: argparse.ArgumentParser) -> None:
    """``--tools``: which programs synthesize, place and route."""
    about = "yowasp (default): the programs from pip; native: those on the PATH"
    parser.add_argument("--tools", choices=("yowasp", "native"), default="yowasp", help=about)


# ---- the array -------------------------------------------------------------------------------------------------------


def add_technology(parser: argparse.ArgumentParser, about: str = ""):
    """The options that :func:`.chip_options.technology_of` reads; the group, for more of them.

    ``about`` says what the technology is for; by default it is the array behind the periphery.
    """
    from crossramp.golden.analog.technologies.technology import shipped

    group = parser.add_argument_group("array", about or "array behind the periphery; without --technology an ideal one")
    names = ", ".join(shipped())
    group.add_argument("--technology", "--tech", metavar="NAME", help=f"a shipped technology ({names}), or a TOML file")
    add_changes(group)
    group.add_argument(
        "--no",
        action="append",
        metavar="EFFECT",
        help="switch effects off: names with commas, or all (may be repeated)",
    )
    return group


def add_changes(parser) -> None:
    """``--set CONSTANT=VALUE``, for :func:`.chip_options.changed`."""
    about = "change a constant, in its SI unit (may be repeated)"
    parser.add_argument("--set", action="append", metavar="CONSTANT=VALUE", help=about)


def add_chip(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Chips of a technology: the options that :func:`.chip_options.from_arguments` reads.

    ``several``: the command samples more than one chip, and measures each under both calibrations by default.
    """
    group = add_technology(parser)
    about = "seed of the first chip" if several else "seed of the chip"
    group.add_argument("--chip-seed", type=int, metavar="S", help=f"{about} (default {DEVICE_SEED})")
    add_calibration(group, both=several)
    add_conductances(group)


def add_calibration(parser, both: bool = False) -> None:
    """``--calibration``, for :func:`.chip_options.calibration_of`.

    ``both``: the command also takes ``both``, which is its default then, and shows a row for each.
    """
    parser.add_argument(
        "--calibration",
        metavar="CELLS",
        help="bias cells of the ramps: nominal, found (by one-point calibration, as the gateware does it), or a "
        "hexadecimal number, the first ramp's cells lowest; "
        + ("both (default): nominal, then found" if both else "default: nominal"),
    )


def add_conductances(parser) -> None:
    """The options that :func:`.cell_files.files_of` reads."""
    add = parser.add_argument
    about = "measured cells: .npz or .csv, or AIHWKit's CSV (may be repeated)"
    add("--conductances", action="append", metavar="FILE", help=about)
    about = "full-scale weight in AIHWKit's CSV (default its own)"
    add("--conductances-g-max", type=float, metavar="µS", help=about)


# ---- what comes out --------------------------------------------------------------------------------------------------


def add_json(parser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print all results as JSON on stdout")


def add_output(parser: argparse.ArgumentParser, about: str = "the folder to write", **more) -> None:
    """``-o DIR``, for :func:`~crossramp.cli.output.output_folder.written_folder`."""
    parser.add_argument("-o", "--output", metavar="DIR", help=about, **more)


def add_force(parser: argparse.ArgumentParser) -> None:
    """``--force``, for the same."""
    about = "write into a folder that holds files which were not generated"
    parser.add_argument("--force", action="store_true", help=about)


def add_picture(parser, about: str, option: str = "--plot") -> None:
    """``--plot FILE`` or another option that names a picture, for :func:`~crossramp.cli.plots.figures.check_format`."""
    parser.add_argument(option, metavar="FILE", help=f"draw {about} (.png, .svg, .pdf)")


def add_messages(parser: argparse.ArgumentParser) -> None:
    """``-v`` and ``-q``, for :func:`~crossramp.cli.output.messages.choose_level`; every command has them."""
    add = parser.add_mutually_exclusive_group().add_argument
    about = "also say on stderr what is built, where it is kept, and which simulator runs"
    add("-v", "--verbose", action="store_true", help=about)
    add("-q", "--quiet", action="store_true", help="show no progress and no notices; warnings and errors remain")
