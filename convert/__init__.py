# SPDX-License-Identifier: Apache-2.0
"""Networks that others trained: readers of their formats, and one object in real numbers that all of them make.

Imports golden and numpy; another library only inside the function that reads its format.
"""
