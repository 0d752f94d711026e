"""Letters as one channel among others: a table of probabilities, ambiguity codes as missing data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tiedseq.alphabet import Alphabet
from tiedseq.distributions import Categorical, Substitution, fixed
from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.families.family import LARGEST, NOTHING, Family, Floats, Use, Values, real_array, shown
from tiedseq.information import BORDER

_TYPED = 1e-6  # how far typed probabilities may miss a sum of one
_ROUNDING = 1e-12  # and those that come from a file or an M-step, which stay as they are to the last bit


class Letters(Family):
    """One letter, drawn from a table: what `ts.Categorical` means where observations have other channels beside it.

    A zero stays zero, whatever the data and the priors say; one that was given counts nothing in `n_free`.

    Parameters
    ----------
    alphabet : Alphabet or str
        Its ambiguity codes are missing data: their likelihood is the sum over what they may stand for.
    probability : str, array_like of float (K,), fixed(...) or None, default None
        By letter. Sums to one within 1e-6, also where it is held.

    Notes
    -----
    The prior of a table: pseudocounts, a number or one for each letter.

    Examples
    --------
    >>> family = Letters("xy")
    >>> family.log_likelihoods(family.observations("xyy"), [{"probability": np.array([0.5, 0.5])}]).round(4).ravel()
    array([-0.6931, -0.6931, -0.6931])
    """

    names = ("probability",)

    def __init__(self, alphabet: Alphabet | str, probability: ArrayLike | str | fixed | None = None) -> None:
        self.alphabet = Alphabet.of(alphabet)
        super().__init__({"probability": probability})

    @classmethod
    def of(cls, entry: Categorical) -> Letters:
        """Return the family that a description of a table means. ModelError for one with ties within the table."""
        if isinstance(entry, Substitution) or entry.labels is not None or entry.given is not None:
            raise ModelError(
                f"{shown(entry)} has ties of its own, which a channel's letters cannot have; leave them out, or give "
                "the states a table of letters without other channels."
            )
        if entry.alphabet is None:
            raise ModelError(f"{shown(entry)} does not say what its letters are; give it an alphabet, as 'ACGT'.")
        if entry.name is not None and entry.values is not None:
            raise ModelError(
                f"{shown(entry)} has a name and values; give these to the model, as values={{{entry.name!r}: ...}}."
            )
        return cls(entry.alphabet, entry.values if entry.name is None else entry.name)

    def options(self) -> dict[str, Any]:
        return {"alphabet": self.alphabet.to_dict()}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Letters:
        return cls(Alphabet.from_dict(options["alphabet"]))

    @property
    def layout(self) -> str:
        return f"letters {self.alphabet.symbols!r}"

    def __repr__(self) -> str:
        entry = self.entries["probability"]
        name, values = (entry, None) if isinstance(entry, str) else (None, entry)
        return repr(Categorical(self.alphabet, values=values, name=name))

    # ---- what the user hands in -----------------------------------------------------------------------------------

    def observations(self, X: Any) -> Floats:
        """Return the codes of one sequence as float64 (N, 1).

        Parameters
        ----------
        X : str, bytes, record, or array_like of single letters or of codes, shape (N,) or (N, 1)
            Codes may be floats, as they are among the numbers of other channels.

        Raises SequenceError for anything else, and for letters that the alphabet lacks.
        """
        if isinstance(X, np.ndarray | list | tuple) or hasattr(X, "to_numpy"):
            X = self._as_codes(np.asarray(X), X)
        try:
            return self.alphabet.encode(X).astype(np.float64)[:, None]
        except ArgumentError as error:
            raise SequenceError(str(error)) from error

    def _as_codes(self, array: Any, given: Any) -> Any:
        """Text or whole numbers, of an array of letters or of numbers."""
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1 and array.dtype.kind not in "biuf":
            items = array.tolist()
            if all(isinstance(item, str) and len(item) == 1 for item in items):
                return "".join(items)
        numbers, n_symbols = real_array(array), self.alphabet.n_symbols
        if numbers is None or array.ndim != 1:
            raise SequenceError(
                f"X={shown(given)} is no sequence of letters of {self.alphabet!r}; hand in text, a letter for each "
                "position, or codes."
            )
        wrong = (numbers != np.floor(numbers)) | (numbers < 0.0) | (numbers >= n_symbols)
        self.refuse(numbers[:, None], wrong[:, None], f"text of {self.alphabet!r}, or codes from 0 to {n_symbols - 1}")
        return numbers.astype(np.int64)

    def restored(self, X: Floats) -> str:
        """Return codes as text."""
        return self.alphabet.decode(X[:, 0].astype(np.uint8))

    def checked(self, name: str, value: Any) -> Floats:
        table = self.numbers(name, value, (self.alphabet.n_letters,))
        if (table < 0.0).any():
            raise ModelError(f"{name}={shown(value)} holds {table.min():g}; probabilities are not negative.")
        total = float(table.sum())
        if abs(total - 1.0) > _TYPED:
            raise ModelError(
                f"{name}={shown(value)} of the letters {self.alphabet.letters!r} sums to {total:.9g}; it must sum to "
                "1, within 1e-6."
            )
        return table if abs(total - 1.0) <= _ROUNDING else table / total

    def checked_prior(self, name: str, prior: Any) -> Floats:
        counts, shape = real_array(prior), (self.alphabet.n_letters,)
        if counts is None or counts.shape not in ((), shape) or not ((counts >= 0.0) & (counts <= LARGEST)).all():
            raise ModelError(
                f"priors= has {shown(prior)} for a {name}; it must be a pseudocount from 0 to {LARGEST:g}, or one for "
                f"each of the letters {self.alphabet.letters!r}."
            )
        return np.broadcast_to(counts, shape)

    # ---- the E-step and the M-step --------------------------------------------------------------------------------

    def log_likelihoods(self, X: Floats, values: Sequence[Values]) -> Floats:
        tables = np.array([of_state["probability"] for of_state in values])
        with np.errstate(divide="ignore"):  # a letter that is impossible
            by_symbol = np.log(self.alphabet.observation @ tables.T)
        return by_symbol[X[:, 0].astype(np.intp)]

    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Values]) -> Floats:
        """Return by state the sum of the posterior at every symbol, ambiguity codes as they are (n_symbols)."""
        codes = X[:, 0].astype(np.intp)
        return np.array([np.bincount(codes, weights, self.alphabet.n_symbols) for weights in posterior.T])

    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        counts = np.zeros(len(value)) if prior is None else np.where(value > 0.0, self.checked_prior(name, prior), 0.0)
        for use in uses:
            table = use.reference[name]
            counts = counts + table * self._slopes(use.statistics, table)
        total = counts.sum()
        return counts / total if total > NOTHING else value

    def _slopes(self, symbols: Floats, table: Floats) -> Floats:
        """The derivative of ln P of counted symbols by the table, every entry taken as free of the others."""
        observation = self.alphabet.observation
        likelihood = observation @ table
        return np.divide(symbols, likelihood, out=np.zeros_like(likelihood), where=likelihood > 0.0) @ observation

    def log_prior(self, name: str, value: Floats, prior: Any) -> float:
        possible = value > 0.0
        return float(self.checked_prior(name, prior)[possible] @ np.log(value[possible]))

    # ---- standard errors ------------------------------------------------------------------------------------------

    def moves(self, name: str, value: Floats) -> list[Floats]:
        """Return moves that keep the sum; what has reached zero stays."""
        from scipy.linalg import helmert

        inside = np.flatnonzero(value > BORDER)
        moves = np.zeros((len(inside) - 1, len(value)))
        moves[:, inside] = helmert(len(inside))
        return list(moves)

    def derivative(self, name: str, X: Floats, weights: Floats, values: Values) -> Floats:
        (symbols,) = self.statistics(X, weights[:, None], [values])
        return self._slopes(symbols, values[name])

    def scale(self, name: str, values: Values) -> float:
        """Return the smallest probability that moves."""
        return float(values[name][values[name] > BORDER].min())

    def n_free(self, name: str, value: Floats) -> int:
        return int((value > 0.0).sum()) - 1

    # ---- from nothing, and to data --------------------------------------------------------------------------------

    def start(self, X: Floats, count: int, generator: np.random.Generator) -> list[dict[str, Floats]]:
        """Return tables drawn around the frequencies of all letters, no two alike and none with a zero."""
        even = np.ones(self.alphabet.n_letters)
        (symbols,) = self.statistics(X, np.ones((len(X), 1)), [{}])
        weights = (1.0 + self._slopes(symbols, even)) * generator.gamma(4.0, 0.25, size=(count, len(even)))
        return [{"probability": table / table.sum()} for table in weights]

    def sample(self, values: Values, size: int, generator: np.random.Generator) -> Floats:
        table = values["probability"]
        return generator.choice(len(table), size, p=table / table.sum()).astype(np.float64)[:, None]
