# SPDX-License-Identifier: Apache-2.0
"""The specification: the one object from which every size, ramp, port and report is derived.

The activations, the gates of a macro, the wires of the analog boundary and the TOML form of a specification live
here as well.
Imports :mod:`crossramp.golden.common`; everything else may import it.
"""
