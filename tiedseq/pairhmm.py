"""Pair-HMMs with tied parameters: two sequences, explained together by states that emit from both or from one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from . import storage
from .alphabet import DNA, Alphabet
from .estimator import Estimator
from .pairs.assessment import PairAssessment
from .pairs.data import pair_data
from .pairs.gap_classes import with_second_class
from .pairs.modes import check_mode
from .pairs.parameters import PairParameters
from .pairs.probabilities import Pair
from .pairs.tables import Floats
from .pairs.topologies import affine_arguments
from .pairs.trainee import PairTrainee
from .random_state import RandomState
from .restating import damage_as_model_error, restated
from .soft import split_values
from .specification import Parameter
from .training import Options, train


class PairHMM(PairAssessment, Estimator):
    """A pair-HMM whose parameters belong to labels: the same label anywhere is the same parameter.

    Parameters
    ----------
    alphabet : Alphabet or str
        `ts.DNA`, `ts.RNA`, `ts.PROTEIN`, or a string of letters.
    states : mapping of str to {"xy", "x", "y"}
        Which sequences a state emits from: "x" is the target, "y" the query.
    transitions : mapping of state to row
        A row maps states (and "end", which ends both sequences) to a label, a number, or `ts.fixed(number)`. What is
        absent or zero is impossible for good. A number is a parameter of its own, called "M->X". Rows sum to one.
    emissions : mapping of state to entry
        A label, a table ((K, K) for "xy": rows target, columns query; (K,) otherwise), `ts.fixed(table)`,
        `ts.complement(label)` or a `ts.Categorical` such as `ts.substitution("symmetric")`.
    start : row, default None
        The distribution of the first column's state. None ties it to the row of the first xy state.
    values : mapping of label to value, default none
        Starting values. What is left out follows from its row, or is drawn from `random_state`.
    background : label or array of shape (K,), default None
        The letters outside a local, glocal or overlap alignment, and of the null that log-odds compare with. None takes
        the mean of the first x and the first y state's distribution as they are now (uniform if that has zeros), held.
    random_state : int, Generator or None, default None
        Draws emissions that have no value.
    max_iter, tol, n_init, priors, soft, callback, progress, executor, checkpoint, warm_start, acceleration
        What `fit` takes unless it is told otherwise: see :class:`tiedseq.training.Options`.

    Raises
    ------
    ModelError
        Ties, labels, values or states contradict each other; the message names them.

    Notes
    -----
    ln P is that of Durbin et al., Biological Sequence Analysis, section 4.2. Without any "end" it is the probability of
    passing through the last letters of both, without a length term. Ambiguity codes are sums over what they stand for.

    Most models run in float64, sixteen cells at a time with exponents of their own. That needs gaps that lead from any
    cell to its neighbours at a bounded price. So logarithms, cell by cell, take over where all gap states of a kind
    give some letter probability 0, or have no edge to themselves; where there is no x or no y state; where a state
    cannot be returned to (a transient one); and where opening a gap is less likely than some 1e-26, or extending it
    than 1e-12. What comes out is the same, after 200 to 500 times as long: 0.2 microseconds a cell for ln P, 0.5 for a
    posterior. Memory then grows with the product of the lengths: a posterior takes 28 bytes a cell and 8 more a state,
    and above 4 GB (9 kb x 8.5 kb with three states) it is a ResourceError.

    Examples
    --------
    >>> import tiedseq as ts
    >>> model = ts.PairHMM(
    ...     alphabet=ts.DNA,
    ...     states={"M": "xy", "X": "x", "Y": "y"},
    ...     transitions={
    ...         "M": {"M": "match", "X": "open", "Y": "open"},
    ...         "X": {"M": "close", "X": "extend"},
    ...         "Y": {"M": "close", "Y": "extend"},
    ...     },
    ...     emissions={"M": ts.substitution("jukes-cantor", name="pair"), "X": "gap", "Y": "gap"},
    ...     values={
    ...         "open": 0.02, "extend": 0.6, "gap": [0.25] * 4,
    ...         "pair": [[0.19 if a == b else 0.02 for b in range(4)] for a in range(4)],
    ...     },
    ... )
    >>> round(model.log_likelihood("GATTACA", "GATACA"), 6)
    -15.576869
    >>> model.n_free_parameters
    6
    """

    kind = "pair-hmm"

    def __init__(
        self,
        alphabet: Alphabet | str,
        states: Mapping[str, str],
        transitions: Mapping[str, Mapping[str, Any]],
        emissions: Mapping[str, Any],
        start: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        background: Any = None,
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
        acceleration: bool = True,
    ) -> None:
        self._keep(locals())
        self.options = Options(
            *(max_iter, tol, n_init, random_state, priors, soft, callback, progress, executor, checkpoint, warm_start),
            acceleration,
        )
        self.alphabet = Alphabet.of(alphabet)
        values, of_members = split_values(values or {}, states) if soft else (values, {})
        self._made = PairParameters(
            self.alphabet, states, transitions, emissions, start, values, background, random_state
        ).softened(soft or {}, random_state, of_members)  # as made; `fit` changes a copy
        self._adopt(self._made.copy())
        self.history_: list[float] = []
        self.converged_ = False
        self.provenance: dict[str, Any] | None = None  # of the values, for model files; `fit` forgets it

    @classmethod
    def affine(
        cls,
        symmetric: bool | str | Sequence[str] = True,
        gap_open: float | Sequence[float] = 0.02,
        gap_extend: float | Sequence[float] = 0.6,
        substitution: str = "symmetric",
        gaps: int = 1,
        *,
        alphabet: Alphabet | str = DNA,
        identity: float = 0.8,
        values: Mapping[str, Any] | None = None,
        background: Any = None,
        given: str | None = None,
        gap_switch: float | Sequence[float] | None = None,
        **options: Any,
    ) -> PairHMM:
        """Return the model of affine gaps: one xy state M, and for each class of gaps a state X and a state Y.

        Parameters
        ----------
        symmetric : bool, or some of {"opening", "extension", "letters"}, default True
            Whether insertion and deletion are one thing: X and Y share `open`, `extend` and the letters `gap`. If not,
            the labels are deletion_open, insertion_open, deletion_extend, insertion_extend, deletion and insertion; a
            deletion holds letters of the target only. ("opening", "letters") shares these two and not the extension.
        gap_open, gap_extend : float or one float a class
            Starting values. A second class opens 5 times as rarely and is 4 times as long unless they are given.
        substitution : str, default "symmetric"
            The ties within the pair table: see `ts.substitution`.
        gaps : 1 or 2, default 1
            Classes of gaps; the labels of the second end in 2.
        identity : float, default 0.8
            Starting value: the share of aligned pairs that are equal.
        given : {None, "target", "query"}, default None
            "target" makes `pair` a table of P(y | x), each row of which sums to one, with x drawn from the background:
            many reads of one reference say nothing about the letters that references are made of.
        gap_switch : float or one float a class, optional
            Starting value of edges from a deletion straight to an insertion of its class, and back; their label is
            `switch`, one for both whatever `symmetric` says: sequences do not tell which of two neighbouring gaps
            comes first, so two switches would hardly be known, nor the openings beside them. None, the default, leaves
            the edges out: between two gaps then lies at least one pair, as alignments of related sequences mostly have
            it. With them `fit(alignments=)` takes a deletion next to an insertion. A second class switches 4 times as
            rarely, unless it is given. Near a substitution a site leave them out: long gaps side by side are hardly
            told from pairs that are unlike, and what is estimated has too many.
        alphabet, values, background, **options
            As in the constructor; `values` overrides what the others say.

        Examples
        --------
        >>> list(PairHMM.affine().parameters)
        ['match', 'open', 'close', 'extend', 'pair', 'gap']
        """
        alphabet = Alphabet.of(alphabet)
        arguments = affine_arguments(
            alphabet, symmetric, gap_open, gap_extend, gap_switch, substitution, gaps, identity, values, given
        )
        return cls(alphabet, **arguments, background=background, **options)

    # ---- parameters -------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, float | Floats]:
        """The values by label, in the order of first use: a float, or an array for a distribution; held ones too."""
        return self._parameters.by_label

    @property
    def background(self) -> Floats:
        """float64 (K,): the letters' probabilities outside an alignment, and in the null of the log-odds."""
        return self._parameters.background

    @property
    def states(self) -> dict[str, str]:
        """Which sequences every state emits from: "xy", "x" (target) or "y" (query)."""
        return dict(self._parameters.kinds)

    @property
    def held(self) -> tuple[str, ...]:
        """Labels that training leaves alone."""
        return self._parameters.specification.held

    def start_from(self, other: PairHMM) -> None:
        """Take over the values of a model that is a special case of this one."""
        parameters = self._parameters.copy()
        parameters.start_from(other._parameters)
        self._adopt(parameters)
        self.provenance = None

    def with_qualities(self) -> PairHMM:
        """Return a copy that reads the qualities of records: see `Alphabet.with_qualities`."""
        other, alphabet = self.copy(), self.alphabet.with_qualities()
        other.alphabet, other._made = alphabet, self._made.with_alphabet(alphabet)
        other._arguments = {**self._arguments, "alphabet": alphabet}
        other._adopt(self._parameters.with_alphabet(alphabet))
        return other

    def with_second_gap_class(self) -> PairHMM | None:
        """Return a model with a twin for the x and the y state, rarer and longer.

        None if it has several of either, or labels that are drawn together; where soft ties have no strength, their
        members are labels of their own.
        """
        wider = with_second_class(self._parameters)
        if wider is None:
            return None
        other = self.copy()
        other._made, other.history_, other.converged_, other.provenance = wider, [], False, None
        other._adopt(wider.copy())
        made_from = PairHMM.from_dict(other.to_dict())._arguments
        structure = ("states", "transitions", "emissions", "start", "values", "background")
        other._arguments = {**self._arguments, **{name: made_from[name] for name in structure}, "soft": None}
        other.options = other.options.changed({"soft": None})
        return other

    def copy(self) -> PairHMM:
        """Return an independent model with the same structure and values."""
        other = PairHMM.__new__(PairHMM)
        other.__dict__.update(self.__dict__)
        other._adopt(self._parameters.copy())
        other.history_ = list(self.history_)
        return other

    @property
    def title(self) -> str:
        states = ", ".join(f"{state}: {kind}" for state, kind in self.states.items())
        return f"PairHMM of {self.alphabet.name or self.alphabet.letters} with states {states}"

    @property
    def count(self) -> str:
        return self._parameters.soft.title or super().count

    def describe(self) -> list[Parameter]:
        """Return for every label its value, all of its places, and whether it is held: the lines that `print` shows."""
        return list(self._parameters.describe())

    # ---- training -------------------------------------------------------------------------------------------------

    def fit(
        self,
        pairs: Iterable[Pair] | None = None,
        *,
        weights: ArrayLike | None = None,
        alignments: Iterable[Any] | None = None,
        mode: str = "global",
        strand: str = "forward",
        **options: Any,
    ) -> PairHMM:
        """Estimate the parameters from pairs of sequences by Baum-Welch, all alignments counted; return the model.

        Parameters
        ----------
        pairs : iterable of (target, query)
            May be left out if `alignments` hold their sequences.
        weights : sequence of float, default 1 each
            How often every pair counts; one of weight 0 is left out, even if it is impossible.
        alignments : iterable of Bio.Align.Alignment, AlignmentResult or int array (2, n), default None
            One alignment a pair, taken as true: only the states that can emit its columns are summed over.
        mode, strand
            As in `log_likelihood`; with `alignments` the strand is each alignment's own.
        **options
            Training options for this call: max_iter, tol, n_init, random_state, priors, soft, callback, progress,
            executor, checkpoint, warm_start, acceleration; see `tiedseq.training.Options`. Training starts from the
            constructor's values, so that fitting twice gives the same model; `warm_start=True` continues.

        Returns
        -------
        PairHMM
            The model itself, with `history_` and `converged_`; its `provenance` is forgotten.

        Raises
        ------
        SequenceError
            A pair has probability zero, or a sequence a letter that the alphabet lacks.
        ArgumentError
            An option or an argument does not fit. Whatever is raised, also by Ctrl-C, the model stays as it was.
        ResourceError
            A pair needs more memory than there is; the message says how much.

        Notes
        -----
        The letters of a held background stay; a labelled one is estimated from the flanks. (Durbin et al., Biological
        Sequence Analysis, 1998, sections 3.3 and 4.2.)

        Examples
        --------
        >>> truth = PairHMM.affine(gap_open=0.05, gap_extend=0.5)
        >>> pairs = [truth.sample(columns=300, random_state=k)[:2] for k in range(4)]
        >>> model = PairHMM.affine().fit(pairs)
        >>> model.converged_, model.score(pairs) > truth.score(pairs)
        (True, True)
        """
        check_mode(mode)
        chosen, data = self.options.changed(options), pair_data(pairs, alignments, weights, self.alphabet)
        parameters, batches = self._with_soft_ties(chosen), data.batches()
        complement = self._complement(strand)
        trainee = PairTrainee(parameters, chosen, mode, None if data.columns is not None else complement)
        if data.columns is None:
            for batch in batches:
                trainee.snapshot().recursion.check_memory(batch.pairs, batch.numbers)
        run = train(trainee, batches, chosen)
        self._adopt(parameters)
        self.history_, self.converged_, self.provenance = run.history, run.converged, None
        return self

    def _with_soft_ties(self, chosen: Options) -> PairParameters:
        """A copy of the parameters with the soft ties of one call."""
        soft = chosen.soft or {}
        if self._parameters.is_soft_by(soft):
            return self._parameters.copy()
        found = self._made.copy() if self._made.is_soft_by(soft) else self._made.softened(soft, chosen.random_state)
        if chosen.warm_start:
            found.continue_from(self._parameters)
        return found

    # ---- files ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a readable, versioned JSON file; `ts.load` gives it back to the last bit."""
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        document = {"alphabet": self.alphabet.to_dict(), **self._parameters.to_dict()}
        return document if self.provenance is None else {**document, "provenance": self.provenance}

    @classmethod
    @damage_as_model_error()
    def from_dict(cls, document: Mapping[str, Any]) -> PairHMM:
        """Return the model that `to_dict` described; ModelError for what is no such description."""
        model = cls.__new__(cls)
        model.alphabet = Alphabet.from_dict(document["alphabet"])
        model._made = PairParameters.from_dict(document, model.alphabet)
        given, soft = restated(document), document.get("soft", {"values": {}, "strengths": None})
        extra = given.pop("extra")
        background = extra["background"] if extra else document["background"]
        given["values"] = {**given["values"], **soft["values"]}
        model._keep(
            {"alphabet": model.alphabet, "states": dict(model._made.kinds), "background": background, **given}
            | {"soft": soft["strengths"]}
        )
        model.options, model.history_, model.converged_ = Options(soft=model._made.soft.strengths), [], False
        model.provenance = document.get("provenance")
        model._adopt(model._made.copy())
        return model

    # ---- inside -----------------------------------------------------------------------------------------------

    def _adopt(self, parameters: PairParameters) -> None:
        """Take parameters for the model's, and drop what was computed from earlier ones."""
        self._parameters = parameters
        self._ready = None
