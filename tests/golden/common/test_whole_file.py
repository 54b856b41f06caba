# SPDX-License-Identifier: Apache-2.0
"""A file is there whole, or as it was before."""

import os

import pytest
from crossramp.golden.common.content_hash import content_hash, json_hash
from crossramp.golden.common.whole_file import UNFINISHED, whole_file
from crossramp.golden.common.wording import suggestion


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_at_the_end_of_the_block(tmp_path, durable):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path, durable) as draft:
        assert draft.parent == tmp_path
        assert draft.name.endswith(UNFINISHED)
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nothing_changes_where_the_block_raises(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with whole_file(path) as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_names_the_file_and_not_its_draft(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("")
    for path in (tmp_path / "missing" / "x", tmp_path / "a"):
        with pytest.raises(OSError, match=str(path)) as told, whole_file(path) as draft:
            draft.write_text("x")
        assert told.value.filename == str(path)
    assert sorted(os.listdir(tmp_path)) == ["a"]


def test_hashes_do_not_depend_on_the_order_of_keys():
    """The empty text's SHA-256 begins as everybody's does."""
    assert content_hash("") == content_hash(b"") == "e3b0c44298fc1c14"
    assert content_hash("µ") == content_hash("µ".encode())
    assert len(content_hash("", 64)) == 64
    assert (
        json_hash({"a": 1, "b": [2.5, None]}) == json_hash({"b": [2.5, None], "a": 1}) != json_hash({"a": 1, "b": []})
    )


def test_the_nearest_names_or_all_are_suggested():
    known = ["drift", "wires", "read_noise"]
    assert suggestion("drfit", known) == "did you mean drift?"
    assert suggestion("xyz", known) == "known: drift, wires, read_noise"
    assert suggestion("wire", ["wires", "wired", "x"]) == "did you mean wires or wired?"
    assert suggestion("qqq", map(str, range(100)), most=3) == "known: 0, 1, 2"
