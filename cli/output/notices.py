# SPDX-License-Identifier: Apache-2.0
"""What commands say of data that was not taken as it is: a line each on stderr, counts in tables and JSON."""

from collections import Counter

from crossramp.golden.inputs.recordings import Findings

from . import messages

#: Lines of a kind that stderr shows; JSON has them all.
SHOWN = 20

_COUNTED = {
    "left_out": "recordings or folders that cannot be used, named above",
    "cut": "recordings longer than the model's clip, without their end",
    "unfinished": "recordings without a length in their header, read to the end of the file",
    "saturated": "values beyond ±1.0",
}


def findings() -> Findings:
    """Findings that are said on stderr as they come, the first :data:`SHOWN` of each kind."""
    said: Counter[str] = Counter()

    def tell(kind: str, text: str) -> None:
        said[kind] += 1
        if said[kind] > SHOWN + 1:
            return
        messages.notice(f"{kind}: {text}" if said[kind] <= SHOWN else f"{kind}: and more; --json names all")

    return Findings(tell)


def facts(content: dict) -> list[tuple[str, str]]:
    """What :meth:`~crossramp.golden.inputs.recordings.Findings.to_dict` counted, as lines of a summary."""
    return [(key.replace("_", " "), f"{content[key]:,} ({text})") for key, text in _COUNTED.items() if content.get(key)]
