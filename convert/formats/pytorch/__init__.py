# SPDX-License-Identifier: Apache-2.0
"""Networks of PyTorch: modules, state_dicts and programs of torch.export, and the state_dicts of AIHWKit-Lightning.

Nothing is unpickled: files of torch.save are read with ``weights_only``, archives of torch.export as JSON and raw
arrays. Imports the float network and golden, and torch only inside functions.
"""
