"""What comes out of comparing two models: the tests of the ties in which they differ, and how that is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .display import Cell, Folded, Table, unfolded, value_cell
from .information import aic, bic
from .specification import Parameter

LEVEL = 0.05  # below or at which a test rejects, in words
_MOST_ROWS = 7  # of a table of letters that is printed in full: six letters and their heads


class Permutation(NamedTuple):
    """A test by swapping target and query, which holds whatever the law of gap lengths."""

    statistic: float
    p_value: float
    blocks: int  # that were swapped
    permutations: int

    def has_blocks_for(self, df: int) -> bool:
        """Whether there are enough blocks for some data to be rejected by swapping them."""
        # half of the swaps are the other half turned round; in as many directions as blocks all swaps look alike
        return self.blocks > df and 2.0 ** (1 - self.blocks) < LEVEL


def least_p_value(draws: int) -> float:
    """Return the smallest p-value that so many random draws can give."""
    return 1.0 / (1.0 + draws)


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
        By `method`; None if a fit did not converge to 0.01 nats, or if chi-square does not hold and there was no
        bootstrap.
    method : {"chi-square", "bootstrap"}
        Where the p-value comes from: chi-square with `df` degrees of freedom, or data drawn from the null.
    permutation : Permutation or None
        The test by swapping target and query, if it was asked for.
    errors : (dict, dict) or None
        Standard errors of both models' parameters by label; None if they were not asked for, or there are none.
    bootstrap : tuple of float
        The statistics of data drawn from the null.
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
    method: str = "chi-square"
    permutation: Permutation | None = None
    errors: tuple[dict[str, Any], dict[str, Any]] | None = None
    bootstrap: tuple[float, ...] = ()

    @property
    def statistic(self) -> float:
        return max(0.0, 2.0 * (self.log_likelihood[1] - self.log_likelihood[0]))

    @property
    def aic(self) -> tuple[float, float]:
        return tuple(aic(k, log) for k, log in self._sizes())  # type: ignore[return-value]

    @property
    def bic(self) -> tuple[float, float]:
        return tuple(bic(k, log, self.n) for k, log in self._sizes())  # type: ignore[return-value]

    def verdicts(self) -> dict[str, bool | None]:
        """Return for every test whether it rejects the null at the 5 % level; None if it can say nothing.

        Either there is no p-value, or no data would have been rejected: fewer than 19 draws, too few blocks to swap.
        """
        p_value, draws, swaps = self.p_value, len(self.bootstrap), self.permutation
        says_nothing = p_value is None or (draws and least_p_value(draws) > LEVEL)
        found = {"likelihood-ratio test": None if says_nothing or p_value is None else p_value <= LEVEL}
        if swaps is not None:
            says_nothing = not swaps.has_blocks_for(self.df) or least_p_value(swaps.permutations) > LEVEL
            found["permutation test"] = None if says_nothing else swaps.p_value <= LEVEL
        return found

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
        models, errors = (self.null, self.alternative), self.errors or ({}, {})
        lines = [
            {line.label: value_cell(line, _shown(line, found)) for line in model.describe()}
            for model, found in zip(models, errors, strict=True)
        ]
        rows += [(label, *(line.get(label, "") for line in lines)) for label in {**lines[0], **lines[1]}]
        return Table(
            "\n".join(self._titles(p)),
            ("", "null", "alternative"),
            rows,
            [f"note: {note}" for note in self.notes],
            align=">",
        )

    def _tables_of_letters(self) -> list[str]:
        """What a line of the table has no room for: distributions of letters with their standard errors."""
        if self.errors is None:
            return []
        lines = []
        for name, model, found in zip(("null", "alternative"), (self.null, self.alternative), self.errors, strict=True):
            for line in model.describe():
                cell = value_cell(line, _shown(line, found))
                if isinstance(cell, Folded) and 0 < len(cell.rows) <= _MOST_ROWS and _shown(line, found) is not None:
                    lines += ["", *unfolded(f"{line.label}, {name}", cell)]
        return lines

    def _titles(self, p: str) -> list[str]:
        drawn = f", by {len(self.bootstrap)} data sets drawn from the null" if self.bootstrap else ""
        titles = [f"likelihood-ratio test: statistic {self.statistic:.4f}, df {self.df}, p-value {p}{drawn}"]
        if self.permutation is not None:
            statistic, p_value, blocks, times = self.permutation
            titles.append(
                f"permutation test: statistic {statistic:.4f}, p-value {p_value:.4g}, target and query of {blocks:,} "
                f"blocks swapped {times:,} times"
            )
        return titles

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary for JSON, models as their `to_dict` gives them."""
        return {
            "statistic": self.statistic,
            "df": self.df,
            "p_value": self.p_value,
            "method": self.method,
            "bootstrap": list(self.bootstrap),
            "permutation": None if self.permutation is None else self.permutation._asdict(),
            "log_likelihood": list(self.log_likelihood),
            "free_parameters": [k for k, _ in self._sizes()],
            "aic": list(self.aic),
            "bic": list(self.bic),
            "n": self.n,
            "standard_errors": None if self.errors is None else [_plain(found) for found in self.errors],
            "notes": list(self.notes),
            "null": self.null.to_dict(),
            "alternative": self.alternative.to_dict(),
        }

    def __repr__(self) -> str:
        return "\n".join([self._table().text(), *self._tables_of_letters()])

    def _repr_html_(self) -> str:
        return self._table().html()


def _shown(line: Parameter, errors: dict[str, Any]) -> Any:
    """The standard error of a parameter as tables show it: masked on its boundary, None where none is expected."""
    if line.held or line.label not in errors:
        return None
    return np.ma.masked if errors[line.label] is None else errors[line.label]


def _plain(errors: dict[str, Any]) -> dict[str, Any]:
    """Standard errors as numbers and lists; None where there is none."""
    return {label: np.ma.asarray(error).tolist() if np.ndim(error) else error for label, error in errors.items()}
