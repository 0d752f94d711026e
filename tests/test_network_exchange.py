"""Filters as motifs, and weights in PyTorch's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from network_checks import random_letters

import tiedseq as ts
from tiedseq import nn


def detector(word: str, symmetry: str | None = None) -> nn.Sequential:
    """A network with filters that look for a word; with a symmetry, for its reverse complement too."""
    net = nn.Sequential(nn.Conv1D(2, width=len(word), symmetry=symmetry, bias=False))
    full = np.full((len(word), 4, 2), -1.0)
    for tap, letter in enumerate(word):
        full[tap, "ACGT".index(letter), 0] = 1.0
        full[-1 - tap, 3 - "ACGT".index(letter), 1] = 1.0
    ties = net.weights[0].ties
    net.values = ties.pool(full) / ties.uses
    return net


@pytest.mark.small
def test_a_motif_counts_the_places_that_excite_its_filter() -> None:
    found = nn.motifs(detector("ATGCAAAT"), ["CCATGCAAATCC", "ATGCTAAT", "GGGGGGGGGG", "CCCCATGCNAAT", "GATTTGCAT"])
    first, second = found
    assert str(first.consensus) == "ATGCAAAT"
    assert str(second.consensus) == "ATTTGCAT"
    # ATGCAAAT, with T for its fifth letter in one of three places, and N in another, is a quarter of each
    assert [first.counts[letter][4] for letter in "ACGT"] == [1.25, 0.25, 0.25, 1.25]
    assert [first.counts[letter][0] for letter in "ACGT"] == [3, 0, 0, 0]


@pytest.mark.small
def test_of_tied_mirror_images_there_is_one_motif() -> None:
    """It counts the places of both strands."""
    (found,) = nn.motifs(detector("ATGCAAAT", "reverse-complement"), ["CCATGCAAATCC", "GATTTGCAT", "ATGCTAAT"])
    assert str(found.consensus) == "ATGCAAAT"
    assert [found.counts[letter][4] for letter in "ACGT"] == [2, 0, 0, 1]


@pytest.mark.small
def test_padding_counts_for_no_letter() -> None:
    net = nn.Sequential(nn.Conv1D(1, width=3, padding="same", bias=False))
    net.values = np.array([0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], float)
    (motif,) = nn.motifs(net, ["AACC"])
    assert [sum(motif.counts[letter][tap] for letter in "ACGT") for tap in range(3)] == [0, 1, 1]


@pytest.mark.parametrize("form", ["meme", "jaspar", "transfac"])
def test_biopython_reads_what_is_written(tmp_path: Path, form: str) -> None:
    from Bio import motifs as bio

    found = nn.motifs(detector("ATGCAAAT"), ["CCATGCAAATCC", "ATGCTAAT", "GATTTGCAT"])
    path = tmp_path / "motifs.txt"
    nn.write_motifs(found, path, format=form)
    with path.open() as file:
        again = list(bio.parse(file, "minimal" if form == "meme" else form))
    assert [str(motif.consensus) for motif in again] == ["ATGCAAAT", "ATTTGCAT"]
    assert [motif["ID"] if form == "transfac" else motif.name for motif in again] == ["filter_0", "filter_1"]
    ours, theirs = (np.array([motif.counts[letter] for letter in "ACGT"]) for motif in (found[0], again[0]))
    np.testing.assert_allclose(ours / ours.sum(axis=0), theirs / theirs.sum(axis=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["meme", "jaspar", "transfac"])
def test_motifs_of_others_get_a_name_that_fits_a_line(form: str, tmp_path: Path) -> None:
    from Bio import motifs

    first, second = motifs.create(["ACG", "AAG"]), motifs.create(["TTG", "AAG"])
    second.name = "my\nmotif"
    nn.write_motifs([first, second], tmp_path / "found", form)
    with open(tmp_path / "found") as file:
        found = motifs.parse(file, {"meme": "minimal"}.get(form, form))
    field = {"meme": lambda each: each.name, "jaspar": lambda each: each.matrix_id, "transfac": lambda each: each["ID"]}
    assert [field[form](each).split()[0] for each in found] == ["motif_0", "my"]
    assert (first.name or "", second.name) == ("", "my\nmotif")


@pytest.mark.small
def test_proteins_have_no_strands(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv1D(1, width=2, bias=False), input=ts.PROTEIN)
    net.values = np.ones(net.n_parameters)
    for name, found in (("protein", nn.motifs(net, ["MKVLAA"])), ("dna", nn.motifs(detector("ATGC"), ["ATGC"]))):
        assert found[0].name == "filter_0"
        nn.write_motifs(found, tmp_path / name)
        assert ("strands" in (tmp_path / name).read_text()) == (name == "dna")


@pytest.mark.small
@pytest.mark.parametrize("alphabet", [ts.RNA, ts.PROTEIN])
def test_formats_that_hold_dna_hold_nothing_else(alphabet: ts.Alphabet, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv1D(2, width=3), input=alphabet, random_state=0)
    found = nn.motifs(net, random_letters(np.random.default_rng(0), 30, 30, letters=alphabet.letters))
    for form in ("jaspar", "transfac"):
        with pytest.raises(ts.ArgumentError, match=f'"{form}" holds motifs of DNA only'):
            nn.write_motifs(found, tmp_path / "motifs", format=form)
        assert not (tmp_path / "motifs").exists()
    nn.write_motifs(found, tmp_path / "motifs")
    with pytest.raises(ts.ArgumentError, match="holds 3, which is no motif"):
        nn.write_motifs([3], tmp_path / "motifs")
    with pytest.raises(ts.ArgumentError, match=f"letters {alphabet.letters} and of ACGT; a file has one"):
        nn.write_motifs([*found, *nn.motifs(detector("ATGC"), ["ATGC"])], tmp_path / "motifs")


def test_motifs_name_what_is_at_fault(tmp_path: Path) -> None:
    from Bio.motifs import Motif

    with pytest.raises(ts.SequenceError, match=r"^Sequence 1: a sequence of 2 positions is shorter"):
        nn.motifs(detector("ATGC"), ["ATGCA", "AT"])
    for form in ("meme", "jaspar", "transfac"):
        with pytest.raises(ts.ArgumentError, match="without counts"):
            nn.write_motifs([Motif("ACGT")], tmp_path / "motifs", format=form)


@pytest.mark.small
def test_motifs_need_filters_over_letters() -> None:
    with pytest.raises(ts.ModelError, match="over letters"):
        nn.motifs(nn.Sequential(nn.Conv1D(1, width=3), input=4), [np.zeros((5, 4))])
    with pytest.raises(ts.ArgumentError, match="no motif"):
        nn.write_motifs([], "x.meme")
    with pytest.raises(ts.ArgumentError, match="format"):
        nn.write_motifs([], "x.meme", format="pfm")


@pytest.mark.small
def test_the_layout_is_that_of_pytorch() -> None:
    """Written out with loops, as torch.nn.Conv1d and torch.nn.Linear define them: channels come before positions."""
    layers = (nn.Conv1D(3, width=4), nn.ReLU(), nn.Flatten(), nn.Dense(2))
    net = nn.Sequential(*layers, length=9, dtype="float64", random_state=1)
    (sequence,) = random_letters(np.random.default_rng(0), 9, letters="ACGT")
    state = nn.to_state_dict(net)
    assert list(state) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    x = np.array([[letter == each for each in sequence] for letter in "ACGT"], float)  # (channels, positions)
    y = np.array(
        [[(state["0.weight"][f] * x[:, t : t + 4]).sum() + state["0.bias"][f] for t in range(6)] for f in range(3)]
    )
    found = state["3.weight"] @ np.maximum(y, 0).ravel() + state["3.bias"]
    np.testing.assert_allclose(net(sequence), found, rtol=0, atol=1e-13)


@pytest.mark.small
@pytest.mark.parametrize("symmetry", [None, "reverse-complement"])
def test_weights_come_back(symmetry: str | None) -> None:
    layers = [(nn.Conv1D(4, width=3, symmetry=symmetry), nn.Flatten(), nn.Dense(2)) for _ in range(2)]
    one, other = (nn.Sequential(*layers[k], length=7, dtype="float64", random_state=k) for k in range(2))
    nn.from_state_dict(other, nn.to_state_dict(one))
    np.testing.assert_allclose(other.values, one.values, rtol=0, atol=1e-15)


RECURRENT = {
    "RNN": lambda: nn.RNN(3),
    "GRU": lambda: nn.GRU(3, sequences=True),
    "LSTM": lambda: nn.LSTM(3, bidirectional=True),
    "tied": lambda: nn.GRU(3, bidirectional=True, symmetry="reverse-complement"),
}


@pytest.mark.small
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_weights_come_back(name: str) -> None:
    one, other = (nn.Sequential(RECURRENT[name](), dtype="float64", random_state=k) for k in range(2))
    one.values = np.random.default_rng(2).normal(size=one.n_parameters)  # biases too
    state = nn.to_state_dict(one)
    nn.from_state_dict(other, state)
    np.testing.assert_allclose(other.values, one.values, rtol=0, atol=1e-15)
    if isinstance(one.layers[0], nn.RNN | nn.LSTM):  # where the second bias is redundant
        moved = {key: array + 0.5 * ("bias_hh" in key) - 0.5 * ("bias_ih" in key) for key, array in state.items()}
        nn.from_state_dict(other, moved)
        np.testing.assert_allclose(other.values, one.values, rtol=0, atol=1e-15)
    if name == "tied":  # both directions, of which one must be the other's image
        with pytest.raises(ts.ModelError, match="make weights equal"):
            nn.from_state_dict(other, {**state, "0.bias_ih_l0_reverse": state["0.bias_ih_l0_reverse"] + 0.5})


@pytest.mark.small
@pytest.mark.parametrize("between", [[], [nn.ReLU()], [nn.Dropout(0.5), nn.Tanh()]], ids=["none", "one", "two"])
def test_the_order_of_flatten_reaches_the_dense_layer(between: list[nn.Layer]) -> None:
    layers = [nn.Flatten(), *(type(each)(0.5) if isinstance(each, nn.Dropout) else type(each)() for each in between)]
    net = nn.Sequential(*layers, nn.Dense(2), nn.ReLU(), nn.Dense(3), input=4, length=5, random_state=0)
    state = nn.to_state_dict(net)
    first, last = (f"{len(layers) + place}.weight" for place in (0, 2))
    weight = net.parameters[net.names[0]].reshape(5, 4, 2)  # position, channel, unit
    np.testing.assert_array_equal(state[first].reshape(2, 4, 5), weight.transpose(2, 1, 0))
    np.testing.assert_array_equal(state[last], net.parameters[net.names[2]].T)


@pytest.mark.small
def test_recurrent_weights_are_named_as_in_pytorch() -> None:
    """What the tests of recurrent layers compare with: numbers that PyTorch itself has written."""
    net = nn.Sequential(nn.GRU(3, bidirectional=True), input=2)
    shapes = {name: array.shape for name, array in nn.to_state_dict(net).items()}
    one = {"weight_ih": (9, 2), "weight_hh": (9, 3), "bias_ih": (9,), "bias_hh": (9,)}
    assert shapes == {f"0.{name}_l0{way}": shape for way in ("", "_reverse") for name, shape in one.items()}
    with pytest.raises(ts.ModelError, match="no counterpart"):
        nn.to_state_dict(nn.Sequential(nn.GRU(3, reset="before")))


@pytest.mark.small
def test_a_network_without_weights_has_an_empty_state() -> None:
    net = nn.Sequential(nn.OneHot(), nn.GlobalMaxPool())
    assert nn.to_state_dict(net) == {}
    nn.from_state_dict(net, {})
    assert net.n_parameters == 0


@pytest.mark.small
def test_a_state_that_does_not_fit_is_refused() -> None:
    net = nn.Sequential(nn.Conv1D(4, width=3, symmetry="reverse-complement"), random_state=0)
    state = nn.to_state_dict(net)
    with pytest.raises(ts.ModelError, match="make weights equal"):
        nn.from_state_dict(net, {**state, "0.weight": state["0.weight"] + np.arange(3)})
    with pytest.raises(ts.ArgumentError, match="shape"):
        nn.from_state_dict(net, {**state, "0.weight": state["0.weight"][:2]})
    with pytest.raises(ts.ArgumentError, match=r"state= lacks '0\.bias'; give the weights"):
        nn.from_state_dict(net, {"0.weight": state["0.weight"]})
    with pytest.raises(ts.ArgumentError, match="not finite"):
        nn.from_state_dict(net, {**state, "0.bias": np.full(4, np.nan)})
