"""Recurrent layers beside PyTorch's on one thread, over letters and over channels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .harness import CASES, Case, Run
from .network_cases import Call, ours, theirs, torch_on_one_thread

_SEQUENCES, _LENGTH, _UNITS = 64, 200, 64


def _values(channels: int | None) -> Any:
    """Codes of four letters, or numbers in so many channels."""
    generator = np.random.default_rng(1)
    if channels is None:
        return generator.integers(0, 4, (_SEQUENCES, _LENGTH)).astype(np.uint8)
    return generator.normal(size=(_SEQUENCES, _LENGTH, channels)).astype(np.float32)


def _ours(kind: str, backward: bool, channels: int | None) -> Call:
    from tiedseq import nn

    return ours((getattr(nn, kind)(_UNITS, sequences=True),), _values(channels), channels, backward)


def _theirs(kind: str, backward: bool, channels: int | None) -> Call:
    """Letters are a one-hot array made outside the clock."""
    torch = torch_on_one_thread()
    values = _values(channels) if channels is not None else np.eye(4, dtype=np.float32)[_values(None)]
    x = torch.from_numpy(values).requires_grad_(channels is not None)
    module: Any = getattr(torch.nn, kind)(x.shape[2], _UNITS, batch_first=True)
    return theirs(module, lambda: module(x)[0], x, backward)


def _case(kind: str, backward: bool, channels: int | None = None) -> Case:
    runs = {
        name: Run(functools.partial(make, kind, backward, channels), float(_SEQUENCES * _LENGTH))
        for name, make in (("tiedseq", _ours), ("PyTorch", _theirs))
    }
    what = f"{kind} of {_UNITS} units: {'forward and backward' if backward else 'forward'}"
    source = "4 letters" if channels is None else f"{channels} channels"
    return Case(f"{what}, {_SEQUENCES} x {_LENGTH}, {source}, one thread", runs, work_unit="steps")


for _kind in ("RNN", "GRU", "LSTM"):
    for _ending, _channels in (("", None), ("-channels", _UNITS)):
        _name = f"{_kind.lower()}-{_UNITS}{_ending}"
        CASES[_name] = functools.partial(_case, _kind, False, _channels)
        CASES[f"{_name}-backward"] = functools.partial(_case, _kind, True, _channels)
