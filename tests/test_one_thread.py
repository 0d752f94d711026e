"""BLAS on one thread, whoever asks for it."""

from __future__ import annotations

import threading

import pytest
import scipy.linalg  # noqa: F401 - its BLAS is what is limited
from threadpoolctl import threadpool_info

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
