"""Planted engines get under every ensemble exactly the answers that the orders shown to them imply; these are computed here anew."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from evalsuite.rescoring import report_study
from evalsuite.results import Result
from evalsuite.seeds import derive_seed
from evalsuite.store import Store
from evalsuite.study import run_study
from evalsuite.types import Response
from tests.planted import Project, make_project

N_POOL = 12
STRATEGIES = {
    "shuffled": "{id: shuffled, name: choice_shuffle, format: letters, ensemble: 5}",
    "averaged": "{id: averaged, name: choice_shuffle, format: letters, ensemble: 5, vote: average}",
    "ranked": "{id: ranked, name: choice_shuffle, format: letters, ensemble: 5, vote: rank_average}",
    "written": "{id: written, name: choice_shuffle, format: generate, ensemble: 5}",
    "drawn": "{id: drawn, name: self_consistency, reasoning: false, samples: 5, temperature: 0.8}",
    "reasoned": "{id: reasoned, name: self_consistency, samples: 3}",
    "plain": "{id: plain, name: medprompt, reasoning: false, format: letters, shots: 2, ensemble: 5}",
    "medprompt": "{id: medprompt, name: medprompt, shots: 2, ensemble: 5}",
    "plus": "{id: plus, name: medprompt, shots: 2, ensemble: 5, letters_runs: 4}",
}
MEMBERS = {"reasoned": 3, "plus": 9}
"""Requests per sample, where it is not 5."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Twenty planted questions and a pool of exemplars about other things."""
    made = make_project(tmp_path)
    folder = tmp_path / "tasks" / "planted"
    rows = [json.loads(line) for line in (folder / "planted.jsonl").read_text(encoding="utf-8").splitlines()][::10]
    (folder / "planted.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sheet = json.loads(made.sheet.read_text(encoding="utf-8"))
    pool = []
    for number in range(N_POOL):
        question, options = f"Which herb grows in bed {number:02d}?", [f"herb {number:02d}{letter}" for letter in "abcd"]
        pool.append({"id": f"p{number}", "group": f"p{number}", "question": question, "options": options, "answer": number % 4})
        sheet[question] = options[number % 4]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool), encoding="utf-8")
    made.sheet.write_text(json.dumps(sheet), encoding="utf-8")
    plugin = (folder / "task.py").read_text(encoding="utf-8")
    plugin = plugin.replace('file="planted.jsonl"', 'file="planted.jsonl", exemplars="pool.jsonl"').replace(
        "n_rows=200", f"n_rows={len(rows)}"
    )
    (folder / "task.py").write_text(plugin, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Project(folder=tmp_path, targets={row["id"]: row["answer"] for row in rows})


def ran(project: Project, *, names: Sequence[str] = tuple(STRATEGIES), **changes: str) -> Result:
    strategies = f"[{', '.join(STRATEGIES[name] for name in names)}]"
    return run_study(project.study(strategies=strategies, **changes), store=project.store, out=project.folder / "out" / "planted")


def scores_of(result: Result, model: str, strategy: str, metric: str = "accuracy") -> pd.DataFrame:
    frame = result.scores
    assert frame is not None
    return frame[(frame.model == model) & (frame.metric == metric) & (frame.strategy == strategy)].set_index("sample_id")


def drawn_orders(sample_id: str, n: int) -> list[list[int]]:
    """Orders as documented: distinct permutations from a generator seeded by study, task, sample, variant and replicate."""
    rng = np.random.default_rng(derive_seed(0, "choice_orders", "planted", sample_id, 0, 0))
    orders: list[list[int]] = []
    while len(orders) < n:
        order = rng.permutation(4).tolist()
        if order not in orders:
            orders.append(order)
    return orders


def majority(votes: Sequence[int]) -> int:
    counts = Counter(votes)
    return next(vote for vote in votes if counts[vote] == max(counts.values()))


def test_an_engine_that_always_says_a_gets_what_the_orders_imply(project: Project) -> None:
    project.models(first="stub:first", other="stub:first")
    result = ran(project, models="[first]")
    for name in ("shuffled", "averaged", "ranked", "written", "plain", "medprompt"):
        rows = scores_of(result, "first", name)
        assert set(rows.status) == {"scored"}
        for sample, row in rows.iterrows():
            votes = [order[0] for order in drawn_orders(str(sample), 5)]
            # Under the mean and the mean rank, too, the choice that stood first most often wins: all the others are alike.
            winner = majority(votes)
            assert (row.votes, int(row.answer_index)) == (",".join(map(str, votes)), winner), name
            assert row.value == float(winner == project.targets[str(sample)])
            assert (row.n_calls, row.n_votes_missing) == (5, 0)
    # Draws keep the order in which the choices stand.
    drawn = scores_of(result, "first", "drawn")
    assert (drawn.answer_index == 0).all()
    assert (drawn.votes == "0,0,0,0,0").all()
    # Nine orders: five votes, and the probabilities of four letters runs, which the stub gives to the first label.
    p = np.exp([12.0, 0, 0, 0]) / np.exp([12.0, 0, 0, 0]).sum()
    for sample, row in scores_of(result, "first", "plus").iterrows():
        orders = drawn_orders(str(sample), 9)
        votes = [order[0] for order in orders]
        points = [votes[:5].count(c) / 5 + np.mean([p[order.index(c)] for order in orders[5:]]) for c in range(4)]
        best = [c for c in range(4) if points[c] == pytest.approx(max(points), abs=1e-9)]
        assert int(row.answer_index) == next(vote for vote in votes if vote in best)
        assert (row.votes, row.n_calls) == (",".join(map(str, votes)), 9)


def test_an_engine_that_always_says_a_is_at_chance_over_many_samples() -> None:
    """The same votes for 4000 samples: each original choice wins a quarter of the time, whichever is right."""
    winners = Counter(majority([order[0] for order in drawn_orders(f"s{number}", 5)]) for number in range(4000))
    assert set(winners) == set(range(4))
    # Three standard errors of a share of a quarter.
    assert max(abs(count / 4000 - 0.25) for count in winners.values()) < 3 * (0.25 * 0.75 / 4000) ** 0.5


def test_an_engine_that_knows_is_right_under_every_strategy_and_agrees_with_itself(project: Project) -> None:
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    result = ran(project, models="[first, knows]", perturbations="[none, shuffle_choices]")
    frame = result.scores
    assert frame is not None
    knows = frame[(frame.model == "knows") & (frame.metric == "accuracy")]
    assert len(knows) == len(STRATEGIES) * 20 * 2
    assert (knows.value == 1).all()
    for _, row in knows.iterrows():
        n = MEMBERS.get(row.strategy, 5)
        # Original indices, whatever the perturbation and the members' orders.
        assert row.votes == ",".join([str(project.targets[row.sample_id])] * n)
        assert (int(row.answer_index), row.n_calls, row.n_votes_missing) == (project.targets[row.sample_id], n, 0)
    averaged = knows[(knows.strategy == "averaged")]
    # Probabilities stand in the order shown by the perturbation, in which the answer's place is given too.
    assert all(np.argmax(row.p_choices) == row.shown_position for _, row in averaged.iterrows())
    assert averaged.p_choices.map(sum).to_numpy() == pytest.approx(1)
    assert knows[knows.strategy != "averaged"].p_choices.isna().all()
    # The exact contract is kept by every member that writes.
    strict = frame[(frame.model == "knows") & (frame.metric == "accuracy_strict")]
    assert (strict.value == 1).all()


def test_silence_is_no_vote_and_no_answer(project: Project) -> None:
    project.models(silent="stub:silent", other="stub:first")
    result = ran(project, models="[silent]")
    for name in ("written", "drawn", "reasoned", "medprompt"):
        rows = scores_of(result, "silent", name)
        n = MEMBERS.get(name, 5)
        assert set(rows.status) == {"unparsed"}
        assert rows.value.isna().all()
        assert (rows.n_votes_missing == n).all()
        assert (rows.votes == ",".join("-" * n)).all()
    # Silent about letters is to prefer none: all are tied, and the first shown to each member is its vote.
    for name in ("shuffled", "averaged", "ranked"):
        for sample, row in scores_of(result, "silent", name).iterrows():
            votes = [order[0] for order in drawn_orders(str(sample), 5)]
            winner = majority(votes) if name == "shuffled" else votes[0]
            assert (row.votes, int(row.answer_index)) == (",".join(map(str, votes)), winner)
    # Letters decide where no chain can be read; the missing votes are counted.
    for sample, row in scores_of(result, "silent", "plus").iterrows():
        orders = drawn_orders(str(sample), 9)
        assert row.votes == ",".join(["-"] * 5 + [str(order[0]) for order in orders[5:]])
        assert (row.status, int(row.answer_index), row.n_votes_missing) == ("scored", orders[5][0], 5)


def test_a_guesser_gets_the_majority_of_its_own_guesses(project: Project) -> None:
    """Its guesses are read from the store, request by request, and mapped back by the orders that are drawn here."""
    project.models(guesses="stub:uniform?seed=4", other="stub:first")
    result = ran(project, models="[guesses]", names=("shuffled", "averaged", "ranked", "written", "drawn"))
    with Store(project.store) as store:
        for name in ("shuffled", "averaged", "ranked", "written", "drawn"):
            every: list[int] = []
            for sample, row in scores_of(result, "guesses", name).iterrows():
                orders = [[0, 1, 2, 3]] * 5 if name == "drawn" else drawn_orders(str(sample), 5)
                responses = [store.get(key) for key in row.request_keys]
                votes, expected = guessed(responses, orders, name)
                assert (row.votes, int(row.answer_index)) == (",".join(map(str, votes)), expected)
                assert row.value == float(expected == project.targets[str(sample)])
                every += votes
            # 100 guesses: within four standard errors of a quarter each.
            assert abs(np.bincount(every, minlength=4) / 100 - 0.25).max() < 4 * (0.25 * 0.75 / 100) ** 0.5


def guessed(responses: Sequence[object], orders: Sequence[Sequence[int]], name: str) -> tuple[list[int], int]:
    """Votes as original choices, and what theory elects."""
    assert all(isinstance(response, Response) for response in responses)
    read = [response for response in responses if isinstance(response, Response)]
    if name in ("written", "drawn"):
        votes = [order["ABCD".index(response.text[-1])] for response, order in zip(read, orders, strict=True)]
        return votes, majority(votes)
    rows = [[math.exp(response.logprobs[order.index(choice)]) for choice in range(4)] for response, order in zip(read, orders, strict=True)]
    votes = [int(np.argmax(row)) for row in rows]
    if name == "shuffled":
        return votes, majority(votes)
    if name == "averaged":
        return votes, int(np.argmax(np.mean([np.array(row) / sum(row) for row in rows], axis=0)))
    ranks = np.mean([rankdata([-p for p in row]) for row in rows], axis=0)
    best = [choice for choice in range(4) if ranks[choice] == ranks.min()]
    return votes, next(choice for choice in (*votes, *orders[0]) if choice in best)


def test_replicates_have_orders_and_draws_of_their_own(project: Project) -> None:
    project.models(guesses="stub:uniform?seed=4", other="stub:first")
    decoding = "{max_tokens: 64, temperature: 0.5}"
    result = ran(project, models="[guesses]", names=("written", "drawn"), decoding=decoding, replicates="2")
    for name in ("written", "drawn"):
        rows = scores_of(result, "guesses", name)
        first, second = (rows[rows.replicate == number].votes for number in (0, 1))
        assert len(first) == len(second) == 20
        assert (first != second).sum() > 10


def test_answers_are_scored_again_without_a_model_and_a_second_run_asks_nothing(project: Project) -> None:
    project.models(guesses=f"stub:uniform?seed=4&log={project.folder / 'asked.log'}", other="stub:first")
    names = ("averaged", "drawn", "medprompt", "plus")
    result = ran(project, models="[guesses]", names=names)
    n_asked = len((project.folder / "asked.log").read_text(encoding="utf-8").splitlines())
    # Every request once, although `plus` asks again all that `medprompt` asks.
    assert len(set((project.folder / "asked.log").read_text(encoding="utf-8").splitlines())) == n_asked
    again = ran(project, models="[guesses]", names=names)
    assert len((project.folder / "asked.log").read_text(encoding="utf-8").splitlines()) == n_asked
    rescored = report_study(project.folder / "out" / "planted", store=project.store)
    assert result.scores is not None
    for other in (again.scores, rescored.scores):
        assert other is not None
        pd.testing.assert_frame_equal(result.scores, other)
