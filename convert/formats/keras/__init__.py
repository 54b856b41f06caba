# SPDX-License-Identifier: Apache-2.0
"""Networks of Keras: ``.keras`` and ``.h5`` files, read with h5py alone.

:mod:`.keras_archive` has the files, :mod:`.keras_cells` the recurrent layers, :mod:`.keras_layers` what each kind of
layer does, :mod:`.keras_network` the whole model. Imports the float network and golden, and h5py only inside functions.
"""
