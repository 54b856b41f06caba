# SPDX-License-Identifier: Apache-2.0
"""One module for each command, with ``add_parser`` and ``run``.

Imports everything; a command may import another whose results it shows.
"""
