# SPDX-License-Identifier: Apache-2.0
"""The error that a command shows its user."""


class UserError(Exception):
    """Something the user can mend: one line on stderr, exit status 2. Quote the value and name the next step."""
