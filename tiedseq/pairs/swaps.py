"""What swapping target and query does to a pair-HMM, and what pairs say of a difference between the two.

A model is blind to a swap if its labels stay where they are when its x states change places with its y states. Under
such a null the roles within any pair may be swapped, whatever the law of gap lengths: swapping is a symmetry of the
data, not of a parametric family. The statistic is the score of the alternative at the null's maximum, the part of it
that a swap turns round, block by block; swapping a block changes the sign of its part and nothing else, so that a
thousand permutations cost no pass over the data. (Rao, Proc. Camb. Phil. Soc. 44:50, 1948; for random signs Lehmann and
Romano, Testing Statistical Hypotheses, 2005, 15.2.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Codes
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.specification import Tables

from .machine import Pairs
from .parameters import PairParameters
from .recursion import Derivatives, Recursion
from .tables import Floats

WHOLE = 50  # pairs, from which on they are swapped as they are; fewer are cut into blocks
SURE = 0.999  # confidence of a column that separates two blocks
_MOST_SIGNS = 1 << 22  # at a time: 32 MB, however many blocks and permutations
_SHORTEST = 50  # letters of the target in a block, at least: blocks should be independent of each other
_ROUNDING = 1e-9  # of a derivative, what a swap may change and yet mean nothing: of identical sequences it is all
_SWAPPED = {"xy": "xy", "x": "y", "y": "x"}


def swapped_states(parameters: PairParameters) -> NDArray[np.intp] | None:
    """Return which state takes the place of which when target and query are swapped; None if the model then differs."""
    if not parameters.joint_tables_keep_ties:
        return None
    kinds, specification = parameters.kinds, parameters.specification
    tables = specification.tables(np.arange(1.0, 1.0 + specification.ties.n_free))  # every value its number
    edges, emissions, same = tables["transitions"][:, : len(kinds)], tables["emissions"], np.eye(len(kinds), dtype=bool)
    may = np.array(
        [
            [
                _SWAPPED[kinds[one]] == kinds[other]
                and (one == other or kinds[one] != "xy")
                and np.array_equal(emissions[one], emissions[other].T)
                for other in kinds
            ]
            for one in kinds
        ]
    )
    for alone in (tables["start"][:-1], tables["transitions"][:, -1]):
        may &= alone[:, None] == alone
    agree = edges[:, None, :, None] == edges[None, :, None, :]
    agree &= agree.transpose(2, 3, 0, 1) & (same[:, None, :, None] == same[None, :, None, :])
    return _arranged(may, agree)


def _arranged(may: NDArray[np.bool_], agree: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    """Return a place for every state, any two of which agree; None if there is no such arrangement.

    `may[s, t]`: s can take the place of t. `agree[s, t, u, v]`: it can do so while u takes that of v. Before one is
    tried, all that some state would be left without a place by is struck out: there are k! arrangements of k states.
    """
    while (left := may & np.all(np.any(agree & may, axis=3), axis=2)).sum() < may.sum():
        may = left
    if not may.any(axis=1).all():
        return None
    undecided = np.flatnonzero(may.sum(axis=1) > 1)
    if not undecided.size:
        return may.argmax(axis=1)
    for place in np.flatnonzero(may[undecided[0]]):
        tried = may.copy()
        tried[undecided[0]] = np.arange(len(may)) == place
        if (found := _arranged(tried, agree)) is not None:
            return found
    return None


def swapped(tables: Tables, places: NDArray[np.intp], states: Sequence[str]) -> Tables:
    """Return tables, or derivatives in them, of the pair in which target and query have changed places."""
    with_end = np.append(places, len(places))
    return {
        "transitions": tables["transitions"][np.ix_(places, with_end)],
        "start": tables["start"][with_end],
        "emissions": {state: tables["emissions"][states[places[s]]].T for s, state in enumerate(states)},
        "extra": tables["extra"],
    }


def blocks_of(recursion: Recursion, pairs: Pairs) -> Pairs:
    """Return what is swapped: pairs as they are if there are many, else pieces of them between columns that are sure.

    A block ends with such a column, so that a path has to go through an aligned pair there; what follows begins as the
    whole does if `start` is tied to the row of the state that emits pairs, which is the default. Where it is not, what
    follows may be impossible on its own, such as a gap that no path begins with: there is no cut there.
    """
    if len(pairs) >= WHOLE:
        return pairs
    blocks = []
    for x, y in pairs:
        sure = recursion.posterior(x, y, "global", SURE).pairs.tocoo()
        ends = [(0, 0)]
        for i, j in sorted(zip(sure.row.tolist(), sure.col.tolist(), strict=True)):
            if i + 1 - ends[-1][0] >= _SHORTEST and j + 1 - ends[-1][1] >= _SHORTEST:
                ends.append((i + 1, j + 1))
        blocks += _possible_pieces(recursion, x, y, list(dict.fromkeys([*ends, (x.size, y.size)])))
    return blocks


def _possible_pieces(recursion: Recursion, x: Codes, y: Codes, ends: list[tuple[int, int]]) -> Pairs:
    """What lies between ends, joined until the model can emit every piece."""
    while True:
        pieces = [(x[i:k], y[j:m]) for (i, j), (k, m) in pairwise(ends)]
        impossible = np.flatnonzero(recursion.log_likelihoods(pieces, "global") == -np.inf).tolist() if pieces else []
        if not impossible or len(pieces) == 1:
            return pieces
        joined = {max(1, number) for number in impossible}
        ends = [end for number, end in enumerate(ends) if number not in joined]


def check_exchangeable(
    null: PairParameters, mode: str, strand: str, alternative: PairParameters | None = None
) -> NDArray[np.intp]:
    """Return `swapped_states`.

    ArgumentError or ModelError where target and query play roles that cannot be swapped, and where swaps say nothing of
    the difference between the null and the alternative.
    """
    if mode == "glocal" or strand == "both":
        raise ArgumentError(
            f"permutation= with mode={mode!r}, strand={strand!r}: reads and what they are reads of are not "
            'exchangeable; it needs mode="global", "local" or "overlap", and strand="forward".'
        )
    places = swapped_states(null)
    if places is None:
        raise ModelError(
            "permutation= swaps target and query, but the null itself tells them apart: its labels change places "
            "with its x and y states, or a pair table is not symmetric (one that is given target= or query= is not, "
            "unless the background is held and uniform). Use PairHMM.affine(symmetric=True)."
        )
    if alternative is None:
        return places
    if set(alternative.kinds) != set(null.kinds):
        raise ModelError(
            "permutation= needs an alternative with the states of the null: of a second class of gaps, swaps say "
            "nothing. bootstrap= does."
        )
    if swapped_states(alternative) is not None:
        raise ModelError(
            "permutation= swaps target and query, but the alternative does not tell them apart either: swaps say "
            "nothing of what it adds to the null. Leave permutation= out."
        )
    return places


def differences(null: PairParameters, alternative: PairParameters, pairs: Pairs, mode: str) -> Floats:
    """Return (blocks, k): half of what a swap changes in the score of the alternative, in its k free directions.

    The null, which target and query may be swapped in, is at its maximum.
    """
    places = check_exchangeable(null, mode, "forward")
    at_null = alternative.copy()
    at_null.start_from(null)
    specification, states = at_null.specification, list(at_null.kinds)
    recursion = Recursion(null.tables())
    directions = specification.simplex.directions(specification.free, 0.0)
    found = []
    for block in blocks_of(recursion, pairs) if mode == "global" else pairs:
        derivatives: Derivatives = recursion.derivatives([block], mode)[1]
        here = at_null.gradient(derivatives)
        straight, turned = specification.pool(here), specification.pool(swapped(here, places, states))
        change = straight - turned
        change[np.abs(change) <= _ROUNDING * (np.abs(straight) + np.abs(turned))] = 0.0
        found.append(0.5 * directions.T @ change)
    return np.array(found).reshape(len(found), directions.shape[1])


def sign_test(differences: Floats, permutations: int, generator: np.random.Generator) -> tuple[float, float]:
    """Return the statistic of differences whose signs are random under the null, and its p-value by random signs.

    The statistic is H' V^-1 H, where H is the sum of the differences and V that of their squares, which no sign
    changes. The p-value counts the data as one of the permutations.
    """
    scale = np.sqrt((differences**2).sum(axis=0))
    scaled = differences / np.where(scale > 0.0, scale, 1.0)
    inverse = np.linalg.pinv(scaled.T @ scaled, rcond=1e-9, hermitian=True)

    def statistic(sums: Floats) -> Floats:
        return np.einsum("ij,jk,ik->i", sums, inverse, sums)

    observed = float(statistic(scaled.sum(axis=0)[None])[0])
    at_once, extreme = max(1, _MOST_SIGNS // max(1, len(scaled))), 0
    for first in range(0, permutations, at_once):
        signs = generator.integers(0, 2, (min(at_once, permutations - first), len(scaled))) * 2.0 - 1.0
        extreme += int((statistic(signs @ scaled) >= observed * (1.0 - 1e-9)).sum())
    return observed, (1.0 + extreme) / (1.0 + permutations)
