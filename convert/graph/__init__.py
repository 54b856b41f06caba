# SPDX-License-Identifier: Apache-2.0
"""From a graph of tensors to layers in sequence, for readers of every format.

:mod:`.layer_graph` has the layers and what a tensor holds, :mod:`.signal_operators` what operators do to it,
:mod:`.tensor_axes` what its axes run over. Imports the float network and golden.
"""
