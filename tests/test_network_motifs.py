"""Motifs of filters that step over positions, against plain loops; and which places count."""

from __future__ import annotations

import numpy as np
import pytest
from network_checks import random_letters
from network_twin import convolution, first_maximum, one_hot

from tiedseq import nn


@pytest.mark.small
@pytest.mark.parametrize("symmetry", [None, "reverse-complement"])
@pytest.mark.parametrize(
    ("stride", "dilation", "pads"), [(2, 2, 2), (3, 1, 0), (1, 3, 4)], ids=["all three", "stride", "dilation, padding"]
)
def test_places_are_where_strides_and_dilations_put_the_taps(
    symmetry: str | None, stride: int, dilation: int, pads: int
) -> None:
    width, share = 4, 0.3
    X = random_letters(np.random.default_rng(1), *[22 + stride * k for k in (0, 1, 4, 0, 2, 7, 3, 3)])
    X = [sequence[: len(sequence) - (len(sequence) + 2 * pads - dilation * 3 - 1) % stride] for sequence in X]
    window = {"stride": stride, "dilation": dilation, "padding": pads}
    layer = nn.Conv1D(4, width, symmetry=symmetry, bias=False, **window)
    net = nn.Sequential(layer, dtype="float64")
    net.values = np.random.default_rng(2).normal(size=net.n_parameters)
    (weight,) = net.expanded()

    expected = []
    for number in range(4 if symmetry is None else 2):
        looks = [number] if symmetry is None else [number, 3 - number]  # filters, the second on the other strand
        best = []
        for sequence in X:
            outputs = convolution(one_hot(sequence), weight[:, :, looks], [0, 0], stride, dilation, pads, pads)
            maxima, places = first_maximum(outputs)
            best.append(max((value, -strand, places[strand]) for strand, value in enumerate(maxima)))
        counts = np.zeros((width, 4))
        for sequence, (value, strand, place) in zip(X, best, strict=True):
            if value > 0 and value >= share * max(best)[0]:
                for tap in range(width):
                    position = place * stride - pads + tap * dilation
                    if 0 <= position < len(sequence):
                        letters = np.array(one_hot(sequence[position])[0])
                        counts[width - 1 - tap if strand else tap] += letters[::-1] if strand else letters
        expected.append(counts)

    found = nn.motifs(net, X, share)
    assert [motif.name for motif in found] == [f"filter_{k}" for k in range(len(expected))]
    for motif, counts in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.array([motif.counts[a] for a in "ACGT"]).T, counts, rtol=0, atol=1e-12)


@pytest.mark.small
def test_a_share_of_one_leaves_the_best_places() -> None:
    """Two that are equal; and no filter that nothing excites, nor one whose best is zero."""
    net = nn.Sequential(nn.Conv1D(3, width=2, bias=False))
    weight = np.zeros((2, 4, 3))
    weight[:, 0, 0], weight[:, :, 1] = [1.0, 2.0], -1.0  # AA is best; nothing is; all places are zero
    net.values = weight.ravel()
    (motif,) = nn.motifs(net, ["CAAC", "CACA", "GAAG"], share=1)
    assert motif.name == "filter_0"
    assert {letter: motif.counts[letter] for letter in "ACGT"} == {"A": [2, 2], "C": [0, 0], "G": [0, 0], "T": [0, 0]}
