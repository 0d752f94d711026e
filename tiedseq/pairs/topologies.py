"""The states, rows and emissions of pair-HMMs with affine gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.distributions import substitution
from tiedseq.errors import ArgumentError
from tiedseq.options import in_short

from .parameters import numbers

ASPECTS = ("opening", "extension", "letters")  # of insertion and deletion, each of which may be one thing
_ASPECT_OF = {"open": "opening", "extend": "extension", "close": "extension", "gap": "letters"}


def affine_arguments(
    alphabet: Alphabet,
    symmetric: bool | str | Sequence[str],
    gap_open: float | Sequence[float],
    gap_extend: float | Sequence[float],
    gap_switch: float | Sequence[float] | None,
    structure: str,
    gaps: int,
    identity: float,
    values: Mapping[str, Any] | None,
    given: str | None,
) -> dict[str, Any]:
    """Return the arguments of :class:`tiedseq.pairhmm.PairHMM` that `PairHMM.affine` describes."""
    if values is not None and not isinstance(values, Mapping):
        raise ArgumentError(f"values must map labels to starting values, not be a {type(values).__name__}")
    if not isinstance(gaps, int | np.integer) or gaps not in (1, 2):
        raise ArgumentError(f"gaps must be 1 or 2, not {gaps!r}; write other topologies with PairHMM(...)")
    if not (np.ndim(identity) == 0 and 0.0 < numbers("identity", identity) < 1.0):
        raise ArgumentError(f"identity must lie between 0 and 1, not {in_short(identity)}")
    shared = _shared_aspects(symmetric)
    opens = _for_classes("gap_open", gap_open, gaps, lambda first: first / 5)
    extends = _for_classes("gap_extend", gap_extend, gaps, lambda first: 1 - (1 - first) / 4)
    switches = [] if gap_switch is None else _for_classes("gap_switch", gap_switch, gaps, lambda first: first / 4)
    letters = alphabet.n_letters
    states, rows = {"M": "xy"}, {"M": {"M": "match"}}
    emissions: dict[str, Any] = {"M": substitution(structure, name="pair", given=given)}
    start_values: dict[str, Any] = {"pair": _identity_table(letters, identity, given)}
    for k, (opening, extending) in enumerate(zip(opens, extends, strict=True)):
        suffix = "" if k == 0 else "2"
        for state, other, kind, side in (("X", "Y", "x", "deletion"), ("Y", "X", "y", "insertion")):
            name = state + suffix
            of_opening, of_extension = ("" if aspect in shared else f"{side}_" for aspect in ASPECTS[:2])
            gap = ("gap" if "letters" in shared else side) + suffix
            states[name] = kind
            rows["M"][name] = f"{of_opening}open{suffix}"
            rows[name] = {"M": f"{of_extension}close{suffix}", name: f"{of_extension}extend{suffix}"}
            emissions[name] = gap
            start_values |= {rows["M"][name]: opening, rows[name][name]: extending, gap: [1 / letters] * letters}
            if switches:
                rows[name][other + suffix] = switch = f"switch{suffix}"
                start_values[switch] = switches[k]
                if not {switch, rows[name][name]} & set(values or {}):
                    _check_room(extending, switches[k])
    chosen = start_values | dict(values or {})
    return {"states": states, "transitions": rows, "emissions": emissions, "values": chosen}


def labels_in_place_of(label: str, apart: Sequence[str]) -> list[str]:
    """Return what a label of the symmetric model becomes where these aspects are not shared: two labels, or itself."""
    name = label.removesuffix("2")
    if _ASPECT_OF.get(name) not in apart:
        return [label]
    rest = label.removeprefix("gap") if name == "gap" else f"_{label}"
    return [f"{side}{rest}" for side in ("deletion", "insertion")]


def _check_room(extending: float, switching: float) -> None:
    """Whether a gap can end: ArgumentError if not."""
    if extending + switching >= 1.0:
        raise ArgumentError(
            f"gap_extend and gap_switch must leave room for a gap to close: {extending:g} and {switching:g} add up "
            "to 1 or more. Give smaller ones."
        )


def _shared_aspects(symmetric: bool | str | Sequence[str]) -> tuple[str, ...]:
    """What of insertion and deletion is one thing."""
    if isinstance(symmetric, bool | np.bool_):
        return ASPECTS if symmetric else ()
    shared = (symmetric,) if isinstance(symmetric, str) or not isinstance(symmetric, Iterable) else tuple(symmetric)
    if unknown := [aspect for aspect in shared if aspect not in ASPECTS]:
        raise ArgumentError(f"symmetric= has {unknown[0]!r}; it is True, False, or some of {', '.join(ASPECTS)}.")
    return shared


def _identity_table(letters: int, identity: float, given: str | None) -> NDArray[np.float64]:
    unequal = (1 - identity) / (letters * (letters - 1)) if letters > 1 else 0.0
    table = np.full((letters, letters), unequal)
    np.fill_diagonal(table, (identity if letters > 1 else 1.0) / letters)
    return table if given is None else table * letters


def _for_classes(name: str, value: float | Sequence[float], gaps: int, second: Callable[[float], float]) -> list[float]:
    given = numbers(name, value).ravel().tolist()
    if len(given) == 1 and gaps == 2:
        given.append(float(second(given[0])))
    if len(given) != gaps or not all(0.0 < v < 1.0 for v in given):
        several = "" if gaps == 1 else f", one or one for each of {gaps} classes"
        raise ArgumentError(f"{name} must be a probability between 0 and 1{several}, not {in_short(value)}")
    return given
