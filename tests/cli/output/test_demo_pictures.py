# SPDX-License-Identifier: Apache-2.0
"""What pictures say: models and technologies by name, scales that match their labels, and no texts on each other."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.cli.commands.sweep import _title
from crossramp.cli.inputs import labeled_data
from crossramp.cli.plots import demo_pictures, spice_plot
from crossramp.cli.plots.figures import new_figure
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.montecarlo.plan import parse_plan
from crossramp.sim.montecarlo.scores import Score
from matplotlib.figure import Figure

from tests.support.strategies import inputs_of, network_of


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures = []
    original = Figure.savefig

    def keep(self, *arguments, **options):
        figures.append(self)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def colliding(figure) -> list[tuple[str, str]]:
    """Pairs of texts in the panels of a figure that lie on each other: labels, and those of legends."""
    figure.draw_without_rendering()
    found = []
    for ax in figure.axes:
        texts = [*ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else [])]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
        found += [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]
    return found


def test_confusion_matrices_carry_the_models_name(drawn, tmp_path):
    data = object.__new__(labeled_data.Speech)
    data.name, data.labels = "words-2", np.array([0, 1, 1])
    data.model = SimpleNamespace(class_names=("yes", "no"), content_hash="6fb262e6cff4cd02")
    data.draw(tmp_path / "c.png", [("ideal array", Score(np.array([0, 1, 0]), data.labels, 2))])
    (figure,) = drawn
    assert figure.get_suptitle() == "model words-2, 3 recordings"


@pytest.mark.parametrize(
    ("axes", "of"),
    [
        ("", "rram"),
        ('"times cell.programming_error" = [1, 2]', "rram"),
        ('technology = ["pcm", "charge"]', "pcm, charge"),
        ('technology = ["pcm", "charge", "rram", "other.toml"]', "4 technologies"),
    ],
)
def test_sweeps_name_model_and_technology(axes, of, tmp_path):
    if "other.toml" in axes:
        from crossramp.golden.analog.technologies.technology import FOLDER

        other = (FOLDER / "rram.toml").read_text().replace('name = "rram"', 'name = "other"')
        (tmp_path / "other.toml").write_text(other)
    made = parse_plan(
        f'data="demo"\nmodel="nets/words-2.npz"\ntechnology="rram"\nchips=3\n[axes]\n{axes}', "p", tmp_path
    )
    problem = SimpleNamespace(points=made.points, codes=np.zeros((1309, 2, 2)))
    assert _title(made, problem, 3) == f"words-2 on {of}: 3 chips x 1,309 recordings"


def test_an_utterance_is_drawn_as_the_codes_that_its_scale_says(drawn, tmp_path):
    x = np.array([[-7, 7], [3, 0], [1, -2]])
    scores = {"_a_": np.array([0, 40_000, 90_000]), "b": np.array([1, -3, 2])}
    demo_pictures.draw_utterance(tmp_path / "u.png", x, x, 7, scores, meaning="2 bands", title="kws, a.wav")
    (figure,) = drawn
    features, hidden = (ax for ax in figure.axes if ax.get_images())
    for ax in (features, hidden):
        (image,) = ax.get_images()
        np.testing.assert_array_equal(image.get_array(), x.T)
        assert image.get_clim() == (-7, 7)
    bars = [ax.get_ylabel() for ax in figure.axes if ax.get_label() == "<colorbar>"]
    assert bars == ["pulse code", "pulse code"]
    classes = figure.axes[2]
    assert "90,000" in [text.get_text() for text in classes.get_yticklabels()] or classes.get_ylim()[1] > 90_000


def test_codes_of_a_step_lie_on_nothing(drawn, tmp_path):
    """A column below all of the ramp has its code under it, where its own rise is not."""
    spec = Specification(inputs=3, units=9, classes=3, lanes=3, adc_bits=3, input_bits=3, state_pulse_bits=4)
    for seed in range(3):
        waves = trace_step(network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=2)[0], 1)
        demo_pictures.draw_step(tmp_path / "s.png", spec, waves, "a step")
        values = drawn[-1].axes[2]
        codes = [text for text in values.texts if text.get_text().startswith("code")]
        assert len(codes) >= 2
        for text in codes:
            assert text.get_horizontalalignment() == ("left" if text.get_text() == "code 0" else "right")
            assert (text.xyann[1] < 0) == (text.get_text() == "code 0")


HEIGHTS = [
    ([], 1.0, []),
    ([3.0], 1.0, [3.0]),
    ([0.0, 5.0, 9.0], 2.0, [0.0, 5.0, 9.0]),
    ([1.0, 1.0], 2.0, [0.0, 2.0]),  # apart evenly, around where they were
    ([0.0, 0.0, 0.0], 2.0, [-2.0, 0.0, 2.0]),
    ([0.0, 1.0, 2.5], 2.0, [-0.5 - 1 / 3, 1.5 - 1 / 3, 3.5 - 1 / 3]),  # a pair that reaches the third takes it along
    ([0.0, 0.0, 10.0, 10.5], 2.0, [-1.0, 1.0, 9.25, 11.25]),
]


@pytest.mark.parametrize(("heights", "gap", "expected"), HEIGHTS)
def test_labels_are_moved_apart(heights, gap, expected):
    assert spice_plot.apart_by(gap, heights) == pytest.approx(expected)


def test_equal_codes_do_not_collide(drawn, tmp_path):
    figure = new_figure(13, 10)
    ax = figure.subplots(4, 1, height_ratios=(0.9, 3, 1.3, 1.5))[1]
    ax.plot([0, 1000], [-450, 300])
    entries = [
        (height, f"code {code}", "k") for height, code in ((287, 31), (285, 31), (285, 31), (130, 27), (-440, 0))
    ]
    spice_plot._label(ax, {480.0: entries, 990.0: entries})
    assert len(ax.texts) == 10
    assert colliding(figure) == []
    # The check would see it: both where the columns are.
    for height, text, _ in entries[:2]:
        ax.annotate(text, (200, height), (5, 0), textcoords="offset points", fontsize=9, va="center")
    assert colliding(figure) == [("code 31", "code 31")]
