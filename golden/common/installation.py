# SPDX-License-Identifier: Apache-2.0
"""How to install crossramp's extras: the command that works for the installation that is running.

No index has the package, so a message that named it would send users to nothing. A clone is installed from its folder,
a wheel from its file; of an installation that remembers neither, the extra's own requirements are named.
"""

import json
import re
import shlex
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import InvalidValue

_NAME = "crossramp"
_ROOT = Path(__file__).resolve().parents[2]


@cache
def how_to_install(*extras: str) -> str:
    """The command that installs crossramp with ``extras``, for a shell.

    Parameters
    ----------
    extras : str
        Names of extras in pyproject.toml; none: the package and what it always needs.

    Returns
    -------
    str
        ``pip install -e '/path/of/the/clone[sim]'``, ``pip install '/path/of/the/wheel.whl[sim]'``, or ``pip install``
        and the requirements of the extras.

    Raises
    ------
    InvalidValue
        For an extra that the package does not have.
    """
    wanted = f"[{','.join(extras)}]" if extras else ""
    if is_clone(_ROOT):
        return f"pip install -e {_quoted(str(_ROOT) + wanted)}"
    wheel = _wheel()
    if wheel is not None:
        return f"pip install {_quoted(str(wheel) + wanted)}"
    try:
        return " ".join(["pip install", *map(_quoted, _requirements(extras))])
    except PackageNotFoundError:  # a copy of the package alone
        return f"pip install -e {_quoted('.' + wanted)} in a clone of {_NAME}"


def is_clone(folder: Path) -> bool:
    """Whether ``folder`` is the top of crossramp's sources."""
    try:
        return re.search(rf'^name = "{_NAME}"$', (folder / "pyproject.toml").read_text(), re.MULTILINE) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _quoted(word: str) -> str:
    # Brackets are patterns to some shells: always quoted, as people write it.
    return shlex.quote(word) if shlex.quote(word) != word else f"'{word}'"


def _wheel() -> Path | None:
    """The file that this installation came from, where it still exists (PEP 610)."""
    try:
        url = urlsplit(json.loads(distribution(_NAME).read_text("direct_url.json") or "{}").get("url", ""))
    except (PackageNotFoundError, ValueError):
        return None
    file = Path(unquote(url.path))
    return file if url.scheme == "file" and file.suffix == ".whl" and file.is_file() else None


def _requirements(extras: tuple[str, ...]) -> list[str]:
    """Requirements of the extras, or of the package itself, without their markers; sorted as the metadata has them."""
    stated = distribution(_NAME)
    known = stated.metadata.get_all("Provides-Extra") or []
    for extra in extras:
        if extra not in known:
            raise InvalidValue(f"{_NAME} has no extra {extra!r}; it has {', '.join(known)}")
    found = []
    for requirement in stated.requires or []:
        what, _, marker = requirement.partition(";")
        extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", marker)
        if (extra is None and not extras) or (extra is not None and extra[1] in extras):
            found.append(what.strip())
    return list(dict.fromkeys(found))
