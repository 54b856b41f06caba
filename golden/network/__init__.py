# SPDX-License-Identifier: Apache-2.0
"""The network in integers: ramps, conversion, cell update, LSTM, head, and the model file that holds a trained one.

:mod:`.network` composes the parts; :mod:`.fast_lstm` computes the same h several times as fast; :mod:`.step_record`
lists what the hardware shows of a step; :mod:`.float_form` has a cell in real numbers.
Imports the rooms ``cell``, ``spec``, ``inputs`` and ``common`` of golden.
"""
