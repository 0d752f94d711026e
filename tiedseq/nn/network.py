"""A network: layers one after the other, one flat vector of free values, and what it makes of sequences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq import storage
from tiedseq.alphabet import DNA
from tiedseq.errors import ArgumentError
from tiedseq.one_thread import on_one_thread
from tiedseq.options import checked_count
from tiedseq.random_state import RandomState, generators
from tiedseq.restating import damage_as_model_error

from . import document
from .inputs import gathered, sequences_of
from .layer import Layer
from .layers.fusion import fused
from .prediction import outputs
from .signal import Batch, Signal
from .stack import Stack, labels_of
from .weights import Weight

Array = NDArray[Any]


class Sequential:
    """Layers one after the other, and the values of their weights.

    All free values are one flat vector, `values`; what is tied stands in it once. The network is a function of them:
    `forward` and `backward` take a Batch and such values, and change nothing.

    Parameters
    ----------
    *layers : Layer
        In their order. A layer has its place in one network only.
    input : Alphabet, str, int or Signal, default DNA
        What comes in: letters of an alphabet, or numbers in so many channels.
    length : int, default None
        The length of all sequences, which layers with weights at every position need; None for any.
    dtype : {"float32", "float64"}, default "float32"
        What is computed in; float64 for checks. Values are kept in it.
    random_state : int, Generator, RandomState or None
        Draws the starting values.

    Raises
    ------
    ArgumentError
        No layer, something that is none, or one that has its place elsewhere.
    ModelError
        A layer does not fit what the one before it leaves, or cannot keep its symmetry.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(16, width=15, symmetry="reverse-complement"), nn.ReLU(), nn.GlobalMaxPool(),
    ...                     nn.Dense(1), random_state=0)
    >>> net.n_parameters  # 8 filters of 15 x 4, 8 biases, 8 weights and a bias of the last layer
    497
    """

    kind = "network"

    def __init__(
        self,
        *layers: Layer,
        input: Any = DNA,
        length: int | None = None,
        dtype: Any = "float32",
        random_state: RandomState = None,
    ) -> None:
        self.dtype = checked_dtype(dtype)
        self.layers = tuple(layers)
        generator = generators(random_state, 1)[0]  # before layers have their places: an error leaves them free
        self.input = Signal.of(input, None if length is None else checked_count("length", length), self.dtype)
        self.stack = Stack(self.layers)
        self.output = self.stack.place(self.input)
        self.stack.steps = fused(self.stack.parts)
        weights = self.stack.weights
        ends = np.cumsum([0, *(weight.ties.n_free for weight in weights)])
        self._slices = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.values = self._drawn(generator)

    # ---- values -----------------------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Free parameters: what is tied counts once."""
        return sum(weight.ties.n_free for weight in self.stack.weights)

    @property
    def values(self) -> Array:
        """(n_parameters,): the free values, weight by weight in the order of `names`."""
        return self._values

    @values.setter
    def values(self, values: Array) -> None:
        cast = self._cast(values).copy()
        if not np.isfinite(cast).all():
            raise ArgumentError(
                f"values= holds numbers that are not finite in {np.dtype(self.dtype).name}; replace them."
            )
        self._values = cast

    def _cast(self, values: Any) -> Array:
        """The flat vector in the network's dtype. ArgumentError for another length, and for what are no numbers."""
        try:
            found = np.asarray(values)
        except ValueError as error:
            raise ArgumentError(f"values= is ragged; the network has {self.n_parameters} free values.") from error
        if found.shape != (self._slices[-1].stop if self._slices else 0,) or found.dtype.kind not in "fiu":
            raise ArgumentError(
                f"values= has the shape {found.shape} and the dtype {found.dtype}; the network has "
                f"{self.n_parameters} free values, which are real numbers."
            )
        with np.errstate(over="ignore"):
            return found.astype(self.dtype, copy=False)

    @property
    def weights(self) -> tuple[Weight, ...]:
        """The weights of all layers, each once, in the order of `values`."""
        return self.stack.weights

    @property
    def names(self) -> list[str]:
        """The label of every weight: the number of its layer, the layer, its name there, as in "0.conv1d.weight"."""
        layers = ((f"{number}.{type(layer).__name__.lower()}", layer) for number, layer in enumerate(self.layers))
        return labels_of(self.stack.weights, layers)

    @property
    def parameters(self) -> dict[str, Array]:
        """The weights by label, expanded: arrays whose tied entries are equal."""
        return dict(zip(self.names, self.expanded(), strict=True))

    def draw(self, random_state: RandomState = None) -> Array:
        """Return starting values, without setting them."""
        return self._drawn(generators(random_state, 1)[0])

    def _drawn(self, generator: np.random.Generator) -> Array:
        drawn = [weight.draw(generator) for weight in self.stack.weights]
        return np.concatenate(drawn) if drawn else np.zeros(0)

    @property
    def decays(self) -> NDArray[np.bool_]:
        """(n_parameters,): whether weight decay applies to a free value; it does not to biases."""
        return np.repeat([w.decays for w in self.stack.weights], [w.ties.n_free for w in self.stack.weights])

    def expanded(self, values: Array | None = None) -> list[Array]:
        """Return the arrays of all weights, what is tied written to all its places.

        Parameters
        ----------
        values : array (n_parameters,), default the network's own
            The flat vector of free values.

        Returns
        -------
        list of arrays
            Of the shapes of `weights`, in their order and in the network's dtype; new ones at every call.

        Raises
        ------
        ArgumentError
            `values` has another length, or holds no real numbers.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.Conv1D(1, width=3, symmetry="palindrome"), input=1)
        >>> [array.ravel().tolist() for array in net.expanded([1, 2, 5])]
        [[1.0, 2.0, 1.0], [5.0]]
        """
        flat = self._values if values is None else self._cast(values)
        return [w.ties.expand(flat[part]) for w, part in zip(self.stack.weights, self._slices, strict=True)]

    def pooled(self, gradients: Sequence[Array]) -> Array:
        """Return the gradient in the free values: the adjoint of `expanded`.

        Parameters
        ----------
        gradients : sequence of arrays
            d loss / d entry, of the shapes of `weights` and in their order.

        Returns
        -------
        float64 array (n_parameters,)
            Summed over the entries of every value, with their signs.

        Raises
        ------
        ArgumentError
            An array has another shape than its weight, or is not numeric.
        """
        parts = [w.ties.pool(g.astype(np.float64)) for w, g in zip(self.stack.weights, gradients, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0)

    # ---- functions --------------------------------------------------------------------------------------------

    @on_one_thread  # products are small: shared among threads they take a thousand times as long where cores are busy
    def forward(
        self, batch: Batch, values: Array | None = None, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        """Return what the network makes of a batch, and what `backward` needs.

        Parameters
        ----------
        batch : Batch
            From `batch`. Its values are codes uint8 (N, L), or numbers (N, L, channels) or (N, channels) in the
            network's dtype; they are not checked.
        values : array (n_parameters,), default the network's own
            The free values. They are computed with in the network's dtype.
        random : Generator, default None
            For layers that draw in training, such as nn.Dropout; None: they do as in prediction.

        Returns
        -------
        (Batch, memory)
            Outputs (N, L, channels), zero beyond a sequence's end, or (N, channels), in the network's dtype.

        Raises
        ------
        ArgumentError
            `values` has another length, or holds no real numbers.
        SequenceError
            A length that a layer does not take.
        ResourceError
            The batch does not fit in memory.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.Conv1D(2, width=3), random_state=0)
        >>> sequences, _ = net.read(["ACGTA", "ACG"])
        >>> outgoing, memory = net.forward(net.batch(sequences))
        >>> outgoing.values.shape, outgoing.lengths
        ((2, 3, 2), array([3, 1]))
        >>> back, gradient = net.backward(memory, np.ones_like(outgoing.values))  # of the sum of all outputs
        >>> back is None, gradient.shape == (net.n_parameters,)
        (True, True)
        """
        return self.stack.forward(self.expanded(values), batch, random)

    @on_one_thread
    def backward(self, memory: Any, gradient: Array, values: Array | None = None) -> tuple[Array | None, Array]:
        """Return the gradient in the input and in the free values; an example is at `forward`.

        Parameters
        ----------
        memory
            From `forward`, with the same values.
        gradient : array of the shape of the outgoing values
            d loss / d output, zero beyond a sequence's end.
        values : array (n_parameters,), default the network's own

        Returns
        -------
        (array or None, float64 array (n_parameters,))
            d loss / d input, of the shape of what came in and in the network's dtype, None for letters; and
            d loss / d free value.

        Raises
        ------
        ArgumentError
            `values` has another length, or holds no real numbers.
        ResourceError
            The gradient does not fit in memory.
        """
        back, gradients = self.stack.backward(self.expanded(values), memory, np.asarray(gradient, self.dtype))
        return back, self.pooled(gradients)

    @on_one_thread
    def penalty(self, values: Array | None = None) -> tuple[float, Array]:
        """Return what layers add to the objective, such as the soft tie of `UnrolledRNN`, and its gradient.

        Parameters
        ----------
        values : array (n_parameters,), default the network's own

        Returns
        -------
        (float, float64 array (n_parameters,))
            Zeros where no layer adds anything.

        Raises
        ------
        ArgumentError
            `values` has another length, or holds no real numbers.
        """
        found = self.stack.penalty(self.expanded(values))
        return (0.0, np.zeros(self.n_parameters)) if found is None else (found[0], self.pooled(found[1]))

    @on_one_thread
    def __call__(self, X: Any) -> Any:
        """Return what the network makes of sequences: an array; a list of arrays where sequences differ in length.

        A string is one sequence, and gives one array.
        """
        sequences, one = self.read(X)
        found = outputs(self, sequences)
        if one:
            return found[0]
        return np.stack(found) if len({len(output) for output in found}) == 1 else found

    def read(self, X: Any) -> tuple[list[Any], bool]:
        """Return what users hand in as a list of sequences, as arrays, and whether it is a single one."""
        return sequences_of(X, self.input, self.dtype)

    def batch(self, sequences: Sequence[Any]) -> Batch:
        """Return sequences that `read` gave as one batch, padded at the end."""
        return gathered(sequences, self.input)

    # ---- files ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a readable, versioned JSON file; `ts.load` gives it back to the last bit.

        Raises
        ------
        ModelError
            A layer cannot be written, such as one with a function as its `symmetry`.
        ResourceError
            The file cannot be written.
        """
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the network as a dictionary for JSON."""
        writer = document.Writer()
        values = {
            name: document.numbers(self.values[part]) for name, part in zip(self.names, self._slices, strict=True)
        }
        return {
            "input": document.signal_to_dict(self.input),
            "dtype": np.dtype(self.dtype).name,
            "layers": [writer.layer(layer) for layer in self.layers],
            "values": values,
        }

    @classmethod
    @damage_as_model_error()
    def from_dict(cls, found: Mapping[str, Any]) -> Sequential:
        """Return the network that `to_dict` described; ModelError for what is no such description."""
        reader = document.Reader()
        layers = [reader.layer(each) for each in found["layers"]]
        net = cls(*layers, input=document.signal_from_dict(found["input"]), dtype=found["dtype"], random_state=0)
        if list(found["values"]) != net.names:
            raise ValueError(
                f"its values are of {', '.join(found['values'])}, and the weights are {', '.join(net.names)}"
            )
        parts = [np.array(found["values"][name], np.float64) for name in net.names]
        for name, part, place in zip(net.names, parts, net._slices, strict=True):
            if part.shape != (place.stop - place.start,):
                raise ValueError(f"{name} has {place.stop - place.start} free values, and the file holds {part.size}")
        net.values = np.concatenate(parts) if parts else np.zeros(0)
        return net

    def __repr__(self) -> str:
        lines = [f"    {layer!r},  # {_shape(layer)}" for layer in self.layers]
        count = f"{self.n_parameters} free parameter{'' if self.n_parameters == 1 else 's'}"
        return "\n".join(["nn.Sequential(", *lines, f")  # {count}"])


def check_network(net: Any, name: str = "net", or_else: str = "") -> None:
    """ArgumentError, which calls the argument so, for what is no network."""
    if not isinstance(net, Sequential):
        raise ArgumentError(f"{name}={net!r} must be an nn.Sequential{or_else}; of an estimator take its `net`.")


def checked_dtype(dtype: Any) -> Any:
    """Return float32 or float64. Raises ArgumentError for anything else."""
    try:
        found = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ArgumentError(f'dtype={dtype!r} must be "float32" or "float64".')
    return found.type


def _shape(layer: Layer) -> str:
    out = layer.output
    assert out is not None
    length = f"{out.length or 'any'} x " if out.positions else ""
    symmetry = f", {out.action.name}" if out.action is not None else ""
    return f"{length}{out.channels}{symmetry}, {layer.n_parameters} free"
