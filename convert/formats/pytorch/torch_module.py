# SPDX-License-Identifier: Apache-2.0
"""From a module of PyTorch in memory to a network."""

import copy
import io
import warnings

from crossramp.golden.common.errors import InvalidValue

from ...float_network.imported_network import FloatNetwork
from .exported_network import network_of_exported
from .exported_program import read_exported


def network_of_module(module, example=None) -> FloatNetwork:
    """The network of a torch.nn.Module, or of a program of torch.export.

    The module is exported with torch.export, so that its own ``forward`` says what is computed, and the archive is read
    as a file would be. Of a torch.nn.LSTM, GRU or RNN itself the network is h of every step.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        A module is copied and set to evaluation.
    example : tensor, or None
        An input of the module. None: zeros of 2 utterances of 3 steps, with as many features as its first linear or
        recurrent layer takes.

    Raises
    ------
    InvalidValue
        If the module has no recurrent layer, cannot be exported, or does what a network in hardware cannot.
    """
    import torch

    title = type(module).__name__
    program = module
    if isinstance(module, torch.nn.Module):
        module = copy.deepcopy(module).eval()
        example = _example(module) if example is None else example
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of weights that nn.LSTM keeps twice
                program = torch.export.export(module, (example,))
        except Exception as error:  # torch's errors of a forward that it cannot trace have no common base
            raise InvalidValue(
                f"{title}: torch.export cannot export it ({str(error).strip().splitlines()[0]}); "
                "give an example input, or export it and give the program"
            ) from None
    elif not isinstance(module, torch.export.ExportedProgram):
        raise InvalidValue(f"a {title} is given; expected a torch.nn.Module or a torch.export.ExportedProgram")
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return network_of_exported(read_exported(file, title), title)


def _example(module):
    """Zeros as the first linear or recurrent layer takes them."""
    import torch

    recurrent = [part for part in module.modules() if isinstance(part, torch.nn.RNNBase)]
    if not recurrent:
        raise InvalidValue(
            f"{type(module).__name__}: no torch.nn.LSTM, GRU or RNN is in it; use one in place of a loop"
        )
    linear = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
    first = next(part for part in module.modules() if part in (*recurrent, *linear))
    width = first.input_size if first in recurrent else first.in_features
    weight = recurrent[0].weight_ih_l0
    shape = (2, 3, width) if recurrent[0].batch_first else (3, 2, width)
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)
