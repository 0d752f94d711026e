"""What an HMM says of sequences: probabilities, paths of states, draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError
from tiedseq.options import checked_count
from tiedseq.random_state import RandomState, generator_of

from .model import ChainModel
from .sampling import drawn_path

Paths = NDArray[np.int64]


class ChainProbabilities(ChainModel):
    """The part of an HMM that computes. What X may be says `HMM.fit`."""

    def score(self, X: Any, lengths: ArrayLike | None = None, *, paths: Any = None, allowed: Any = None) -> float:
        """Return ln P(X | model) in nats, the sum over sequences; -inf where the model cannot emit one.

        With labels, `paths` or `allowed` as in `fit`, it is ln P(X, labels | model): the sum over the paths that they
        allow. Where the emissions are a network it is ln P(labels | X), and labels are needed.

        Examples
        --------
        >>> import tiedseq as ts
        >>> round(ts.HMM("ab", {"s": {"s": 1.0}}, {"s": [0.5, 0.5]}).score(["ab", "b"]), 6)
        -2.079442
        """
        data = self._observations(X, lengths)
        return self._score(data, self._limits(data, allowed, paths))

    def decode(self, X: Any, lengths: ArrayLike | None = None, algorithm: str = "viterbi") -> tuple[float, Any]:
        """Return ln P and the states of every letter, as integer arrays in the form of X.

        Parameters
        ----------
        X, lengths
            As in `fit`.
        algorithm : {"viterbi", "posterior"}
            "viterbi": the likeliest path, and its ln P(X, path). "posterior": at every letter the likeliest state, and
            ln P(X); the path as a whole may be impossible. (hmmlearn calls it "map"; so may you.) Where the emissions
            are a network, ln P(path | X), and 0.

        Returns
        -------
        log_probability : float
            Summed over sequences.
        path : int64 array, or a list of them
            Indices into `states`. Silent states have no letter, and are not in it.
        """
        data = self._observations(X, lengths)
        if algorithm == "viterbi":
            machine = self._parameters.machine()
            path, total, first = np.empty(len(data.values), np.int64), 0.0, 0
            for batch in self._batches(data):
                last = first + int(batch.ends[-1])
                total += float(machine.likeliest(batch, path[first:last])[0].sum())
                first = last
            return total, data.restored(self._parameters.states_of(path))
        if algorithm not in ("posterior", "map"):
            raise ArgumentError(f'algorithm={algorithm!r} is unknown; it is "viterbi" or "posterior".')
        total = 0.0 if self._parameters.is_conditional else self._score(data)
        return total, data.restored(self._posterior(data).argmax(axis=1))

    def predict(self, X: Any, lengths: ArrayLike | None = None) -> Any:
        """Return the likeliest path of states, as `decode` does: int64 indices into `states`, in the form of X.

        Examples
        --------
        >>> import tiedseq as ts
        >>> rows = {"low": {"low": 0.9, "high": 0.1}, "high": {"low": 0.1, "high": 0.9}}
        >>> ts.HMM("ab", rows, {"low": [0.9, 0.1], "high": [0.1, 0.9]}).predict("aaabbb")
        array([0, 0, 0, 1, 1, 1])
        """
        return self.decode(X, lengths)[1]

    def predict_proba(self, X: Any, lengths: ArrayLike | None = None) -> Any:
        """Return P(state | X) of every letter, float64 (T, S) in the form of X; silent states have zeros.

        X and lengths are as in `fit`. SequenceError for what the model cannot emit.

        Examples
        --------
        >>> import tiedseq as ts
        >>> ts.HMM("ab", {"s": {"s": 1.0}}, {"s": [0.5, 0.5]}).predict_proba("ab")
        array([[1.],
               [1.]])
        """
        data = self._observations(X, lengths)
        return data.restored(self._posterior(data))

    def best_paths(self, X: Any, k: int) -> list[tuple[float, Paths]]:
        """Return the k likeliest paths of states of one sequence, each as (ln P(X, path), int64 array (T,)).

        Fewer if there are not as many. Between two letters a path takes its likeliest way through silent states. X is
        one sequence; ArgumentError for several, or if k is no whole number of 1 or more.

        Examples
        --------
        >>> import tiedseq as ts
        >>> rows = {"low": {"low": 0.9, "high": 0.1}, "high": {"low": 0.1, "high": 0.9}}
        >>> model = ts.HMM("ab", rows, {"low": [0.9, 0.1], "high": [0.1, 0.9]})
        >>> [path.tolist() for _, path in model.best_paths("aab", 2)]
        [[0, 0, 0], [0, 0, 1]]
        """
        k = checked_count("k", k)
        found = self._parameters.machine().best_paths(self._one(X), k)
        return [(log, self._parameters.states_of(path)) for log, path in found]

    def sample_paths(self, X: Any, n: int = 1, random_state: RandomState = None) -> list[Paths]:
        """Draw n paths of states of one sequence from their posterior P(path | X): int64 arrays (T,).

        ArgumentError for several sequences, or if n is no whole number of 1 or more; SequenceError for what the model
        cannot emit.

        Examples
        --------
        >>> import tiedseq as ts
        >>> ts.HMM("ab", {"s": {"s": 1.0}}, {"s": [0.5, 0.5]}).sample_paths("ab", 2, random_state=1)
        [array([0, 0]), array([0, 0])]
        """
        n = checked_count("n", n)
        paths = self._parameters.machine().sampled_paths(self._one(X), n, generator_of(random_state))
        return [self._parameters.states_of(path) for path in paths]

    def sample(self, n: int | None = None, random_state: RandomState = None) -> tuple[Any, Paths]:
        """Draw a sequence of n letters (a str; numbers as float64 (n, D); channels by name) and its path of states.

        With an "end" in the model `n` may be left out, and is then no limit. A sequence has one letter at least: where
        the model may end before the first, what is drawn follows P(sequence | model), as `score` has it, divided by the
        probability that there is a letter. ModelError if there never is.

        Examples
        --------
        >>> import tiedseq as ts
        >>> letters, path = ts.HMM.ergodic(2, alphabet="ab", random_state=0).sample(20, random_state=1)
        >>> len(letters), len(path)
        (20, 20)
        """
        if n is None and not self._parameters.has_end:
            raise ArgumentError("n= is left out, but the model has no end; say how many letters to draw.")
        if n is not None:
            checked_count("n", n)
        self._parameters.check_values()
        generator, (start, transitions) = generator_of(random_state), self._parameters.rows()
        if not self._parameters.has_end:
            start[-1] = transitions[:, -1] = 0.0
        path = drawn_path(self.states, start, transitions, self._is_emitting, n, generator)
        return self._parameters.emitted(path, generator), path
