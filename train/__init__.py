# SPDX-License-Identifier: Apache-2.0
"""Hardware-aware training with PyTorch (the extra ``train``): ``crossramp train``.

`datasets` reads recordings or spectrograms, `augment` varies them, `float_network` is the network before quantization,
`sequence` the contract's integer arithmetic with straight-through gradients, `quantized_network` the network made of
it, `schedule` the optimization loop, `phases` a run of two of them, `keywords` the task from folder to model file and
`keywordtask` its batches and validation, `imperfections` the hook through which device and converter non-idealities
enter, and `devices` those of a technology. `recipe` and `settings` say what a run depends on, `checkpoint` keeps where
it is, `events` writes how it goes. The dependency points one way: training imports `crossramp.golden`, never the
reverse.
"""
