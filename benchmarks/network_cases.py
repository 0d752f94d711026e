"""Networks beside PyTorch on one thread: convolutions over letters, and over channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness import Case, Run, case

Call = Callable[[], object]
_SEQUENCES, _LENGTH = 64, 1000


def _codes() -> Any:
    return np.random.default_rng(1).integers(0, 4, (_SEQUENCES, _LENGTH)).astype(np.uint8)


def _numbers(channels: int) -> Any:
    return np.random.default_rng(1).normal(size=(_SEQUENCES, _LENGTH, channels)).astype(np.float32)


def _torch() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


def _ours(layers: Callable[[], tuple[Any, ...]], backward: bool, channels: int | None) -> Call:
    """Forward, or forward and backward from a gradient of ones; letters are codes."""
    from tiedseq import nn

    net = nn.Sequential(*layers(), input="DNA" if channels is None else channels, random_state=0)
    values = _codes() if channels is None else _numbers(channels)
    batch = nn.Batch(values, np.full(_SEQUENCES, _LENGTH))
    ones = np.ones_like(net.forward(batch)[0].values)

    def both() -> object:
        outgoing, memory = net.forward(batch)
        return net.backward(memory, ones)

    return both if backward else lambda: net.forward(batch)


def _theirs(filters: int, width: int, backward: bool, channels: int | None, maximum: bool) -> Call:
    """The same in PyTorch, whose letters are a one-hot array made outside the clock."""
    torch = _torch()
    values = np.eye(4, dtype=np.float32)[_codes()] if channels is None else _numbers(channels)
    x = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 2, 1))).requires_grad_(channels is not None)
    convolution = torch.nn.Conv1d(x.shape[1], filters, width)

    def forward() -> Any:
        found = convolution(x)
        return torch.relu(found).amax(dim=2) if maximum else found

    ones = torch.ones_like(forward())

    def both() -> object:
        convolution.zero_grad()
        x.grad = None
        forward().backward(ones)
        return convolution.weight.grad

    def alone() -> object:
        with torch.no_grad():
            return forward()

    return both if backward else alone


def _case(filters: int, width: int, channels: int | None = None, maximum: bool = False) -> Case:
    """Rates count positions that come in. The ratio to look at is that of PyTorch's line to ours above it."""
    from threadpoolctl import threadpool_limits

    def layers() -> tuple[Any, ...]:
        from tiedseq import nn

        convolution = nn.Conv1D(filters, width)
        return (convolution, nn.ReLU(), nn.GlobalMaxPool()) if maximum else (convolution,)

    runs = {}
    for title, backward in (("forward", False), ("forward and backward", True)):

        def ours(backward: bool = backward) -> Call:
            call = _ours(layers, backward, channels)

            def on_one_thread() -> object:
                with threadpool_limits(1):
                    return call()

            return on_one_thread

        runs[f"tiedseq, {title}"] = Run(ours, float(_SEQUENCES * _LENGTH))
    what = f"{'letters' if channels is None else f'{channels} channels'} to {filters} channels, width {width}"
    return Case(what, runs, work_unit="positions")
