"""What filters look for, as position weight matrices: counted in the sequences that excite them."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.options import check_word, checked_probability
from tiedseq.sink import open_sink

from .layers import lookup
from .layers.convolution import Conv1D
from .network import Sequential, check_network
from .signal import letter_table

if TYPE_CHECKING:
    from Bio.motifs import Motif

Array = NDArray[Any]

FORMATS = ("jaspar", "meme", "transfac")
_BATCH = 256  # sequences at a time, so that memory does not grow with their number


def motifs(net: Sequential, sequences: Any, share: float = 0.5) -> list[Motif]:
    """Return what each filter of a network's first layer looks for, as motifs of Biopython.

    Of every sequence the place that excites a filter most counts, if it does so by more than zero, and by at least
    `share` of what the best place of all sequences does (Kelley, Snoek and Rinn, Genome Res. 26:990, 2016). Letters of
    these places are summed.

    Parameters
    ----------
    net : Sequential
        Its first layer is an nn.Conv1D over letters.
    sequences : list of sequences, or one
        Those that the network was trained on, or others.
    share : float, default 0.5
        Of the largest excitation, from which on a place counts; with 1 only the best does.

    Returns
    -------
    list of Bio.motifs.Motif
        One a filter, named "filter_0" and so on, in the order of the filters; one for two that are tied as reverse
        complements, with the places of both strands. Left out are filters that nothing excites. An N in `counts`
        is a quarter of each.

    Raises
    ------
    ModelError
        The first layer is not a convolution over letters.
    ArgumentError
        `share` lies outside of 0 to 1.
    SequenceError
        A sequence is shorter than the filters; it is named by its number.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(1, width=3, bias=False))
    >>> net.values = [0, 0, 0, 1,  1, 0, 0, 0,  1, 0, 0, 0]  # T, A, A
    >>> found, = nn.motifs(net, ["GGCTAACC", "CTAAG"])
    >>> str(found.consensus)
    'TAA'
    """
    check_network(net)
    layer = net.layers[0]
    if not isinstance(layer, Conv1D) or layer.letters is None:
        raise ModelError(f"motifs are of the filters of an nn.Conv1D over letters; the first layer is {layer!r}.")
    share = checked_probability("share", share)
    values, _ = net.read(sequences)
    excitements, places = _best_places(net, layer, values)
    table = letter_table(layer.letters, np.float64)
    offsets = layer.window.dilation * np.arange(layer.window.width) - layer.window.before
    found = []
    for number, image in _distinct_filters(layer):
        of_filter = excitements[:, [number, image]]  # its mirror image sees it on the other strand
        best, strand = of_filter.max(axis=1), of_filter.argmax(axis=1)
        counts = np.zeros((layer.window.width, layer.letters.n_letters))
        for k in np.flatnonzero((best > 0) & (best >= share * best.max())):
            place = places[k, image if strand[k] else number] * layer.window.stride + offsets
            letters = _letters_at(values[k], place, table)
            counts += letters[::-1, layer.letters.complement_index] if strand[k] else letters
        if counts.any():
            found.append(_motif(f"filter_{number}", counts, layer.letters.letters))
    return found


def write_motifs(found: Iterable[Motif], path: str | os.PathLike[str], format: str = "meme") -> None:
    """Write motifs to a file that MEME, JASPAR's or TRANSFAC's tools read, whole or not at all.

    Parameters
    ----------
    found : list of Bio.motifs.Motif
        As `nn.motifs` returns them.
    path : path
        The file; "-" is standard output.
    format : {"meme", "jaspar", "transfac"}, default "meme"
        MEME's minimal format, letters in equal parts as background; the others, of DNA only, as Biopython writes them.

    Raises
    ------
    ArgumentError
        An unknown format, no motif, motifs of different letters, or of others than DNA's in a format that has none.
    ResourceError
        The file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(1, width=3, bias=False))
    >>> net.values = [0, 0, 0, 1,  1, 0, 0, 0,  1, 0, 0, 0]  # T, A, A
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "found.jaspar")
    ...     nn.write_motifs(nn.motifs(net, ["GGCTAACC", "CTAAG"]), path, format="jaspar")
    ...     print(path.read_text().splitlines()[1])
    A [  0.00   2.00   2.00]
    """
    check_word("format", format, FORMATS)
    from Bio.motifs import Motif, write

    if not isinstance(found, Iterable):
        raise ArgumentError(f"found= is of type {type(found).__name__}; give a list of motifs, as of nn.motifs.")
    chosen = list(found)
    for each in chosen:
        if not isinstance(each, Motif):
            raise ArgumentError(f"found= holds {each!r}, which is no motif of Biopython.")
        if each.counts is None:
            raise ArgumentError(
                f"found= holds the motif {each.name!r} without counts; make it from sequences or counts."
            )
        if each.alphabet != chosen[0].alphabet:
            raise ArgumentError(
                f"found= holds motifs of the letters {chosen[0].alphabet} and of {each.alphabet}; a file has one "
                "alphabet: write them apart."
            )
        if format != "meme" and sorted(each.alphabet) != list("ACGT"):
            raise ArgumentError(
                f'format="{format}" holds motifs of DNA only, and {each.name} has the letters {each.alphabet}; use '
                'format="meme".'
            )
    if not chosen:
        raise ArgumentError("there is no motif to write; was the network trained, and do the sequences excite it?")
    chosen = [_named(each, number) for number, each in enumerate(chosen)]
    if format == "transfac":
        chosen = [_with_identifier(each) for each in chosen]
    text = _meme(chosen) if format == "meme" else write(chosen, format)
    with open_sink(path) as sink:
        sink.write(text)


def _best_places(net: Sequential, layer: Conv1D, values: Sequence[Array]) -> tuple[Array, Array]:
    """(sequences, filters): how much the best place of a sequence excites a filter, and where it is."""
    weights = net.stack.of_part(layer, net.expanded())
    for number, codes in enumerate(values):
        try:
            layer.window.check_length(repr(layer), len(codes), layer.mirror)
        except SequenceError as error:
            raise SequenceError(f"Sequence {number}: {error}") from error
    batches = (net.batch(values[first : first + _BATCH]) for first in range(0, len(values), _BATCH))
    found = [lookup.maximum(layer.read(batch), *weights) for batch in batches]
    return np.concatenate([best for best, _ in found]), np.concatenate([places for _, places in found])


def _distinct_filters(layer: Conv1D) -> list[tuple[int, int]]:
    """Every filter and its mirror image, which is itself where nothing is tied; of two images the first."""
    assert layer.output is not None
    action = layer.output.action
    if action is None or action.name != "reverse-complement":
        return [(c, c) for c in range(layer.filters)]
    return [(c, image) for c, image in enumerate(action.permutation) if c <= image]


def _letters_at(codes: Array, positions: Array, table: Array) -> Array:
    """(width, letters): the letters at positions; nothing beyond the ends."""
    inside = (positions >= 0) & (positions < len(codes))
    return np.where(inside[:, None], table[codes[np.where(inside, positions, 0)]], 0.0)


def _motif(name: str, counts: Array, letters: str) -> Motif:
    from Bio.motifs import Motif

    found = Motif(alphabet=letters, counts={letter: counts[:, k].tolist() for k, letter in enumerate(letters)})
    found.name = found.matrix_id = name
    return found


def _named(motif: Motif, number: int) -> Motif:
    """A motif with a name in one line, without which a reader takes the file for damaged."""
    name = " ".join(str(motif.name or "").split()) or f"motif_{number}"
    if name == motif.name:
        return motif
    found = copy.copy(motif)
    found.name = found.matrix_id = name
    return found


def _with_identifier(motif: Motif) -> Any:
    """A motif of TRANSFAC, whose name is a field of its own."""
    from Bio.motifs import transfac

    if isinstance(motif, transfac.Motif):
        return motif
    found = transfac.Motif(alphabet=motif.alphabet, counts=motif.counts)
    found["ID"] = motif.name
    return found


def _meme(found: Sequence[Motif]) -> str:
    """MEME's minimal format, version 4 (meme-suite.org/meme/doc/meme-format.html)."""
    letters = found[0].alphabet
    equal = " ".join(f"{letter} {1 / len(letters):.5f}" for letter in letters)
    lines = [
        "MEME version 4",
        "",
        f"ALPHABET= {letters}",
        "",
        *(("strands: + -", "") if set(letters) <= set("ACGTU") else ()),
        "Background letter frequencies",
        equal,
    ]
    for motif in found:
        counts = np.array([motif.counts[letter] for letter in letters]).T
        sites = counts.sum(axis=1)
        lines += ["", f"MOTIF {motif.name}"]
        lines += [
            f"letter-probability matrix: alength= {len(letters)} w= {len(counts)} nsites= {round(sites.max())} E= 0"
        ]
        shares = (counts + 1e-9) / (sites[:, None] + len(letters) * 1e-9)
        lines += [" ".join(f"{share:.6f}" for share in row) for row in shares]
    return "\n".join(lines) + "\n"
