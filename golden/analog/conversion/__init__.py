# SPDX-License-Identifier: Apache-2.0
"""Conversion by a device instance, exactly as the gateware and the simulators do it.

:mod:`.device` holds every number that decides a code, :mod:`.device_array` converts with it,
:mod:`.noise` draws the noise that all simulators share, and :mod:`.calibration` mirrors the calibrator.
Imports the rooms ``network``, ``spec`` and ``common`` of golden.
"""
