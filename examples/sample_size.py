"""What a tie buys: error against the number of training sequences, with and without it.

    python examples/sample_size.py sample_size.png [numbers of training sequences]

Half of the sequences, 40 random letters, hold the motif TGACTCAT somewhere. Three networks look for it: a convolution,
whose filters are the same at all positions; a locally connected layer, whose filters are its own at every position;
and a dense layer. The first learns the motif wherever it meets it. The second has to see it at each of 33 positions:
3,200 sequences teach it less than 50 teach the first. The third, besides, has to find out that neighbours matter.
Takes about a minute. Without the name of a picture the errors are printed only.

Needs matplotlib (`pip install 'tiedseq[plot]'`).
"""

from __future__ import annotations

import sys

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from tiedseq import nn

LENGTH, MOTIF = 40, "TGACTCAT"
SIZES = (50, 100, 200, 400, 800, 1600, 3200)
REPEATS = 3  # other sequences and other starting values
NETWORKS = {
    "shared": lambda: (nn.Conv1D(8, width=8), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1)),
    "unshared": lambda: (nn.LocallyConnected1D(8, width=8), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1)),
    "dense": lambda: (nn.OneHot(), nn.Flatten(), nn.Dense(32), nn.ReLU(), nn.Dense(1)),
}


def draw_sequences(count: int, generator: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Random letters, every other one with the motif at a random position."""
    letters = generator.choice(list("ACGT"), (count, LENGTH))
    labels = np.arange(count) % 2
    for row in letters[1::2]:  # a view
        place = generator.integers(LENGTH - len(MOTIF) + 1)
        row[place : place + len(MOTIF)] = list(MOTIF)
    return ["".join(row) for row in letters], labels


def error_of(name: str, size: int, repeat: int, test: tuple[list[str], np.ndarray]) -> float:
    """The part of test sequences that a network gets wrong after training on so many."""
    net = nn.Sequential(*NETWORKS[name](), length=LENGTH)
    epochs = max(15, min(100, 20_000 // size))  # small samples need more rounds
    clf = nn.Classifier(
        net, max_epochs=epochs, patience=10, validation=0.2, batch_size=32, learning_rate=0.01, weight_decay=1e-4,
        random_state=repeat,
    )  # fmt: skip
    clf.fit(*draw_sequences(size, np.random.default_rng([size, repeat])))
    return 1 - clf.score(*test)


def draw(sizes: list[int], errors: dict[str, np.ndarray], path: str) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, found), marker in zip(errors.items(), "os^", strict=True):
        count = nn.Sequential(*NETWORKS[name](), length=LENGTH).n_parameters
        (line,) = axes.plot(sizes, found.mean(axis=1), marker=marker, label=f"{name} ({count:,} parameters)")
        axes.fill_between(sizes, found.min(axis=1), found.max(axis=1), color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(0.5, color="black", linewidth=0.7, linestyle=":")
    axes.set(xscale="log", xticks=sizes, ylim=(0, 0.55), xlabel="training sequences", ylabel="error")
    axes.set_xticklabels(map(str, sizes))
    axes.minorticks_off()
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.65), fontsize=9)
    figure.savefig(path, dpi=120)


def main() -> None:
    sizes = [int(word) for word in sys.argv[2:]] or list(SIZES)
    test = draw_sequences(2000, np.random.default_rng(0))
    errors = {name: np.empty((len(sizes), REPEATS)) for name in NETWORKS}
    print("sequences", *(f"{name:>9}" for name in NETWORKS))
    for row, size in enumerate(sizes):
        for name in NETWORKS:
            errors[name][row] = [error_of(name, size, repeat, test) for repeat in range(REPEATS)]
        print(f"{size:9}", *(f"{errors[name][row].mean():9.3f}" for name in NETWORKS), flush=True)
    if len(sys.argv) > 1:
        draw(sizes, errors, sys.argv[1])


if __name__ == "__main__":
    main()
