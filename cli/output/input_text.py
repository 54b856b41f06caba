# SPDX-License-Identifier: Apache-2.0
"""What feeds a generated network and what its answers mean, in words: for a host that has neither Python nor us."""

import textwrap

import numpy as np
from crossramp.golden.inputs.features import DELTA_STEPS, FeatureSettings, features, pulse_codes
from crossramp.golden.inputs.text_codes import TextSettings
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.specification import Specification

#: The file beside the text that has every number of it.
MODEL_JSON = "model.json"

#: The check signal is noise of a linear congruential generator (the one of ISO C's example of rand): r[0] = 1.
_MULTIPLIER, _INCREMENT, _MODULUS = 1103515245, 12345, 1 << 31


def classes_text(model: Model, top: str) -> str:
    """The section that names the classes; Markdown."""
    names = "\n".join(f"{index:>4}  {name}" for index, name in enumerate(model.class_names))
    what = (
        "`answer_index` is the index of a class. The logits come in this order, index 0 first."
        if top == "network"
        else "The macro has no head. Index of a class in the head of the model's network:"
    )
    return f"## Classes\n\n{what}\n\n```text\n{names}\n```"


def inputs_text(model: Model) -> str:
    """The section that says how x is made; Markdown."""
    spec = model.spec
    parts = [
        f"## Inputs\n\n{_wrapped(_CODES.format(spec=spec, limit=spec.input_max, lowest=-(1 << (spec.input_bits - 1))))}"
    ]
    if model.feature_settings is not None:
        parts.append(_audio_text(model.feature_settings, spec))
    elif model.text_settings is not None:
        parts.append(_characters_text(model.text_settings))
    else:
        parts.append(
            _wrapped("The model does not state how its inputs are made. Drive the codes that it was trained on.")
        )
    return "\n\n".join(parts)


_CODES = (
    "A step takes {spec.inputs} codes on `x_code`, x[0] first. A code has {spec.input_bits} bits, two's complement, "
    "and means a pulse of |code| clocks of that sign: -{limit} to {limit} ({lowest} is driven as -{limit}). A real "
    "value v is the code v * {limit}, rounded to the nearest integer, halves away from zero, after v was limited to "
    "-1 to 1. `x_last` is high with the last code of the utterance's last step, of {spec.max_steps} steps at most."
)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _audio_text(settings: FeatureSettings, spec: Specification) -> str:
    s = settings
    lines = [
        f"Samples are those of 16-bit PCM (-32768 to 32767) at {s.sample_rate} Hz, mono, and are not normalized. An "
        f"utterance has {s.clip_samples} samples: of a longer recording the end is cut off, a shorter one gets zeros "
        "at its end.",
        f"Frame f = 0 to {s.frames - 1} has the samples s[n] = sample[{s.hop_samples} f + n], n = 0 to "
        f"{s.window_samples - 1}. With the periodic Hann window, and zeros up to {s.fft_samples} samples, "
        f"X[k] = sum of s[n] (0.5 - 0.5 cos(2 pi n / {s.window_samples})) exp(-2 pi i k n / {s.fft_samples}), "
        f"k = 0 to {s.fft_samples // 2}.",
        f"Band b = 0 to {s.bands - 1} has the power P[b] = sum over k of |X[k]|^2 w[b][k]. The triangle w[b][k] is "
        "max(0, min((m - e[b]) / (e[b+1] - e[b]), (e[b+2] - m) / (e[b+2] - e[b+1]))), where m = mel(k * "
        f"{s.sample_rate} / {s.fft_samples}), mel(f) = 2595 log10(1 + f / 700), and e[0] to e[{s.bands + 1}] are "
        f"spaced evenly from mel({s.low_hz:g}) to mel({s.high_hz:g}).",
        f"Its level is {s.level_gain!r} * 10 log10(P[b]) {'-' if s.level_offset < 0 else '+'} {abs(s.level_offset)!r}, "
        f"limited to 0 to {s.level_max:g} (0 for a power of 0).",
        f"A step is the mean of the levels of {s.frames_per_step} consecutive frames; {s.steps} steps are an "
        "utterance, and frames beyond them are dropped.",
    ]
    value = "level[b]"
    if s.cepstra:
        value = "value[b]"
        lines.append(
            f"The step's values are {s.cepstra} cepstra, value[c] = sqrt(2 / {s.bands}) * sum over b of level[b] "
            f"cos(pi c (b + 0.5) / {s.bands})"
            + (
                f", and {s.deltas} differences, value[{s.cepstra} + c] = value[c] - value[c] of {DELTA_STEPS} steps "
                "earlier; steps before the first count as the first."
                if s.deltas
                else "."
            )
        )
    lines.append(
        f"x[b] = ({value} - band_offset[b]) * band_gain[b], limited to -1 to 1, and from it the code. The file "
        f"`{MODEL_JSON}` has the arrays `band_offset` and `band_gain` under `features`, with all numbers of this list."
    )
    steps = "\n".join(
        textwrap.fill(line, 118, initial_indent=f"{n}. ", subsequent_indent="   ", break_long_words=False)
        for n, line in enumerate(lines, 1)
    )
    codes = pulse_codes(features(check_signal(settings.clip_samples), settings), spec.input_bits)
    listed = "\n".join(
        textwrap.fill(f"step {step}: {' '.join(map(str, codes[step].tolist()))}", 118, subsequent_indent="  ")
        for step in sorted({0, settings.steps - 1})
    )
    check = _wrapped(
        f"To check your own front end: with r[0] = 1 and r[n+1] = ({_MULTIPLIER} r[n] + {_INCREMENT}) mod 2^31, the "
        "samples (floor(r[n] / 65536) mod 4096 - 2048) * (1 + floor(n / 256) mod 4) give these codes:"
    )
    return f"From audio:\n\n{steps}\n\n{check}\n\n```text\n{listed}\n```"


def check_signal(count: int) -> np.ndarray:
    """The samples of the text: int64, shape (count,)."""
    noise = np.empty(count, np.int64)
    state = 1
    for n in range(count):
        noise[n] = state >> 16
        state = (_MULTIPLIER * state + _INCREMENT) % _MODULUS
    return (noise % 4096 - 2048) * (1 + np.arange(count) // 256 % 4)


def _characters_text(settings: TextSettings) -> str:
    how = (
        f"code {settings.full_scale} on the input of its class, 0 on all others"
        if settings.embedding is None
        else f"its row of `embedding` in `{MODEL_JSON}` (under `features`), by the index of its class"
    )
    return _wrapped(
        f"A step is a character: {how}. The logits of a step say which character comes next: times "
        f"{settings.logit_scale!r} they are natural logarithms of probabilities, up to a common addend."
    )
