# SPDX-License-Identifier: Apache-2.0
"""Hardware-aware training with PyTorch (the extra ``train``): ``crossramp train``.

:mod:`.recipes` says what a run depends on, :mod:`.data` reads and varies what is trained on,
:mod:`.network` is the trainable network in the contract's arithmetic,
:mod:`.run` is the optimization loop with its checkpoints, and :mod:`.tasks` puts them together for speech and for
text.

Imports golden and PyTorch; only cli may import it.
"""
