"""Oct4 against Mafk peaks: `python -m benchmarks.chipseq [CHECK ...]`.

- tenth: accuracy on a random tenth; a reverse-complement network against simpler ways, 5 seeds.
- chromosomes: the same where whole chromosomes are held out.
- shuffled: each set against its own sequences, shuffled so that pairs of letters stay as frequent.
- short: what the tie buys where there are 100, 300 or 1,000 sequences to learn from.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

import tiedseq as ts
from tiedseq import nn

from .inputs import DATA

SEEDS = range(5)
FILTERS, WIDTH, EPOCHS = 64, 19, 25
DROPOUT = 0.3
HELD_OUT = ("chr1", "chr8", "chr21")  # by custom; about a seventh of the sequences
SHORT = (100, 300, 1000)
LEAST_UPDATES = 1000  # of short training sets: as many epochs as make these


class Set(NamedTuple):
    """Sequences, what they are, and the chromosome of each."""

    sequences: list[str]
    labels: np.ndarray
    chromosomes: np.ndarray

    def part(self, chosen: np.ndarray) -> Set:
        index = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Set([self.sequences[k] for k in index], self.labels[index], self.chromosomes[index])


@cache
def peaks() -> Set:
    """Both sets; case says which letters are repeats, and does not matter here."""
    sequences, labels, chromosomes = [], [], []
    for name in ("mafk", "oct4"):
        for record in ts.read(DATA / f"{name}_train.fa.gz"):
            sequences.append(record.sequence.upper())
            labels.append(name)
            chromosomes.append(record.name.partition(":")[0])
    return Set(sequences, np.array(labels), np.array(chromosomes))


def random_tenth(data: Set, seed: int) -> tuple[Set, Set]:
    """What to learn from, and a tenth that is held out."""
    order = np.random.default_rng(seed).permutation(len(data.labels))
    tenth = len(order) // 10
    return data.part(order[tenth:]), data.part(order[:tenth])


def by_chromosome(data: Set) -> tuple[Set, Set]:
    """What to learn from, and whole chromosomes that are held out."""
    held = np.isin(data.chromosomes, HELD_OUT)
    return data.part(~held), data.part(held)


def shuffled(sequence: str, generator: np.random.Generator) -> str:
    """The letters in another order in which every pair of neighbours is as frequent.

    A random Eulerian path through the pairs: the last edge out of each letter comes from a random tree into the last
    letter, the others are in any order (Altschul and Erickson, Mol. Biol. Evol. 2:526, 1985; Kandel et al., Discrete
    Appl. Math. 71:171, 1996).
    """
    edges: dict[str, list[str]] = {}
    for a, b in pairwise(sequence):
        edges.setdefault(a, []).append(b)
    last = sequence[-1]
    tree = {last: ""}
    for letter in edges:  # a loop-erased random walk from every letter to the tree (Wilson)
        way: dict[str, str] = {}
        at = letter
        while at not in tree:
            way[at] = edges[at][generator.integers(len(edges[at]))]
            at = way[at]
        at = letter
        while at not in tree:
            tree[at] = way[at]
            at = way[at]
    for letter, ends in edges.items():
        final = tree[letter]
        if final:
            ends.remove(final)
        ends[:] = [ends[k] for k in generator.permutation(len(ends))] + ([final] if final else [])
    found, places = [sequence[0]], dict.fromkeys(edges, 0)
    for _ in range(len(sequence) - 1):
        at = found[-1]
        found.append(edges[at][places[at]])
        places[at] += 1
    return "".join(found)


def against_shuffled(name: str, seed: int) -> Set:
    """The sequences of one set, and as many shuffled ones."""
    data, generator = peaks(), np.random.default_rng(seed)
    real = data.part(data.labels == name)
    other = [shuffled(sequence, generator) for sequence in real.sequences]
    labels = np.array([name] * len(other) + ["shuffled"] * len(other))
    return Set(real.sequences + other, labels, np.concatenate([real.chromosomes] * 2))


# ---- ways to tell the classes apart -------------------------------------------------------------------------------

Right = np.ndarray  # of bool
Way = Callable[[Set, Set, int], Right]  # learn, held out, seed -> whether each held-out label is right


def network(filters: int, seed: int, symmetry: str | None) -> nn.Sequential:
    first = nn.Conv1D(filters, width=WIDTH, symmetry=symmetry)
    layers = (first, nn.ReLU(), nn.GlobalMaxPool(), nn.Dropout(DROPOUT), nn.Dense(1))
    return nn.Sequential(*layers, random_state=seed)


def fitted(filters: int, symmetry: str | None, learn: Set, seed: int) -> nn.Classifier:
    batches = -(-len(learn.labels) // 64)
    epochs = max(EPOCHS, LEAST_UPDATES // batches)
    net = network(filters, seed, symmetry)
    return nn.Classifier(net, max_epochs=epochs, random_state=seed, executor=2).fit(learn.sequences, learn.labels)


def both_strands(learn: Set, held: Set, seed: int) -> Right:
    """Filters and their mirror images."""
    return fitted(FILTERS, "reverse-complement", learn, seed).predict(held.sequences) == held.labels


def one_strand(filters: int) -> Way:
    def way(learn: Set, held: Set, seed: int) -> Right:
        return fitted(filters, None, learn, seed).predict(held.sequences) == held.labels

    return way


def augmented(learn: Set, held: Set, seed: int) -> Right:
    """An untied network that sees the reverse complement of every sequence too."""
    other = [ts.DNA.text_reverse_complement(sequence) for sequence in learn.sequences]
    doubled = Set(learn.sequences + other, np.tile(learn.labels, 2), np.tile(learn.chromosomes, 2))
    return fitted(FILTERS, None, doubled, seed).predict(held.sequences) == held.labels


def averaged(learn: Set, held: Set, seed: int) -> Right:
    """An untied network, asked about both strands."""
    model = fitted(FILTERS, None, learn, seed)
    other = [ts.DNA.text_reverse_complement(sequence) for sequence in held.sequences]
    mean = model.predict_proba(held.sequences) + model.predict_proba(other)
    return model.classes_[mean.argmax(axis=1)] == held.labels


def regression(features: Callable[[Sequence[str]], Any], strength: float = 1.0) -> Way:
    """Logistic regression; `strength` is scikit-learn's C, the best of 1, .1 and .01."""

    def way(learn: Set, held: Set, seed: int) -> Right:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=strength, max_iter=3000).fit(features(learn.sequences), learn.labels)
        return model.predict(features(held.sequences)) == held.labels

    return way


def gc_content(sequences: Sequence[str]) -> np.ndarray:
    return np.array([[sum(letter in "GC" for letter in sequence) / len(sequence)] for sequence in sequences])


def words(sequences: Sequence[str]) -> Any:
    """How often every word of 6 letters occurs on either strand."""
    from sklearn.feature_extraction.text import CountVectorizer

    vocabulary = ["".join(letters) for letters in product("ACGT", repeat=6)]
    count = CountVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False, vocabulary=vocabulary)
    other = [ts.DNA.text_reverse_complement(sequence) for sequence in sequences]
    return count.transform(sequences) + count.transform(other)


WAYS: dict[str, Way] = {
    "GC content": regression(gc_content),
    "words of 6, logistic regression": regression(words, 0.01),
    f"network, {FILTERS} filters on one strand": one_strand(FILTERS),
    f"network, reverse complement, {FILTERS} channels": both_strands,
}
SHORT_WAYS: dict[str, Way] = {
    f"reverse complement, {FILTERS} channels": both_strands,
    f"untied, {FILTERS // 2} filters (as many parameters)": one_strand(FILTERS // 2),
    f"untied, {FILTERS} filters (as many channels)": one_strand(FILTERS),
    f"untied, {FILTERS} filters, both strands to learn from": augmented,
    f"untied, {FILTERS} filters, mean of both strands": averaged,
}


# ---- reports ------------------------------------------------------------------------------------------------------


def row(name: str, way: Way, splits: Sequence[tuple[Set, Set]]) -> str:
    """One line: mean accuracy, its range over seeds, and the time of a fit."""
    found, times = [], []
    for seed, (learn, held) in zip(SEEDS, splits, strict=False):
        begin = time.perf_counter()
        found.append(float(way(learn, held, seed).mean()))
        times.append(time.perf_counter() - begin)
    spread = f"{min(found):.3f} to {max(found):.3f}"
    return f"  {name:<48} {statistics.mean(found):.4f}   {spread}   {statistics.median(times):6.1f} s"


def tenth() -> Iterator[str]:
    yield f"On a random tenth; mean of {len(SEEDS)} seeds, their range, seconds a fit"
    splits = [random_tenth(peaks(), seed) for seed in SEEDS]
    for name, way in WAYS.items():
        yield row(name, way, splits)


def chromosomes() -> Iterator[str]:
    split = by_chromosome(peaks())
    yield f"On {', '.join(HELD_OUT)}, {len(split[1].labels)} sequences"
    for name, way in WAYS.items():
        yield row(name, way, [split] * len(SEEDS))


def against() -> Iterator[str]:
    for name in ("oct4", "mafk"):
        yield f"{name} against its own sequences with their pairs of letters shuffled, a random tenth"
        splits = [random_tenth(against_shuffled(name, seed), seed) for seed in SEEDS]
        for title, way in WAYS.items():
            yield row(title, way, splits)


def short() -> Iterator[str]:
    for n in SHORT:
        yield f"{n} sequences to learn from, a random tenth to judge"
        splits = []
        for seed in SEEDS:
            learn, held = random_tenth(peaks(), seed)
            splits.append((learn.part(np.arange(n)), held))
        for name, way in SHORT_WAYS.items():
            yield row(name, way, splits)


CHECKS = {"tenth": tenth, "chromosomes": chromosomes, "shuffled": against, "short": short}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chipseq", description=__doc__)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; default all")
    chosen = parser.parse_args().checks or list(CHECKS)
    for name in chosen:
        if name not in CHECKS:
            parser.error(f"no check {name!r}; there are {', '.join(CHECKS)}")
    for name in chosen:
        for line in CHECKS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
