# SPDX-License-Identifier: Apache-2.0
"""Simulators and what they build: found, called, built once and kept.

Imports :mod:`crossramp.golden.common`.
"""
