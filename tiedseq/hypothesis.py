"""Hypotheses as ties: does a model with more ties explain the data as well as one with fewer?"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .display import Cell, Table, value_cell
from .errors import ArgumentError, ConvergenceWarning, ModelError
from .specification import Specification

_SETTLED = 0.01  # nats still to come that a p-value can bear
_BORDER = 1e-6  # a probability this close to zero is at its boundary


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two nested models, fitted to the same data: the likelihood-ratio test of the ties in which they differ.

    Attributes
    ----------
    null, alternative : model
        Fitted copies; the null has more ties.
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Free parameters that the null's ties take away.
    p_value : float or None
        Of chi-square with `df` degrees of freedom; None if a fit did not converge to 0.01 nats.
    log_likelihood, aic, bic : (float, float)
        Of the null and of the alternative, in nats; the smaller criterion is the better.
    n : int
        Observed letters, as BIC counts them.
    notes : tuple of str
        What makes the p-value doubtful.
    """

    null: Any
    alternative: Any
    log_likelihood: tuple[float, float]
    df: int
    p_value: float | None
    n: int
    notes: tuple[str, ...] = field(default=())

    @property
    def statistic(self) -> float:
        return max(0.0, 2.0 * (self.log_likelihood[1] - self.log_likelihood[0]))

    @property
    def aic(self) -> tuple[float, float]:
        return tuple(2.0 * k - 2.0 * log for k, log in self._sizes())  # type: ignore[return-value]

    @property
    def bic(self) -> tuple[float, float]:
        return tuple(k * math.log(self.n) - 2.0 * log for k, log in self._sizes())  # type: ignore[return-value]

    def _sizes(self) -> list[tuple[int, float]]:
        models = (self.null, self.alternative)
        return [(model.n_free_parameters, log) for model, log in zip(models, self.log_likelihood, strict=True)]

    def _table(self) -> Table:
        p = "none" if self.p_value is None else f"{self.p_value:.4g}"
        rows: list[tuple[Cell, ...]] = [
            ("log-likelihood", *(f"{log:.4f}" for log in self.log_likelihood)),
            ("free parameters", *(str(k) for k, _ in self._sizes())),
            ("AIC", *(f"{value:.4f}" for value in self.aic)),
            ("BIC", *(f"{value:.4f}" for value in self.bic)),
        ]
        lines = [{line.label: value_cell(line) for line in model.describe()} for model in (self.null, self.alternative)]
        rows += [(label, *(line.get(label, "") for line in lines)) for label in {**lines[0], **lines[1]}]
        return Table(
            f"likelihood-ratio test: statistic {self.statistic:.4f}, df {self.df}, p-value {p}",
            ("", "null", "alternative"),
            rows,
            [f"note: {note}" for note in self.notes],
            align=">",
        )

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


def compare(null: Any, alternative: Any, data: Any, lengths: Any = None, **options: Any) -> Comparison:
    """Fit two nested models to the same data, and test whether the ties that only the null has hold.

    Parameters
    ----------
    null, alternative : HMM
        The same states, letters and zeros; whatever the alternative ties or holds, so does the null. Copies are fitted.
    data, lengths
        As `fit` takes them.
    **options
        Training options of both fits; tol is 0.001 unless given, max_iter 10,000.

    Returns
    -------
    Comparison
        `print` shows it as a table.

    Raises
    ------
    ModelError
        The models are not nested, or do not differ, or have soft ties; the message says in what.
    ArgumentError
        An option that does not exist, or priors or soft ties: fits with them are not at the maximum of the likelihood.

    Notes
    -----
    The alternative starts from its own values and from the null's maximum, so that it never ends up the worse. Where
    the ties hold, the statistic follows chi-square with `df` degrees of freedom in the limit of much data, if no
    parameter lies on its boundary. (Wilks, Ann. Math. Stat. 9:60, 1938; for HMMs Giudici et al.,
    Ann. Inst. Stat. Math. 52:217, 2000.)

    Examples
    --------
    >>> import tiedseq as ts
    >>> rows = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.1, "b": 0.9}}
    >>> tied = {"a": {"a": "stay", "b": "leave"}, "b": {"a": "leave", "b": "stay"}}
    >>> letters = {"a": [0.8, 0.2], "b": [0.3, 0.7]}
    >>> free = ts.HMM("xy", rows, letters)
    >>> null = ts.HMM("xy", tied, letters, values={"stay": 0.9})
    >>> sequences = [free.sample(200, random_state=k)[0] for k in range(20)]
    >>> compare(null, free, sequences).df
    1
    """
    from scipy.special import gammaincc

    if type(null) is not type(alternative):
        raise ModelError(
            f"The null is a {type(null).__name__} and the alternative a {type(alternative).__name__}; they do not nest."
        )
    for name, model in (("null", null), ("alternative", alternative)):
        if not hasattr(model, "nesting"):
            raise ArgumentError(f"{name}= is a {type(model).__name__}; it must be a model that can be fitted.")
    null.nesting().check(alternative.nesting())
    settings = {"tol": 1e-3, "max_iter": 10_000, **options}
    for name, model in (("null", null), ("alternative", alternative)):
        chosen = model.options.changed(settings)
        if chosen.priors:
            raise ArgumentError(
                f"The {name} has priors=, and such a fit is no maximum of the likelihood; compare with priors={{}}."
            )
        if any(0.0 < strength < math.inf for strength in (chosen.soft or {}).values()):
            raise ArgumentError(
                f"The {name} has soft={chosen.soft!r}, and such a fit is no maximum of the likelihood; compare with "
                "strengths of inf (tied) or 0 (untied)."
            )
    fitted_null, fitted = null.copy(), alternative.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted_null.fit(data, lengths, **settings)
        fitted.fit(data, lengths, **settings)
        second = alternative.copy()
        second.start_from(fitted_null)
        second.fit(data, lengths, **{**settings, "warm_start": True, "n_init": 1})
    best = max(fitted, second, key=lambda model: model.history_[-1])
    logs = (fitted_null.score(data, lengths), best.score(data, lengths))
    df = best.n_free_parameters - fitted_null.n_free_parameters
    if df < 1:
        raise ModelError("The two models have the same free parameters; a test needs ties that only the null has.")
    if logs[1] < logs[0] - 1e-6 * abs(logs[0]) - 2.0 * settings["tol"]:
        raise ModelError(
            f"The alternative explains the data worse than the null ({logs[1]:.3f} against {logs[0]:.3f} nats), though "
            "it was fitted from the null's maximum: the models do not nest. Compare their AIC or BIC instead."
        )
    notes = _notes(fitted_null, best)
    settled = fitted_null.converged_ and best.converged_ and settings["tol"] <= _SETTLED
    if not settled:
        notes = (*notes, "no p-value: a fit did not converge to 0.01 nats; raise max_iter, or lower tol")
    statistic = max(0.0, 2.0 * (logs[1] - logs[0]))
    p_value = float(gammaincc(df / 2.0, statistic / 2.0)) if settled else None
    return Comparison(fitted_null, best, logs, df, p_value, fitted_null.n_letters(data, lengths), notes)


class Nesting:
    """What decides whether a model is a special case of another."""

    def __init__(
        self, structure: tuple[Any, ...], specification: Specification, families: dict[Any, Any], bounded: list[str]
    ) -> None:
        self.structure = structure  # states and what they emit; equal in nested models
        self.specification = specification
        self.families = families  # by place: (label, held value or None)
        self.bounded = bounded  # labels of families whose values are at a border

    def check(self, alternative: Nesting) -> None:
        """Raise ModelError unless this model has all ties and held values of `alternative`."""
        if not isinstance(alternative, Nesting):
            raise ModelError(
                "The alternative has symmetry=, which the null lacks; the null must have all ties. Swap them."
            )
        if self.structure != alternative.structure:
            raise ModelError(
                "The models differ in their states, their letters or what their states emit; models nest that "
                "differ in ties and held values only."
            )
        mine, theirs = self.specification.ties, alternative.specification.ties
        if not np.array_equal(mine.labels < 0, theirs.labels < 0):
            raise ModelError("The models differ in what is impossible; give both the same transitions and zeros.")
        for index, label in enumerate(theirs.names):
            here = np.unique(mine.labels[theirs.labels == index])
            if len(here) > 1:
                apart = ", ".join(repr(mine.names[k]) for k in here.tolist()[:3])
                raise ModelError(
                    f"The alternative ties by {label!r} what the null leaves apart ({apart}); the null must have all "
                    "ties of the alternative. Swap the two, or tie the null as well."
                )
            if alternative.specification.is_held[index]:
                same = abs(self.specification.free[here[0]] - alternative.specification.free[index]) <= 1e-12
                if not (self.specification.is_held[here[0]] and same):
                    raise ModelError(
                        f"The alternative holds {label!r}, which the null does not hold at the same value."
                    )
        tied: dict[Any, set[Any]] = {}
        for place, (label, held) in alternative.families.items():
            tied.setdefault(label, set()).add(self.families[place][0])
            if len(tied[label]) > 1:
                raise ModelError(
                    f"The alternative ties by {label!r} what the null leaves apart; the null needs this tie."
                )
            if held is not None and not np.array_equal(held, self.families[place][1]):
                raise ModelError(f"The alternative holds {label!r}, which the null does not hold at the same value.")

    def at_border(self, border: float) -> list[str]:
        """Labels with a probability below `border` that is neither held nor zero by construction."""
        specification = self.specification
        low = (specification.free < border) & ~specification.is_held
        places = {label: specification.places(label) for label in specification.labels}
        return [*(label for label, found in places.items() if low[found[found >= 0]].any()), *self.bounded]


def _notes(null: Any, alternative: Any) -> tuple[str, ...]:
    """Probabilities on their boundary, where chi-square does not hold; zeros by construction are no parameters."""
    at_border = [label for model in (null, alternative) for label in model.nesting().at_border(_BORDER)]
    if not at_border:
        return ()
    return (f"{', '.join(dict.fromkeys(map(repr, at_border)))} reached a boundary, where chi-square is no good guide",)
