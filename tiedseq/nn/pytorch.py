"""Weights in the layout of PyTorch's `state_dict`, and back. PyTorch itself is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.arrays import as_real
from tiedseq.errors import ArgumentError, ModelError

from .layer import Layer
from .layers.convolution import Conv1D
from .layers.dense import Dense, Flatten
from .layers.recurrent import GRU, LSTM, RNN
from .network import Sequential, check_network
from .signal import Signal
from .weights import Weight

Array = NDArray[Any]


class _Layout(NamedTuple):
    """How PyTorch keeps the weights of a layer: there and back."""

    there: Callable[[Sequence[Array]], dict[str, Array]]
    back: Callable[[Mapping[str, Array]], list[Array]]


def to_state_dict(net: Sequential) -> dict[str, Array]:
    """Return the weights of a network by the names and in the shapes that a torch.nn.Sequential has.

    Layers keep their numbers: "0.weight" is that of the first. A Conv1D's weights become (filters, channels, width),
    letters in the order of the alphabet; a Dense layer's become (units, channels), after Flatten in PyTorch's order,
    channel by channel. Recurrent layers have the names and gates of torch.nn.RNN, GRU and LSTM ("0.weight_ih_l0"),
    and zeros in PyTorch's second bias where it is redundant; both directions are written, tied or not.

    Returns
    -------
    dict of str to array
        In the network's dtype; `torch.from_numpy` makes tensors of them.

    Raises
    ------
    ModelError
        A layer with weights that PyTorch has no counterpart of, as GRU(reset="before").

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(8, width=5), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1))
    >>> {name: array.shape for name, array in nn.to_state_dict(net).items()}
    {'0.weight': (8, 4, 5), '0.bias': (8,), '3.weight': (1, 8), '3.bias': (1,)}
    """
    check_network(net)
    found: dict[str, Array] = {}
    for number, layer, layout in _layouts(net):
        named = layout.there(_arrays(net, layer))
        found |= {f"{number}.{name}": np.ascontiguousarray(array) for name, array in named.items()}
    return found


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

    Examples
    --------
    >>> import numpy as np
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Dense(1), input=nn.Signal(2, positions=False))
    >>> nn.from_state_dict(net, {"0.weight": np.array([[1.0, 2.0]]), "0.bias": np.array([0.5])})
    >>> net([10, 100])
    array([210.5], dtype=float32)
    """
    names = list(to_state_dict(net))
    if not isinstance(state, Mapping):
        raise ArgumentError(f"state= is of type {type(state).__name__}; give what a module's state_dict() returns.")
    _check_names(list(state), names)
    free: dict[Weight, Array] = {}
    for number, layer, layout in _layouts(net):
        wanted = layout.there(_arrays(net, layer))
        given = {name: _array(f"{number}.{name}", state[f"{number}.{name}"], like) for name, like in wanted.items()}
        for weight, full in zip(layer.weights, layout.back(given), strict=True):
            free[weight] = _tied(f"{number}.{weight.name}", weight, full)
    net.values = np.concatenate([np.zeros(0), *(free[weight] for weight in net.weights)])


def _arrays(net: Sequential, layer: Layer) -> list[Array]:
    return net.stack.of_part(layer, net.expanded())


def _check_names(given: list[Any], wanted: list[str]) -> None:
    """ArgumentError unless they are the same, in any order."""
    lacking = ", ".join(repr(name) for name in wanted if name not in given)
    unknown = ", ".join(repr(name) for name in given if name not in wanted)
    found = [f"lacks {lacking}"] if lacking else []
    found += [f"has {unknown}, which the network lacks"] if unknown else []
    if found:
        raise ArgumentError(
            f"state= {' and '.join(found)}; give the weights of a module with the same layers, and nothing else."
        )


def _array(name: str, entry: Any, like: Array) -> Array:
    """Numbers, float64, of the shape of another array and finite in its dtype."""
    try:
        full = as_real(entry, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"state[{name!r}] is no array of numbers: {error}") from error
    if full.shape != like.shape:
        raise ArgumentError(f"state[{name!r}] has the shape {full.shape}; the network needs {like.shape}.")
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(full.astype(like.dtype)).all()
    if not is_finite:
        wider = ', or make the network with dtype="float64"' if like.dtype == np.float32 else ""
        raise ArgumentError(f"state[{name!r}] holds numbers that are not finite in {like.dtype}; replace them{wider}.")
    return full


def _tied(name: str, weight: Weight, full: Array) -> Array:
    """The free values of entries that have to agree."""
    free: Array = weight.ties.pool(full) / weight.ties.uses
    _check_equal(name, weight.ties.expand(free), full)
    return free


def _check_equal(name: str, one: Array, other: Array) -> None:
    off = np.abs(one - other).max(initial=0.0)
    if off > 1e-6 * np.abs(other).max(initial=0.0):
        raise ModelError(
            f"the state differs by {off:.3g} where the ties of {name!r} make weights equal; use a network without that "
            "symmetry."
        )


# ---- layers --------------------------------------------------------------------------------------------------------


def _layouts(net: Sequential) -> Iterator[tuple[int, Layer, _Layout]]:
    """The layers that have weights, and their layouts."""
    for number, layer in enumerate(net.layers):
        if layer.weights:
            yield number, layer, _layout(layer, _flattened(net.layers[:number]))


def _flattened(before: Sequence[Layer]) -> Signal | None:
    """What the nn.Flatten took whose order still stands, after layers that leave every number at its place."""
    for layer in reversed(before):
        assert layer.input is not None
        if isinstance(layer, Flatten):
            return layer.input
        if layer.weights or layer.input.positions:
            return None
    return None


def _layout(layer: Layer, flattened: Signal | None) -> _Layout:
    if isinstance(layer, Conv1D):
        return _plain(np.transpose, np.transpose)
    if isinstance(layer, Dense):
        if flattened is not None:
            assert flattened.length is not None
            return _after_flatten(flattened.length, flattened.channels)
        return _plain(np.transpose, np.transpose)
    if isinstance(layer, RNN | LSTM) or (isinstance(layer, GRU) and layer.reset == "after"):
        return _recurrent(layer)
    raise ModelError(f"PyTorch has no counterpart of {layer!r} with weights in this layout.")


def _plain(there: Callable[[Array], Array], back: Callable[[Array], Array]) -> _Layout:
    """One array of weights, rearranged, and biases as they are."""
    return _Layout(
        lambda arrays: dict(zip(("weight", "bias"), (there(arrays[0]), *arrays[1:]), strict=False)),
        lambda named: [back(named["weight"]), *([named["bias"]] if "bias" in named else [])],
    )


def _after_flatten(length: int, channels: int) -> _Layout:
    """PyTorch flattens channel by channel, we position by position."""
    return _plain(
        lambda array: array.reshape(length, channels, -1).transpose(2, 1, 0).reshape(array.shape[1], -1),
        lambda array: array.reshape(-1, channels, length).transpose(2, 1, 0).reshape(-1, len(array)),
    )


def _recurrent(layer: RNN | GRU | LSTM) -> _Layout:
    suffixes = ("_l0", "_l0_reverse")[: 2 if layer.bidirectional else 1]

    def there(arrays: Sequence[Array]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for suffix, direction in zip(suffixes, layer.directions(arrays), strict=True):
            found |= {name + suffix: array for name, array in _direction_there(*direction).items()}
        return found

    def back(named: Mapping[str, Array]) -> list[Array]:
        directions = [
            _direction_back({name.removesuffix(suffix): named[name] for name in named if name.endswith(suffix)}, layer)
            for suffix in suffixes
        ]
        if layer.incoming is None:
            return [array for direction in directions for array in direction]
        for ours, theirs in zip(layer.directions(directions[0])[1], directions[1], strict=True):
            _check_equal(repr(layer), np.asarray(ours), theirs)
        return directions[0]

    return _Layout(there, back)


def _direction_there(weight: Array, recurrent: Array, bias: Array) -> dict[str, Array]:
    """Gates one after the other, outputs before inputs; a GRU's fourth bias belongs to the state's part of n."""
    _, gates, units = weight.shape
    second = np.zeros_like(bias[:gates])
    second[gates - len(bias[gates:]) : gates] = bias[gates:]
    return {
        "weight_ih": weight.transpose(1, 2, 0).reshape(gates * units, -1),
        "weight_hh": recurrent.transpose(1, 2, 0).reshape(gates * units, -1),
        "bias_ih": bias[:gates].ravel(),
        "bias_hh": second.ravel(),
    }


def _direction_back(named: Mapping[str, Array], layer: RNN | GRU | LSTM) -> list[Array]:
    """The inverse; PyTorch's two biases are summed where that is what they do."""
    gates, units = layer.cell.gates, layer.units
    first, second = (named[name].reshape(gates, units).copy() for name in ("bias_ih", "bias_hh"))
    last = second[gates - 1 :].copy() if layer.cell.biases > gates else second[:0]
    if len(last):
        second[gates - 1] = 0.0
    arrays = [named[name].reshape(gates, units, -1).transpose(2, 0, 1) for name in ("weight_ih", "weight_hh")]
    return [*arrays, np.concatenate([first + second, last])]
