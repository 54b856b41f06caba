# SPDX-License-Identifier: Apache-2.0
"""Networks in ONNX files: LSTM, GRU and RNN nodes, what moves axes around them, and heads.

:mod:`.onnx_file` has the files, :mod:`.onnx_constants` what is computed from constants and shapes,
:mod:`.onnx_recurrent` the recurrent nodes, :mod:`.onnx_operators` all others, :mod:`.onnx_reader` the whole graph.
Imports the rooms of layers and graphs and golden, and onnx only inside functions.
"""
