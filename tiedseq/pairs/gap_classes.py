"""A second class of gaps for a model that has one: what tells whether gap lengths are geometric."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from tiedseq.distributions import complement, fixed
from tiedseq.errors import ModelError
from tiedseq.restating import restated

from .parameters import PairParameters

_RARER, _LONGER = 5.0, 4.0  # how the second class starts beside the first


def with_second_class(parameters: PairParameters) -> PairParameters | None:
    """Return parameters with a twin for the x and the y state, rarer and longer.

    None if there are more of such states, or if labels are drawn together. A twin's labels are those of its state with
    a number behind them, so that what is tied stays tied, and nothing else is: a 2, or the first with which no name is
    another's. Members of soft ties that are untied are labels of their own.
    """
    kinds, specification = parameters.kinds, parameters.specification
    if sorted(kind for kind in kinds.values() if kind != "xy") != ["x", "y"] or parameters.soft.title:
        return None
    given = restated({**specification.to_dict(), "states": kinds})
    mark = _mark({*kinds, *specification.labels})
    twins = {state: f"{state}{mark}" for state, kind in kinds.items() if kind != "xy"}
    rows, start, emissions = given["transitions"], given["start"], given["emissions"]
    rows = {state: _with_entries(row, twins, mark) if state not in twins else row for state, row in rows.items()}
    for state, twin in twins.items():
        rows[twin] = {twins.get(to, to): f"{label}{mark}" for to, label in rows[state].items()}
        use = emissions[state]
        emissions[twin] = complement(f"{use.label}{mark}") if isinstance(use, complement) else f"{use}{mark}"
    values = {label: value for label, value in given["values"].items() if _is_kept(value)}
    values |= {
        f"{specification.reading.uses[state].label}{mark}": values[specification.reading.uses[state].label]
        for state in twins
    }
    background = given["extra"].get("background", parameters.background)
    wider_kinds = {**kinds, **{twin: kinds[state] for state, twin in twins.items()}}
    try:
        wider = PairParameters(
            parameters.alphabet, wider_kinds, rows, emissions, _with_entries(start, twins, mark), values, background, 0
        )
    except ModelError:  # what is held leaves no room for another class
        return None
    _begin(wider, parameters, twins)
    return wider


def _mark(names: set[str]) -> str:
    """The first number from 2 on that makes of no name another one."""
    return next(mark for mark in map(str, count(2)) if not any(f"{name}{mark}" in names for name in names))


def _with_entries(row: dict[str, Any], twins: dict[str, str], mark: str) -> dict[str, Any]:
    return {**row, **{twin: f"{row[state]}{mark}" for state, twin in twins.items() if state in row}}


def _is_kept(value: Any) -> bool:
    """Whether a value is that of a distribution, or held: those of rows have to make room."""
    return isinstance(value, fixed) or not isinstance(value, float | int | np.number)


def _begin(wider: PairParameters, narrow: PairParameters, twins: dict[str, str]) -> None:
    """Give the wider model the values of the narrow one, and its second class a share of the gaps."""
    specification, known = wider.specification, narrow.specification.tables()
    tables, n, states = specification.tables(), len(narrow.kinds), list(wider.kinds)
    old = [*range(n), len(states)]
    for name, whole in (("transitions", tables["transitions"][:n]), ("start", tables["start"][None])):
        whole[:, old] = known[name].reshape(-1, n + 1)  # type: ignore[literal-required]
    transitions, start = tables["transitions"], tables["start"]
    gaps, seconds = ([states.index(state) for state in chosen] for chosen in (twins, twins.values()))
    transitions[:n, seconds] = transitions[:n, gaps] / _RARER
    transitions[np.ix_(gaps, seconds)] = 0.0
    start[seconds] = start[gaps] / _RARER
    for gap, second in zip(gaps, seconds, strict=True):
        transitions[second] = transitions[gap] / _LONGER
        transitions[second, seconds], transitions[second, gaps] = transitions[second, gaps], 0.0
        transitions[second, second] = 1.0 - (1.0 - transitions[gap, gap]) / _LONGER
    tables["emissions"].update(known["emissions"])
    tables["emissions"].update({twin: known["emissions"][state] for state, twin in twins.items()})
    pooled = specification.pool(tables)
    specification.free = specification.maximize(pooled)
    specification.initial = specification.free.copy()
