# SPDX-License-Identifier: Apache-2.0
"""Hashes by which equal content is known again: the first digits of a SHA-256."""

import hashlib
import json
from typing import Any

#: Hexadecimal digits where nothing else is said.
DIGITS = 16


def content_hash(content: str | bytes, digits: int = DIGITS) -> str:
    """Of bytes, or of a text in UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:digits]


def json_hash(content: Any, digits: int = DIGITS) -> str:
    """Hash of JSON types; the order of keys does not change it."""
    return content_hash(json.dumps(content, sort_keys=True), digits)
