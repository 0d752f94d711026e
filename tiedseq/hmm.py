"""Hidden Markov models with tied parameters: sequences of letters or numbers, explained by a path of states."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import storage
from .alphabet import Alphabet
from .chains.ascent import ascend
from .chains.assessment import Assessment
from .chains.attributes import HmmlearnAttributes
from .chains.conditional import ConditionalParameters
from .chains.parameters import HMMParameters
from .chains.potentials import PotentialSource
from .chains.probabilities import ChainProbabilities
from .chains.protocol import Parameters, Written
from .chains.sampling import stationary
from .chains.topologies import Topologies
from .chains.trainee import Trainee
from .errors import ArgumentError, ModelError
from .estimator import Estimator
from .nesting import Nests
from .one_thread import on_one_thread
from .options import SYMMETRIES, checked_order
from .random_state import RandomState
from .restating import damage_as_model_error
from .soft import split_values
from .specification import Parameter
from .strands.language import partner
from .strands.parameters import StrandParameters
from .training import Options, train

Floats = NDArray[np.float64]
Paths = NDArray[np.int64]


class HMM(Topologies, HmmlearnAttributes, ChainProbabilities, Assessment, Estimator):
    """A hidden Markov model whose parameters belong to labels: the same label anywhere is the same parameter.

    Parameters
    ----------
    alphabet : Alphabet or str, default None
        `ts.DNA`, `ts.RNA`, `ts.PROTEIN` or a string of letters, if states emit letters. None: they emit numbers, or
        several channels. With a network it is the network's, and may be left out.
    transitions : mapping of state to row
        A row maps states (and "end", which ends the sequence) to a label, a number, or `ts.fixed(number)`. What is
        absent or zero is impossible for good. A number is a parameter of its own, called "a->b". Rows sum to one.
    emissions : mapping of state to entry
        Of letters: a label, a table of shape (K,) * (order + 1), `ts.fixed(table)`, `ts.complement(label)` or a
        `ts.Categorical`. Of numbers: a `ts.Gaussian`, `ts.Poisson` or another `ts.Family`, or a label that `values`
        gives one. Of several things at once, letters among them: a `ts.Channels`. None: the state is silent, it emits
        nothing. In the place of the mapping an `nn.Emissions`: a network gives every state a log-potential at every
        position. Such a model says P(path | X) and nothing of X; it learns from `paths` or `allowed`, by L-BFGS up the
        exact gradient, and its priors are for rows. What needs P(X) raises ModelError.
    start : row, default None
        The distribution of the first letter's state; None: free, and uniform over the states.
    values : mapping of label to value, default none
        Starting values. What is left out follows from its row, or is drawn from `random_state`. Members of soft ties
        start at their label's value (where that is drawn, at a draw of their own), or at one given as "label@state".
    order : int, default 0
        How many letters before it a letter depends on. Tables then have a distribution along their last axis for every
        context; where letters of it are ambiguous or missing, the mean over what they may stand for counts.
    random_state, max_iter, tol, n_init, priors, soft, callback, progress, executor, checkpoint, warm_start
        Training options; see `fit`.
    symmetry : {None, "reverse-complement"}, default None
        "reverse-complement": a sequence and its reverse complement are equally likely. States called alike but for a
        last sign, "gene+" and "gene-", are each other's mirror images, and every other state is its own; the emission
        of one of two images may be left out. Tied are joint frequencies: the flow pi_i A_ij from state to state, called
        "flow i->j" among the parameters, and in every state the words of order + 1 letters, (K,) * (order + 1); entries
        of rows are starting values and cannot be labels. Tables may be given as for `order`, or as frequencies of
        words; both are averaged with their mirror images. So that it can hold for any order, contexts begin anew
        where the state changes, after an ambiguous letter and at the start of a sequence, and a model without an "end"
        begins anywhere. Silent states, families of numbers and soft ties have no such form.

    Attributes
    ----------
    states : tuple of str
        In the order of `transitions`; paths are indices into it.
    startprob_, transmat_ : float64 (S,), (S, S)
        The names that hmmlearn's users know; a column for "end" is left out.
    emissionprob_ : float64 (S, K); means_, covars_, rates_
        Of letters or of families, where all states have them.
    history_ : list of float
        The log-likelihood before each iteration of the last `fit` (with log priors, less the penalty of soft ties).
    converged_ : bool

    Raises
    ------
    ModelError
        Ties, labels, values or states contradict each other; the message names them.

    Notes
    -----
    Without any "end" P is that of the letters given their number. (Rabiner, Proc. IEEE 77:257, 1989; Durbin et al.,
    Biological Sequence Analysis, 1998, chapter 3.)

    Examples
    --------
    >>> import tiedseq as ts
    >>> casino = ts.HMM(
    ...     alphabet="123456",
    ...     transitions={"fair": {"fair": 0.95, "loaded": 0.05}, "loaded": {"fair": 0.1, "loaded": 0.9}},
    ...     emissions={"fair": [1 / 6] * 6, "loaded": [0.1] * 5 + [0.5]},
    ...     start={"fair": 2 / 3, "loaded": 1 / 3},
    ... )
    >>> round(casino.score("123456666666"), 6)
    -16.731335
    >>> casino.predict("123456666666")
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1])
    """

    kind = "hmm"

    def __init__(
        self,
        alphabet: Alphabet | str | None = None,
        transitions: Mapping[str, Mapping[str, Any]] | None = None,
        emissions: Mapping[str, Any] | PotentialSource | None = None,
        start: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        order: int = 0,
        random_state: RandomState = None,
        max_iter: int = Options.max_iter,
        tol: float = Options.tol,
        n_init: int = Options.n_init,
        priors: Mapping[str, Any] | None = None,
        soft: Mapping[str, float] | None = None,
        callback: Any = None,
        progress: bool = False,
        executor: Any = None,
        checkpoint: Any = None,
        warm_start: bool = False,
        symmetry: str | None = None,
    ) -> None:
        self._keep(locals())
        self.options = Options(
            *(max_iter, tol, n_init, random_state, priors, soft, callback, progress, executor, checkpoint, warm_start)
        )
        if not isinstance(transitions, Mapping) or not isinstance(emissions, Mapping | PotentialSource):
            raise ModelError(
                "An HMM needs transitions= and emissions=, dictionaries by state (or nn.Emissions(network)); or use "
                "HMM.ergodic()."
            )
        if values is not None and not isinstance(values, Mapping):
            raise ModelError(f"values= must map labels to starting values, not be a {type(values).__name__}.")
        _check_networks(emissions, values)
        self.alphabet = _alphabet_of(alphabet, emissions)
        if symmetry is not None and symmetry not in SYMMETRIES:
            raise ArgumentError(f'symmetry={symmetry!r} is unknown; it is None or "reverse-complement".')
        values, of_members = split_values(values or {}, transitions) if soft else (values or {}, {})
        order = checked_order(order)
        written = Written(self.alphabet, transitions, emissions, start, values, order, random_state)
        # as made; `fit` changes a copy
        self._made = _kind_of(emissions, symmetry)(written).softened(soft or {}, random_state, of_members)
        self._parameters = self._made.copy()
        self.history_: list[float] = []
        self.converged_ = False
        self.provenance: dict[str, Any] | None = None  # of the values, for model files; `fit` forgets it

    # ---- parameters -----------------------------------------------------------------------------------------------

    @property
    def strands(self) -> tuple[str, ...]:
        """The strand of every state: "+" and "-" where two states are called alike but for this last sign, else "."."""
        return tuple(state[-1] if partner(state) in {*self.states} - {state} else "." for state in self.states)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values by label: a float or an array; held ones too; None where there is no value before `fit`."""
        return self._parameters.by_label

    @property
    def held(self) -> tuple[str, ...]:
        """Labels that training leaves alone."""
        return self._parameters.held

    def nesting(self) -> Nests:
        """Return what decides whether this model is a special case of another; see `ts.compare`."""
        return self._parameters.nesting()

    def start_from(self, other: HMM) -> None:
        """Take over the values of a model that is a special case of this one."""
        self._parameters.start_from(other._parameters)
        self.provenance = None

    def copy(self) -> HMM:
        """Return an independent model with the same structure and values."""
        other = HMM.__new__(HMM)
        other.__dict__.update(self.__dict__)
        other._parameters, other.history_ = self._parameters.copy(), list(self.history_)
        return other

    @property
    def title(self) -> str:
        return f"HMM with states {', '.join(self.states)}"

    @property
    def count(self) -> str:
        return self._parameters.soft_title or super().count

    def describe(self) -> list[Parameter]:
        """Return for every label its value, all of its places, and whether it is held: the lines that `print` shows."""
        return list(self._parameters.describe())

    # ---- training -------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        lengths: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        paths: Any = None,
        allowed: Any = None,
        algorithm: str = "baum-welch",
        **options: Any,
    ) -> HMM:
        """Estimate the parameters by maximum likelihood, or maximum posterior where there are priors; return the model.

        Parameters
        ----------
        X : one sequence, many, or with `lengths` all of them stacked
            A str or bytes is one sequence of letters, an integer array one of codes, a float array (T,) or (T, D)
            one of numbers, a dictionary of channel to sequence one of channels; a list of them is many.
        lengths : sequence of int, default None
        weights : sequence of float, default 1 each
            How often every sequence counts, from 0 to 1e100; not all of them 0.
        paths : integer arrays in the form of X, default None
            The true states, which the counts are taken from: what allowing just these does. Iterations end as soon as
            there is nothing left to estimate from the model itself, such as missing letters or silent states.
        allowed : bool arrays (T, S) in the form of X, default None
            The states that may be at every letter; one True alone is a known state. Either this or `paths`.
        algorithm : {"baum-welch", "viterbi"}, default "baum-welch"
            "viterbi" maximises the probability of the likeliest paths instead: quicker, and biased. Not with silent
            states.
        **options
            Training options for this call: max_iter, tol, n_init, random_state, priors, soft, callback, progress,
            executor, checkpoint, warm_start; see `tiedseq.training.Options`. Training starts from the constructor's
            values, so that fitting twice gives the same model; `warm_start=True` continues.

        Returns
        -------
        HMM
            The model itself, with `history_` and `converged_`; its `provenance` is forgotten.

        Raises
        ------
        SequenceError
            A sequence has probability zero, or holds what the model does not know.
        ArgumentError
            An option or an argument does not fit. Whatever is raised, also by Ctrl-C, the model stays as it was; an
            interrupted training goes on from `checkpoint`.

        Examples
        --------
        >>> model = HMM.ergodic(2, alphabet="ab", random_state=1)
        >>> model.fit("aaaabbbbaaaabbbbbaaaa").converged_
        True
        """
        chosen = self.options.changed(options)
        data = self._observations(X, lengths)
        limits = self._limits(data, allowed, paths)
        if self._parameters.is_conditional:
            _check_labels(limits, algorithm)
        batches = self._batches(data, weights, limits)
        before = self._parameters
        self._parameters = self._with_soft_ties(chosen).copy()
        try:
            if isinstance(self._parameters, ConditionalParameters):
                run = _ascend(self._parameters, data.values, batches, chosen)
            else:
                run = train(Trainee(self._parameters, chosen, data.values, algorithm), batches, chosen)
        except BaseException:
            self._parameters = before  # with the history that belongs to it
            raise
        self.history_, self.converged_, self.provenance = run.history, run.converged, None
        return self

    def _with_soft_ties(self, chosen: Options) -> Parameters:
        """The parameters with the soft ties of one call."""
        soft = chosen.soft or {}
        if self._parameters.is_soft_by(soft):
            return self._parameters
        found = self._made.copy() if self._made.is_soft_by(soft) else self._made.softened(soft, chosen.random_state)
        if chosen.warm_start:
            found.continue_from(self._parameters)
        return found

    # ---- the long run --------------------------------------------------------------------------------------------

    def stationary_distribution(self) -> Floats:
        """Return float64 (S,): how often states are visited in the long run, after a letter has been emitted.

        Raises
        ------
        ModelError
            The model has an "end", or states that cannot be reached from each other: there is no such distribution, or
            several.
        """
        if self._parameters.has_end:
            raise ModelError("The model has an end, so it is nowhere in the long run: no stationary distribution.")
        return stationary(self.transmat_, self._is_emitting)

    def expected_durations(self) -> Floats:
        """Return float64 (S,): the mean length of a stay in a state, 1 / (1 - P(stay)); inf if it never ends."""
        stay = np.diag(self.transmat_)
        return np.divide(1.0, 1.0 - stay, out=np.full(len(stay), np.inf), where=stay < 1.0)

    # ---- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a readable, versioned JSON file; `ts.load` gives it back to the last bit."""
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        alphabet = None if self.alphabet is None else self.alphabet.to_dict()
        document = {"alphabet": alphabet, **self._parameters.to_dict()}
        return document if self.provenance is None else {**document, "provenance": self.provenance}

    @classmethod
    @damage_as_model_error()
    def from_dict(cls, document: Mapping[str, Any]) -> HMM:
        """Return the model that `to_dict` described; ModelError for what is no such description."""
        model = cls.__new__(cls)
        given = document["alphabet"]
        model.alphabet = None if given is None else Alphabet.from_dict(given)
        kind = ConditionalParameters if "network" in document else _PARAMETERS[document.get("symmetry")]
        model._made = kind.from_dict(document, model.alphabet)
        model._parameters = model._made.copy()
        model._keep({"alphabet": model.alphabet, **model._parameters.restated(document)})
        model.options, model.history_, model.converged_ = Options(soft=model._made.strengths), [], False
        model.provenance = document.get("provenance")
        return model


_PARAMETERS: dict[str | None, type[Parameters]] = {None: HMMParameters, "reverse-complement": StrandParameters}

# SciPy's step takes systems of some twenty unknowns, and a network's batches are for `executor` to share
_ascend = on_one_thread(ascend)


def _kind_of(emissions: Any, symmetry: str | None) -> type[Parameters]:
    """What holds the labels of a model."""
    if not isinstance(emissions, PotentialSource):
        return _PARAMETERS[symmetry]
    if symmetry is not None:
        raise ModelError(
            f'symmetry="{symmetry}" ties flows and words of letters, and the emissions are a network; give its layers '
            "the symmetry."
        )
    return ConditionalParameters


def _check_networks(emissions: Any, values: Mapping[str, Any] | None) -> None:
    """ModelError for a network in the place of one state's emissions."""
    for name, given in (("emissions", emissions), ("values", values)):
        for key, entry in given.items() if isinstance(given, Mapping) else ():
            if isinstance(entry, PotentialSource):
                raise ModelError(
                    f"{name}[{key!r}] is a network, and one network stands for all states: give "
                    "emissions=nn.Emissions(network), and by its outputs= say which output each state has."
                )


def _alphabet_of(alphabet: Any, emissions: Any) -> Alphabet | None:
    """The letters of a model: those of its network, if it has one. ModelError if they are others."""
    given = None if alphabet is None else Alphabet.of(alphabet)
    if not isinstance(emissions, PotentialSource):
        return given
    if given is not None and given != emissions.alphabet:
        raise ModelError(f"alphabet={given!r}, but the network's input is {emissions.alphabet!r}; leave alphabet= out.")
    return emissions.alphabet


def _check_labels(limits: NDArray[np.bool_] | None, algorithm: str) -> None:
    """ArgumentError unless there is something that a model of paths given sequences can learn from."""
    if algorithm != "baum-welch":
        raise ArgumentError(
            f"algorithm={algorithm!r}: a model whose emissions are a network is trained by its gradient; leave it out."
        )
    if limits is None or limits.all():
        raise ArgumentError(
            "A model whose emissions are a network learns P(labels | X) from labels, and "
            + ("there are none" if limits is None else "allowed= allows every state everywhere")
            + ": without them its potentials would grow without bound. Give paths=, or allowed= for what is known in "
            "part."
        )
