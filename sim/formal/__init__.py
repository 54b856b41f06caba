# SPDX-License-Identifier: Apache-2.0
"""Formal proofs of the generated hardware, of every specification: what is proven, and the list of all proofs.

``engine`` states a proof and runs it; ``conversion``, ``update``, ``macro``, ``layers``, ``network``, ``link`` and
``array`` hold the properties, a file each.
May import the other rooms of ``sim``, and everything below ``sim``.
"""
