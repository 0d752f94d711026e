"""BLAS on one thread, whoever asks for it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - its BLAS is what is limited
from threadpoolctl import threadpool_info, threadpool_limits

from tiedseq import nn
from tiedseq.one_thread import on_one_thread


def threads_of_blas() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.small
def test_calls_that_overlap_give_the_threads_back() -> None:
    """The one that came first leaves first."""
    inside, over = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    @on_one_thread
    def first() -> None:
        seen.append(threads_of_blas())
        inside.set()
        over.wait(60)

    @on_one_thread
    def second() -> None:
        over.set()
        beginner.join()
        seen.append(threads_of_blas())

    before = threads_of_blas()
    beginner = threading.Thread(target=first)
    beginner.start()
    inside.wait(60)
    second()
    assert seen == [{1}, {1}]
    assert threads_of_blas() == before


@pytest.mark.small
def test_an_error_gives_the_threads_back() -> None:
    @on_one_thread
    def fails() -> None:
        raise KeyError

    before = threads_of_blas()
    with pytest.raises(KeyError):
        fails()
    assert threads_of_blas() == before


@pytest.mark.small
def test_networks_use_one_thread_in_every_direct_call() -> None:
    seen: list[tuple[str, set[int]]] = []

    class Watching(nn.Tanh):
        def forward(self, weights: Any, batch: nn.Batch, random: Any = None) -> Any:
            seen.append(("forward", threads_of_blas()))
            return super().forward(weights, batch, random)

        def backward(self, weights: Any, memory: Any, gradient: Any) -> Any:
            seen.append(("backward", threads_of_blas()))
            return super().backward(weights, memory, gradient)

        def penalty(self, weights: Any) -> Any:
            seen.append(("penalty", threads_of_blas()))

    net = nn.Sequential(Watching(), input=nn.Signal(2, positions=False))
    with threadpool_limits(2, user_api="blas"):
        net([0.0, 1.0])
        outgoing, memory = net.forward(nn.Batch(np.ones((1, 2), np.float32)))
        net.backward(memory, outgoing.values)
        net.penalty()
        assert threads_of_blas() == {2}
    assert seen == [("forward", {1}), ("forward", {1}), ("backward", {1}), ("penalty", {1})]


def test_gradients_are_the_same_bits_whatever_threads_blas_has() -> None:
    """Products so large that BLAS would cut their sums by the number of threads."""
    layers = (nn.Conv1D(64, 19), nn.ReLU(), nn.MaxPool(4), nn.Conv1D(64, 7), nn.GlobalMaxPool(), nn.Dense(32))
    net = nn.Sequential(*layers, nn.Dense(1), random_state=0)
    codes = np.random.default_rng(1).integers(0, 4, (64, 500)).astype(np.uint8)
    batch = nn.Batch(codes, np.full(64, 500))
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            outgoing, memory = net.forward(batch)
            found.append((outgoing.values, *net.backward(memory, np.ones_like(outgoing.values))[1:]))
    for values, gradient in found[1:]:
        assert np.array_equal(values, found[0][0])
        assert np.array_equal(gradient, found[0][1])
