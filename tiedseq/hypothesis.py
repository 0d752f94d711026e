"""Hypotheses as ties: does a model with more ties explain the data as well as one with fewer?"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .comparison import LEVEL, Comparison, Permutation, least_p_value
from .errors import ArgumentError, ConvergenceWarning, ModelError, SequenceError, counted
from .options import checked_count, checked_flag
from .random_state import RandomState, generator_of, generators
from .resampling import bootstrapped, duration

Advance = Callable[[str, int, int], Any]

_SETTLED = 0.01  # nats still to come that a p-value can bear
# A probability this close to zero is on its way there, and chi-square in doubt: EM takes long over the rest of the way.
# Standard errors can do with less, `information.BORDER`: they need room for the steps of their differences only.
_BOUNDARY = 1e-6


@runtime_checkable
class OfPairs(Protocol):
    """What a model of pairs of sequences can do beyond a model of sequences; see `PairHMM`."""

    def simulated(self, pairs: Any, random_state: RandomState = None, *, mode: str = ..., strand: str = ...) -> Any: ...

    def check_exchangeable(self, mode: str = ..., strand: str = ..., *, alternative: Any = None) -> None: ...

    def swap_test(
        self, alternative: Any, pairs: Any, permutations: int, random_state: RandomState = None, **where: Any
    ) -> tuple[float, float, int]: ...

    def with_second_gap_class(self) -> Any: ...


def compare(
    null: Any,
    alternative: Any,
    data: Any,
    lengths: Any = None,
    *,
    bootstrap: int = 0,
    permutation: int = 0,
    errors: bool = True,
    random_state: RandomState = None,
    announce: Callable[[str], Any] | None = None,
    advance: Advance | None = None,
    **options: Any,
) -> Comparison:
    """Fit two nested models to the same data, and test whether the ties that only the null has hold.

    Parameters
    ----------
    null, alternative : HMM or PairHMM
        The same states, letters and zeros; whatever the alternative ties or holds, so does the null. Copies are fitted.
        The alternative of a pair-HMM may have states that the null lacks, such as a second class of gaps.
    data, lengths
        As `fit` takes them.
    bootstrap : int, default 0
        The p-value comes from this many data sets drawn from the null, both models fitted to each: for what chi-square
        does not hold for. 99 tell 0.01 from 0.02. Every data set is as large as the data: a pair has as many columns as
        are expected of it, both lengths free; a model with an "end" draws its own. For pair-HMMs.
    permutation : int, default 0
        For pair-HMMs whose null is symmetric in target and query: a test besides, by this many random swaps of the two.
        It holds whatever the law of gap lengths. 50 pairs or more are swapped whole, and so are fewer in the modes
        "local" and "overlap"; in mode="global" fewer are cut into blocks, at columns of confidence above .999.
    errors : bool, default True
        Standard errors for both models: two passes over the data for every free parameter.
    random_state : int, Generator or None
        Draws the bootstrap's data, the permutations, and where fits begin that begin somewhere by chance (`n_init`, or
        numbers without starting values). None leaves these to the models' own.
    announce : function of a str, default None
        Is told what the bootstrap will cost before it starts.
    advance : function of (str, int, int), default None
        Is told what is worked on after the fits, "bootstrap" or "standard errors", how many are done, and of how many.
    **options
        Training options of both fits, and `mode=` and `strand=` of pairs; tol is 0.001 unless given, max_iter 10,000.
        `executor`, a number of threads, works within the fits, and on the bootstrap's data sets. `callback` sees the
        fits to the data, not those to the bootstrap's.

    Returns
    -------
    Comparison
        `print` shows it as a table.

    Raises
    ------
    ModelError
        The models are not nested, or do not differ, or have soft ties; the message says in what. A permutation test
        whose null tells target and query apart.
    ArgumentError
        An option that does not exist, or priors or soft ties: fits with them are not at the maximum of the likelihood.
        A permutation test of reads (mode="glocal", strand="both"), whose roles are not exchangeable. A checkpoint,
        which is of one fit.
    SequenceError
        The data hold no observed letter, or some of them are impossible.

    Notes
    -----
    The alternative starts from its own values and from the null's maximum, so that it never ends up the worse. Where
    the ties hold, the statistic follows chi-square with `df` degrees of freedom in the limit of much data, if no
    parameter lies on its boundary, and if the null is right but for the values of its parameters. Gaps seldom follow
    the geometric law of one class, so a pair-HMM that has one is first compared with two; the notes say what came out.
    (Wilks, Ann. Math. Stat. 9:60, 1938; for HMMs Giudici et al., Ann. Inst. Stat. Math. 52:217, 2000.)

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
    data = list(data) if hasattr(data, "__next__") else data
    settings = {"tol": 1e-3, "max_iter": 10_000, **options}
    settings |= {} if random_state is None else {"random_state": generators(random_state, 1)[0]}
    where: dict[str, Any] = {name: settings.pop(name) for name in ("mode", "strand") if name in settings}
    where |= {} if lengths is None else {"lengths": lengths}
    _check_models(null, alternative, settings)
    _check_lengths(null, lengths)
    _check_resampling(null, alternative, where, bootstrap, permutation)
    checked_flag("errors", errors)
    _check_functions(announce=announce, advance=advance)
    if _sizes_are_known(null, alternative, settings):
        _check_sizes(null, alternative)
    n = null.n_letters(data, **_lengths(where))
    if not n:
        raise SequenceError("the data hold no observed letter, and say nothing of two models")
    generator = generator_of(random_state)
    advance = advance or (lambda what, done, total: None)
    with _without_remarks():
        (fitted_null, fitted), seconds = duration(lambda: _fit_both(null, alternative, data, where, settings))
    logs, df = _logs(fitted_null, fitted, data, where, settings), _check_sizes(fitted_null, fitted)
    if bootstrap and announce is not None:
        announce(f"bootstrap: {counted(bootstrap, 'data set')}, about {_clock(seconds * bootstrap)} at most")
    drawn, unsettled = _bootstrap(fitted_null, fitted, data, where, settings, bootstrap, generator, advance)
    unsure = _unsettled((fitted_null, fitted), settings)
    p_value, notes = _judged(fitted_null, fitted, max(0.0, 2.0 * (logs[1] - logs[0])), df, unsure, drawn)
    if unsettled:
        notes.append(
            f"fits to {unsettled} of {bootstrap} drawn data sets did not converge; raise max_iter, or lower tol"
        )
    notes += _misfit(fitted_null, fitted, data, where, settings)
    swaps = _swapped(fitted_null, fitted, data, where, permutation, generator)
    notes += _too_few(bootstrap, swaps, df)
    found, trouble = _errors(fitted_null, fitted, data, where, settings, advance) if errors else (None, [])
    return Comparison(
        *(fitted_null, fitted, logs, df, p_value, n, (*notes, *trouble)),
        method="bootstrap" if bootstrap else "chi-square",
        permutation=swaps,
        errors=found,
        bootstrap=tuple(drawn),
    )


# ---- what is refused -----------------------------------------------------------------------------------------------


def _check_models(null: Any, alternative: Any, settings: dict[str, Any]) -> None:
    """Raise unless the models nest, and fits with these options are at the maximum of the likelihood."""
    if type(null) is not type(alternative):
        raise ModelError(
            f"The null is a {type(null).__name__} and the alternative a {type(alternative).__name__}; they do not nest."
        )
    for name, model in (("null", null), ("alternative", alternative)):
        if not hasattr(model, "nesting"):
            raise ArgumentError(f"{name}= is a {type(model).__name__}; it must be a model that can be fitted.")
    known = [field.name for field in fields(null.options)]
    for name in settings:
        if name not in known:
            raise ArgumentError(
                f"compare() has no option {name!r}; there are mode, strand, {', '.join(known)}. (A pair that counts "
                "several times is given as often.)"
            )
    null.nesting().check(alternative.nesting())
    for name, model in (("null", null), ("alternative", alternative)):
        chosen = model.options.changed(settings)
        if chosen.checkpoint is not None:
            raise ArgumentError(
                f"The {name} has checkpoint={str(chosen.checkpoint)!r}, a file for one fit, and a comparison makes "
                "several; compare with checkpoint=None."
            )
        if chosen.priors:
            raise ArgumentError(
                f"The {name} has priors=, and such a fit is no maximum of the likelihood; compare with priors={{}}."
            )
        if any(0.0 < strength < math.inf for strength in (chosen.soft or {}).values()):
            raise ArgumentError(
                f"The {name} has soft={chosen.soft!r}, and such a fit is no maximum of the likelihood; compare with "
                "strengths of inf (tied) or 0 (untied)."
            )


def _check_functions(**functions: Any) -> None:
    """ArgumentError for what is to be told something and cannot be."""
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise ArgumentError(f"{name}={function!r} cannot be called; give a function, or None.")


def _sizes_are_known(null: Any, alternative: Any, settings: dict[str, Any]) -> bool:
    """Whether a fit leaves the models as large as they are: not where data give the values, or ties are undone."""
    return not any(
        model.options.soft
        or model.options.changed(settings).soft
        or any(value is None for value in model.parameters.values())
        for model in (null, alternative)
    )


def _check_sizes(null: Any, alternative: Any) -> int:
    """Return how many more free parameters the alternative has; ModelError if it has none."""
    df: int = alternative.n_free_parameters - null.n_free_parameters
    if df < 1:
        raise ModelError("The two models have the same free parameters; a test needs ties that only the null has.")
    return df


def _check_lengths(null: Any, lengths: Any) -> None:
    """Raise if lengths are given for pairs, which are sequences by themselves."""
    if lengths is not None and isinstance(null, OfPairs):
        raise ArgumentError(
            f"lengths= cuts one row of letters into sequences for an HMM; the null is a {type(null).__name__}, whose "
            "pairs are sequences already. Leave it out."
        )


def _check_resampling(null: Any, alternative: Any, where: dict[str, Any], bootstrap: int, permutation: int) -> None:
    """Raise unless the null can be drawn from and swapped as often as is asked for."""
    for name, count in (("bootstrap", bootstrap), ("permutation", permutation)):
        checked_count(name, count, least=0)
        if count and not isinstance(null, OfPairs):
            raise ArgumentError(f"{name}={count} is for pair-HMMs; the null is a {type(null).__name__}.")
    if permutation:
        null.check_exchangeable(**where, alternative=alternative)


# ---- fits ----------------------------------------------------------------------------------------------------------


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Fits whose convergence is told by notes. Around threads, never within one: warnings belong to the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _fit_both(null: Any, alternative: Any, data: Any, where: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return fitted copies; the alternative starts from its own values and from the null's maximum."""
    fitted_null, fitted, second = null.copy(), alternative.copy(), alternative.copy()
    fitted_null.fit(data, **where, **settings)
    fitted.fit(data, **where, **settings)
    second.start_from(fitted_null)
    second.fit(data, **where, **{**settings, "warm_start": True, "n_init": 1})
    return fitted_null, max(fitted, second, key=lambda model: model.history_[-1])


def _logs(
    null: Any, alternative: Any, data: Any, where: dict[str, Any], settings: dict[str, Any]
) -> tuple[float, float]:
    """Return the log-likelihoods of both fits. ModelError if the alternative's is the lower one."""
    logs = (null.score(data, **where), alternative.score(data, **where))
    if logs[1] < logs[0] - 1e-6 * abs(logs[0]) - 2.0 * settings["tol"]:
        raise ModelError(
            f"The alternative explains the data worse than the null ({logs[1]:.3f} against {logs[0]:.3f} nats), though "
            "it was fitted from the null's maximum: the models do not nest. Compare their AIC or BIC instead."
        )
    return logs


def _swapped(
    null: Any, alternative: Any, data: Any, where: dict[str, Any], permutation: int, generator: np.random.Generator
) -> Permutation | None:
    """Return the test by swaps, if it was asked for."""
    if not permutation:
        return None
    statistic, p_value, blocks = null.swap_test(alternative, data, permutation, generator, **where)
    return Permutation(statistic, p_value, blocks, int(permutation))


def _bootstrap(
    null: Any,
    alternative: Any,
    data: Any,
    where: Any,
    settings: dict[str, Any],
    count: int,
    generator: np.random.Generator,
    advance: Advance,
) -> tuple[list[float], int]:
    """Return the statistics of data drawn from the fitted null, and of how many a fit did not converge.

    Fits start from the fitted values.
    """
    if not count:
        return [], 0
    chosen = null.options.changed(settings)
    workers = chosen.executor if isinstance(chosen.executor, int | np.integer) else None
    abandoned = threading.Event()
    inner = {**settings, "random_state": None, "warm_start": True, "executor": None, "progress": False, "n_init": 1}
    unsettled: list[bool] = []

    def leave_if_abandoned(now: Any) -> None:
        if abandoned.is_set():  # nobody waits for the fit any more, and nobody would understand a remark on its end
            raise CancelledError

    inner["callback"] = leave_if_abandoned

    def statistic(drawn: Any) -> float:
        one, other = _fit_both(null, alternative, drawn, where, inner)
        unsettled.append(not (one.converged_ and other.converged_))
        return max(0.0, 2.0 * (other.history_[-1] - one.history_[-1]))

    with _without_remarks():
        try:
            statistics = bootstrapped(
                statistic,
                lambda each: null.simulated(data, each, **where),
                count,
                generator,
                workers,
                chosen.progress,
                lambda done: advance("bootstrap", done, count),
            )
            return statistics, sum(unsettled)
        finally:
            abandoned.set()


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _errors(
    null: Any, alternative: Any, data: Any, where: Any, settings: dict[str, Any], advance: Advance
) -> tuple[Any, list[str]]:
    """Return the standard errors of both models, and why there are none."""
    executor = null.options.changed(settings).executor
    threads = {"executor": executor} if isinstance(executor, int | np.integer) else {}
    found: list[dict[str, Any]] = []
    for name, model in (("null", null), ("alternative", alternative)):
        advance("standard errors", len(found), 2)
        try:
            found.append(model.standard_errors(data, **where, **threads))
        except ModelError as error:
            return None, [f"of the {name}: {error}"]
    return tuple(found), []


# ---- what the result is worth --------------------------------------------------------------------------------------


def _unsettled(models: tuple[Any, Any], settings: dict[str, Any]) -> str:
    """Why the fits are not known to be within 0.01 nats of the maximum, and what to do; "" if they are."""
    tol = float(settings["tol"])
    if not 0.0 < tol <= _SETTLED:
        return f"tol={tol:g} lets no fit converge to 0.01 nats; leave it out, or give one up to 0.01"
    if all(model.converged_ for model in models):
        return ""
    if any(not model.converged_ and len(model.history_) < settings["max_iter"] for model in models):
        return "a fit was stopped before it converged to 0.01 nats; let it go on"
    return "a fit did not converge to 0.01 nats; raise max_iter"


def _judged(
    null: Any, alternative: Any, statistic: float, df: int, unsure: str, drawn: list[float]
) -> tuple[float | None, list[str]]:
    """Return the p-value, and what makes it doubtful."""
    from scipy.special import gammaincc

    notes = []
    is_nested_at_boundary = null.nesting().is_on_boundary_of(alternative.nesting())
    at_border = [label for model in (null, alternative) for label in model.nesting().at_border(_BOUNDARY)]
    if at_border and not drawn:
        labels = ", ".join(dict.fromkeys(map(repr, at_border)))
        notes.append(f"{labels} reached a boundary, where chi-square is no good guide; bootstrap= is one")
    if unsure:
        return None, [*notes, f"no p-value: {unsure}"]
    if drawn:
        return (1.0 + sum(other >= statistic - 1e-9 for other in drawn)) / (1.0 + len(drawn)), notes
    if is_nested_at_boundary:
        return None, [
            *notes,
            "no p-value: the alternative has states that the null lacks, and becomes it at a boundary only, where "
            "chi-square does not hold; bootstrap=99 gives one",
        ]
    return float(gammaincc(df / 2.0, statistic / 2.0)), notes


def _too_few(bootstrap: int, swaps: Permutation | None, df: int) -> list[str]:
    """What no data could be rejected by, whatever they are."""
    notes = []
    draws = {"bootstrap": bootstrap, "permutation": 0 if swaps is None else swaps.permutations}
    for name, count in draws.items():
        if count and least_p_value(count) > LEVEL:
            notes.append(
                f"{name}={count} gives no p-value below {least_p_value(count):.2g}, so it rejects nothing; 19 is the "
                "least for the 5 % level, and more tell more"
            )
    if swaps is not None and not swaps.has_blocks_for(df):
        notes.append(
            f"the permutation test has {counted(swaps.blocks, 'block')} to swap, too few to reject anything that has "
            f"{counted(df, 'degree')} of freedom: its p-value says nothing"
        )
    return notes


def _misfit(null: Any, alternative: Any, data: Any, where: Any, settings: dict[str, Any]) -> list[str]:
    """Whether two classes of gaps explain the data better than the null's one, which chi-square relies on."""
    wider = null.with_second_gap_class() if isinstance(null, OfPairs) else None
    if wider is None or null.nesting().is_on_boundary_of(alternative.nesting()):
        return []
    with _without_remarks():
        # of a second class that the data do not need EM finds the last thousandths of a nat in thousands of iterations
        roughly = {"tol": max(settings["tol"], _SETTLED), "warm_start": True, "n_init": 1, "soft": None}
        wider.fit(data, **where, **{**settings, **roughly})
    gain = wider.history_[-1] - null.score(data, **where)
    more = wider.n_free_parameters - null.n_free_parameters
    if 2.0 * gain <= more * math.log(max(2, null.n_letters(data, **_lengths(where)))):
        return [
            f"one class of gaps fits: two explain the data better by {max(0.0, gain):.1f} nats, with {more} more values"
        ]
    return [
        f"the null itself fits badly: two classes of gaps explain the data better by {gain:.1f} nats, with {more} more "
        "values. So gap lengths are not geometric, gaps count for more than they should, and a small p-value may mean "
        "just that: compare models with gaps=2, and see permutation="
    ]


def _lengths(where: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in where.items() if name == "lengths"}
