# SPDX-License-Identifier: Apache-2.0
"""Whole networks in integers: one macro or layers of them with a head, and the model file of a trained one.

:mod:`.network` has one macro, :mod:`.layered_network` several; :mod:`.float_form` has a cell in real numbers.
Imports the rooms ``cell``, ``spec``, ``layers``, ``inputs``, ``array``, ``macro`` and ``common`` of golden.
"""
