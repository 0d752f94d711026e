"""One alignment of two sequences and what the model knows about it: the object that `align` returns and writers read.

An alignment is an integer array of columns. Everything else (rows, CIGAR, blocks to print, Biopython's object) is
computed from it when it is asked for, so that a hundred thousand of them cost what their columns cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tiedseq.alphabet import DNA, Alphabet, Codes
from tiedseq.biopython import alignment_of
from tiedseq.columns import Floats, Integers, confidence_digits, run_lengths, span_of, take_apart
from tiedseq.errors import ResourceError
from tiedseq.options import checked_probability
from tiedseq.records import Record

_GAP = 255  # no code of an alphabet
_BLOCK = 60  # columns a line of the printed alignment


@dataclass(eq=False, repr=False)
class AlignmentResult:
    """An alignment of a query to a target with a probability on every column.

    Parameters
    ----------
    target, query : Record
        The two sequences as given: name, description, letters with their case, Phred qualities if there are any.
    columns : int64 of shape (2, n_columns)
        0-based positions on the target and on the query *as aligned*, -1 for a gap. On strand "-" position k of the
        second row is letter len(query) - 1 - k of the query as given.
    confidence : float64 of shape (n_columns,)
        Residue column: P(x_i ~ y_j), over all states that emit both. Gap column: P(that letter is aligned to nothing).
    log_likelihood : float
        ln P(target, query | model, mode) in nats, summed over all alignments of this strand.
    log_odds : float
        Bits: log2 of P(target, query | model, mode) over P(both | independent background letters). On strand "-" the
        former is that of the query's reverse complement, the latter still that of the query as given: the odds of both
        strands have one denominator, and compare also where the background tells the strands apart.
    posterior : scipy.sparse.csr_array, float64 of shape (len(target), len(query))
        P(x_i ~ y_j), indexed on both sequences as given. `align` keeps entries from 0.001 on after decode="mea" and
        from 1e-6 on after "viterbi", so that 1 less the sum of a row may exceed `target_unaligned`, by what was left
        out of that row.
    strand : {"+", "-"}
        The strand of the query that was aligned; "-" is its reverse complement.
    mode : {"global", "local", "glocal", "overlap"}
        What the alignment had to span; see `align`.
    target_unaligned, query_unaligned : float64 of shape (len(target),) and (len(query),)
        P(letter is aligned to nothing) for every letter as given. Summed over all alignments, whatever `posterior`
        keeps.
    candidates : sequence of float, default None
        Log weights (nats, comparable with each other) of all the targets and strands that this query was aligned to;
        None if there was nothing to compare with.
    candidate : int, default None
        Which of the candidates this result is; None is the likeliest.
    is_primary : bool, default True
        Whether this is the likeliest of the candidates. `align_all(best=False)` gives the others too, which SAM and PAF
        mark as secondary.
    alphabet : Alphabet, default DNA
        Which letters are equal (see `cigar`), and the query's letters on strand "-".

    Examples
    --------
    >>> target, query = Record("t", "ACGT"), Record("q", "ACT")
    >>> result = AlignmentResult(
    ...     target, query, np.array([[0, 1, 2, 3], [0, 1, -1, 2]]), np.array([0.99, 0.97, 0.8, 0.9]), -9.0, 2.5, None,
    ...     "+", "global", np.array([0.01, 0.03, 0.8, 0.1]), np.array([0.01, 0.03, 0.1]),
    ... )
    >>> result.cigar, round(result.expected_accuracy, 4)
    ('2=1D1=', 0.9533)
    >>> print(result)
    t x q, strand +, log-odds 2.5 bits, expected accuracy 0.9533, identity 1.0000
    <BLANKLINE>
    t          1 ACGT 4
                 || |
    q          1 AC-T 3
    confidence   **89
    """

    target: Record
    query: Record
    columns: Integers
    confidence: Floats
    log_likelihood: float
    log_odds: float
    posterior: Any
    strand: str
    mode: str
    target_unaligned: Floats
    query_unaligned: Floats
    candidates: Sequence[float] | None = None
    candidate: int | None = None
    is_primary: bool = True
    alphabet: Alphabet = DNA

    @property
    def target_name(self) -> str:
        """The target's name."""
        return self.target.name

    @property
    def query_name(self) -> str:
        """The query's name."""
        return self.query.name

    @property
    def n_columns(self) -> int:
        """The number of columns, gap columns included."""
        return self.columns.shape[1]

    @cached_property
    def is_residue(self) -> npt.NDArray[np.bool_]:
        """Bool (n_columns,): the columns that align a letter to a letter."""
        return np.asarray((self.columns >= 0).all(axis=0))

    @property
    def is_empty(self) -> bool:
        """Whether no letter is aligned to a letter: no columns at all, or gap columns only."""
        return not self.is_residue.any()

    @property
    def expected_accuracy(self) -> float:
        """The mean confidence of the residue columns; 0.0 if there are none."""
        return 0.0 if self.is_empty else float(self.confidence[self.is_residue].mean())

    @property
    def identity(self) -> float:
        """The fraction of the residue columns whose letters are equal (see `cigar`); 0.0 if there are none."""
        return 0.0 if self.is_empty else float(self.is_match[self.is_residue].mean())

    @cached_property
    def target_span(self) -> tuple[int, int]:
        """The aligned part of the target, 0-based and half-open."""
        return span_of(self.columns[0])

    @cached_property
    def aligned_query_span(self) -> tuple[int, int]:
        """The aligned part of the query, 0-based and half-open, on the strand that was aligned."""
        return span_of(self.columns[1])

    @property
    def query_span(self) -> tuple[int, int]:
        """The aligned part of the query, 0-based and half-open, on the query as given."""
        start, end = self.aligned_query_span
        return (start, end) if self.strand == "+" else (len(self.query) - end, len(self.query) - start)

    @cached_property
    def aligned_query_text(self) -> str:
        """The whole query on the strand that was aligned, case kept."""
        return self._as_aligned(self.query.sequence)

    @cached_property
    def rows(self) -> tuple[str, str]:
        """The two rows of the alignment with "-" for gaps, case kept, the query on the strand that was aligned."""
        texts = (np.frombuffer(text.encode("ascii"), np.uint8) for text in self._aligned_texts)
        target, query = (row.tobytes().decode("ascii") for row in self._in_columns(texts, ord("-")))
        return target, query

    @cached_property
    def codes(self) -> Codes:
        """The rows as codes of `alphabet`, uint8 (2, n_columns), with 255 for gaps."""
        return self._in_columns((self.alphabet.encode(text) for text in self._aligned_texts), _GAP)

    @cached_property
    def is_match(self) -> npt.NDArray[np.bool_]:
        """Bool (n_columns,): residue columns whose letters are equal, as `cigar` defines it."""
        return np.asarray(self.is_residue & (self.codes[0] == self.codes[1]))

    @cached_property
    def operations(self) -> npt.NDArray[np.uint8]:
        """The extended CIGAR operation of every column, uint8 (n_columns,): the codes of "=", "X", "I" and "D"."""
        pairs = np.where(self.is_match, ord("="), ord("X"))
        gaps = np.where(self.columns[0] < 0, ord("I"), ord("D"))
        return np.where(self.is_residue, pairs, gaps).astype(np.uint8)

    @property
    def cigar(self) -> str:
        """The extended CIGAR of the columns, query against target.

        I are letters of the query only, D letters of the target only. "=" is a column of letters that are the same
        symbol of `alphabet`: in DNA case does not count, nor U against T. An ambiguity letter equals itself only: N
        against N is "=", N against A is "X". Unaligned flanks are not part of it; the SAM writer adds the clips.
        """
        return run_lengths(self.operations)

    @property
    def alignment(self) -> Any:
        """The alignment as a `Bio.Align.Alignment`: target first, query second, both as given.

        Its score is `log_odds`, its column_annotations["confidence"] a list of this result's `confidence`. On strand
        "-" the query's coordinates descend, which is Biopython's convention. (Biopython's own Stockholm writer takes
        text annotations only; `ts.write` writes Stockholm with the confidence in it.)
        """
        alignment = alignment_of(self.target, self.query, self.columns, self.strand == "-")
        alignment.score = self.log_odds
        # A list: Biopython picks columns with type(annotation)(...) and joins alignments with +.
        alignment.column_annotations = {"confidence": self.confidence.tolist()}
        return alignment

    @property
    def mapping_quality(self) -> int:
        """-10 log10 of the posterior probability that another candidate is the right one, at most 60.

        255, SAM's word for "not available", if no other candidate was aligned.
        """
        if self.candidates is None or len(self.candidates) < 2:
            return 255
        if self.candidate is None and not self.is_primary:
            return 0  # not the likeliest, and nobody said which one
        weights = np.asarray(self.candidates, np.float64)
        own = int(weights.argmax()) if self.candidate is None else self.candidate
        wrong = float(np.logaddexp.reduce(np.delete(weights, own)) - np.logaddexp.reduce(weights))
        return 60 if wrong == -math.inf else max(0, min(60, round(-10.0 * wrong / math.log(10.0))))

    def filter(self, threshold: float) -> AlignmentResult:
        """This result with the residue columns of a confidence below `threshold` un-aligned.

        Between two columns that stay, the letters of the columns taken apart become an insertion next to a deletion
        (together with the gap columns among them); each gets as confidence the P(letter is aligned to nothing). Before
        the first and after the last column that stays they are cut off, that is, clipped, in every mode: also of a
        global alignment, which then covers less of both sequences. The posterior and the likelihood are those of the
        pair and do not change.

        Raises ArgumentError unless 0 <= threshold <= 1.
        """
        threshold = checked_probability("threshold", threshold)
        rejected = self.is_residue & (self.confidence < threshold)
        if not rejected.any():
            return self
        order, row = take_apart(self.columns, rejected)
        columns = np.where(row == np.arange(2)[:, None], -1, self.columns[:, order])
        confidence = self.confidence[order]
        alone = row >= 0
        in_target, in_query = alone & (columns[0] >= 0), alone & (columns[1] >= 0)
        confidence[in_target] = self.target_unaligned[columns[0, in_target]]
        confidence[in_query] = self.query_unaligned[self._as_given(columns[1, in_query])]
        return replace(self, columns=columns, confidence=confidence)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers, strings and lists, ready for JSON; positions are 0-based, spans half-open.

        `query_start` and `query_end` count on the query as given. A number that JSON has no word for (the
        log-likelihood of an impossible pair) is None. The posterior is not part of it.
        """
        target_row, query_row = self.rows
        return {
            "target": self.target_name,
            "query": self.query_name,
            "mode": self.mode,
            "strand": self.strand,
            "is_primary": self.is_primary,
            "mapping_quality": self.mapping_quality,
            "log_likelihood": _finite(self.log_likelihood),
            "log_odds": _finite(self.log_odds),
            "expected_accuracy": self.expected_accuracy,
            "identity": self.identity,
            "target_length": len(self.target),
            "target_start": self.target_span[0],
            "target_end": self.target_span[1],
            "query_length": len(self.query),
            "query_start": self.query_span[0],
            "query_end": self.query_span[1],
            "cigar": self.cigar,
            "target_row": target_row,
            "query_row": query_row,
            "confidence": self.confidence.tolist(),
        }

    def given_positions(self) -> Integers:
        """The columns with query positions on the query as given, int64 (2, n_columns), -1 for a gap."""
        return np.stack([self.columns[0], np.where(self.columns[1] < 0, -1, self._as_given(self.columns[1]))])

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row a column: column, target_pos, query_pos, letters, confidence.

        Positions are 0-based on the sequences as given (nullable Int64, <NA> for a gap). `letters` holds the target's
        and the query's letter, on the strand that was aligned: "AA", "A-".

        Raises ResourceError if pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ResourceError("to_frame() needs pandas, which is not installed: pip install pandas") from None

        target, query = (pd.array(row, dtype="Int64") for row in self.given_positions())
        target[self.columns[0] < 0] = pd.NA
        query[self.columns[1] < 0] = pd.NA
        return pd.DataFrame(
            {
                "column": np.arange(self.n_columns),
                "target_pos": target,
                "query_pos": query,
                "letters": [x + y for x, y in zip(*self.rows, strict=True)],
                "confidence": self.confidence,
            }
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        found = f"{self.n_columns} columns, strand {self.strand}, expected accuracy {self.expected_accuracy:.4f}"
        found = "nothing aligned" if self.is_empty else found
        return f"<AlignmentResult {self.target_name} x {self.query_name}: {found}, {self.log_odds:.1f} bits>"

    def _repr_html_(self) -> str:
        """The first blocks, for notebooks."""
        from html import escape
        from itertools import islice

        shown = 3
        lines = list(islice(self._lines(), 1 + 5 * shown))
        hidden = self.n_columns - shown * _BLOCK
        if hidden > 0:
            lines.append(f"... {hidden} more columns: print() shows them all")
        return f"<pre>{escape(chr(10).join(lines))}</pre>"

    def _lines(self) -> Iterator[str]:
        """The printed alignment: a header, then five lines a block, the first of them empty. Positions count from 1."""
        pair = f"{self.target_name} x {self.query_name}"
        if self.n_columns == 0:
            yield f"{pair}: no letter is aligned to another (mode {self.mode}, log-odds {self.log_odds:.1f} bits)"
            return
        yield (
            f"{pair}, strand {self.strand}, log-odds {self.log_odds:.1f} bits, "
            f"expected accuracy {self.expected_accuracy:.4f}, identity {self.identity:.4f}"
        )
        names = [name if len(name) <= 24 else name[:23] + "~" for name in (self.target_name, self.query_name)]
        width = max(10, *map(len, names))
        digits = len(str(max(len(self.target), len(self.query))))
        rows, positions = self.rows, self.given_positions() + 1
        marks = np.select([self.is_match, self.is_residue], [ord("|"), ord(".")], ord(" "))
        matches = marks.astype(np.uint8).tobytes().decode("ascii")
        confidence = confidence_digits(self.confidence)
        margin = " " * (width + digits + 2)
        for start in range(0, self.n_columns, _BLOCK):
            block = slice(start, start + _BLOCK)
            yield ""
            lines = []
            for name, row, numbers in zip(names, rows, positions, strict=True):
                shown = numbers[block][numbers[block] > 0]
                first, last = (shown[0], shown[-1]) if shown.size else ("", "")
                lines.append(f"{name:{width}} {first:>{digits}} {row[block]} {last}".rstrip())
            yield lines[0]
            yield (margin + matches[block]).rstrip()
            yield lines[1]
            yield f"{'confidence':{len(margin)}}" + confidence[block]

    def _as_given(self, positions: Integers) -> Integers:
        """Query positions on the aligned strand as positions on the query as given."""
        return positions if self.strand == "+" else len(self.query) - 1 - positions

    def _as_aligned(self, text: str) -> str:
        """Letters of the query on the strand that was aligned."""
        return text if self.strand == "+" else self._spelt(self.alphabet.text_reverse_complement(text))

    def _spelt(self, turned: str) -> str:
        """The other strand of a query that writes U for T, or T for U, throughout: RNA stays RNA, also to DNA."""
        given, letters = self.query.sequence.upper(), self.alphabet.letters
        for ours, theirs in ("TU", "UT"):
            if theirs in given and ours not in given and ours in letters and theirs not in letters:
                return turned.translate(str.maketrans(ours + ours.lower(), theirs + theirs.lower()))
        return turned

    @property
    def _aligned_texts(self) -> tuple[str, str]:
        """The aligned parts of both sequences, case kept. Only these are looked at: a target may be a chromosome."""
        query = self.query.sequence[slice(*self.query_span)]
        return self.target.sequence[slice(*self.target_span)], self._as_aligned(query)

    def _in_columns(self, letters: Iterable[Codes], gap: int) -> Codes:
        """One number a letter of the aligned parts, laid out in columns: uint8 (2, n_columns)."""
        table = np.full((2, self.n_columns), gap, np.uint8)
        for row, present, values in zip(table, self.columns >= 0, letters, strict=True):
            row[present] = values
        return table


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
