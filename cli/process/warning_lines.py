# SPDX-License-Identifier: Apache-2.0
"""The package's own Python warnings, shown as the command line shows everything else: in one line on stderr."""

import contextlib
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def told_in_a_line() -> Iterator[None]:
    """Inside, a warning of this package is one line ``crossramp: warning: ...``; each text is told once.

    Warnings of other packages keep their form and their filters.
    """
    with warnings.catch_warnings():
        original, told = warnings.showwarning, set()

        def show(message, category, filename, lineno, file=None, line=None):
            if not category.__module__.startswith("crossramp."):
                original(message, category, filename, lineno, file, line)
            elif str(message) not in told:
                told.add(str(message))
                with contextlib.suppress(OSError):
                    print(f"crossramp: warning: {' '.join(str(message).split())}", file=sys.stderr)

        with contextlib.suppress(ModuleNotFoundError):  # without numpy there are no specifications
            from crossramp.golden.spec.state_scale import SpecificationWarning

            warnings.simplefilter("always", SpecificationWarning)
        warnings.showwarning = show
        yield
