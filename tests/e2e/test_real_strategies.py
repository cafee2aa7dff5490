"""Medprompt and its parts on real MedQA questions, through the real pocket pair: what was sent is held against what the strategy is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from evalsuite.data import load_split
from evalsuite.results import Result
from evalsuite.study import run_study
from evalsuite.tasks import find_tasks
from evalsuite.types import Sample

pytestmark = pytest.mark.xdist_group("real_strategies")  # one run for all

SHOTS, MEMBERS = 2, 3
STUDY = """
study: real_strategies
question: Is every strategy what it says?
models: [pocket-generalist, pocket-clinical]
tasks: [{{name: medqa, split: dev, limit: 2, exemplar_split: train_subset}}]
strategies:
  - {{id: knn, name: few_shot, shots: 2, exemplars: knn, format: letters}}
  - {{id: knn_cot, name: cot, shots: 2, exemplars: knn}}
  - {{id: choice_shuffle, name: choice_shuffle, ensemble: 3, format: letters, vote: average}}
  - {{id: medprompt, name: medprompt, shots: 2, ensemble: 3}}
decoding: {{max_tokens: 8}}
analysis: {{n_resamples: 500}}
data: {{medqa: {data}}}
"""
MARK = re.compile(r"<\|(user|assistant)\|>\n(.*?)(?:<\|end\|>\n|$)", re.DOTALL)
ANSWER = re.compile(r"(?:^|Answer: )([A-E])$")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Result, pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("real")
    file = folder / "real.yaml"
    file.write_text(STUDY.format(data=shared / "data" / "medqa_usmle_4opt"), encoding="utf-8")
    result = run_study(file, store=folder / "store", out=folder / "out")
    return result, pd.read_parquet(folder / "out" / "plan.parquet"), folder


@pytest.fixture(scope="module")
def pool(shared: Path) -> dict[str, Sample]:
    samples = load_split(find_tasks()["medqa"], "train_subset", {"medqa": shared / "data" / "medqa_usmle_4opt"}).samples
    return {sample.id: sample for sample in samples}


def turns(prompt: str) -> list[tuple[str, str]]:
    return [(role, text) for role, text in MARK.findall(prompt)]


def rows_of(plan: pd.DataFrame, strategy: str) -> Iterator[tuple[pd.Series, list[tuple[str, str]]]]:
    for _, row in plan[plan.strategy == strategy].iterrows():
        yield row, turns(row.prompt)


def test_nothing_failed_and_each_member_is_one_request(ran: tuple[Result, pd.DataFrame, Path]) -> None:
    result, plan, _ = ran
    assert result.n_failed == 0
    assert result.scores is not None
    calls = result.scores[result.scores.metric == "accuracy"].groupby("strategy").n_calls.unique().map(list).to_dict()
    alone = ("knn", "knn_cot")
    assert calls == {label: [1 if label in alone else MEMBERS] for label in (*alone, "choice_shuffle", "medprompt")}
    assert (plan.request_keys.map(len) == plan.strategy.map(lambda label: 1 if label in alone else MEMBERS)).all()
    assert (plan.request_keys.map(lambda keys: len(set(keys))) == plan.request_keys.map(len)).all()


@pytest.mark.parametrize("strategy", ["knn", "knn_cot", "medprompt"])
def test_exemplars_are_right_answers_of_other_questions_of_the_pool(
    ran: tuple[Result, pd.DataFrame, Path], pool: dict[str, Sample], strategy: str
) -> None:
    for row, said in rows_of(ran[1], strategy):
        assert len(row.exemplars) <= SHOTS
        assert [role for role, _ in said] == ["user", "assistant"] * len(row.exemplars) + ["user", "assistant"]
        for number, exemplar in enumerate(row.exemplars):
            sample, (_, asked), (_, answered) = pool[exemplar], said[2 * number], said[2 * number + 1]
            assert sample.question in asked
            assert sample.group != row.group
            right = ANSWER.search(answered)
            assert right is not None
            # The letter is that of the right choice where it stands in this prompt, in whatever order.
            assert f"\n{right[1]}. {sample.choices[sample.targets[0]]}\n" in asked
        assert said[-1] == ("assistant", "")
        assert "Answer: " not in said[-2][1].split('"Answer: X"')[0]


def test_neighbours_are_the_nearest_of_all_with_the_nearest_last(ran: tuple[Result, pd.DataFrame, Path], pool: dict[str, Sample]) -> None:
    """Against scikit-learn's brute force over vectors of its own making, on the same words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    from evalsuite.overlap import words_of

    names = list(pool)
    vectors = TfidfVectorizer(analyzer=words_of).fit([pool[name].question for name in names])
    search = NearestNeighbors(n_neighbors=SHOTS, metric="cosine", algorithm="brute").fit(
        vectors.transform([pool[name].question for name in names])
    )
    for row, said in rows_of(ran[1], "knn"):
        question = said[-2][1].split("Question: ", 1)[1].split("\nA. ", 1)[0]
        _, found = search.kneighbors(vectors.transform([question]))
        assert [names[index] for index in found[0]] == list(reversed(list(row.exemplars)))


def test_chains_were_generated_once_and_only_those_that_arrive_are_shown(ran: tuple[Result, pd.DataFrame, Path]) -> None:
    rows = {(row["model"], row["strategy"]): row for row in json.loads((ran[2] / "out" / "preparations.json").read_text())}
    for model in ("pocket-generalist", "pocket-clinical"):
        same = rows[model, "knn_cot"], rows[model, "medprompt"]
        assert same[0]["keys"] == same[1]["keys"]
        assert same[0]["facts"] == same[1]["facts"]
        chains = same[0]["facts"]["chains"]
        assert 0 < chains["n_kept"] < chains["n_asked"] == chains["n_kept"] + chains["n_wrong"] + chains["n_unread"]
        assert chains["n_asked"] < 200  # of a pool of several hundred: only what some question needed


def test_the_rungs_of_a_ladder_share_their_exemplars(ran: tuple[Result, pd.DataFrame, Path]) -> None:
    shown = {
        strategy: {(row.model, row.sample_id): list(row.exemplars) for row, _ in rows_of(ran[1], strategy)}
        for strategy in ("knn_cot", "medprompt")
    }
    assert shown["knn_cot"] == shown["medprompt"]
