# SPDX-License-Identifier: Apache-2.0
"""The specification of a macro: the one object from which every size, ramp, port and report is derived.

Its parts (network, converter, implementation), the activations, the gates and the wires of the analog boundary live
here as well.
Imports the rooms ``cell`` and ``common`` of golden; everything else may import it.
"""
