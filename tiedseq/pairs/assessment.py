"""How much a fitted pair-HMM is worth: criteria, errors of its values, and its part in comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiedseq.errors import ArgumentError
from tiedseq.information import aic, bic
from tiedseq.nesting import Nesting
from tiedseq.options import checked_count
from tiedseq.random_state import RandomState, generator_of

from .data import encoded_pairs, pair_data
from .information import standard_errors
from .modes import check_mode
from .probabilities import Pair, PairProbabilities
from .sampling import add_flanks, sample_pair
from .swaps import check_exchangeable, differences, sign_test


class PairAssessment(PairProbabilities):
    """Standard errors, AIC and BIC, and what `ts.compare` asks of a null."""

    @property
    def n_free_parameters(self) -> int:
        """Degrees of freedom: values that are not held, less what sums to one takes away. ModelError for soft ties."""
        return self._parameters.n_free

    def n_letters(self, pairs: Iterable[Pair]) -> int:
        """Return how many letters of both sequences are observed, as `bic` counts them; N and its like are missing."""
        return pair_data(pairs, None, None, self.alphabet).n_letters(self.alphabet)

    def aic(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return Akaike's criterion, 2 k - 2 ln P in nats: smaller is better; k is `n_free_parameters`.

        Pairs, mode and strand are those of `score`, and so are errors. (Akaike, IEEE Trans. Autom. Control 19:716,
        1974.)
        """
        return aic(self.n_free_parameters, self.score(pairs, mode=mode, strand=strand))

    def bic(self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward") -> float:
        """Return Schwarz's criterion, k ln n - 2 ln P in nats, where n counts observed letters: smaller is better.

        Pairs, mode and strand are those of `score`, and so are errors; ArgumentError too where no letter is observed.
        (Schwarz, Ann. Stat. 6:461, 1978.)
        """
        pairs = list(pairs) if hasattr(pairs, "__next__") else pairs
        n = self.n_letters(pairs)
        if not n:
            raise ArgumentError("pairs= hold no observed letter, and BIC needs the logarithm of their number; use aic.")
        return bic(self.n_free_parameters, self.score(pairs, mode=mode, strand=strand), n)

    def standard_errors(
        self, pairs: Iterable[Pair], *, mode: str = "global", strand: str = "forward", executor: Any = None
    ) -> dict[str, Any]:
        """Return the standard error of every parameter by label, from the observed information; call it after `fit`.

        `executor` is a number of threads or a ThreadPoolExecutor.

        Returns
        -------
        dict of label to float or masked array
            None, or masked, where there is none: what is held or zero by construction, a probability that has reached
            zero (below 1e-8) or is on its way there (below 1e-6, and used less than a thousandth of a time in all the
            data), its boundary, where errors are not symmetric, and what the data never use.

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
        data = pair_data(pairs, None, None, self.alphabet)
        return standard_errors(self._parameters, data, mode, self._complement(strand), executor)

    # ---- comparisons ------------------------------------------------------------------------------------------

    def nesting(self) -> Nesting:
        """Return what decides whether this model is a special case of another; see `ts.compare`."""
        return self._parameters.nesting()

    def check_exchangeable(
        self, mode: str = "global", strand: str = "forward", *, alternative: PairAssessment | None = None
    ) -> None:
        """Raise unless target and query may be swapped, to test against an alternative: see `ts.compare`."""
        other = None if alternative is None else alternative._parameters
        check_exchangeable(self._parameters, mode, strand, other)

    def swap_test(
        self,
        alternative: PairAssessment,
        pairs: Iterable[Pair],
        permutations: int,
        random_state: RandomState = None,
        *,
        mode: str = "global",
        strand: str = "forward",
    ) -> tuple[float, float, int]:
        """Return statistic, p-value and number of blocks of the permutation test of `ts.compare`; self is the null.

        Raises ArgumentError unless there are one or more `permutations`, and as `ts.compare` does.
        """
        permutations = checked_count("permutations", permutations)
        self.check_exchangeable(mode, strand)
        encoded = encoded_pairs(pairs, self.alphabet)
        found = differences(self._parameters, alternative._parameters, encoded, mode)
        return *sign_test(found, permutations, generator_of(random_state)), len(found)

    def simulated(
        self,
        pairs: Iterable[Pair],
        random_state: RandomState = None,
        *,
        mode: str = "global",
        strand: str = "forward",
    ) -> list[tuple[Any, Any]]:
        """Draw pairs like these: each with as many columns as are expected of its original, both lengths free.

        Around the columns there are as many background letters of either sequence as are expected outside of the
        original's alignment, in one of the places that the mode admits; the strand, if it may be either, is drawn. A
        model with an "end" says itself how long its alignments are: to cut them would make ends of what are none.
        Letters are missing where the original's are, as far along. Where letters have qualities, those drawn have some
        of the original's, and the errors that these promise; they are returned as codes, others as text.
        """
        machine, generator, drawn = self._machine(mode, strand), generator_of(random_state), []
        has_end, has_qualities = self._parameters.specification.has_end, self.alphabet.has_qualities
        decode = self.alphabet.decode
        for x, y in encoded_pairs(pairs, self.alphabet):
            columns, outside = machine.expected_size(x, y)
            target, query, _ = sample_pair(machine.tables, has_end, None if has_end else columns, generator)
            target, query = add_flanks(machine.tables, (target, query), outside, mode, generator)
            if machine.complement is not None and generator.integers(2):
                query = machine.complement[query][::-1]
            target, query = (self.alphabet.misread(*each, generator) for each in ((target, x), (query, y)))
            drawn.append((target, query) if has_qualities else (decode(target), decode(query)))
        return drawn
