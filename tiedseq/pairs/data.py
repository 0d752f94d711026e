"""What users hand in as pairs of sequences and alignments of them, in codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from tiedseq.alphabet import Alphabet, Codes
from tiedseq.biopython import columns_of
from tiedseq.chains.batches import weights_of
from tiedseq.errors import ArgumentError, SequenceError, TiedseqError, counted
from tiedseq.records import encode

from .batches import Columns, PairBatch, batches_of
from .tables import Floats


class PairData(NamedTuple):
    """Encoded pairs, how often each counts, and their given alignments."""

    pairs: list[tuple[Codes, Codes]]
    weights: Floats
    columns: list[Columns] | None

    def batches(self) -> list[PairBatch]:
        return batches_of(self.pairs, self.weights, self.columns)

    def n_letters(self, alphabet: Alphabet) -> int:
        """How many letters of both sequences are observed; N and its like are missing."""
        is_missing = alphabet.is_missing
        return int(sum((~is_missing[codes]).sum() for pair in self.pairs for codes in pair))


def pair_data(pairs: Any, alignments: Any, weights: ArrayLike | None, alphabet: Alphabet) -> PairData:
    """Read what `PairHMM.fit` takes.

    Raises ArgumentError where something is no pair, where there are none, or where numbers of things differ.
    """
    if pairs is None and alignments is None:
        raise ArgumentError("pairs= is missing: give pairs of sequences, or alignments= that hold their sequences.")
    alignments = None if alignments is None else _listed("alignments", alignments)
    encoded = encoded_pairs(_sequences_of(alignments) if pairs is None else pairs, alphabet)
    if not encoded:
        name = "pairs" if alignments is None else "alignments"
        raise ArgumentError(f"{name}= is empty: there is nothing to learn from.")
    columns = None
    if alignments is not None:
        if len(alignments) != len(encoded):
            raise ArgumentError(
                f"alignments= holds {counted(len(alignments), 'alignment')}, and pairs= "
                f"{counted(len(encoded), 'pair')}; give one for each."
            )
        encoded, columns = _aligned(encoded, alignments, alphabet)
    return PairData(encoded, weights_of(weights, len(encoded)), columns)


def encoded_pairs(pairs: Any, alphabet: Alphabet) -> list[tuple[Codes, Codes]]:
    """Return pairs of sequences of any accepted type as codes."""
    encoded = []
    if not isinstance(pairs, Iterable):
        raise ArgumentError(f"pairs must hold (target, query) tuples, not be of type {type(pairs).__name__}")
    for number, pair in enumerate(pairs):
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise ArgumentError(f"pairs must hold (target, query) tuples; item {number} is {type(pair).__name__}")
        encoded.append((_encoded(pair[0], alphabet, number, "target"), _encoded(pair[1], alphabet, number, "query")))
    return encoded


def _encoded(sequence: Any, alphabet: Alphabet, number: int, side: str) -> Codes:
    """A sequence in codes; errors say which one it is."""
    try:
        return encode(sequence, alphabet)
    except SequenceError as error:
        raise SequenceError(f"pairs[{number}], {side}: {error}", error.position) from error
    except ArgumentError as error:  # something else than a sequence, such as None
        raise ArgumentError(f"pairs[{number}], {side}: {error}") from error


def _listed(name: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ArgumentError(f"{name}= must be a list of alignments, not a {type(given).__name__}.")
    return list(given)


def _sequences_of(alignments: list[Any]) -> list[tuple[Any, Any]]:
    """The target and query that alignments hold."""
    found = []
    for number, alignment in enumerate(alignments):
        sequences = getattr(getattr(alignment, "alignment", alignment), "sequences", None)
        if sequences is None or len(sequences) != 2:
            raise ArgumentError(
                f"alignments[{number}] holds no two sequences; give pairs= beside it, or a Bio.Align.Alignment of two."
            )
        found.append((sequences[0], sequences[1]))
    return found


def _aligned(
    pairs: list[tuple[Codes, Codes]], alignments: list[Any], alphabet: Alphabet
) -> tuple[list[tuple[Codes, Codes]], list[Columns]]:
    """The pairs as they are aligned, queries turned where the alignment is on their other strand, and the columns."""
    turned, columns = [], []
    for number, ((x, y), alignment) in enumerate(zip(pairs, alignments, strict=True)):
        try:
            found, reverse = columns_of(alignment, x.size, y.size)
        except TiedseqError as error:
            raise ArgumentError(f"alignments[{number}]: {error}") from error
        if not found.size:
            raise ArgumentError(f"alignments[{number}] has no columns; leave its pair out.")
        turned.append((x, alphabet.reverse_complement(y) if reverse else y))
        columns.append(found)
    return turned, columns
