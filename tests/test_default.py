"""The built-in model is the user's to change, and `align` does not notice."""

from __future__ import annotations

import pytest

from tiedseq.aligning import align
from tiedseq.default import default_model, shared_default_model
from tiedseq.errors import ConvergenceWarning

TARGET, QUERY = "GATTACAGGCTTACCGATAGC", "GATTACACTTACCGTTAGC"


def test_a_changed_default_model_changes_no_alignment() -> None:
    before = align(TARGET, QUERY)
    model, other = default_model(), default_model()
    with pytest.warns(ConvergenceWarning, match="hardly use 'open2'"):
        model.fit([(TARGET, QUERY)], max_iter=1, tol=0)
    assert model.parameters["extend2"] != other.parameters["extend2"] == 0.9977
    assert align(TARGET, QUERY, model).log_likelihood != before.log_likelihood
    assert default_model().parameters["extend2"] == 0.9977
    after = align(TARGET, QUERY)
    assert after.log_likelihood == before.log_likelihood == other.log_likelihood(TARGET, QUERY)
    assert after.confidence.tolist() == before.confidence.tolist()


def test_align_makes_its_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared_default_model() is shared_default_model()
    assert default_model() is not shared_default_model()
    monkeypatch.setattr("tiedseq.pairhmm.PairHMM.affine", None)
    align(TARGET, QUERY)
