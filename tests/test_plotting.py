"""Pictures show the numbers that they are drawn from."""

from __future__ import annotations

import sys
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import tiedseq as ts

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture
def model() -> ts.HMM:
    return ts.HMM("ab", {"u": {"u": 0.9, "v": 0.1}, "v": {"u": 0.2, "v": 0.8}}, {"u": [0.9, 0.1], "v": [0.2, 0.8]})


@pytest.fixture
def axes() -> Any:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_the_posterior_and_its_tracks(model: ts.HMM, axes: Any) -> None:
    x = "aabbbbabaa"
    known = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 1], bool)
    assert ts.plot_posterior(model, x, "v", {"known": known, "nowhere": ~known & known}, axes) is axes
    (line,) = axes.get_lines()
    assert_array_equal(line.get_ydata()[:-1], model.predict_proba(x)[:, 1])
    assert_array_equal(line.get_xdata(), np.arange(11))
    assert line.get_drawstyle() == "steps-post"  # a letter's probability from its position to the next
    _, bars, none = axes.collections
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths()]
    assert spans == [(2, 6), (9, 10)] and not none.get_paths()
    assert axes.get_ylabel() == "P(v)" and axes.get_xlim() == (0, 10)
    labels = {text.get_text(): text.get_position()[1] for text in axes.get_yticklabels()}
    assert labels["nowhere"] < labels["known"] < labels["0"] == 0.0
    assert axes.get_ylim()[0] < labels["nowhere"]


def test_without_axes_the_current_one_is_taken(model: ts.HMM, axes: Any) -> None:
    assert ts.plot_posterior(model, "ab", "u") is axes


def test_a_list_of_one_sequence_is_one_sequence(model: ts.HMM, axes: Any) -> None:
    ts.plot_posterior(model, ["abba"], "v", axes=axes)
    assert_array_equal(axes.get_lines()[0].get_ydata()[:-1], model.predict_proba("abba")[:, 1])


def test_what_cannot_be_drawn(model: ts.HMM, axes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ts.ArgumentError, match="state='w' is no state of the model; there are u, v"):
        ts.plot_posterior(model, "ab", "w")
    with pytest.raises(ts.ArgumentError, match="X holds 2 sequences"):
        ts.plot_posterior(model, ["ab", "a"], "u")
    wrong: list[Any] = [[True], [0, 1], [[True, True]]]
    for track in wrong:
        with pytest.raises(ts.ArgumentError, match=r"tracks\['t'\] has the shape .* each of the 2 letters"):
            ts.plot_posterior(model, "ab", "u", {"t": track})
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ts.ResourceError, match=r"tiedseq\[plot\]"):
        ts.plot_posterior(model, "ab", "u")
