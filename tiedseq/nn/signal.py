"""What flows between layers: its shape, and what reading the sequence from the other end does to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.options import check_word, checked_count, checked_flag, in_short

Array = NDArray[Any]


@dataclass(frozen=True)
class Action:
    """What becomes of channels when the sequence is read from its other end.

    The mirror image of a signal x is x'[t, c] = signs[c] * x[L - 1 - t, permutation[c]]; without positions it is
    x'[c] = signs[c] * x[permutation[c]]. Layers that keep the symmetry turn mirror images into mirror images.

    Attributes
    ----------
    name : {"reverse-complement", "reversal"}
        How the letters of the input are read: complemented too, or only from the other end.
    permutation : tuple of int
        Its own inverse, as reading from the other end is.
    signs : tuple of int
        +1 or -1, a channel each; `Action.of` takes +1 for all.

    Examples
    --------
    >>> import numpy as np
    >>> from tiedseq import nn
    >>> strands = nn.Action.of("reverse-complement", [1, 0, 2])  # the signals of both strands, and one that has none
    >>> strands.on_channels(np.array([5.0, 7.0, 9.0]))
    array([7., 5., 9.])
    """

    name: str
    permutation: tuple[int, ...]
    signs: tuple[int, ...]

    @classmethod
    def of(cls, name: str, permutation: Any, signs: Any = None) -> Action:
        """Return an action from any sequences of whole numbers.

        Parameters
        ----------
        name : {"reverse-complement", "reversal"}
        permutation : sequence of int, of n channels
            0 to n - 1 in another order, its own inverse: channel c of the mirror image is channel permutation[c].
        signs : sequence of 1 and -1, of n channels, default None
            Alike for channels that swap. None is 1 for all.

        Raises
        ------
        ArgumentError
            An argument is no such thing.

        Examples
        --------
        >>> from tiedseq import nn
        >>> turned = nn.Action.of("reversal", [1, 0, 2], [1, 1, -1])  # two that swap, one that changes its sign
        >>> nn.Sequential(nn.Conv1D(2, width=3, symmetry="palindrome"), input=nn.Signal(3, action=turned)).n_parameters
        10
        """
        check_word("name", name, ("reverse-complement", "reversal"))
        order = _numbers_of("permutation", permutation, "iu")
        factors = np.ones(len(order), np.int8) if signs is None else _numbers_of("signs", signs, "iuf")
        if not _turns(order, factors):
            raise ArgumentError(
                f"permutation={in_short(permutation)} and signs={in_short(signs)} of nn.Action.of: it must rearrange 0 "
                f"to {len(order) - 1}, be its own inverse, and have signs of 1 or -1, the same for channels that swap."
            )
        return cls(name, tuple(order.tolist()), tuple(map(int, factors.tolist())))

    @classmethod
    def of_letters(cls, name: str, alphabet: Alphabet) -> Action:
        """The action on a channel a letter. Raises ModelError if the alphabet has no complement, and needs one."""
        if name == "reversal":
            return cls.of(name, range(alphabet.n_letters))
        if alphabet.complement_index is None:
            raise ModelError(
                f'symmetry="reverse-complement" needs letters with a complement, and {alphabet!r} has none; use DNA or '
                "RNA, or another symmetry."
            )
        return cls.of(name, alphabet.complement_index)

    @property
    def has_signs(self) -> bool:
        """Whether a channel changes its sign."""
        return -1 in self.signs

    def on_channels(self, values: Array) -> Array:
        """Return the mirror image in the last axis alone."""
        moved: Array = values[..., list(self.permutation)]
        return moved * np.array(self.signs, values.dtype) if self.has_signs else moved


@dataclass(frozen=True)
class Signal:
    """The shape of what a layer takes or gives, a batch apart.

    Attributes
    ----------
    channels : int
        Numbers a position; of letters, how many there are.
    positions : bool, default True
        Whether there is an axis of positions: arrays are (N, L, channels), else (N, channels).
    length : int or None, default None
        The number of positions if every sequence has the same; None if sequences may differ.
    letters : Alphabet or None, default None
        Given if positions hold codes of letters, uint8 (N, L), instead of numbers.
    action : Action or None, default None
        How the channels turn when the sequence is read from its other end; None where nothing is said of it.
    dtype : float32 or float64, default float32
        What is computed in; `Sequential` sets it.
    is_input : bool, default False
        Whether this is what the network takes, or that number by number: then it turns as the input does, whatever
        its first layer makes of that. Where neither this nor `action` is set a layer before has lost the symmetry.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.Dense(2), input=nn.Signal(3, positions=False))([[1, 2, 3]]).shape  # rows of three numbers
    (1, 2)
    """

    channels: int
    positions: bool = True
    length: int | None = None
    letters: Alphabet | None = None
    action: Action | None = None
    dtype: Any = np.float32
    is_input: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, entry: Any, length: int | None = None, dtype: Any = np.float32) -> Signal:
        """Return a signal from what users write, as `input=` of `Sequential` takes it.

        Parameters
        ----------
        entry : Alphabet, str, int or Signal
            Letters of an alphabet, or of the one of this name; so many channels of numbers; or what is to be checked.
        length : int, default None
            The number of positions, in place of that of a Signal; None: it keeps its own.
        dtype : float32 or float64, default float32
            In place of that of a Signal.

        Raises
        ------
        ArgumentError
            `entry` is no such thing, or a Signal whose parts contradict each other.

        Examples
        --------
        >>> from tiedseq import nn
        >>> signal = nn.Signal.of("DNA", length=50)
        >>> signal.channels, signal.positions, signal.length
        (4, True, 50)
        """
        if isinstance(entry, Signal):
            _check(entry)
            return replace(entry, dtype=dtype, length=entry.length if length is None else length, is_input=True)
        if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
            if entry < 1:
                raise ArgumentError(f"input={entry!r} is a number of channels, and must be 1 or more.")
            return cls(int(entry), length=length, dtype=dtype, is_input=True)
        if isinstance(entry, Alphabet | str):
            alphabet = Alphabet.of(entry)
            return cls(alphabet.n_letters, length=length, letters=alphabet, dtype=dtype, is_input=True)
        raise ArgumentError(f"input={entry!r} must be an alphabet, a number of channels, or an nn.Signal.")

    def changed(
        self, channels: int, action: Action | None, length: int | None = None, positions: bool = True
    ) -> Signal:
        """Return what a layer makes of it: numbers, in so many channels."""
        return Signal(channels, positions, length, None, action, self.dtype)

    def need_positions(self, layer: str) -> None:
        """ModelError where there are none."""
        if not self.positions:
            raise ModelError(f"{layer} runs over positions, and the layer before it leaves none; put it earlier.")

    def need_numbers(self, layer: str) -> None:
        """ModelError where there are letters."""
        if self.letters is not None:
            raise ModelError(f"{layer} takes numbers, and this input is letters; put an nn.Conv1D or nn.OneHot first.")

    def need_length(self, layer: str) -> int:
        """Return the length that all sequences have; ModelError where they may differ."""
        if self.length is None:
            raise ModelError(f"{layer} needs sequences of one length: give length= to the network.")
        return self.length


def _check(signal: Signal) -> None:
    """ArgumentError for a signal of a user's that is none."""
    for name, value in (("channels", signal.channels), ("length", signal.length)):
        if name == "channels" or value is not None:
            checked_count(f"{name} of nn.Signal", value)
    checked_flag("positions of nn.Signal", signal.positions)
    if not isinstance(signal.letters, Alphabet | None):
        raise ArgumentError(f"letters={signal.letters!r} of nn.Signal must be an alphabet, such as ts.DNA, or None.")
    if not isinstance(signal.action, Action | None):
        raise ArgumentError(f"action={signal.action!r} of nn.Signal must be made by nn.Action.of(...), or None.")
    if signal.letters is not None and signal.letters.n_letters != signal.channels:
        raise ArgumentError(
            f"nn.Signal has {counted(signal.channels, 'channel')} and "
            f"{counted(signal.letters.n_letters, 'letter')}; give one a letter."
        )
    if signal.action is None:
        return
    order, signs = np.array(signal.action.permutation), np.array(signal.action.signs)
    if len(order) != signal.channels or not _turns(order, signs):
        raise ArgumentError(
            f"The action of nn.Signal has the permutation {signal.action.permutation} and the signs "
            f"{signal.action.signs}; for {counted(signal.channels, 'channel')} it must rearrange 0 to "
            f"{signal.channels - 1}, be its own inverse, and have signs of 1 or -1, the same for channels that swap."
        )


def _turns(order: Array, signs: Array) -> bool:
    """Whether a permutation of channels with signs is one, and its own inverse."""
    if not np.array_equal(np.sort(order), np.arange(len(order))) or signs.shape != order.shape:
        return False
    in_place = np.array_equal(order[order], np.arange(len(order)))
    return in_place and bool(np.isin(signs, (1, -1)).all() and np.array_equal(signs, signs[order]))


def _numbers_of(name: str, given: Any, kinds: str) -> Array:
    """Numbers, one a channel; ArgumentError for what are none."""
    try:
        found = np.asarray(given)
    except ValueError:  # ragged
        found = np.zeros(0)
    if found.ndim != 1 or found.dtype.kind not in kinds:
        raise ArgumentError(f"{name}={in_short(given)} of nn.Action.of must hold whole numbers, one for each channel.")
    return found


@dataclass(frozen=True)
class Batch:
    """Sequences side by side.

    Attributes
    ----------
    values : array (N, L, channels), (N, channels), or uint8 codes (N, L)
        Zero beyond a sequence's end; of letters, the code `padding(alphabet)`.
    lengths : int64 (N,) or None
        The number of positions of each sequence; None without positions.

    Examples
    --------
    >>> import numpy as np
    >>> from tiedseq import nn
    >>> batch = nn.Batch(np.zeros((2, 5, 3)), np.array([5, 4]))
    >>> len(batch), batch.is_ragged
    (2, True)
    """

    values: Array
    lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_ragged(self) -> bool:
        """Whether a sequence ends before the array does."""
        return self.lengths is not None and bool((self.lengths < self.values.shape[1]).any())

    def with_values(self, values: Array) -> Batch:
        """Return other values at the same positions."""
        return Batch(values, self.lengths)


def padding(alphabet: Alphabet) -> int:
    """The code beyond a sequence's end: one more than those of the symbols, and no letter at all."""
    return alphabet.n_symbols


def letter_table(alphabet: Alphabet, dtype: Any) -> Array:
    """Return (n_symbols + 1, n_letters): a symbol as numbers. A letter is one; N is each letter in equal parts.

    The last row is that of the padding, zero.
    """
    observed = alphabet.observation
    shares = observed / observed.sum(axis=1, keepdims=True)
    return np.concatenate([shares, np.zeros((1, alphabet.n_letters))]).astype(dtype)


def masked(values: Array, lengths: NDArray[np.int64] | None) -> Array:
    """Zero everything beyond the ends of the sequences, in place."""
    if lengths is not None and values.ndim > 2 and (lengths < values.shape[1]).any():
        for row, length in zip(values, lengths, strict=True):
            row[length:] = 0
    return values
