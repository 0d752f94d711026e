"""Formats that print the rows of an alignment: text, FASTA, Clustal, Stockholm, MAF."""

from __future__ import annotations

from tiedseq.alignment import AlignmentResult
from tiedseq.columns import confidence_digits
from tiedseq.formats.writer import Writer, number, word

_CLUSTAL_BLOCK = 60


class Text(Writer):
    """What `print(result)` shows, an empty line between results."""

    def record(self, result: AlignmentResult) -> str:
        """The printed blocks; a sentence if nothing is aligned."""
        return f"{result}\n\n"


class Fasta(Writer):
    """Two gapped rows a result, their part of the sequence and the strand in the description; empty results are left
    out."""

    def record(self, result: AlignmentResult) -> str:
        """Two records."""
        if result.is_empty:
            return ""
        (target_name, query_name), spans = _row_names(result, unique=False), _row_spans(result)
        return "".join(
            f">{name} {span}\n{row}\n"
            for name, span, row in zip((target_name, query_name), spans, result.rows, strict=True)
        )


class Clustal(Writer):
    """A Clustal alignment a result, "*" under equal letters; empty results are left out.

    The two rows need two names: a query named like its target gets ".query" appended.
    """

    def record(self, result: AlignmentResult) -> str:
        """A header line and blocks of 60 columns."""
        if result.is_empty:
            return ""
        names = _row_names(result, unique=True)
        width = max(map(len, names)) + 4
        matches = "".join(["*" if match else " " for match in result.is_match.tolist()])
        lines = [f"CLUSTAL {self.program} multiple sequence alignment", ""]
        for start in range(0, result.n_columns, _CLUSTAL_BLOCK):
            block = slice(start, start + _CLUSTAL_BLOCK)
            lines.append("")
            lines += [f"{name:{width}}{row[block]}" for name, row in zip(names, result.rows, strict=True)]
            lines.append(" " * width + matches[block])
        return "\n".join([*lines, "", ""])


class Stockholm(Writer):
    """A Stockholm 1.0 alignment a result, the confidence of every letter in "#=GR <name> PP"; empty results are left
    out.

    Rows are named name/start-end as in Pfam, counted from 1 and inclusive, descending on strand "-". PP is Pfam's scale
    (0-9, "*" from 0.95), "." in gaps.
    """

    def record(self, result: AlignmentResult) -> str:
        """One alignment, with log-odds and expected accuracy in comments."""
        if result.is_empty:
            return ""
        names = [
            f"{name}/{span}" for name, span in zip(_row_names(result, unique=True), _row_spans(result), strict=True)
        ]
        width = max(map(len, names))
        digits = confidence_digits(result.confidence)
        lines = [
            "# STOCKHOLM 1.0",
            f"#=GF CC log-odds {number(result.log_odds)} bits, expected accuracy {number(result.expected_accuracy)}",
            "#=GF SQ 2",
        ]
        for name, row in zip(names, result.rows, strict=True):
            marks = "".join(["." if letter == "-" else digit for letter, digit in zip(row, digits, strict=True)])
            lines.append(f"{name:{width + 8}} {row}")
            lines.append(f"#=GR {name:{width}} PP {marks}")
        return "\n".join([*lines, "//", ""])


class Maf(Writer):
    """Multiple Alignment Format: a block a result, score = log-odds in bits; empty results are left out.

    On strand "-" the query's start is counted on the reverse complement, as the format has it. A "#" line under the
    rows holds the confidence of every column in the scale of the other formats (0-9, "*" from 0.95).
    """

    def begin(self) -> str:
        """The header line."""
        return "##maf version=1 scoring=log-odds program=tiedseq\n# score: log-odds in bits\n\n"

    def record(self, result: AlignmentResult) -> str:
        """One block."""
        if result.is_empty:
            return ""
        fields = []
        spans = (result.target_span, result.aligned_query_span)
        sequences = (result.target, result.query)
        names = _row_names(result, unique=False)
        for name, (start, end), strand, sequence in zip(names, spans, ("+", result.strand), sequences, strict=True):
            fields.append((name, str(start), str(end - start), strand, str(len(sequence))))
        name_width, *widths = (max(map(len, column)) for column in zip(*fields, strict=True))
        name_width = max(name_width, 2)  # so that "# confidence" fits before the first column
        lines = [f"a score={number(result.log_odds)}"]
        for (name, *others), row in zip(fields, result.rows, strict=True):
            padded = [f"{field:>{width}}" for field, width in zip(others, widths, strict=True)]
            lines.append(" ".join(["s", f"{name:{name_width}}", *padded, row]))
        margin = len(lines[-1]) - result.n_columns
        lines.append(f"{'# confidence':{margin - 1}} {confidence_digits(result.confidence)}")
        return "\n".join([*lines, "", ""])


def _row_names(result: AlignmentResult, *, unique: bool) -> tuple[str, str]:
    target, query = word(result.target_name), word(result.query_name)
    return (target, f"{query}.query") if unique and target == query else (target, query)


def _row_spans(result: AlignmentResult) -> tuple[str, str]:
    """The aligned parts, counted from 1 and inclusive, descending on strand "-"."""
    start, end = result.query_span
    query = f"{start + 1}-{end}" if result.strand == "+" else f"{end}-{start + 1}"
    return f"{result.target_span[0] + 1}-{result.target_span[1]}", query
