# SPDX-License-Identifier: Apache-2.0
"""The specification: the one object from which every size, ramp, port and report is derived.

Its parts (network, converter, implementation), the description of a cell, the activations, the wires of the analog
boundary and the TOML form of a specification live here as well.
Imports :mod:`crossramp.golden.common`; everything else may import it.
"""
