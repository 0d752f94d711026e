"""Rows and emissions of models whose states are alike: ergodic ones, and those that go from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tiedseq.alphabet import Alphabet
from tiedseq.distributions import Categorical
from tiedseq.errors import ArgumentError
from tiedseq.families import Family
from tiedseq.options import checked_count, checked_number
from tiedseq.random_state import generator_of

Rows = dict[str, dict[str, float]]
Self = TypeVar("Self", bound="Topologies")


class Topologies:
    """Constructors of models whose states are alike."""

    if TYPE_CHECKING:

        def __init__(self, alphabet: Any, transitions: Any, emissions: Any, **options: Any) -> None: ...

    @classmethod
    def ergodic(
        cls: type[Self],
        n_states: int,
        *,
        alphabet: Alphabet | str | None = None,
        emission: Family | Categorical | None = None,
        order: int = 0,
        stay: float | None = None,
        **options: Any,
    ) -> Self:
        """Return a model in which every state may follow every other, all of it free.

        Parameters
        ----------
        n_states : int
        alphabet : Alphabet or str, default None
            For states that emit letters; their distributions are drawn from `random_state`.
        emission : Family or Categorical, default None
            What every state emits, such as `ts.Gaussian(dims=2)`, whose starting values come from the data.
        order : int, default 0
        stay : float, default None
            Starting probability of staying in a state; None draws the rows from `random_state`, with a preference to
            stay, as equal rows would be a stationary point of training.
        **options
            Further arguments of the constructor.

        Examples
        --------
        >>> import tiedseq as ts
        >>> ts.HMM.ergodic(3, alphabet="ACGT", random_state=0).n_free_parameters
        17
        """
        names = state_names(n_states)
        generator = generator_of(options.get("random_state"))
        rows = ergodic_rows(names, stay, generator)
        alphabet, emissions = equal_emissions(names, alphabet, emission)
        return cls(alphabet, rows, emissions, order=order, **options)

    @classmethod
    def left_to_right(
        cls: type[Self],
        n_states: int,
        *,
        alphabet: Alphabet | str | None = None,
        emission: Family | Categorical | None = None,
        order: int = 0,
        skip: int = 0,
        stay: float = 0.5,
        **options: Any,
    ) -> Self:
        """Return a model whose states follow each other: each may stay, go on, or leave out up to `skip` states.

        Sequences begin in the first state and end in the last.

        Examples
        --------
        >>> import tiedseq as ts
        >>> ts.HMM.left_to_right(3, alphabet="ACGT", random_state=0).transmat_
        array([[0.5, 0.5, 0. ],
               [0. , 0.5, 0.5],
               [0. , 0. , 0.5]])
        """
        names = state_names(n_states)
        rows = left_to_right_rows(names, skip, stay)
        alphabet, emissions = equal_emissions(names, alphabet, emission)
        return cls(alphabet, rows, emissions, start={names[0]: 1.0}, order=order, **options)


def state_names(n_states: int) -> list[str]:
    """Return the names s0, s1, ..."""
    return [f"s{k}" for k in range(checked_count("n_states", n_states))]


def ergodic_rows(names: list[str], stay: float | None, generator: np.random.Generator) -> Rows:
    """Return rows in which every state follows every other, drawn with a preference to stay if `stay` is None."""
    if stay is not None:
        stay = checked_number("stay", stay, lambda stay: 0.0 < stay < 1.0, "a number between 0 and 1")
    n = len(names)
    rows = {}
    for k, name in enumerate(names):
        weights = np.full(n, 0.0 if stay is None else (1.0 - stay) / max(1, n - 1))
        if stay is None:  # equal rows would be a stationary point of training
            weights = generator.exponential(size=n)
            weights[k] += n
        else:
            weights[k] = stay
        rows[name] = dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
    return rows


def left_to_right_rows(names: list[str], skip: int, stay: float) -> Rows:
    """Return rows in which a state stays, goes on, or leaves out up to `skip` states; the last one ends."""
    stay = checked_number("stay", stay, lambda stay: 0.0 <= stay < 1.0, "a probability below 1")
    checked_count("skip", skip, least=0)
    rows = {}
    for k, name in enumerate(names):
        following = names[k + 1 : k + 2 + skip] or ["end"]
        rows[name] = {name: stay} | dict.fromkeys(following, (1.0 - stay) / len(following))
    return rows


def equal_emissions(names: list[str], alphabet: Any, emission: Any) -> tuple[Any, dict[str, Any]]:
    """Return the letters, and what each of the states emits: the same thing, with values of its own."""
    if emission is None:
        return alphabet, {name: f"emission {name}" for name in names}
    if not isinstance(emission, Family | Categorical):
        raise ArgumentError(f"emission={emission!r} must be a family such as ts.Gaussian(), or a ts.Categorical.")
    if isinstance(emission, Family) and alphabet is not None:
        raise ArgumentError("alphabet= is for letters and emission= a family of numbers; give one of them.")
    letters = emission.alphabet if isinstance(emission, Categorical) and alphabet is None else alphabet
    return letters, dict.fromkeys(names, emission)
