# SPDX-License-Identifier: Apache-2.0
"""docs/hostlink.md: its examples are what the golden board says; its tables have every command, status and fault."""

import importlib.util
import re
from pathlib import Path

from crossramp.golden.link.link_protocol import Command, Decoder, Fault, Space, Status, StatusBlock

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "hostlink.md").read_text()


def examples():
    spec = importlib.util.spec_from_file_location("hostlink_examples", DOCS.parent / "tools" / "hostlink_examples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_examples_are_the_board_s():
    shown = TEXT.split("## Examples")[1].split("```\n")[1]
    assert shown == examples().text() + "\n"


def test_every_command_has_an_example():
    module = examples()
    shown = {command for _, command, _ in module.requests()}
    assert {Command.ECHO, Command.STATUS, Command.RESET, Command.STEP} < shown
    for kind in (Command.READ, Command.WRITE):
        assert {kind + space for space in Space} & shown
    for space in Space:
        if module.BUILD.words(space):
            assert {Command.READ + space, Command.WRITE + space} & shown


def test_the_conversation_ends_as_the_network_does():
    """The examples mean something: their utterance's answer is that of the golden network."""
    import numpy as np

    module = examples()
    trace = module.network().run(np.array([[[1, -2, 7], [0, 3, -7]]]))
    lines = module.text().split("\n\n")
    (status,) = [block for block in lines if block.startswith("# STATUS")]
    (frame,) = Decoder().feed(bytes.fromhex(status.split("<")[1].replace("\n", "")))
    block = StatusBlock.unpack(frame.payload[1:])
    assert (block.answer, block.accepted, block.answered) == (trace.answers[0], 2, True)


def test_tables_have_every_name_and_number():
    for name, number in (
        *((command.name, f"{command:02x}") for command in Command),
        *((space.name, f"{space:d}") for space in Space),
        *((status.name, f"{status:d}") for status in Status),
    ):
        assert re.search(rf"^\| {name} \| {number}\b", TEXT, re.MULTILINE), name
    for fault in Fault:
        assert f"| {fault.name} | {fault.bit_length() - 1} |" in TEXT
