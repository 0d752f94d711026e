"""What a pair-HMM says of sequences: probabilities, alignments, expected counts, draws."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tiedseq.alphabet import Alphabet, Codes, SequenceLike
from tiedseq.biopython import alignment_of, columns_of, text_of
from tiedseq.options import STRANDS, check_word, checked_probability
from tiedseq.random_state import RandomState
from tiedseq.records import encode

from .data import encoded_pairs
from .machine import ROUNDING, PairMachine
from .modes import check_mode
from .parameters import PairParameters
from .paths import log_columns
from .recursion import Derivatives, Recursion
from .sampling import sample_pair
from .tables import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Pair = tuple[SequenceLike, SequenceLike]


class _Strand(NamedTuple):
    """One way to read a query."""

    share: float  # of P, which is the mean over both strands
    reverse: bool
    query: Codes


class PairProbabilities:
    """The part of a pair-HMM that computes. Sequences are str, bytes, Seq, SeqRecord, Record or arrays of codes."""

    alphabet: Alphabet
    _parameters: PairParameters
    _ready: Recursion | None = None

    def log_likelihood(
        self, target: SequenceLike, query: SequenceLike, *, mode: str = "global", strand: str = "forward"
    ) -> float:
        """Return ln P(target, query | model, mode) in nats, summed over all alignments; -inf if there is none.

        Parameters
        ----------
        target, query : str, bytes, Seq, SeqRecord, Record or array of codes
        mode : {"global", "local", "glocal", "overlap"}
            A uniform mixture over the boxes that the mode admits (the whole; all; all intervals of the target with the
            whole query; from border to border), the model inside, background letters outside.
        strand : {"forward", "both"}
            "both" is an even mixture of the query and its reverse complement.

        Examples
        --------
        >>> import tiedseq as ts
        >>> model = ts.PairHMM.affine()
        >>> model.log_likelihood("ACGT", "ACGT") == model.log_likelihood("acgt", b"ACGT")
        True
        """
        return float(self._log_likelihoods([(target, query)], mode, strand)[0])

    def score(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return the sum of ln P over pairs of sequences, in nats; -inf if one of them is impossible.

        Parameters
        ----------
        pairs : iterable of (target, query)
            Sequences, mode and strand are those of `log_likelihood`.

        Raises
        ------
        ArgumentError, SequenceError
            An item is no pair, or one of its sequences holds what the alphabet lacks; the message gives its number.

        Examples
        --------
        >>> import tiedseq as ts
        >>> model = ts.PairHMM.affine()
        >>> model.score([("ACGT", "ACGT")] * 2) == 2 * model.log_likelihood("ACGT", "ACGT")
        True
        """
        return float(self._log_likelihoods(pairs, mode, strand).sum())

    def posterior(
        self,
        target: SequenceLike,
        query: SequenceLike,
        threshold: float = 0.01,
        *,
        mode: str = "global",
        strand: str = "forward",
    ) -> csr_array:
        """Return P(x_i aligned to y_j), summed over all xy states, where it is at least `threshold` (0.0 keeps all).

        With strand="both" it is the sum over both strands, weighted by how likely each is, and exact to a thousandth of
        the threshold.

        Returns
        -------
        scipy.sparse.csr_array, float64 of shape (len(target), len(query))
            Indexed on both sequences as given, also where strand="both" mixes in the reverse complement.

        Raises
        ------
        SequenceError
            A letter that the alphabet lacks, or sequences that the model cannot emit.
        """
        x, y = self._encoded(target), self._encoded(query)
        threshold = checked_probability("threshold", threshold)
        strands = [read for read in self._strands(x, y, mode, strand) if read.share > ROUNDING]
        if len(strands) == 1:
            pairs = self.recursion.posterior(x, strands[0].query, mode, threshold).pairs
            return pairs[:, ::-1] if strands[0].reverse else pairs
        # an entry is kept by its sum: what is below the threshold on one strand may matter with the other's
        parts = [self.recursion.posterior(x, read.query, mode, threshold / 1000).pairs * read.share for read in strands]
        mixed = (parts[0] + parts[1][:, ::-1]).tocsr()
        mixed.data[mixed.data < threshold] = 0.0
        mixed.eliminate_zeros()
        return mixed

    def viterbi(
        self, target: SequenceLike, query: SequenceLike, *, mode: str = "global", strand: str = "forward"
    ) -> tuple[float, Any]:
        """Return ln P of the likeliest path of states, and its Bio.Align.Alignment (target first).

        With strand="both" it is the likelier strand's, one half times its probability. Sequences, mode and strand are
        those of `log_likelihood`.

        Raises
        ------
        SequenceError
            A letter that the alphabet lacks, or sequences that the model cannot emit.

        Examples
        --------
        >>> import tiedseq as ts
        >>> log_probability, alignment = ts.PairHMM.affine().viterbi("GATTACA", "GATACA")
        >>> alignment.length
        7
        """
        x, y = self._encoded(target), self._encoded(query)
        strands = self._strands(x, y, mode, strand)
        found = [(*self.recursion.best_columns(x, read.query, mode), read.reverse) for read in strands]
        best, columns, reverse = max(found, key=lambda path: path[0])
        best -= math.log(2.0) if strand == "both" else 0.0
        return best, alignment_of(text_of(target, self.alphabet), text_of(query, self.alphabet), columns, reverse)

    def expected_counts(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return the expected number of uses of every parameter, by label, summed over pairs and over all places.

        Pairs, mode and strand are those of `score`. The count of a number is parameter * d ln P / d parameter
        (`gradient`). For a distribution there is a count a cell, an array of its shape; where several cells are one
        value, as in a symmetric table of pairs, it is the sum of their counts that is parameter * gradient.

        Raises
        ------
        ArgumentError, SequenceError
            As `score`; and for a pair that the model cannot emit.

        Examples
        --------
        >>> import tiedseq as ts
        >>> model, pairs = ts.PairHMM.affine(), [("GATTACA", "GATACA")]
        >>> counts, gradient = model.expected_counts(pairs), model.gradient(pairs)
        >>> bool(abs(counts["open"] - model.parameters["open"] * gradient["open"]) < 1e-9)
        True
        >>> table = model.parameters["pair"]
        >>> bool(abs(counts["pair"][0, 1] + counts["pair"][1, 0] - (table * gradient["pair"])[0, 1]) < 1e-9)
        True
        """
        return self._parameters.expected_counts(self._derivatives(pairs, mode, strand))

    def gradient(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return d ln P / d parameter by label, every parameter taken as free of the others; summed over pairs.

        Pairs, mode and strand are those of `score`, and so are errors. A float a number; for a distribution an array of
        its shape, in which cells that are one value hold the derivative in that value, each of them the same.

        Examples
        --------
        >>> import tiedseq as ts
        >>> sorted(ts.PairHMM.affine().gradient([("GATTACA", "GATACA")]))
        ['close', 'extend', 'gap', 'match', 'open', 'pair']
        """
        specification = self._parameters.specification
        tables = self._parameters.gradient(self._derivatives(pairs, mode, strand))
        return specification.by_label(specification.pool(tables))

    def log_joint(self, target: SequenceLike, query: SequenceLike, alignment: Any, *, mode: str = "global") -> float:
        """Return ln P of two sequences and one alignment of them, summed over the states that can emit its columns.

        Parameters
        ----------
        alignment : Bio.Align.Alignment, AlignmentResult, or int array (2, n_columns)
            Positions in target and query, -1 for a gap; a global alignment holds every letter of both.

        Raises
        ------
        ArgumentError
            The alignment's columns do not fit the sequences.
        """
        x, y = self._encoded(target), self._encoded(query)
        columns, reverse = columns_of(alignment, x.size, y.size)
        if reverse:
            y = self.alphabet.reverse_complement(y)
        return log_columns(self.recursion.tables, x, y, columns, mode)

    def sample(self, columns: int | None = None, random_state: RandomState = None) -> tuple[str, str, Any]:
        """Draw a target, a query and their true Bio.Align.Alignment.

        Parameters
        ----------
        columns : int, default None
            How many columns to draw. With an "end" in the model it may be left out, and is then an upper limit of none.
        random_state : int, Generator or None

        Examples
        --------
        >>> import tiedseq as ts
        >>> target, query, alignment = ts.PairHMM.affine().sample(columns=50, random_state=1)
        >>> alignment.length
        50
        """
        tables, has_end = self._parameters.tables(), self._parameters.specification.has_end
        x, y, drawn = sample_pair(tables, has_end, columns, random_state)
        target, query = self.alphabet.decode(x), self.alphabet.decode(y)
        return target, query, alignment_of(target, query, drawn, False)

    # ---- inside -----------------------------------------------------------------------------------------------

    @property
    def recursion(self) -> Recursion:
        """The passes over encoded sequences, at the current parameter values."""
        ready = self._ready
        if ready is None:
            self._ready = ready = Recursion(self._parameters.tables())
        return ready

    def _machine(self, mode: str, strand: str) -> PairMachine:
        check_mode(mode)
        machine = PairMachine(self.recursion.tables, mode, self._complement(strand))
        machine.recursion = self.recursion  # with what it has made ready
        return machine

    def _complement(self, strand: str) -> Codes | None:
        """The complement of every symbol where both strands are asked for."""
        check_word("strand", strand, STRANDS)
        if strand == "forward":
            return None
        symbols = np.arange(len(self.alphabet.observation), dtype=np.uint8)
        return self.alphabet.reverse_complement(symbols)[::-1].copy()

    def _encoded(self, sequence: SequenceLike) -> Codes:
        return encode(sequence, self.alphabet)

    def _strands(self, x: Codes, y: Codes, mode: str, strand: str) -> list[_Strand]:
        """The strands that explain the sequences, one at least: the forward one if none does."""
        if strand == "forward":
            return [_Strand(1.0, False, y)]
        shares = self._machine(mode, strand).shares([(x, y)])[:, 0].tolist()
        reads = y, self.alphabet.reverse_complement(y)
        return [_Strand(shares[k], bool(k), reads[k]) for k in (0, 1) if shares[k] > 0.0]

    def _log_likelihoods(self, pairs: Iterable[Pair], mode: str, strand: str) -> Floats:
        machine = self._machine(mode, strand)
        return machine.log_likelihoods(encoded_pairs(pairs, self.alphabet))

    def _derivatives(self, pairs: Iterable[Pair], mode: str, strand: str) -> Derivatives:
        """d ln P / d every number of the model's tables, summed over pairs."""
        machine, encoded = self._machine(mode, strand), encoded_pairs(pairs, self.alphabet)
        return machine.derivatives(encoded, np.ones(len(encoded)))[1]
