"""tf-idf and BM25 against scikit-learn, a hand computation and a plain loop; words of three languages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from evalsuite.embedders.lexical import bm25, bm25_weights, tfidf
from evalsuite.overlap import words_of

POOL = (
    "A 45-year-old man with chest pain and ST elevation.",
    "A child with fever, rash and joint pain.",
    "¿Cuál es el tratamiento de elección de la neumonía?",
    "Quel est le traitement de l'œdème aigu du poumon ?",
    "Chest pain, chest pain and again chest pain.",
    "",
)


def bm25_scores(pool: list[str], query: str, k1: float, b: float) -> list[float]:
    """The formula, word by word."""
    texts = [words_of(text) for text in pool]
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for text in texts:
        score = 0.0
        for word in words_of(query):
            n_holding = sum(word in other for other in texts)
            rarity = math.log(1 + (len(texts) - n_holding + 0.5) / (n_holding + 0.5))
            n = text.count(word)
            score += rarity * n / (n + k1 * (1 - b + b * len(text) / mean)) if n else 0.0
        scores.append(score)
    return scores


def test_tfidf_equals_scikit_learn_on_our_words() -> None:
    texts = [f"{a} {b} {b} pain of {c}" for a in ("chest", "knee", "ear") for b in ("acute", "dull") for c in ("days", "weeks", "hours")]
    queries = ["acute chest pain, three days", "dull ear", "weeks weeks knee"]
    vectorizer = TfidfVectorizer(analyzer=words_of)
    peer = NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=len(texts)).fit(vectorizer.fit_transform(texts))
    distances, _ = peer.kneighbors(vectorizer.transform(queries))
    similar = 1 - (vectorizer.transform(queries) @ vectorizer.transform(texts).T).toarray()
    found = tfidf(texts)(queries, len(texts))
    assert np.sort(found, axis=1).tolist() == [list(range(len(texts)))] * 3
    assert np.allclose(np.take_along_axis(similar, found.astype(np.int64), axis=1), distances, atol=1e-12)


def test_bm25_by_hand() -> None:
    """Two texts of 2 and 4 words, mean 3. "fever" stands in one of them, twice: idf ln 2, damping 1.2 (0.25 + 0.75 * 4/3) = 1.5."""
    counts = sparse.csr_array(np.array([[1, 0, 1], [1, 2, 1]]))
    weights = bm25_weights(counts, k1=1.2, b=0.75).toarray()
    assert weights[1, 1] == pytest.approx(math.log(2) * 2 / 3.5)
    assert weights[0, 1] == 0
    # In both: idf ln(1 + 0.5 / 2.5); damping of the short one 1.2 (0.25 + 0.75 * 2/3) = 0.9.
    assert weights[0, 0] == pytest.approx(math.log(1.2) / 1.9)
    assert weights[1, 2] == pytest.approx(math.log(1.2) / 2.5)


@settings(max_examples=40, deadline=None)
@given(
    pool=st.lists(st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join), min_size=1, max_size=8).filter(any),
    query=st.lists(st.sampled_from("abcdefg"), max_size=6).map(" ".join),
    k1=st.sampled_from([0.0, 1.2, 1.5]),
    b=st.sampled_from([0.0, 0.75, 1.0]),
)
def test_bm25_equals_the_plain_loop(pool: list[str], query: str, k1: float, b: float) -> None:
    found = bm25(pool, k1=k1, b=b)([query], len(pool))[0].tolist()
    scores = bm25_scores(pool, query, k1, b)
    assert sorted(found) == list(range(len(pool)))
    ranked = [scores[place] for place in found]
    assert ranked == pytest.approx(sorted(scores, reverse=True), abs=1e-12)


@pytest.mark.parametrize("search", [tfidf, bm25])
def test_words_of_spanish_and_french_are_found(search: object) -> None:
    assert callable(search)
    find = search(POOL)
    queries = ["NEUMONÍA: tratamiento", "l'ŒDÈME du poumon", "Neumoni\u0301a", "chest pain", "joint"]
    assert find(queries, 1)[:, 0].tolist() == [2, 3, 2, 4, 1]


@pytest.mark.parametrize("search", [tfidf, bm25])
@pytest.mark.parametrize("pool", [POOL, ("?!", "", "...")])
def test_without_a_common_word_the_order_is_that_of_the_pool(search: object, pool: tuple[str, ...]) -> None:
    assert callable(search)
    found = search(pool)(["xylophone", ""], 3)
    assert found.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert search(pool)(["xylophone"], 100).shape == (1, len(pool))


def test_the_pool_alone_decides_the_weights() -> None:
    find = tfidf(POOL)
    alone = find(["chest fever"], 6)
    assert (find(["chest fever", *["fever"] * 50], 6)[0] == alone[0]).all()
