"""Weights in the layout of PyTorch's `state_dict`, and back. PyTorch itself is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError

from .convolution import Conv1D
from .dense import Dense, Flatten
from .layer import Layer
from .network import Sequential
from .weights import Weight

Array = NDArray[Any]


class _Place(NamedTuple):
    """Where PyTorch keeps a weight."""

    name: str
    weight: Weight
    there: Callable[[Array], Array]
    back: Callable[[Array], Array]


def to_state_dict(net: Sequential) -> dict[str, Array]:
    """Return the weights of a network by the names and in the shapes that a torch.nn.Sequential has.

    Layers keep their numbers: "0.weight" is that of the first. A Conv1D's weights become (filters, channels, width),
    letters in the order of the alphabet; a Dense layer's become (units, channels), after Flatten in PyTorch's order,
    channel by channel.

    Returns
    -------
    dict of str to array
        In the network's dtype; `torch.from_numpy` makes tensors of them.

    Raises
    ------
    ModelError
        A layer with weights that PyTorch has no counterpart of.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(8, width=5), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1))
    >>> {name: array.shape for name, array in nn.to_state_dict(net).items()}
    {'0.weight': (8, 4, 5), '0.bias': (8,), '3.weight': (1, 8), '3.bias': (1,)}
    """
    arrays = dict(zip(net.weights, net.expanded(), strict=True))
    return {place.name: np.ascontiguousarray(place.there(arrays[place.weight])) for place in _places(net)}


def from_state_dict(net: Sequential, state: Mapping[str, Any]) -> None:
    """Give a network the weights of a PyTorch model with the same layers: the inverse of `to_state_dict`.

    Parameters
    ----------
    net : Sequential
        Takes the values.
    state : mapping of str to array or CPU tensor
        All weights of the network, and nothing else.

    Raises
    ------
    ArgumentError
        A name is missing or too many, or an array has another shape or is not finite.
    ModelError
        Weights that are tied in the network differ in the state (by more than a millionth of the largest), or a layer
        that PyTorch has no counterpart of.
    """
    places = _places(net)
    names = [place.name for place in places]
    if set(state) != set(names):
        raise ArgumentError(f"the state has {', '.join(map(str, state))}; the network has {', '.join(names)}.")
    free: dict[Weight, Array] = {}
    for place in places:
        full = _array(place.name, state[place.name])
        wanted = place.there(np.empty(place.weight.shape)).shape
        if full.shape != wanted:
            raise ArgumentError(f"state[{place.name!r}] has the shape {full.shape}; the network needs {wanted}.")
        free[place.weight] = _tied(place, place.back(full))
    net.values = np.concatenate([free[weight] for weight in net.weights])


def _array(name: str, entry: Any) -> Array:
    try:
        full = np.asarray(entry, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"state[{name!r}] is no array of numbers: {error}") from error
    if not np.isfinite(full).all():
        raise ArgumentError(f"state[{name!r}] holds numbers that are not finite.")
    return full


def _tied(place: _Place, full: Array) -> Array:
    """The free values of entries that have to agree."""
    ties = place.weight.ties
    free: Array = ties.pool(full) / ties.uses
    off = np.abs(ties.expand(free) - full).max(initial=0.0)
    if off > 1e-6 * np.abs(full).max(initial=0.0):
        raise ModelError(
            f"state[{place.name!r}] differs by {off:.3g} where the network's ties make weights equal; use a network "
            "without that symmetry."
        )
    return free


def _places(net: Sequential) -> list[_Place]:
    return [
        place._replace(name=f"{number}.{place.name}")
        for number, layer in enumerate(net.layers)
        for place in _of_layer(net, number, layer)
    ]


def _of_layer(net: Sequential, number: int, layer: Layer) -> list[_Place]:
    """Where PyTorch's counterpart of a layer keeps each weight."""
    if not layer.weights:
        return []
    if isinstance(layer, Conv1D):
        return [_Place("weight", layer.weights[0], _reversed_axes, _reversed_axes), *map(_as_it_is, layer.weights[1:])]
    if isinstance(layer, Dense):
        before = net.layers[number - 1] if number else None
        shape = _flattened(before) if isinstance(before, Flatten) else (1, layer.weights[0].shape[0])
        first = _Place("weight", layer.weights[0], _channel_by_channel(shape), _position_by_position(shape))
        return [first, *map(_as_it_is, layer.weights[1:])]
    raise ModelError(f"PyTorch has no counterpart of {layer!r} with weights in this layout.")


def _as_it_is(weight: Weight) -> _Place:
    return _Place(weight.name, weight, np.asarray, np.asarray)


def _reversed_axes(array: Array) -> Array:
    return array.transpose()


def _flattened(layer: Flatten) -> tuple[int, int]:
    """Positions and channels of what was flattened."""
    assert layer.input is not None and layer.input.length is not None
    return layer.input.length, layer.input.channels


def _channel_by_channel(shape: tuple[int, int]) -> Callable[[Array], Array]:
    return lambda array: array.reshape(*shape, -1).transpose(2, 1, 0).reshape(array.shape[1], -1)


def _position_by_position(shape: tuple[int, int]) -> Callable[[Array], Array]:
    return lambda array: array.reshape(-1, *shape[::-1]).transpose(2, 1, 0).reshape(-1, len(array))
