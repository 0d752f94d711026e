"""Networks beside PyTorch, both on one thread: convolutions over letters, and over channels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .harness import CASES, Case, Run

Call = Callable[[], object]
_SEQUENCES, _LENGTH = 64, 1000
_TIMES = 5  # one call can be over before the system takes its turn, which then falls on whoever is next


def _codes() -> Any:
    return np.random.default_rng(1).integers(0, 4, (_SEQUENCES, _LENGTH)).astype(np.uint8)


def _numbers(channels: int) -> Any:
    return np.random.default_rng(1).normal(size=(_SEQUENCES, _LENGTH, channels)).astype(np.float32)


def torch_on_one_thread() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


def ours(layers: tuple[Any, ...], values: Any, channels: int | None, backward: bool) -> Call:
    """Forward, or forward and backward from a gradient of ones; without channels values are codes of letters."""
    from threadpoolctl import ThreadpoolController

    from tiedseq import nn

    net = nn.Sequential(*layers, input="DNA" if channels is None else channels, random_state=0)
    batch = nn.Batch(values, np.full(len(values), values.shape[1]))
    ones, threads = np.ones_like(net.forward(batch)[0].values), ThreadpoolController()

    def call() -> object:
        with threads.limit(limits=1):
            outgoing, memory = net.forward(batch)
            return net.backward(memory, ones) if backward else outgoing

    return call


def theirs(module: Any, forward: Callable[[], Any], x: Any, backward: bool) -> Call:
    """The same in PyTorch, of what `forward` makes of x."""
    torch = torch_on_one_thread()
    ones = torch.ones_like(forward())

    def both() -> object:
        module.zero_grad()
        x.grad = None
        forward().backward(ones)
        return x.grad

    def alone() -> object:
        with torch.no_grad():
            return forward()

    return both if backward else alone


def _ours(filters: int, width: int, backward: bool, channels: int | None, maximum: bool) -> Call:
    from tiedseq import nn

    layers: tuple[Any, ...] = (nn.Conv1D(filters, width), *((nn.ReLU(), nn.GlobalMaxPool()) if maximum else ()))
    return ours(layers, _codes() if channels is None else _numbers(channels), channels, backward)


def _theirs(filters: int, width: int, backward: bool, channels: int | None, maximum: bool) -> Call:
    """Letters are a one-hot array made outside the clock."""
    torch = torch_on_one_thread()
    values = np.eye(4, dtype=np.float32)[_codes()] if channels is None else _numbers(channels)
    x = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 2, 1))).requires_grad_(channels is not None)
    convolution = torch.nn.Conv1d(x.shape[1], filters, width)

    def forward() -> Any:
        found = convolution(x)
        return torch.relu(found).amax(dim=2) if maximum else found

    return theirs(convolution, forward, x, backward)


def _several(make: Callable[..., Call], *arguments: Any) -> Call:
    call = make(*arguments)

    def calls() -> None:
        for _ in range(_TIMES):
            call()

    return calls


def _case(filters: int, width: int, backward: bool, channels: int | None = None, maximum: bool = False) -> Case:
    work = float(_SEQUENCES * _LENGTH * _TIMES)
    runs = {
        name: Run(functools.partial(_several, make, filters, width, backward, channels, maximum), work)
        for name, make in (("tiedseq", _ours), ("PyTorch", _theirs))
    }
    what = (
        f"Convolution{', ReLU, global maximum' if maximum else ''}: {'forward and backward' if backward else 'forward'}"
    )
    source = "4 letters" if channels is None else f"{channels} channels"
    title = f"{what}, {_SEQUENCES} x {_LENGTH}, {source} to {filters} channels, width {width}, {_TIMES} times"
    return Case(title, runs, work_unit="positions")


def _pair(name: str, filters: int, width: int, **options: Any) -> None:
    """Make two cases known: forward, and forward and backward."""
    CASES[name] = lambda: _case(filters, width, False, **options)
    CASES[f"{name}-backward"] = lambda: _case(filters, width, True, **options)


_pair("conv-32", 32, 15)
_pair("conv-256", 256, 19)
_pair("conv-max", 32, 15, maximum=True)
_pair("conv-max-256", 256, 19, maximum=True)
_pair("conv-channels", 64, 5, channels=32)
