# SPDX-License-Identifier: Apache-2.0
"""Texts: read whatever their line ends are, cut in contiguous parts, and refused in one line that says what to do."""

import hashlib
import re

import numpy as np
import pytest
from crossramp.train.data.text_data import load_text
from crossramp.train.recipes.settings import Text

SETTINGS = Text(validation=0.2, test=0.1)


def written(corpus) -> str:
    return "".join(corpus.vocabulary[place] for place in corpus.places)


def test_a_text_comes_back(tmp_path):
    text = "Zwölf Boxkämpfer\njagen 漢字 🂡.\n" * 40
    (tmp_path / "t.txt").write_bytes(text.encode())
    corpus = load_text(tmp_path / "t.txt", SETTINGS)
    assert written(corpus) == text
    assert corpus.vocabulary == "".join(sorted(set(text)))
    assert corpus.places.dtype == np.int64
    assert corpus.digest == hashlib.sha256(text.encode()).hexdigest()
    length = len(text)
    assert corpus.starts == (length - round(0.2 * length) - round(0.1 * length), length - round(0.1 * length))
    assert [corpus.part(name) for name in ("training", "validation", "test")] == [
        (0, corpus.starts[0]),
        corpus.starts,
        (corpus.starts[1], length),
    ]
    assert len(corpus.training) == corpus.starts[0]


def test_a_folder_is_its_texts_in_order(tmp_path):
    lines = {
        "b.txt": "second\n" * 200,
        "a.txt": "\ufefffirst\r\nand\rmore",
        "c.text": "no",
        "d.txt": "",
        "e.txt": "end",
    }
    for name, text in lines.items():
        (tmp_path / name).write_bytes(text.encode())
    assert written(load_text(tmp_path, SETTINGS)) == "first\nand\nmore\n" + "second\n" * 200 + "end"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text; any UTF-8 text will do"),
        (b" \n\n ", "holds no text"),
        (b"a" * 2000, "is 'a' and nothing else"),
        (b"ab" * 100, "has 200 characters, which leave 40 for validation, at least 64 are needed; give more text"),
        (b"ab\xe9" * 100, "is not UTF-8: byte 0xe9 at offset 2 ("),
        (b"\xef\xbb\xbfab\xff", "is not UTF-8: byte 0xff at offset 5 ("),
        (
            "".join(map(chr, range(0x4E00, 0x4E00 + 300))).encode() * 20 + "é".encode(),
            "has 301 different characters, text.vocabulary allows 256; replace rare ones, such as é (U+00E9, 1 times)",
        ),
    ],
    ids=["empty", "blank", "one", "short", "latin", "marked", "many"],
)
def test_wrong_texts_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "t.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        load_text(path, SETTINGS)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_what_is_not_there_is_told_where_to_get(tmp_path):
    for path, message in ((tmp_path / "t.txt", "no such file; "), (tmp_path, r"holds no \*.txt; ")):
        with pytest.raises(ValueError, match=message + ".* from https://www.gutenberg.org"):
            load_text(path, SETTINGS)
