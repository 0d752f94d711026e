"""Recurrent layers: one set of weights at every step, which is a tie over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Action, Batch, Signal
from tiedseq.nn.weights import Weight, untied
from tiedseq.options import check_word, checked_count, checked_flag

from . import cells
from .symmetry import actions_of

Array = NDArray[Any]
RESETS = {"after": cells.GRU_AFTER, "before": cells.GRU_BEFORE}


class _Recurrent(Layer):
    """What recurrent layers share; they differ in their cell."""

    def __init__(
        self, units: int, sequences: bool = False, bidirectional: bool = False, symmetry: str | None = None
    ) -> None:
        self.units = checked_count("units", units)
        self.sequences, self.symmetry = checked_flag("sequences", sequences), symmetry
        self.bidirectional = checked_flag("bidirectional", bidirectional)
        if not (symmetry is None or (isinstance(symmetry, str) and symmetry == "reverse-complement")):
            raise ArgumentError(f'symmetry={symmetry!r} of a recurrent layer must be "reverse-complement" or None.')
        if symmetry is not None and not bidirectional:
            raise ArgumentError(
                f"symmetry={symmetry!r} ties the two directions of a layer, and this one has one; add "
                "bidirectional=True, or leave it out."
            )

    @property
    def cell(self) -> cells.Cell:
        raise NotImplementedError

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        if signal.action is not None and not self.bidirectional:
            raise ModelError(
                f"{self!r} reads from the first position to the last only, so it would not keep the symmetry "
                f"{signal.action.name} of the layer before; use bidirectional=True, or leave the symmetry out."
            )
        actions = actions_of(repr(self), self.symmetry, signal, 2 * self.units)
        self.incoming = None if actions is None else actions[0]
        self.letters = signal.letters
        self.weights = self._weights(signal.channels)
        if self.bidirectional and self.incoming is None:
            self.weights += self._weights(signal.channels, "backward_")
        channels = self.units * (2 if self.bidirectional else 1)
        outgoing = None
        if self.incoming is not None:
            outgoing = Action.of(self.incoming.name, (np.arange(channels) + self.units) % channels)
        return signal.changed(channels, outgoing, signal.length if self.sequences else None, self.sequences)

    def _weights(self, channels: int, prefix: str = "") -> tuple[Weight, ...]:
        scale = float(np.sqrt(1 / self.units))
        return (
            Weight(f"{prefix}weight", untied((channels, self.cell.gates, self.units)), scale),
            Weight(f"{prefix}recurrent", untied((self.units, self.cell.gates, self.units)), scale),
            Weight(f"{prefix}bias", untied((self.cell.biases, self.units)), 0.0, decays=False),
        )

    def directions(self, weights: Sequence[Array]) -> list[Sequence[Array]]:
        """The arrays of each direction. With a symmetry the second reads the mirror image with the first's weights."""
        if not self.bidirectional:
            return [weights]
        if self.incoming is None:
            return [weights[:3], weights[3:]]
        return [weights, (_mirrored(self.incoming, weights[0]), *weights[1:])]

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        kept = self.cell.run(batch, self.letters, self.directions(weights))
        states = kept[0]
        outgoing = Batch(states, batch.lengths) if self.sequences else Batch(self._last(states, batch))
        return outgoing, (batch, kept)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        batch, kept = memory
        if not self.sequences:
            last, gradient = gradient, np.zeros_like(kept[0])
            for place in self._ends(batch):
                gradient[place] = last[:, place[2]]
        back, found = self.cell.back(batch, self.letters, self.directions(weights), kept, gradient)
        if self.incoming is None:
            return back, [array for direction in found for array in direction]
        ahead, behind = found
        behind[0] = _mirrored(self.incoming, behind[0])  # signed permutations of order two are their own transposes
        return back, [a + b for a, b in zip(ahead, behind, strict=True)]

    def _ends(self, batch: Batch) -> list[tuple[Any, ...]]:
        """For each direction where its last states are: sequences, positions, channels."""
        assert batch.lengths is not None
        rows, units = np.arange(len(batch)), self.units
        ends: list[tuple[Any, ...]] = [
            (rows, batch.lengths - 1, slice(0, units)),
            (rows, 0, slice(units, 2 * units)),
        ]
        return ends if self.bidirectional else ends[:1]

    def _last(self, states: Array, batch: Batch) -> Array:
        return np.concatenate([states[place] for place in self._ends(batch)], axis=1)

    def _described(self) -> str:
        return shown(f"{self.units}", **self._options())

    def _options(self) -> dict[str, tuple[Any, Any]]:
        """What may be said of the layer, each with its default."""
        return {
            "sequences": (self.sequences, False),
            "bidirectional": (self.bidirectional, False),
            "symmetry": (self.symmetry, None),
        }


def _mirrored(action: Action, weight: Array) -> Array:
    """Weights (channels, ...) that see in a sequence what the given ones see in its mirror image."""
    return action.on_channels(weight.T).T


class RNN(_Recurrent):
    """A recurrent layer: h_t = tanh(x_t W + h_(t-1) U + b), from zero states (Elman, Cognitive Science 1990).

    Over letters x_t W is a row of a table instead of a product; an ambiguity code such as N counts as its letters in
    equal parts. In a batch each sequence ends at its own length.

    Parameters
    ----------
    units : int
        Numbers that the state has.
    sequences : bool, default False
        Whether every state goes out, (L, units). Otherwise the last one does, (units,): of the backward direction that
        is the state at position 0.
    bidirectional : bool, default False
        Whether a second layer reads from the last position to the first. Channels are the forward's, then its.
    symmetry : "reverse-complement", default None
        The backward direction has the forward's weights, seen through the complement of the channels, so that the
        reverse complement of a sequence gives the outputs backwards, and both halves of the channels swapped. None
        keeps the symmetry of the layer before, if it has one; else both directions have weights of their own.

    Weights start uniform within 1 / sqrt(units) of zero, as PyTorch's do; biases at zero. "weight" is (channels, 1,
    units), "recurrent" (units, 1, units), "bias" (1, units); PyTorch has a second bias, which is redundant. Those of a
    backward direction of its own begin with "backward_".

    Raises
    ------
    ArgumentError
        An argument outside of its range, or a symmetry of a single direction.
    ModelError
        In a network: a single direction after a layer that keeps a symmetry, or letters without a complement.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.RNN(8, bidirectional=True, symmetry="reverse-complement"), random_state=0)
    >>> net.n_parameters  # 4 x 8 of inputs, 8 x 8 of states, 8 biases, for both directions
    104
    >>> swapped = net("TGTAATC").reshape(2, 8)[::-1].ravel()
    >>> bool(np.allclose(net("GATTACA"), swapped, atol=1e-6))
    True
    """

    cell = cells.RNN


class GRU(_Recurrent):
    """Gated recurrent units (Cho et al., EMNLP 2014).

    r = sigmoid(x W_r + h U_r + b_r) and z = sigmoid(x W_z + h U_z + b_z) say what of the state is reset and what is
    kept; the new state is (1 - z) n + z h. The candidate n comes in two conventions, and weights of one mean nothing to
    the other. reset="after", PyTorch's and cuDNN's, is n = tanh(x W_n + b_n + r (h U_n + b_u)); reset="before", that of
    the paper, is n = tanh(x W_n + (r h) U_n + b_n).

    Parameters
    ----------
    units : int
        Numbers that the state has.
    sequences, bidirectional, symmetry
        As for `RNN`.
    reset : "after" or "before", default "after"
        Whether the reset gate comes after the product of the state or before it.

    "weight" is (channels, 3, units), "recurrent" (units, 3, units), gates in the order r, z, n; "bias" is (4, units),
    b_u the last, or (3, units) with reset="before". PyTorch's other second biases are redundant.

    Raises
    ------
    ArgumentError, ModelError
        As for `RNN`.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.GRU(8), nn.Dense(1), random_state=0)(["GATTACA", "ACGT"]).shape
    (2, 1)
    """

    def __init__(
        self,
        units: int,
        sequences: bool = False,
        bidirectional: bool = False,
        symmetry: str | None = None,
        reset: str = "after",
    ) -> None:
        super().__init__(units, sequences, bidirectional, symmetry)
        check_word("reset", reset, tuple(RESETS))
        self.reset = reset

    @property
    def cell(self) -> cells.Cell:
        return RESETS[self.reset]

    def _options(self) -> dict[str, tuple[Any, Any]]:
        return {**super()._options(), "reset": (self.reset, "after")}


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 1997; forget gate of Gers et al., 2000).

    i, f and o are sigmoids of x W + h U + b and g is a tanh; the cell is c_t = f c_(t-1) + i g, the state o tanh(c_t).

    Parameters
    ----------
    units : int
        Numbers that the state has.
    sequences, bidirectional, symmetry
        As for `RNN`. States go out, cells do not.

    "weight" is (channels, 4, units), "recurrent" (units, 4, units), "bias" (4, units), gates in the order i, f, g, o,
    as in PyTorch, whose second bias is redundant.

    Raises
    ------
    ArgumentError, ModelError
        As for `RNN`.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.LSTM(8, sequences=True), random_state=0)("GATTACA").shape
    (7, 8)
    """

    cell = cells.LSTM
