"""Pair-HMMs with tied parameters: two sequences, explained together by states that emit from both or from one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import storage
from .alphabet import DNA, Alphabet, Codes, SequenceLike
from .biopython import alignment_of, columns_of, text_of
from .distributions import complement, fixed, substitution
from .errors import ArgumentError, ModelError
from .estimator import Estimator
from .options import STRANDS, check_word, checked_probability
from .pairs.modes import check_mode
from .pairs.paths import log_columns
from .pairs.recursion import Derivatives, Recursion
from .pairs.sampling import sample_pair
from .pairs.tables import Floats, PairTables
from .random_state import RandomState
from .records import encode
from .restating import restated
from .specification import Parameter, Specification, Tables

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Pair = tuple[SequenceLike, SequenceLike]
KINDS = ("xy", "x", "y")
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
    ) -> None:
        self._keep(locals())
        self.alphabet = Alphabet.of(alphabet)
        self.states = _checked_states(states)
        extra = {"background": background} if isinstance(background, str | complement) else None
        self._specification = Specification(
            _shapes(self.states, self.alphabet),
            transitions,
            emissions,
            start=start,
            values=values,
            alphabet=self.alphabet,
            random_state=random_state,
            start_like=next((s for s, kind in self.states.items() if kind == "xy"), next(iter(self.states))),
            extra=extra,
        )
        self._background = None if extra else self._checked_background(background)
        _positive_background(self.background)
        self._forget()

    @classmethod
    def affine(
        cls,
        symmetric: bool = True,
        gap_open: float | Sequence[float] = 0.02,
        gap_extend: float | Sequence[float] = 0.6,
        substitution: str = "symmetric",
        gaps: int = 1,
        *,
        alphabet: Alphabet | str = DNA,
        identity: float = 0.8,
        values: Mapping[str, Any] | None = None,
        background: Any = None,
    ) -> PairHMM:
        """Return the model of affine gaps: one xy state M, and for each class of gaps a state X and a state Y.

        Parameters
        ----------
        symmetric : bool, default True
            Whether insertion and deletion are one thing: X and Y share `open`, `extend` and the letters `gap`. If not,
            the labels are deletion_open, insertion_open, deletion_extend, insertion_extend, deletion and insertion; a
            deletion holds letters of the target only.
        gap_open, gap_extend : float or one float a class
            Starting values. A second class opens 5 times as rarely and is 4 times as long unless they are given.
        substitution : str, default "symmetric"
            The ties within the pair table: see `ts.substitution`.
        gaps : 1 or 2, default 1
            Classes of gaps; the labels of the second end in 2.
        identity : float, default 0.8
            Starting value: the share of aligned pairs that are equal.
        alphabet, values, background
            As in the constructor; `values` overrides what the others say.

        Examples
        --------
        >>> list(PairHMM.affine().parameters)
        ['match', 'open', 'close', 'extend', 'pair', 'gap']
        """
        alphabet = Alphabet.of(alphabet)
        if values is not None and not isinstance(values, Mapping):
            raise ArgumentError(f"values must map labels to starting values, not be a {type(values).__name__}")
        if gaps not in (1, 2):
            raise ArgumentError(f"gaps must be 1 or 2, not {gaps!r}; write other topologies with PairHMM(...)")
        if not (np.ndim(identity) == 0 and 0.0 < _numbers("identity", identity) < 1.0):
            raise ArgumentError(f"identity must lie between 0 and 1, not {identity!r}")
        opens = _for_classes("gap_open", gap_open, gaps, lambda first: first / 5)
        extends = _for_classes("gap_extend", gap_extend, gaps, lambda first: 1 - (1 - first) / 4)
        letters = alphabet.n_letters
        states, rows = {"M": "xy"}, {"M": {"M": "match"}}
        emissions: dict[str, Any] = {"M": _substitution(substitution)}
        start_values: dict[str, Any] = {"pair": _identity_table(letters, identity)}
        for k, (opening, extending) in enumerate(zip(opens, extends, strict=True)):
            suffix = "" if k == 0 else "2"
            for state, kind, side in (("X", "x", "deletion"), ("Y", "y", "insertion")):
                name, prefix = state + suffix, "" if symmetric else f"{side}_"
                gap = ("gap" if symmetric else side) + suffix
                states[name] = kind
                rows["M"][name] = f"{prefix}open{suffix}"
                rows[name] = {"M": f"{prefix}close{suffix}", name: f"{prefix}extend{suffix}"}
                emissions[name] = gap
                start_values |= {
                    rows["M"][name]: opening,
                    rows[name][name]: extending,
                    gap: [1 / letters] * letters,
                }
        return cls(alphabet, states, rows, emissions, values=start_values | dict(values or {}), background=background)

    # ---- parameters -------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, float | Floats]:
        """The values by label, in the order of first use: a float, or an array for a distribution; held ones too."""
        return self._specification.parameters

    @property
    def n_free_parameters(self) -> int:
        """Degrees of freedom: values that are not held, less what sums to one takes away."""
        return self._specification.n_free_parameters

    @property
    def background(self) -> Floats:
        """float64 (K,): the letters' probabilities outside an alignment, and in the null of the log-odds."""
        if self._background is not None:
            return self._background.copy()
        background = self._specification.tables()["extra"]["background"]
        return _positive_background(background)

    def copy(self) -> PairHMM:
        """Return an independent model with the same structure and values."""
        other = PairHMM.__new__(PairHMM)
        other.__dict__.update(self.__dict__)
        other._specification = self._specification.copy()
        other._forget()
        return other

    @property
    def title(self) -> str:
        states = ", ".join(f"{state}: {kind}" for state, kind in self.states.items())
        return f"PairHMM of {self.alphabet.name or self.alphabet.letters} with states {states}"

    def describe(self) -> list[Parameter]:
        """Return for every label its value, all of its places, and whether it is held: the lines that `print` shows."""
        return self._specification.describe()

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
        found = [(*self.viterbi_columns(x, read.query, mode), read.reverse) for read in strands]
        best, columns, reverse = max(found, key=lambda path: path[0])
        best -= math.log(2.0) if strand == "both" else 0.0
        return best, alignment_of(text_of(target, self.alphabet), text_of(query, self.alphabet), columns, reverse)

    def viterbi_columns(self, x: Codes, y: Codes, mode: str) -> tuple[float, NDArray[np.int64]]:
        """Return ln P of the likeliest path between encoded sequences, and its columns.

        Columns are int64 (2, n_columns): positions in target and query, -1 for a gap.
        """
        best, cells = self.recursion.viterbi(x, y, mode)
        kinds = np.array(list(self.states.values()))[cells[:, 2]]
        columns = cells[:, :2].T - 1
        columns[0, kinds == "y"] = -1
        columns[1, kinds == "x"] = -1
        return best, columns

    def expected_counts(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return the expected number of uses of every parameter, by label, summed over pairs and over all places.

        For a distribution the counts are cell by cell. A count is parameter * d ln P / d parameter.
        """
        gradient = self._gradient_tables(pairs, mode, strand)
        tables = self._specification.tables()
        counts: Tables = {
            "transitions": _uses(gradient["transitions"], tables["transitions"]),
            "start": _uses(gradient["start"], tables["start"]),
            "emissions": {
                state: _uses(gradient["emissions"][state], tables["emissions"][state]) for state in self.states
            },
            "extra": {name: _uses(gradient["extra"][name], tables["extra"][name]) for name in tables["extra"]},
        }
        return self._specification.counts_by_label(counts)

    def gradient(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward"
    ) -> dict[str, float | Floats]:
        """Return d ln P / d parameter by label, every parameter taken as free of the others; summed over pairs."""
        tables = self._gradient_tables(pairs, mode, strand)
        return self._specification.by_label(self._specification.pool(tables))

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
        x, y, drawn = sample_pair(
            list(self.states.values()), self._specification.tables(), self._specification.has_end, columns, random_state
        )
        target, query = self.alphabet.decode(x), self.alphabet.decode(y)
        return target, query, alignment_of(target, query, drawn, False)

    # ---- files ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a readable, versioned JSON file; `ts.load` gives it back to the last bit."""
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        document = {"alphabet": self.alphabet.to_dict(), **self._specification.to_dict()}
        document["states"] = dict(self.states)
        if self._background is not None:
            document["background"] = self._background.tolist()
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PairHMM:
        """Return the model that `to_dict` described."""
        model = cls.__new__(cls)
        model.alphabet = Alphabet.from_dict(document["alphabet"])
        model.states = _checked_states(document["states"])
        shapes = {state: list(shape) for state, shape in _shapes(model.states, model.alphabet).items()}
        model._specification = Specification.from_dict({**document, "states": shapes}, model.alphabet)
        labelled = "background" in document.get("extra", {})
        model._background = None if labelled else model._checked_background(list(document["background"]))
        given = restated(document)
        background = given.pop("extra")["background"] if labelled else document["background"]
        model._keep({"alphabet": model.alphabet, "states": model.states, "background": background, **given})
        model._forget()
        return model

    # ---- inside -----------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Drop what was computed from earlier parameter values."""
        self._ready: Recursion | None = None

    @property
    def recursion(self) -> Recursion:
        """The passes over encoded sequences, at the current parameter values."""
        ready = self._ready
        if ready is None:
            tables = self._specification.tables()
            self._ready = ready = Recursion(
                PairTables(
                    list(self.states.values()),
                    tables["start"][:-1],
                    np.ascontiguousarray(tables["transitions"][:, :-1]),
                    np.ascontiguousarray(tables["transitions"][:, -1]),
                    float(tables["start"][-1]),
                    [tables["emissions"][state] for state in self.states],
                    self.alphabet.observation,
                    self.background,
                )
            )
        return ready

    def _encoded(self, sequence: SequenceLike) -> Codes:
        return encode(sequence, self.alphabet)

    def _encoded_pairs(self, pairs: Iterable[Pair]) -> list[tuple[Codes, Codes]]:
        encoded = []
        if not isinstance(pairs, Iterable):
            raise ArgumentError(f"pairs must hold (target, query) tuples, not be of type {type(pairs).__name__}")
        for number, pair in enumerate(pairs):
            if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise ArgumentError(f"pairs must hold (target, query) tuples; item {number} is {type(pair).__name__}")
            encoded.append((self._encoded(pair[0]), self._encoded(pair[1])))
        return encoded

    def _strands(self, x: Codes, y: Codes, mode: str, strand: str) -> list[_Strand]:
        """The strands that explain the sequences, one at least: the forward one if none does."""
        check_word("strand", strand, STRANDS)
        if strand == "forward":
            return [_Strand(1.0, False, y)]
        reads = y, self.alphabet.reverse_complement(y)
        logs = self.recursion.log_likelihoods([(x, read) for read in reads], mode)
        if logs.max() == -np.inf:
            return [_Strand(1.0, False, y)]
        shares = np.exp(logs - np.logaddexp(logs[0], logs[1])).tolist()
        return [_Strand(shares[k], bool(k), reads[k]) for k in (0, 1) if logs[k] > -np.inf]

    def _log_likelihoods(self, pairs: Iterable[Pair], mode: str, strand: str) -> Floats:
        check_mode(mode)
        check_word("strand", strand, STRANDS)
        encoded = self._encoded_pairs(pairs)
        forward = self.recursion.log_likelihoods(encoded, mode)
        if strand == "forward":
            return forward
        turned = [(x, self.alphabet.reverse_complement(y)) for x, y in encoded]
        return np.logaddexp(forward, self.recursion.log_likelihoods(turned, mode)) - np.log(2.0)

    def _gradient_tables(self, pairs: Iterable[Pair], mode: str, strand: str) -> Tables:
        """d ln P / d every entry of the tables, summed over pairs."""
        check_word("strand", strand, STRANDS)
        tables = self._specification.tables()
        total: Tables = {
            "transitions": np.zeros_like(tables["transitions"]),
            "start": np.zeros_like(tables["start"]),
            "emissions": {state: np.zeros_like(table) for state, table in tables["emissions"].items()},
            "extra": {name: np.zeros_like(table) for name, table in tables["extra"].items()},
        }
        for x, y in self._encoded_pairs(pairs):
            for read in self._strands(x, y, mode, strand):
                if read.share > _ROUNDING:
                    self._add_gradient(total, self.recursion.gradient(x, read.query, mode), read.share)
        return total

    def _add_gradient(self, total: Tables, part: Derivatives, weight: float) -> None:
        total["start"][:-1] += weight * part.start
        total["transitions"][:, :-1] += weight * part.transitions
        if self._specification.has_end:
            total["start"][-1] += weight * part.start_end
            total["transitions"][:, -1] += weight * part.end
        for state, table in zip(self.states, part.emissions, strict=True):
            total["emissions"][state] += weight * table
        if "background" in total["extra"]:
            total["extra"]["background"] += weight * part.background

    def _checked_background(self, background: Any) -> Floats:
        if isinstance(background, fixed):
            background = background.value
        letters = self.alphabet.n_letters
        if background is not None:
            given = _numbers("background", background)
            if given.shape != (letters,) or not np.isclose(given.sum(), 1.0, rtol=0.0, atol=1e-6):
                raise ModelError(
                    f"background must be a label or {letters} probabilities that sum to one, not an array of shape "
                    f"{given.shape} with sum {given.sum():.6g}"
                )
            return _positive_background(given)
        tables = self._specification.tables()["emissions"]
        firsts = [next((s for s, kind in self.states.items() if kind == wanted), None) for wanted in ("x", "y")]
        gaps = [tables[state] for state in firsts if state is not None]
        mean = np.mean(gaps, axis=0) if gaps else np.full(letters, 1 / letters)
        return mean / mean.sum() if np.all(mean > 0) else np.full(letters, 1 / letters)


def _checked_states(states: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(states, Mapping) or not states:
        raise ModelError('states must map names to "xy", "x" or "y", for example {"M": "xy", "X": "x", "Y": "y"}')
    for state, kind in states.items():
        if kind not in KINDS:
            raise ModelError(
                f'state {state!r} emits from {kind!r}; it must be "xy" (both), "x" (target) or "y" (query)'
            )
    return dict(states)


def _shapes(states: Mapping[str, str], alphabet: Alphabet) -> dict[str, tuple[int, ...]]:
    letters = alphabet.n_letters
    return {state: (letters, letters) if kind == "xy" else (letters,) for state, kind in states.items()}


def _positive_background(background: Floats) -> Floats:
    if not np.all(background > 0) or not np.all(np.isfinite(background)):
        raise ModelError(
            f"every letter of the background needs a positive probability, but it is {background.tolist()}: flanks and "
            "log-odds divide by it"
        )
    return background


def _substitution(structure: str) -> Any:
    return substitution(structure, name="pair")


def _identity_table(letters: int, identity: float) -> NDArray[np.float64]:
    unequal = (1 - identity) / (letters * (letters - 1)) if letters > 1 else 0.0
    table = np.full((letters, letters), unequal)
    np.fill_diagonal(table, (identity if letters > 1 else 1.0) / letters)
    return table


def _numbers(name: str, value: Any) -> Floats:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a number or numbers, not {value!r}") from error


def _for_classes(name: str, value: float | Sequence[float], gaps: int, second: Any) -> list[float]:
    given = _numbers(name, value).ravel().tolist()
    if len(given) == 1 and gaps == 2:
        given.append(float(second(given[0])))
    if len(given) != gaps or not all(0.0 < v < 1.0 for v in given):
        raise ArgumentError(
            f"{name} must be a probability between 0 and 1, one or one for each of {gaps} classes, not {value!r}"
        )
    return given


def _uses(gradient: Floats, table: Floats) -> Floats:
    """How often the entries of a table are used; what is impossible never is, whatever its derivative."""
    return np.multiply(gradient, table, out=np.zeros_like(table), where=table > 0.0)
