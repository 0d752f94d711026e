"""Pair-HMMs with tied parameters: two sequences, explained together by states that emit from both or from one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import storage
from .alphabet import DNA, Alphabet, Codes, SequenceLike
from .biopython import alignment_of, columns_of, text_of
from .errors import ArgumentError
from .estimator import Estimator
from .hypothesis import Nesting
from .options import STRANDS, check_word, checked_probability
from .pairs.data import PairData, encoded_pairs, pair_data
from .pairs.information import standard_errors
from .pairs.machine import PairMachine
from .pairs.modes import check_mode
from .pairs.parameters import PairParameters
from .pairs.paths import log_columns
from .pairs.recursion import Derivatives, Recursion
from .pairs.sampling import sample_pair
from .pairs.tables import Floats
from .pairs.topologies import affine_arguments
from .pairs.trainee import PairTrainee
from .random_state import RandomState
from .records import encode
from .restating import restated
from .soft import split_values
from .specification import Parameter
from .training import Options, train

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Pair = tuple[SequenceLike, SequenceLike]
_ROUNDING = 1e-15  # a strand with no more than this share of P changes nothing


class _Strand(NamedTuple):
    """One way to read a query."""

    share: float  # of P, which is the mean over both strands
    reverse: bool
    query: Codes


class PairHMM(Estimator):
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
        self.provenance: dict[str, Any] | None = None  # where the values come from, as model files record it

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
        alphabet, values, background, **options
            As in the constructor; `values` overrides what the others say.

        Examples
        --------
        >>> list(PairHMM.affine().parameters)
        ['match', 'open', 'close', 'extend', 'pair', 'gap']
        """
        alphabet = Alphabet.of(alphabet)
        arguments = affine_arguments(
            alphabet, symmetric, gap_open, gap_extend, substitution, gaps, identity, values, given
        )
        return cls(alphabet, **arguments, background=background, **options)

    # ---- parameters -------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, float | Floats]:
        """The values by label, in the order of first use: a float, or an array for a distribution; held ones too."""
        return self._parameters.by_label

    @property
    def n_free_parameters(self) -> int:
        """Degrees of freedom: values that are not held, less what sums to one takes away. ModelError for soft ties."""
        return self._parameters.n_free

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

    def nesting(self) -> Nesting:
        """Return what decides whether this model is a special case of another; see `ts.compare`."""
        return self._parameters.nesting()

    def start_from(self, other: PairHMM) -> None:
        """Take over the values of a model that is a special case of this one."""
        parameters = self._parameters.copy()
        parameters.start_from(other._parameters)
        self._adopt(parameters)

    def n_letters(self, pairs: Iterable[Pair]) -> int:
        """Return how many letters of both sequences are observed, as `bic` counts them; N and its like are missing."""
        return self._data(pairs).n_letters(self.alphabet)

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
            How often every pair counts.
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
            The model itself, with `history_` and `converged_`.

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
        chosen, data = self.options.changed(options), self._data(pairs, alignments, weights)
        parameters = self._with_soft_ties(chosen)
        complement = self._complement(strand)
        trainee = PairTrainee(parameters, chosen, mode, None if data.columns is not None else complement)
        if data.columns is None:
            trainee.snapshot().recursion.check_memory(data.pairs, range(len(data.pairs)))
        run = train(trainee, data.batches(), chosen)
        self._adopt(parameters)
        self.history_, self.converged_ = run.history, run.converged
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

    def standard_errors(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, Any]:
        """Return the standard error of every parameter by label, from the observed information; call it after `fit`.

        Returns
        -------
        dict of label to float or masked array
            None, or masked, where there is none: what is held or zero by construction, a probability that has reached
            zero (below 1e-8), its boundary, where errors are not symmetric, and what the data never use.

        Raises
        ------
        ModelError
            The data do not determine some parameters, or the values are not at a maximum.

        Notes
        -----
        The matrix of second derivatives is taken by differences of the exact gradient in the directions that the sums
        to one leave free: two passes over the data for every free parameter. Priors are not in it.
        """
        check_mode(mode)
        return standard_errors(self._parameters, self._data(pairs), mode, self._complement(strand))

    def aic(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return Akaike's criterion, 2 k - 2 ln P: smaller is better."""
        return 2.0 * self.n_free_parameters - 2.0 * self.score(pairs, mode=mode, strand=strand)

    def bic(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return Schwarz's criterion, k ln n - 2 ln P, where n counts observed letters: smaller is better."""
        pairs = list(pairs)
        n = self.n_letters(pairs)
        if not n:
            raise ArgumentError("pairs= hold no observed letter, and BIC needs the logarithm of their number; use aic.")
        return self.n_free_parameters * math.log(n) - 2.0 * self.score(pairs, mode=mode, strand=strand)

    # ---- probabilities ----------------------------------------------------------------------------------------

    def log_likelihood(
        self, target: SequenceLike, query: SequenceLike, *, mode: str = "global", strand: str = "forward"
    ) -> float:
        """Return ln P(target, query | model, mode) in nats, summed over all alignments; -inf if there is none.

        Parameters
        ----------
        target, query : str, bytes, Seq, SeqRecord, Record or array of codes
        mode : {"global", "local", "glocal", "overlap"}
            A uniform mixture over the boxes that the mode admits (the whole; all; all intervals of the target with the
            whole query; from border to border), the model inside, background letters outside.
        strand : {"forward", "both"}
            "both" is an even mixture of the query and its reverse complement.

        Examples
        --------
        >>> model = PairHMM.affine()
        >>> model.log_likelihood("ACGT", "ACGT") == model.log_likelihood("acgt", b"ACGT")
        True
        """
        return float(self._log_likelihoods([(target, query)], mode, strand)[0])

    def score(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return the sum of ln P over pairs of sequences. See `log_likelihood`."""
        return float(self._log_likelihoods(pairs, mode, strand).sum())

    def posterior(
        self,
        target: SequenceLike,
        query: SequenceLike,
        threshold: float = 0.01,
        *,
        mode: str = "global",
        strand: str = "forward",
    ) -> csr_array:
        """Return P(x_i aligned to y_j), summed over all xy states, where it is at least `threshold` (0.0 keeps all).

        With strand="both" it is the sum over both strands, weighted by how likely each is, and exact to a thousandth of
        the threshold.

        Returns
        -------
        scipy.sparse.csr_array, float64 of shape (len(target), len(query))
            Indexed on both sequences as given, also where strand="both" mixes in the reverse complement.

        Raises
        ------
        SequenceError
            A letter that the alphabet lacks, or sequences that the model cannot emit.
        """
        x, y = self._encoded(target), self._encoded(query)
        threshold = checked_probability("threshold", threshold)
        strands = [read for read in self._strands(x, y, mode, strand) if read.share > _ROUNDING]
        if len(strands) == 1:
            pairs = self.recursion.posterior(x, strands[0].query, mode, threshold).pairs
            return pairs[:, ::-1] if strands[0].reverse else pairs
        # an entry is kept by its sum: what is below the threshold on one strand may matter with the other's
        parts = [self.recursion.posterior(x, read.query, mode, threshold / 1000).pairs * read.share for read in strands]
        mixed = (parts[0] + parts[1][:, ::-1]).tocsr()
        mixed.data[mixed.data < threshold] = 0.0
        mixed.eliminate_zeros()
        return mixed

    def viterbi(
        self, target: SequenceLike, query: SequenceLike, *, mode: str = "global", strand: str = "forward"
    ) -> tuple[float, Any]:
        """Return ln P of the likeliest path of states, and its Bio.Align.Alignment (target first).

        With strand="both" it is the likelier strand's, one half times its probability.
        """
        x, y = self._encoded(target), self._encoded(query)
        strands = self._strands(x, y, mode, strand)
        found = [(*self.recursion.best_columns(x, read.query, mode), read.reverse) for read in strands]
        best, columns, reverse = max(found, key=lambda path: path[0])
        best -= math.log(2.0) if strand == "both" else 0.0
        return best, alignment_of(text_of(target, self.alphabet), text_of(query, self.alphabet), columns, reverse)

    def expected_counts(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return the expected number of uses of every parameter, by label, summed over pairs and over all places.

        For a distribution the counts are cell by cell. A count is parameter * d ln P / d parameter.
        """
        return self._parameters.expected_counts(self._derivatives(pairs, mode, strand))

    def gradient(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return d ln P / d parameter by label, every parameter taken as free of the others; summed over pairs."""
        specification = self._parameters.specification
        tables = self._parameters.gradient(self._derivatives(pairs, mode, strand))
        return specification.by_label(specification.pool(tables))

    def log_joint(self, target: SequenceLike, query: SequenceLike, alignment: Any, *, mode: str = "global") -> float:
        """Return ln P of two sequences and one alignment of them, summed over the states that can emit its columns.

        Parameters
        ----------
        alignment : Bio.Align.Alignment, AlignmentResult, or int array (2, n_columns)
            Positions in target and query, -1 for a gap; a global alignment holds every letter of both.

        Raises
        ------
        ArgumentError
            The alignment's columns do not fit the sequences.
        """
        x, y = self._encoded(target), self._encoded(query)
        columns, reverse = columns_of(alignment, x.size, y.size)
        if reverse:
            y = self.alphabet.reverse_complement(y)
        return log_columns(self.recursion.tables, x, y, columns, mode)

    def sample(self, columns: int | None = None, random_state: RandomState = None) -> tuple[str, str, Any]:
        """Draw a target, a query and their true Bio.Align.Alignment.

        Parameters
        ----------
        columns : int, default None
            How many columns to draw. With an "end" in the model it may be left out, and is then an upper limit of none.
        random_state : int, Generator or None

        Examples
        --------
        >>> target, query, alignment = PairHMM.affine().sample(columns=50, random_state=1)
        >>> alignment.length
        50
        """
        tables, has_end = self._parameters.tables(), self._parameters.specification.has_end
        x, y, drawn = sample_pair(tables, has_end, columns, random_state)
        target, query = self.alphabet.decode(x), self.alphabet.decode(y)
        return target, query, alignment_of(target, query, drawn, False)

    # ---- files ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a readable, versioned JSON file; `ts.load` gives it back to the last bit."""
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        document = {"alphabet": self.alphabet.to_dict(), **self._parameters.to_dict()}
        return document if self.provenance is None else {**document, "provenance": self.provenance}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PairHMM:
        """Return the model that `to_dict` described."""
        model = cls.__new__(cls)
        model.alphabet = Alphabet.from_dict(document["alphabet"])
        model._made = PairParameters.from_dict(document, model.alphabet)
        given, soft = restated(document), document.get("soft", {"values": {}, "strengths": None})
        extra = given.pop("extra")
        background = extra["background"] if extra else document["background"]
        given["values"] = {**given["values"], **soft["values"]}
        model._keep(
            {"alphabet": model.alphabet, "states": model._made.kinds, "background": background, **given}
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
        self._ready: Recursion | None = None

    @property
    def recursion(self) -> Recursion:
        """The passes over encoded sequences, at the current parameter values."""
        ready = self._ready
        if ready is None:
            self._ready = ready = Recursion(self._parameters.tables())
        return ready

    def _machine(self, mode: str, strand: str) -> PairMachine:
        check_mode(mode)
        machine = PairMachine(self.recursion.tables, mode, self._complement(strand))
        machine.recursion = self.recursion  # with what it has made ready
        return machine

    def _complement(self, strand: str) -> Codes | None:
        """The complement of every symbol where both strands are asked for."""
        check_word("strand", strand, STRANDS)
        if strand == "forward":
            return None
        symbols = np.arange(len(self.alphabet.observation), dtype=np.uint8)
        return self.alphabet.reverse_complement(symbols)[::-1].copy()

    def _data(self, pairs: Any, alignments: Any = None, weights: ArrayLike | None = None) -> PairData:
        return pair_data(pairs, alignments, weights, self.alphabet)

    def _encoded(self, sequence: SequenceLike) -> Codes:
        return encode(sequence, self.alphabet)

    def _strands(self, x: Codes, y: Codes, mode: str, strand: str) -> list[_Strand]:
        """The strands that explain the sequences, one at least: the forward one if none does."""
        if strand == "forward":
            return [_Strand(1.0, False, y)]
        shares = self._machine(mode, strand).shares([(x, y)])[:, 0].tolist()
        reads = y, self.alphabet.reverse_complement(y)
        return [_Strand(shares[k], bool(k), reads[k]) for k in (0, 1) if shares[k] > 0.0]

    def _log_likelihoods(self, pairs: Iterable[Pair], mode: str, strand: str) -> Floats:
        machine = self._machine(mode, strand)
        return machine.log_likelihoods(encoded_pairs(pairs, self.alphabet))

    def _derivatives(self, pairs: Iterable[Pair], mode: str, strand: str) -> Derivatives:
        """d ln P / d every number of the model's tables, summed over pairs."""
        machine, encoded = self._machine(mode, strand), encoded_pairs(pairs, self.alphabet)
        return machine.derivatives(encoded, np.ones(len(encoded)))[1]
