"""Bases with qualities as symbols: a base that is wrong with probability p is a mixture of the four letters.

A FASTQ file says of every base how likely it is wrong, p = 10**(-Q / 10). Seen so, a base with its quality is one more
kind of ambiguity code: a row of `Alphabet.observation`, 1 - p for the letter and p / 3 for each other one. From p = .75
on it says nothing about the letter, and is read as N.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tiedseq.alphabet import Alphabet, Codes, SequenceLike
from tiedseq.errors import ArgumentError, SequenceError

_BEST = 50  # qualities above are read as this: an error in 100,000 bases, which no model's own errors come near


class QualityAlphabet(Alphabet):
    """An alphabet with a symbol for every letter at every quality; records without qualities are read as before.

    Made by `Alphabet.with_qualities`. Raises ArgumentError for an alphabet without a symbol for a missing letter.
    """

    __slots__ = ("_codes", "_plain")

    def __init__(self, plain: Alphabet) -> None:
        if plain.missing is None:
            raise ArgumentError(f"{plain!r} has no symbol for a missing letter, as N of DNA: it can have no qualities")
        letters, first = plain.n_letters, plain.n_symbols
        wrong = 10.0 ** (-np.arange(_BEST + 1) / 10.0)
        telling = np.flatnonzero(wrong < (letters - 1) / letters)
        if first + letters * len(telling) >= 255:
            raise ArgumentError(f"{plain!r} has too many letters for qualities: codes are bytes")
        for slot in Alphabet.__slots__:
            if slot != "_key":
                object.__setattr__(self, slot, getattr(plain, slot))
        rows, codes = [plain.observation], np.full((_BEST + 1, letters), plain.missing, np.uint8)
        complement = [] if plain.complement_symbols is None else [plain.complement_symbols]
        for number, quality in enumerate(telling.tolist()):
            here = first + number * letters
            rows.append(np.where(np.eye(letters) > 0.0, 1.0 - wrong[quality], wrong[quality] / (letters - 1)))
            codes[quality] = here + np.arange(letters)
            if plain.complement_index is not None:
                complement.append((here + plain.complement_index).astype(np.uint8))
        self.observation = np.concatenate(rows)
        self.observation.setflags(write=False)
        self.symbols = plain.symbols + plain.letters * len(telling)
        self.n_symbols = len(self.symbols)
        self.complement_symbols = np.concatenate(complement) if complement else None
        self._decode_table = self.symbols.encode().ljust(256, b"?")
        self._codes, self._plain = codes, plain
        self._key = (*plain._key, "qualities")

    def encode(self, sequence: SequenceLike, *, mask_lowercase: bool = False) -> Codes:
        """The codes of a sequence; with its qualities if it is a record that has them. See `Alphabet.encode`."""
        codes = super().encode(sequence, mask_lowercase=mask_lowercase)
        quality = _qualities_of(sequence)
        if quality is not None:
            if quality.shape != codes.shape:
                raise SequenceError(
                    f"there are {quality.size:,} qualities for {codes.size:,} letters; give one for each"
                )
            is_letter = codes < self.n_letters
            codes[is_letter] = self._codes[np.minimum(quality[is_letter], _BEST), codes[is_letter]]
        return codes

    def misread(self, letters: Codes, like: Codes, generator: np.random.Generator) -> Codes:
        """Letters with a quality each, that of a letter drawn from `like`, and wrong as often as it says."""
        seen = like[~self.is_missing[like]]
        if not seen.size:
            return super().misread(letters, like, generator)
        first, n_letters = self._plain.n_symbols, self.n_letters
        quality = (generator.choice(seen, letters.size).astype(np.int64) - first) // n_letters  # below 0: it has none
        row = first + np.maximum(quality, 0) * n_letters
        is_wrong = generator.random(letters.size) >= self.observation[row, 0]
        read = (letters + is_wrong * generator.integers(1, n_letters, letters.size)) % n_letters
        return super().misread(np.where(quality >= 0, row + read, letters).astype(np.uint8), like, generator)

    def with_qualities(self) -> Alphabet:
        return self

    def without_qualities(self) -> Alphabet:
        return self._plain

    def to_dict(self) -> dict[str, Any]:
        return {**self._plain.to_dict(), "qualities": True}

    def __repr__(self) -> str:
        return f"{self._plain!r}.with_qualities()"


def _qualities_of(sequence: SequenceLike) -> npt.NDArray[np.int64] | None:
    """The Phred scores of a Record or SeqRecord; None if it has none. SequenceError for what is no such score."""
    quality = getattr(sequence, "quality", None)
    if quality is None:
        quality = getattr(sequence, "letter_annotations", {}).get("phred_quality")
    if quality is None:
        return None
    found = np.asarray(quality)
    if found.size and not (np.issubdtype(found.dtype, np.number) and np.all((found >= 0) & (found < 256))):
        raise SequenceError("its qualities must be Phred scores, numbers from 0 to 255")
    return found.astype(np.int64)
