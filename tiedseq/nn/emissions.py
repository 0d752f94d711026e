"""A network in the place of an HMM's emissions: every state's log-potential at every position."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError, counted
from tiedseq.options import checked_weight
from tiedseq.specification import Parameter

from .inputs import gathered, of_another_length, sequences_of
from .network import Sequential, check_network
from .prediction import forward
from .signal import Batch

Floats = NDArray[np.float64]
Array = NDArray[Any]

_POSITIONS = 1 << 14  # of a batch of the network, padding included; one longer sequence is a batch of its own


class Part(NamedTuple):
    """Sequences of like length, side by side."""

    batch: Batch
    places: NDArray[np.int64]  # what is no padding, in the flattened batch
    rows: NDArray[np.int64]  # where these positions are among all
    numbers: NDArray[np.intp]  # of the sequences, among all

    @property
    def sequences(self) -> list[Array]:
        """Each without its padding."""
        assert self.batch.lengths is not None
        return [row[:length] for row, length in zip(self.batch.values, self.batch.lengths, strict=True)]


class Emissions:
    """The outputs of a network as the log-potentials of an HMM's states: `emissions=` of `ts.HMM`.

    The weight of a path is exp(sum of its states' potentials) times its transition probabilities, and P(path | X) is
    this over the sum of all paths. `fit(X, paths=...)`, or `allowed=` for labels that are known in part, climbs
    ln P(labels | X) by the exact gradient, in transitions and network together. `fit` leaves the network as it is: the
    model has values of its own, `hmm.parameters`, and `hmm.emissions_` is the network that it has come to. Layers that
    draw, such as nn.Dropout, do as in prediction. Threads can share the batches (`executor`).

    Parameters
    ----------
    network : Sequential
        It keeps the length of its input (padding="same"). Potentials are computed in its dtype, everything else in
        float64; in float32 training ends where rounding hides what is still to gain.
    outputs : mapping of state to int or tuple of int, default None
        The output of every state, counted from 0; of several, their sum, such as both of a pair of mirror images.
        States with the same output are tied. None: as many outputs as states, in their order.
    decay : float, default 0
        Taken from the objective is decay / 2 times the sum of squares of the weights, each free value once, biases
        left out. Zero may let them grow without bound where the labels can be told without error.

    Raises
    ------
    ArgumentError
        `network` is none, `outputs` no mapping, or `decay` negative.
    ModelError
        The network leaves no positions; in the HMM, outputs and states do not fit.

    Examples
    --------
    >>> import tiedseq as ts
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(2, width=3, padding="same"), random_state=0)
    >>> rows = {"rich": {"rich": 0.9, "poor": 0.1}, "poor": {"poor": 0.9, "rich": 0.1}}
    >>> model = ts.HMM(transitions=rows, emissions=nn.Emissions(net, decay=0.1))
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> model.fit("GCGCATAT", paths=labels).predict("ATATATGCGCGC")
    array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    """

    def __init__(
        self, network: Sequential, outputs: Mapping[str, int | Sequence[int]] | None = None, decay: float = 0.0
    ) -> None:
        check_network(network, "network")
        if not isinstance(outputs, Mapping | None):
            raise ArgumentError(f"outputs={outputs!r} must map every state to an output, or to several in a tuple.")
        if not network.output.positions:
            raise ModelError(
                "The network leaves no positions, and an HMM needs an output at each: leave out pooling over all of "
                "them, and nn.Flatten."
            )
        self.network, self.decay = network, checked_weight("decay", decay)
        self.outputs = None if outputs is None else dict(outputs)
        self.alphabet = network.input.letters

    def __repr__(self) -> str:
        return f"nn.Emissions({self.network!r})"

    def potentials(self, states: Sequence[str]) -> NetworkPotentials:
        """Return what an HMM with these states asks for. ModelError unless each of them has its outputs."""
        return NetworkPotentials(self, self._potential_of(states))

    def to_dict(self) -> dict[str, Any]:
        """Return the network with its values, and the rest, as a dictionary for JSON."""
        outputs = None if self.outputs is None else {state: self._outputs_of(state) for state in self.outputs}
        return {"network": self.network.to_dict(), "outputs": outputs, "decay": self.decay}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Emissions:
        """Return what `to_dict` described."""
        return cls(Sequential.from_dict(document["network"]), document["outputs"], document["decay"])

    def _potential_of(self, states: Sequence[str]) -> Floats:
        """(outputs, states): how often an output is in the potential of a state."""
        n = self.network.output.channels
        if self.outputs is None:
            if n != len(states):
                raise ModelError(
                    f"The network has {counted(n, 'output')} a position, and the model {counted(len(states), 'state')} "
                    f"({', '.join(map(repr, states))}); give the last layer as many, or say by outputs= which state "
                    "has which."
                )
            return np.eye(n)
        for state in [*self.outputs, *states]:
            if state not in states or state not in self.outputs:
                lacking = "transitions=" if state not in states else "outputs="
                raise ModelError(
                    f"{lacking} lacks the state {state!r}; transitions= and outputs= name the same states."
                )
        found = np.zeros((n, len(states)))
        for column, state in enumerate(states):
            for output in self._outputs_of(state):
                found[output, column] += 1.0
        return found

    def _outputs_of(self, state: str) -> list[int]:
        assert self.outputs is not None
        given: Any = self.outputs[state]
        numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        n = self.network.output.channels
        for number in numbers:
            whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
            if not (whole and 0 <= number < n):
                raise ModelError(f"outputs[{state!r}] is {given!r}; the network's outputs are 0 to {n - 1}.")
        if not numbers:
            raise ModelError(f"outputs[{state!r}] is empty; a state has one output at least.")
        return [int(number) for number in numbers]


class NetworkPotentials:
    """The potentials of an HMM's states as functions of a network's values; see :mod:`tiedseq.chains.potentials`."""

    def __init__(self, emissions: Emissions, of_states: Floats) -> None:
        self.emissions, self.network, self.of_states = emissions, emissions.network, of_states
        self.n_channels = self.network.input.channels
        self.initial: Floats = self.network.values.astype(np.float64)

    def at(self, values: Floats) -> Emissions:
        """Return the emissions with a network of these values."""
        network = copy.copy(self.network)
        network.values = values
        return Emissions(network, self.emissions.outputs, self.emissions.decay)

    # ---- sequences ------------------------------------------------------------------------------------------------

    def sequence(self, X: Any) -> Array:
        """Return one sequence of numbers as an array (T, channels). SequenceError where it is none."""
        try:
            array = np.asarray(X)
        except (RuntimeError, TypeError, ValueError) as error:
            raise SequenceError(f"X is ragged, or no array of numbers (length, {self.n_channels})") from error
        if array.ndim > 2:
            raise SequenceError(
                f"X has the shape {array.shape}; a sequence is (length, {self.n_channels}), and many are a list"
            )
        return sequences_of(array, self.network.input, self.network.dtype)[0][0]

    def observe(self, values: Array, ends: NDArray[np.int64]) -> list[Part]:
        """Return sequences, which stand one after the other, in parts of like length."""
        lengths = np.diff(ends)
        parts, first = [], 0
        order = np.argsort(lengths, kind="stable")
        while first < len(order):
            last = first + 1
            while last < len(order) and (last + 1 - first) * lengths[order[last]] <= _POSITIONS:
                last += 1
            parts.append(self._part(values, ends, order[first:last]))
            first = last
        return parts

    def _part(self, values: Array, ends: NDArray[np.int64], numbers: NDArray[np.intp]) -> Part:
        batch = gathered([values[ends[k] : ends[k + 1]] for k in numbers.tolist()], self.network.input)
        assert batch.lengths is not None
        inside = np.arange(batch.values.shape[1]) < batch.lengths[:, None]
        return Part(
            batch,
            np.flatnonzero(inside),
            np.concatenate([np.arange(ends[k], ends[k + 1]) for k in numbers.tolist()]),
            numbers,
        )

    # ---- functions of the values ----------------------------------------------------------------------------------

    def forward(self, values: Floats, observed: Sequence[Part], first: int) -> tuple[Floats, Any]:
        """Return the log-potentials (positions, states), and what `backward` needs.

        Raises ModelError if the network changes the length, SequenceError for one that it does not take.
        """
        found = np.empty((sum(len(part.rows) for part in observed), self.of_states.shape[1]))
        memories = []
        for part in observed:
            _check_taken(part, self.network.input.length, first)
            try:
                outgoing, memory = self.network.forward(part.batch, values)
            except SequenceError:
                forward(self.network, part.sequences, first + part.numbers, self.network.expanded(values))  # says which
                raise
            _check_lengths(part.batch, outgoing)
            outputs = outgoing.values.reshape(-1, outgoing.values.shape[2]).take(part.places, axis=0)
            found[part.rows] = outputs.astype(np.float64) @ self.of_states
            memories.append(memory)
        return found, (observed, memories)

    def backward(self, values: Floats, memory: Any, gradient: Floats) -> Floats:
        """Return d objective / d value from d objective / d log-potential."""
        total = np.zeros(len(values))
        by_output = gradient @ self.of_states.T
        for part, kept in zip(*memory, strict=True):
            back = np.zeros((*part.batch.values.shape[:2], by_output.shape[1]), self.network.dtype)
            back.reshape(-1, by_output.shape[1])[part.places] = by_output[part.rows]
            total += self.network.backward(kept, back, values)[1]
        return total

    def penalty(self, values: Floats) -> tuple[float, Floats]:
        """Return what is taken from the objective, and its gradient: decay, and soft ties of layers."""
        decaying = np.where(self.network.decays, values, 0.0)
        decay = self.emissions.decay
        of_layers, gradient = self.network.penalty(values)
        return of_layers + 0.5 * decay * float(decaying @ decaying), gradient + decay * decaying

    def draw(self, generator: np.random.Generator) -> Floats:
        """Return values for a restart."""
        return self.network.draw(generator)

    # ---- what is shown --------------------------------------------------------------------------------------------

    def by_label(self, values: Floats) -> dict[str, Any]:
        """The arrays of all weights."""
        return dict(zip(self.network.names, self.network.expanded(values), strict=True))

    def describe(self, values: Floats) -> Iterator[Parameter]:
        for label, array in self.by_label(values).items():
            yield Parameter(label, array, (label,), False)


def _check_taken(part: Part, wanted: int | None, first: int) -> None:
    """SequenceError for a sequence of another length than the network takes."""
    assert part.batch.lengths is not None
    wrong = np.flatnonzero(part.batch.lengths != wanted)
    if wanted is not None and len(wrong):
        said = of_another_length(part.batch.lengths[wrong[0]], wanted)
        raise SequenceError(f"Sequence {first + part.numbers[wrong[0]]} {said}")


def _check_lengths(incoming: Batch, outgoing: Batch) -> None:
    """ModelError unless the network keeps the lengths of sequences."""
    assert incoming.lengths is not None and outgoing.lengths is not None
    changed = np.flatnonzero(incoming.lengths != outgoing.lengths)
    if len(changed):
        before, after = (int(batch.lengths[changed[0]]) for batch in (incoming, outgoing))  # type: ignore[index]
        raise ModelError(
            f"The network makes {after} positions of {before}, and an HMM needs an output at each: give its layers "
            'padding="same" and stride=1, and leave out pooling.'
        )
