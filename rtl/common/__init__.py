# SPDX-License-Identifier: Apache-2.0
"""What several components share: the analog boundary, the layouts of records, integer arithmetic, access to memories.

Imports golden.
"""
