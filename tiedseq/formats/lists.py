"""Formats that list: PAF (a line an alignment), TSV (a line a column), JSON (an object an alignment)."""

from __future__ import annotations

import json

import numpy as np

from tiedseq.alignment import AlignmentResult
from tiedseq.columns import run_lengths
from tiedseq.formats.writer import Writer, score_tags, word


class Paf(Writer):
    """PAF with `cg:Z`: twelve columns, positions on the sequences as given; empty results are left out.

    Tags as in minimap2: tp (P primary, S secondary), NM (columns that are not equal letters), AS (log-odds, rounded),
    cg (in the target's direction); and lo (log-odds in bits), ea (expected accuracy).
    """

    def __init__(self, *, eqx: bool = False) -> None:
        """`eqx`: = and X for M in `cg`."""
        self._eqx = eqx

    def record(self, result: AlignmentResult) -> str:
        """One line."""
        if result.is_empty:
            return ""
        operations = result.operations
        n_equal = int(result.is_match.sum())
        if not self._eqx:
            operations = np.where(result.is_residue, ord("M"), operations).astype(np.uint8)
        fields = [
            word(result.query_name), len(result.query), *result.query_span, result.strand,
            word(result.target_name), len(result.target), *result.target_span,
            n_equal, result.n_columns, result.mapping_quality,
            f"tp:A:{'P' if result.is_primary else 'S'}",
            f"NM:i:{result.n_columns - n_equal}",
            *score_tags(result),
            f"cg:Z:{run_lengths(operations)}",
        ]  # fmt: skip
        return "\t".join(map(str, fields)) + "\n"


class Tsv(Writer):
    """The table of `to_frame` for every result, a line a column, with the names in front; NA for the position of a
    gap."""

    def begin(self) -> str:
        """The names of the columns."""
        return "target\tquery\tstrand\tcolumn\ttarget_pos\tquery_pos\tletters\tconfidence\n"

    def record(self, result: AlignmentResult) -> str:
        """A line for every column."""
        prefix = f"{word(result.target_name)}\t{word(result.query_name)}\t{result.strand}"
        target, query = ([str(p) if p >= 0 else "NA" for p in row] for row in result.given_positions().tolist())
        columns = zip(target, query, *result.rows, result.confidence.tolist(), strict=True)
        return "".join([f"{prefix}\t{n}\t{i}\t{j}\t{x}{y}\t{c:.6g}\n" for n, (i, j, x, y, c) in enumerate(columns)])


class Json(Writer):
    """One JSON array with a result's `to_dict` a line, so that a file of one result and one of many read alike."""

    def __init__(self) -> None:
        self._separator = "\n"

    def begin(self) -> str:
        """The opening bracket."""
        return "["

    def record(self, result: AlignmentResult) -> str:
        """One object on one line."""
        separator, self._separator = self._separator, ",\n"
        return separator + json.dumps(result.to_dict(), allow_nan=False, ensure_ascii=False)

    def end(self) -> str:
        """The closing bracket."""
        return "\n]\n"
