# SPDX-License-Identifier: Apache-2.0
"""The arithmetic once more, slowly: each cell by hand, from its equations, in plain Python and exact fractions.

Nothing here imports golden code, so that a comparison with it proves something. :mod:`.exact_numbers` has codes,
thresholds and formats; :mod:`.lstm_references`, :mod:`.gru_references` and :mod:`.plain_references` have a step of each
cell, and :mod:`.whole_network` runs an utterance and the head.
"""
