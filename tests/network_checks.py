"""Checks that every network must pass: gradients against central differences, symmetry, any number of threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tiedseq import nn
from tiedseq.nn.inputs import gathered, sequences_of

STEP = 1e-5  # of central differences in float64: their error is of the order of its square


def batch_of(X: Any, net: nn.Sequential) -> nn.Batch:
    """Return all sequences as one batch of the network, padded at the end."""
    return gathered(sequences_of(X, net.input, net.dtype)[0], net.input)


def check_gradients(net: nn.Sequential, X: Any, seed: int = 0, most: int = 200, draws: int | None = None) -> None:
    """Compare d loss / d free value, and d loss / d input of numbers, with central differences.

    The loss is a random weighted sum of all outputs, so that no direction of the output is left out, and the layers'
    penalties. At most `most` values are tried, drawn at random. With `draws`, a seed, layers draw as in training, the
    same each time.
    """
    generator = np.random.default_rng(seed)
    batch = batch_of(X, net)

    def forward(incoming: nn.Batch, values: Any = None) -> Any:
        return net.forward(incoming, values, None if draws is None else np.random.default_rng(draws))

    outgoing, memory = forward(batch)
    weights = generator.normal(size=outgoing.values.shape)
    if outgoing.lengths is not None:
        for row, length in zip(weights, outgoing.lengths, strict=True):
            row[length:] = 0

    def loss(values: Any, incoming: nn.Batch) -> float:
        return float((forward(incoming, values)[0].values * weights).sum()) + net.penalty(values)[0]

    back, gradient = net.backward(memory, weights)
    gradient = gradient + net.penalty()[1]
    start = net.values.copy()
    for number in generator.permutation(start.size)[:most]:
        step = np.zeros_like(start)
        step[number] = STEP
        difference = (loss(start + step, batch) - loss(start - step, batch)) / (2 * STEP)
        np.testing.assert_allclose(gradient[number], difference, rtol=1e-7, atol=1e-7, err_msg=f"free value {number}")
    if net.input.letters is None:
        assert back is not None
        for place in generator.permutation(batch.values.size)[:most]:
            index = np.unravel_index(place, batch.values.shape)
            if batch.lengths is not None and index[1] >= batch.lengths[index[0]]:
                assert back[index] == 0
                continue
            step = np.zeros_like(batch.values)
            step[index] = STEP
            ahead, behind = (batch.with_values(batch.values + sign * step) for sign in (1, -1))
            difference = (loss(start, ahead) - loss(start, behind)) / (2 * STEP)
            np.testing.assert_allclose(back[index], difference, rtol=1e-7, atol=1e-7, err_msg=f"input {index}")


def random_letters(generator: np.random.Generator, *lengths: int, letters: str = "ACGTN") -> list[str]:
    return ["".join(generator.choice(list(letters), size=length)) for length in lengths]


def damage(checkpoint: Path, where: list[Any], value: Any) -> None:
    """Put a value into the first run of a checkpoint, at the end of a way of keys and indices."""
    document = json.loads(checkpoint.read_text())
    part = document["runs"][0]
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    checkpoint.write_text(json.dumps(document))
