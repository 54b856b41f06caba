# SPDX-License-Identifier: Apache-2.0
"""``python -m crossramp``: the command line."""

import sys

from crossramp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
