"""Symmetries of layers as ties: what `symmetry=` means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.nn.signal import Action, Signal
from tiedseq.nn.weights import untied
from tiedseq.ties import Symmetry, Ties, check_size

SYMMETRIES = ("reverse-complement", "palindrome", "antisymmetric")


def check_symmetry(symmetry: Any) -> None:
    """ArgumentError unless it is one of the words, None, or functions."""
    is_word = isinstance(symmetry, str) and symmetry in SYMMETRIES
    if not (symmetry is None or is_word or _is_rearrangement(symmetry)):
        raise ArgumentError(
            f"symmetry={symmetry!r} must be one of {', '.join(SYMMETRIES)}, None, or a function that rearranges the "
            "weights, as for Ties.orbits."
        )


def actions_of(layer: str, symmetry: Any, signal: Signal, filters: int) -> tuple[Action, Action] | None:
    """Return how the channels that come in and those that go out turn; None where nothing is said of it.

    Without `symmetry`, or with functions for it, a layer keeps that of its input, if it has one. Channels of a network
    that knows both strands come in pairs: filter c and its mirror image filters - 1 - c.

    Raises
    ------
    ModelError
        The symmetry does not fit the input, or the number of filters.
    """
    incoming = signal.action
    if symmetry is None or _is_rearrangement(symmetry):
        return None if incoming is None else (incoming, _outgoing(layer, incoming.name, filters))
    name = "reverse-complement" if symmetry == "reverse-complement" else "reversal"
    if incoming is None:
        incoming = _of_input(layer, name, signal)
    if incoming.name != name:
        raise ModelError(f'{layer} with symmetry="{symmetry}" comes after a layer that keeps {incoming.name}.')
    if name == "reversal":
        # the word is of the filters: what they make of channels that turn their sign, turns its sign if they do not
        odd = incoming.signs[0] if len(set(incoming.signs)) == 1 else 1
        sign = odd * (-1 if symmetry == "antisymmetric" else 1)
        return incoming, Action.of(name, _numbers(filters), (sign,) * filters)
    return incoming, _outgoing(layer, name, filters)


def _is_rearrangement(symmetry: Any) -> bool:
    return callable(symmetry) or (isinstance(symmetry, list | tuple) and all(callable(s) for s in symmetry))


def _outgoing(layer: str, name: str, filters: int) -> Action:
    if name == "reversal":
        return Action.of(name, _numbers(filters))
    if filters % 2:
        raise ModelError(
            f"{layer} has {counted(filters, 'channel')}; with the reverse complement half of them are the mirror "
            "images of the others: make it an even number."
        )
    return Action.of(name, _numbers(filters)[::-1])


def _numbers(filters: int) -> Any:
    """0 to filters - 1. MemoryError, before a long tuple fills the memory, where the array does not fit."""
    check_size((filters,))
    return np.arange(filters)


def _of_input(layer: str, name: str, signal: Signal) -> Action:
    """The action on what comes in where no layer before has said."""
    if signal.letters is not None:
        return Action.of_letters(name, signal.letters)
    if name == "reversal":
        return Action.of(name, range(signal.channels))
    raise ModelError(
        f"{layer} cannot know which of the channels that come in are mirror images of each other: use the "
        "symmetry from the first layer on, or give input=nn.Signal(channels, action=nn.Action.of(...))."
    )


def convolution_ties(shape: tuple[int, int, int], symmetry: Any, actions: tuple[Action, Action] | None) -> Ties:
    """The ties of filters (width, channels, filters): those of the actions, and of functions given for `symmetry`."""
    functions: list[Symmetry] = []
    if _is_rearrangement(symmetry):
        functions = [symmetry] if callable(symmetry) else list(symmetry)
    if actions is not None:
        functions.append(mirrored_filters(*actions))
    return Ties.orbits(shape, *functions) if functions else untied(shape)


def mirrored_filters(incoming: Action, outgoing: Action) -> Callable[[Any], Any]:
    """The filters that see in a sequence what the others see in its mirror image."""

    def mirrored(w: Any) -> Any:
        return outgoing.on_channels(incoming.on_channels(w[::-1].swapaxes(-1, -2)).swapaxes(-1, -2))

    return mirrored


def bias_ties(channels: int, outgoing: Action | None) -> Ties:
    return untied((channels,)) if outgoing is None else Ties.orbits(channels, outgoing.on_channels)


def refuse_signs(layer: str, signal: Signal) -> None:
    """ModelError where a layer would not keep the sign of antisymmetric channels."""
    if signal.action is not None and signal.action.has_signs:
        raise ModelError(
            f"{layer} does not turn -x into -y, so antisymmetric channels would lose their symmetry; use nn.Tanh, or "
            'filters that are symmetry="antisymmetric" once more, whose outputs keep their sign.'
        )
