"""A second class of gaps for a model that has one: what tells whether gap lengths are geometric."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedseq.distributions import complement, fixed
from tiedseq.errors import ModelError
from tiedseq.restating import restated

from .parameters import PairParameters

_RARER, _LONGER = 5.0, 4.0  # how the second class starts beside the first


def with_second_class(parameters: PairParameters) -> PairParameters | None:
    """Return parameters with a twin for the x and the y state, rarer and longer; None if there are more of them.

    A twin's labels are those of its state with a 2 behind them, so that what is tied stays tied.
    """
    kinds, specification = parameters.kinds, parameters.specification
    twins = {state: f"{state}2" for state, kind in kinds.items() if kind != "xy"}
    if sorted(kinds[state] for state in twins) != ["x", "y"] or set(twins.values()) & set(kinds):
        return None
    given = restated(parameters.to_dict())
    rows, start, emissions = given["transitions"], given["start"], given["emissions"]
    rows = {state: _with_entries(row, twins) if state not in twins else row for state, row in rows.items()}
    for state, twin in twins.items():
        rows[twin] = {twins.get(to, to): f"{label}2" for to, label in rows[state].items()}
        use = emissions[state]
        emissions[twin] = complement(f"{use.label}2") if isinstance(use, complement) else f"{use}2"
    values = {label: value for label, value in given["values"].items() if _is_kept(value)}
    values |= {
        f"{specification.reading.uses[state].label}2": values[specification.reading.uses[state].label]
        for state in twins
    }
    background = given["extra"].get("background", parameters.background)
    wider_kinds = {**kinds, **{twin: kinds[state] for state, twin in twins.items()}}
    try:
        wider = PairParameters(
            parameters.alphabet, wider_kinds, rows, emissions, _with_entries(start, twins), values, background, 0
        )
    except ModelError:  # what is held leaves no room for another class
        return None
    _begin(wider, parameters, twins)
    return wider


def _with_entries(row: dict[str, Any], twins: dict[str, str]) -> dict[str, Any]:
    return {**row, **{twin: f"{row[state]}2" for state, twin in twins.items() if state in row}}


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
