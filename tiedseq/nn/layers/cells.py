"""Cells of recurrent layers: how many gates they have, and their arrays as the kernels want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.nn.signal import Batch, letter_table

Array = NDArray[Any]
BLOCK = 16  # sequences side by side: what is computed of 64 units stays in the nearest caches


@dataclass(frozen=True)
class Cell:
    """What is done at a step.

    Attributes
    ----------
    kernel : str
        The beginning of the names of its kernels.
    gates : int
        Sums of inputs and states that a unit has.
    biases : int
        One a gate, and what else is added.
    remembers : bool
        Whether there is a second state, which is not given out (LSTM).
    """

    kernel: str
    gates: int
    biases: int
    remembers: bool = False

    def run(self, batch: Batch, letters: Alphabet | None, directions: Sequence[Sequence[Array]]) -> tuple[Array, Array]:
        """Return the states and, for an LSTM, cells (N, L, directions * units), zero beyond the ends.

        `directions` holds for each direction, the second of which runs backwards, the weights of the inputs (channels,
        gates, units), those of the states (units, gates, units), and the biases.
        """
        from tiedseq.kernels import recurrent

        kernel = getattr(recurrent, f"{self.kernel}_forward")
        weight = directions[0][0]
        units, dtype = weight.shape[2], weight.dtype
        shape = (*batch.values.shape[:2], len(directions) * units)
        memory = np.zeros if batch.is_ragged else np.empty
        states = memory(shape, dtype)
        cells = memory(shape if self.remembers else (0, 0, 0), dtype)
        order, lengths = _longest_first(batch)
        for number, arrays in enumerate(directions):
            packed = _packed(arrays, letters)
            work, seen = self._memory(len(batch), weight)
            kernel(
                *(_values(batch, letters, dtype), order, lengths, (number, number * units)),
                *((packed.inputs, packed.recurrent, packed.bias), (states, cells), work, seen),
            )
        return states, cells

    def back(
        self,
        batch: Batch,
        letters: Alphabet | None,
        directions: Sequence[Sequence[Array]],
        kept: tuple[Array, Array],
        gradient: Array,
    ) -> tuple[Array | None, list[list[Array]]]:
        """Return d loss / d input (None for letters), and for each direction those in its weights, float64.

        `kept` is what `run` returned, and `gradient` (N, L, directions * units) is that in the states.
        """
        from tiedseq.kernels import recurrent
        from tiedseq.kernels.memory import aligned_zeros_of

        kernel = getattr(recurrent, f"{self.kernel}_backward")
        weight = directions[0][0]
        channels, _, units = weight.shape
        of_values = np.zeros(batch.values.shape if letters is None else (0, 0, 0), weight.dtype)
        order, lengths = _longest_first(batch)
        found = []
        for number, arrays in enumerate(directions):
            packed = _packed(arrays, letters)
            work, seen = self._memory(len(batch), weight)
            sums = aligned_zeros_of((sum(array.size for array in packed),), weight.dtype)
            totals = np.zeros(sums.size)
            turned = _lined(packed.inputs[:, :channels, :units].swapaxes(1, 2)) if letters is None else packed.inputs
            weights = (packed.inputs, packed.recurrent, packed.bias, turned, _lined(arrays[1].transpose(1, 2, 0)))
            kernel(
                *(_values(batch, letters, weight.dtype), order, lengths, (number, number * units), weights, kept),
                *(np.ascontiguousarray(gradient, weight.dtype), (of_values, *packed.like(sums))),
                *((sums, totals), work, seen),
            )
            found.append(_unpacked(packed.like(totals), letters, units))
        return (of_values if letters is None else None), found

    def _memory(self, sequences: int, weight: Array) -> tuple[Array, Array]:
        from tiedseq.kernels.memory import aligned_zeros_of
        from tiedseq.kernels.recurrent_cells import GATES

        channels, _, units = weight.shape
        block = min(BLOCK, sequences)
        planes = GATES + max(self.gates, self.biases)
        work = aligned_zeros_of((planes, block * _whole_lines(units, weight.dtype)), weight.dtype)
        return work, aligned_zeros_of((block, _whole_lines(channels, weight.dtype)), weight.dtype)


RNN = Cell("rnn", 1, 1)
GRU_AFTER = Cell("gru_after", 3, 4)
GRU_BEFORE = Cell("gru_before", 3, 3)
LSTM = Cell("lstm", 4, 4, remembers=True)


class _Packed(NamedTuple):
    """The arrays of one direction, gate by gate, units padded with zeros to whole cache lines."""

    inputs: Array
    recurrent: Array
    bias: Array

    def like(self, flat: Array) -> _Packed:
        """Views of flat memory in these shapes; each begins at a cache line if the memory does."""
        ends = np.cumsum([array.size for array in self])
        return _Packed(*(part.reshape(a.shape) for part, a in zip(np.split(flat, ends[:-1]), self, strict=True)))


def _values(batch: Batch, letters: Alphabet | None, dtype: Any) -> Array:
    """What comes in, in one layout and type, so that kernels are compiled once."""
    return np.ascontiguousarray(batch.values, dtype if letters is None else np.uint8)


def _packed(arrays: Sequence[Array], letters: Alphabet | None) -> _Packed:
    weight, recurrent, bias = arrays
    if letters is not None:
        weight = np.tensordot(letter_table(letters, weight.dtype), weight, axes=1)
    return _Packed(_lined(weight.swapaxes(0, 1)), _lined(recurrent.swapaxes(0, 1)), _lined(bias))


def _unpacked(packed: _Packed, letters: Alphabet | None, units: int) -> list[Array]:
    of_weight = packed.inputs[..., :units].swapaxes(0, 1)
    if letters is not None:
        of_weight = np.tensordot(letter_table(letters, of_weight.dtype).T, of_weight, axes=1)
    return [of_weight, packed.recurrent[..., :units].swapaxes(0, 1), packed.bias[:, :units]]


def _longest_first(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of sequences by falling length, and the lengths in it."""
    assert batch.lengths is not None
    order = np.argsort(-batch.lengths, kind="stable")
    return order, batch.lengths[order]


def _whole_lines(count: int, dtype: Any) -> int:
    from tiedseq.kernels.memory import LINE

    line = LINE // np.dtype(dtype).itemsize
    return -(-count // line) * line


def _lined(array: Array) -> Array:
    """A contiguous copy that starts at a cache line, its last axis padded with zeros to whole ones."""
    from tiedseq.kernels.memory import aligned_zeros_of

    found = aligned_zeros_of((*array.shape[:-1], _whole_lines(array.shape[-1], array.dtype)), array.dtype)
    found[..., : array.shape[-1]] = array
    return found
