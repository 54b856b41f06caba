# SPDX-License-Identifier: Apache-2.0
"""One macro in integers: conversions and updates of a step, states that utterances start from, and what is shown.

:mod:`.lstm` composes the parts for every cell; :mod:`.fast_lstm` computes the same h several times as fast;
:mod:`.step_record` lists what the hardware shows of a step.
Imports the rooms ``cell``, ``spec``, ``layers``, ``array`` and ``common`` of golden.
"""
