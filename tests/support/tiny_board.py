# SPDX-License-Identifier: Apache-2.0
"""A small golden board that tests may spoil, a network for it, and what that computes."""

import numpy as np
from crossramp.boards.host.driver import BoardDriver
from crossramp.golden.link.board_memory import Build, weights_image
from crossramp.golden.link.link_model import LinkModel
from crossramp.golden.link.link_protocol import Frame, Space
from crossramp.golden.spec.specification import Specification

from tests.support.serial_line import Line
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=3, units=5, classes=4, lanes=2, adc_bits=3, input_bits=4, weight_bits=4, max_steps=6)
BUILD = Build("tiny", SPEC, 2, 12_000_000)
NETWORK = network_of(SPEC, 3)
X = inputs_of(SPEC, 3, batch=3, steps=5)
GOLDEN = NETWORK.run(X)


def is_golden(result, k: int, every_step: bool = False) -> bool:
    h = GOLDEN.h[k] if every_step else GOLDEN.h[k, -1]
    return (
        result.answer == GOLDEN.answers[k]
        and np.array_equal(result.logits, GOLDEN.logits[k])
        and np.array_equal(result.h, h)
    )


def quick(line: Line, **options) -> BoardDriver:
    """Impatient enough for a test, and patient enough for a busy machine."""
    return BoardDriver(line.port, **({"timeout": 0.2, "tries": 5, "patience": 0.3} | options))


class Board(LinkModel):
    """A golden board that a test may spoil: ``spoil(frame, answer)`` gives the answer that is sent, or None."""

    def __init__(self, spoil=lambda frame, answer: answer, build=BUILD):
        super().__init__(build)
        self.spoil = spoil

    def respond(self, frame: Frame) -> Frame | None:
        return self.spoil(frame, super().respond(frame))

    def lose_power(self, build=BUILD):
        """What a memory holds afterwards is anything."""
        LinkModel.__init__(self, build)
        rng = np.random.default_rng(8)
        for region, memory in self.memories.items():
            if region.space == Space.WEIGHTS:
                memory[:] = weights_image(build, rng.integers(-7, 8, (build.spec.rows, build.spec.columns)))


class At:
    """Calls ``act`` once, before the answer to the ``count``-th frame of ``command``."""

    def __init__(self, command: int, count: int, act):
        self.command, self.left, self.act = command, count, act

    def __call__(self, frame: Frame, answer: Frame | None) -> Frame | None:
        self.left -= frame.command == self.command
        if self.left == 0 and frame.command == self.command:
            return self.act(frame, answer)
        return answer
