"""Models and comparisons as tables: text for a terminal, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .specification import Parameter

_WIDTH = 100  # of a line of text
_VALUE = 50  # of a value in it
_MOST_ROWS = 256  # of a table that a notebook unfolds: four letters after four others


class Folded(NamedTuple):
    """A cell of a table that has more to say than a line holds: a notebook unfolds it."""

    summary: str
    rows: list[list[str]]


Cell = str | Folded


class Table(NamedTuple):
    """A table with a title above and notes below it."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    notes: Sequence[str]
    align: str = "<"  # of all columns but the first: "<" or ">"

    def text(self) -> str:
        """Return the table for a terminal, without a line break at the end."""
        cells = [self.heads, *(tuple(map(_summary, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        aligns = ["<", *self.align * (len(widths) - 1)]
        lines = [
            "  ".join(f"{cell:{align}{width}}" for cell, align, width in zip(row, aligns, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines, *self.notes])

    def html(self) -> str:
        """Return the table for a notebook; what does not fit into a cell is folded in it."""
        heads = [escape(head) for head in self.heads]
        rows = [[_html_cell(cell) for cell in row] for row in self.rows]
        side = "left" if self.align == "<" else "right"
        sides = ["left", *[side] * (len(heads) - 1)]
        table = f"<table>{_html_row(heads, sides, 'th')}{''.join(_html_row(row, sides) for row in rows)}</table>"
        above, *below = (f"<p>{escape(line)}</p>" for line in (self.title, *self.notes))
        return f"<div>{above}{table}{''.join(below)}</div>"


def model_table(title: str, parameters: Iterable[Parameter], note: str) -> Table:
    """Return a model as a table of its labels: their values, whether these are held, and every place that they have.

    A parameter whose only place is what it is called after, such as "a->b", has none to show.
    """
    parameters = list(parameters)
    values = [value_cell(parameter) for parameter in parameters]
    used = [max(map(len, column), default=0) for column in ([p.label for p in parameters], map(_summary, values))]
    room = _WIDTH - sum(used) - 4
    rows = [(p.label, value, _places_cell(p, room)) for p, value in zip(parameters, values, strict=True)]
    return Table(title, ("parameter", "value", "used in"), rows, [note])  # type: ignore[arg-type]


def value_cell(parameter: Parameter, error: Any = None) -> Cell:
    """Return the value of a parameter: a number, a few numbers with their letters, or what a notebook unfolds.

    `error` is its standard error, of the same shape, masked where a parameter is on its boundary and has none; None
    says nothing.
    """
    cell = _value_cell(parameter.value, parameter.letters, error)
    if not parameter.held:
        return cell
    return f"{cell}, held" if isinstance(cell, str) else cell._replace(summary=f"{cell.summary}, held")


def _value_cell(value: Any, letters: str, error: Any = None) -> Cell:
    if value is None:
        return "from data"
    array = np.asarray(value)
    if array.size == 1 and not letters:
        return f"{array.item():.6g}" if error is None else f"{array.item():.6g} {_error(error)}"
    number = _probability if letters else "{:.4g}".format
    heads = list(letters) or [""] * (array.shape or (1,))[-1]
    if array.ndim == 1:
        pairs = [[head, number(entry)] for head, entry in zip(heads, array, strict=True)]
        if error is not None:
            return Folded(
                " ".join(" ".join(pair) for pair in pairs),
                [[*pair, _error(e)] for pair, e in zip(pairs, np.ma.asarray(error), strict=True)],
            )
        line = " ".join(f"{head} {entry}".strip() for head, entry in pairs)
        return line if len(line) <= _VALUE else Folded(f"{array.size} {'letters' if letters else 'numbers'}", pairs)
    lines = array.reshape(-1, array.shape[-1])
    contexts = ["".join(cell) for cell in product(heads, repeat=array.ndim - 1)] if letters else [""] * len(lines)
    if error is None:
        entries = [[number(entry) for entry in line] for line in lines]
    else:
        errors = np.ma.asarray(error).reshape(lines.shape)
        entries = [[_with_error(*pair) for pair in zip(*both, strict=True)] for both in zip(lines, errors, strict=True)]
    rows = [[head, *line] for head, line in zip(contexts, entries, strict=True)]
    summary = f"{'x'.join(map(str, array.shape))} table"
    return Folded(summary, [["", *heads], *rows] if len(rows) <= _MOST_ROWS else [])


def unfolded(title: str, cell: Folded) -> list[str]:
    """Return what a cell folds away as lines of text: letters side by side, or a table under its heads."""
    if cell.rows[0][0]:
        return [f"{title}: {', '.join(' '.join(row) for row in cell.rows)}"]
    rows = [[title, *cell.rows[0][1:]], *cell.rows[1:]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{entry:<{width}}" for entry, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _with_error(value: Any, error: Any) -> str:
    return f"{float(value):.4f} {_error(error)}"


def _error(error: Any) -> str:
    """A standard error, or that the parameter is on its boundary, where there is none."""
    return "(boundary)" if np.ma.is_masked(error) else f"\N{PLUS-MINUS SIGN} {float(error):.2g}"


def _probability(value: float) -> str:
    """Two digits after the point, or one that counts; without the zero before the point."""
    if value == 0.0 or value >= 0.995:
        return f"{value:.3g}"
    if value < 0.001:
        return f"{value:.0e}"
    return (f"{value:.2f}" if value >= 0.0095 else f"{value:.3f}")[1:]


def _places_cell(parameter: Parameter, room: int) -> Cell:
    if parameter.places == (parameter.label,):
        return ""
    line = ", ".join(parameter.places)
    if len(line) <= room:
        return line
    return Folded(f"{len(parameter.places)} places", [[place] for place in parameter.places])


def _summary(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.summary


def _html_cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    if not cell.rows:
        return escape(cell.summary)
    rows = [_html_row([escape(entry) for entry in row], ["left"] * len(row)) for row in cell.rows]
    return f"<details><summary>{escape(cell.summary)}</summary><table>{''.join(rows)}</table></details>"


def _html_row(cells: Sequence[str], sides: Sequence[str], kind: str = "td") -> str:
    """A row of cells that are HTML already."""
    inside = (f'<{kind} style="text-align: {side}">{cell}</{kind}>' for cell, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(inside)}</tr>"
