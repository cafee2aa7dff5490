"""Self-generated chains of thought: the lazy search gives what full preprocessing gives, and only verified reasoning is shown."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.cards import Split, TaskCard
from evalsuite.choice_orders import drawn_orders
from evalsuite.config import Decoding, Prompting
from evalsuite.formats import Wording, default_wording, quantity_wording, several_wording
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts import open_renderer
from evalsuite.seeds import derive_seed
from evalsuite.strategies.base import Context
from evalsuite.strategies.chains import Reasoning, chained, verified
from evalsuite.strategies.exemplars import Choosing, Chosen, candidates_for, question_of
from evalsuite.types import Failure, Outcome, Quantity, Reading, Request, Response, Sample
from evalsuite.waves import Answered, Asked, drive

CARD = TaskCard(
    name="t", kind="choice", description="-", language="en", licence="MIT", citation="-", splits={"test": Split(n_rows=None)},
    split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",), chance=0.25,
)  # fmt: skip
RENDERER = open_renderer(Checkpoint(name="stub", path="stub:first", fingerprint="0" * 64), ChatEntry(template="plain"), Prompting())
QUESTIONS = tuple(Sample(id=f"q{n}", group=f"asked:{n // 2}", question=f"Asked {n}?", choices=("a", "b", "c")) for n in range(5))


def pool_of(groups: Sequence[int]) -> tuple[Sample, ...]:
    """One sample per number, in that group."""
    return tuple(
        Sample(id=f"p{n}", group=f"pool:{group}", question=f"Exemplar {n}?", choices=("a", "b", "c"), targets=(n % 3,))
        for n, group in enumerate(groups)
    )


def context(pool: Sequence[Sample], **changes: Any) -> Context:
    fields: dict[str, Any] = {
        "renderer": RENDERER, "card": CARD, "wording": default_wording("en"), "pool": lambda: pool, "decoding": Decoding(max_tokens=99),
        "shots_as": "turns", "system": None, "seed": 3, "replicate": 0,
    }  # fmt: skip
    return Context(**{**fields, **changes})


def places(request: Request) -> int:
    """Number of the pool sample that a request asks."""
    return int(request.prompt.text.rsplit("Exemplar ", 1)[1].split("?")[0])


def run(
    choosing: Choosing, reasoning: Reasoning, around: Context, reply: Callable[[Request], Outcome], questions: Sequence[Sample] = QUESTIONS
) -> tuple[Chosen, Mapping[str, Any], list[list[Request]]]:
    """Exemplars, facts and the waves that were asked."""
    waves: list[list[Request]] = []

    def source(wave: Sequence[Asked[Any]]) -> list[Answered]:
        waves.append([asked.request for asked in wave])
        return [Answered(key="k", outcome=reply(asked.request)) for asked in wave]

    def program() -> Any:
        candidates, _ = yield from candidates_for(choosing, around.pool(), questions, around)
        return (yield from chained(choosing, reasoning, candidates, questions, around))

    (finished,) = drive([("prepare", program())], source)
    chosen, facts = finished.result
    return chosen, facts, waves


def shown_letter(request: Request, text: str) -> str:
    """Letter under which a choice stands in the question that is asked."""
    lines = [line for line in request.prompt.text.split("\n") if line.endswith(f". {text}")]
    return lines[-1][0]


def by_plan(pool: Sequence[Sample], plan: Mapping[int, Sequence[str]]) -> Callable[[Request], Outcome]:
    """Replies by pool sample and attempt: `right`, `wrong`, `unread`, `failed`. Attempts are told apart by what they send."""
    seen: dict[int, list[str]] = {}

    def reply(request: Request) -> Outcome:
        place = places(request)
        asked = seen.setdefault(place, [])
        if request.prompt.text not in asked:
            asked.append(request.prompt.text)
        what = plan[place][asked.index(request.prompt.text)]
        if what == "failed":
            return Failure(reason="engine_error", message="planted", transient=True)
        if what == "unread":
            return Response(text="I do not know.", finish_reason="stop")
        right = pool[place].choices[pool[place].targets[0]]
        text = right if what == "right" else next(choice for choice in pool[place].choices if choice != right)
        return Response(text=f"Because of {place}.\nAnswer: {shown_letter(request, text)}", finish_reason="stop")

    return reply


def look_up(orders: Sequence[Sequence[int]]) -> Callable[..., npt.NDArray[np.int32]]:
    """Neighbours as planted: one order of the pool per question."""
    return lambda wanted, *_: np.asarray([order[: wanted.n_nearest] for order in orders], dtype=np.int32)


def all_first(
    choosing: Choosing, attempts: int, pool: Sequence[Sample], plan: Mapping[int, Sequence[str]], orders: Sequence[Sequence[int]]
) -> tuple[dict[Any, list[str]], set[Any]]:
    """What generating a chain for every sample of the pool first, and then choosing, gives: (ids by question, failed questions)."""
    verdicts = {}
    for place in range(len(pool)):
        verdicts[place] = "wrong"
        for what in plan[place][:attempts]:
            if what in ("failed", "right"):
                verdicts[place] = what
                break
    chosen, failed = {}, set()
    for question, order in zip(QUESTIONS, orders, strict=True):
        groups, ids = {question.group}, []
        for place in order:
            if len(ids) == choosing.n:
                break
            if pool[place].group in groups or verdicts[place] == "wrong":
                continue
            if verdicts[place] == "failed":
                failed.add(question_of(question))
                break
            ids.append(pool[place].id)
            groups.add(pool[place].group)
        if question_of(question) not in failed:
            chosen[question_of(question)] = ids[::-1] if choosing.by == "knn" else ids
    return chosen, failed


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_lazy_search_gives_what_generating_all_chains_first_gives(data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=12), label="groups")
    by = data.draw(st.sampled_from(["fixed", "random", "knn"]), label="by")
    attempts = data.draw(st.sampled_from([1, 3]), label="attempts")
    n = data.draw(st.integers(1, 4), label="n")
    what = st.sampled_from(["right", "wrong", "wrong", "unread", "failed"])
    pool = pool_of(groups)
    plan = {place: data.draw(st.tuples(what, what, what), label=f"plan {place}") for place in range(len(pool))}
    orders = [data.draw(st.permutations(range(len(pool))), label=f"order {question.id}") for question in QUESTIONS]
    choosing = Choosing(n=n, by=by)
    around = context(pool, nearest=look_up(orders))
    if by != "knn":
        found, _ = _returned(candidates_for(choosing, pool, QUESTIONS, around))
        orders = [list(found(question, n)) for question in QUESTIONS]

    chosen, facts, waves = run(choosing, Reasoning(attempts=attempts), around, by_plan(pool, plan))

    expected, failed = all_first(choosing, attempts, pool, plan, orders)
    assert {name: [shot.sample.id for shot in shots] for name, shots in chosen.by_question.items()} == expected
    assert set(chosen.failed) == failed
    assert facts["n_short"] == sum(len(ids) < n for ids in expected.values())
    assert facts["n_attempts"] == sum(map(len, waves))
    asked = {places(request) for wave in waves for request in wave}
    assert facts["n_asked"] == len(asked)
    assert facts["n_kept"] + facts["n_wrong"] + facts["n_unread"] + facts["n_failed"] == facts["n_asked"]
    _check_needed(waves[: 1 if attempts > 1 else None], n, pool, plan, orders)


def _returned(program: Any) -> Any:
    with pytest.raises(StopIteration) as stop:
        next(program)
    return stop.value.value


def _check_needed(
    waves: Sequence[Sequence[Request]], n: int, pool: Sequence[Sample], plan: Mapping[int, Sequence[str]], orders: Sequence[Sequence[int]]
) -> None:
    """Whatever is asked in a wave is among what some question might still take, if all that is unknown were kept."""
    known: set[int] = set()
    for wave in waves:
        needed: set[int] = set()
        for question, order in zip(QUESTIONS, orders, strict=True):
            groups, n_possible = {question.group}, 0
            for place in order:
                if pool[place].group in groups or (place in known and plan[place][0] in ("wrong", "unread")):
                    continue
                if n_possible == n or (place in known and plan[place][0] == "failed"):
                    break
                groups.add(pool[place].group)
                n_possible += 1
                if place not in known:
                    needed.add(place)
        asked = {places(request) for request in wave}
        assert asked <= needed
        known |= asked


def test_each_candidate_is_looked_at_once_for_each_question_however_many_rounds_it_takes() -> None:
    pool = pool_of(range(200))
    pulled: dict[str, int] = {}

    def candidates(question: Sample, n: int) -> Any:
        for place in range(200):
            pulled[question.id] = pulled.get(question.id, 0) + 1
            yield place

    plan = {place: ("right" if place % 10 == 9 else "wrong",) for place in range(200)}
    program = chained(Choosing(n=5, by="fixed"), Reasoning(), candidates, QUESTIONS, context(pool))
    reply, n_waves = by_plan(pool, plan), 0
    requests = next(program)
    with pytest.raises(StopIteration) as stop:
        while True:
            n_waves += 1
            requests = program.send([reply(request) for request in requests])
    chosen, facts = stop.value.value
    assert [shot.sample.id for shot in chosen.by_question[question_of(QUESTIONS[0])]] == ["p9", "p19", "p29", "p39", "p49"]
    assert set(pulled.values()) == {50}
    assert (facts["n_asked"], facts["n_kept"]) == (50, 5)
    assert n_waves > 5


def chains_of(
    outputs: Mapping[int, str], pool: Sequence[Sample], *, attempts: int = 1, n: int = 1, cut: bool = False, **changes: Any
) -> tuple[list[Any], Mapping[str, Any], list[Request]]:
    """Exemplars of one question when each sample of the pool is answered as written; "X" in an output stands for its right label."""

    def reply(request: Request) -> Outcome:
        place = places(request)
        letter = shown_letter(request, pool[place].choices[pool[place].targets[0]]) if pool[place].choices else ""
        return Response(text=outputs[place].replace("X", letter), finish_reason="length" if cut else "stop")

    around = context(pool, **{"nearest": look_up([range(len(pool))]), **changes})
    chosen, facts, waves = run(Choosing(n=n, by="knn", nearest_first=True), Reasoning(attempts=attempts), around, reply, QUESTIONS[:1])
    return list(chosen.by_question[question_of(QUESTIONS[0])]), facts, [request for wave in waves for request in wave]


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("It is B by rule.\n\nSo:  \n- X fits.\nAnswer: X", "It is B by rule.\n\nSo:  \n- X fits.\nAnswer: X"),
        ("It fits.\n\n**Answer: X**\n", "It fits.\nAnswer: X"),
        ("It fits.\nThe answer is X.", "It fits.\nThe answer is X.\nAnswer: X"),
        ("Answer: X\n\nBecause it fits.", "Because it fits.\nAnswer: X"),
        ("It fits.\nAnswer: X\nChecked twice.\nAnswer: X", "It fits.\nChecked twice.\nAnswer: X"),
        ("It fits.\nAnswer: X\n\nQuestion: Another?\nA. a\nB. b\nAnswer: A", "It fits.\nAnswer: X"),
        ("<think>Hm. Answer: X</think>\nIt fits.\nAnswer: X", "It fits.\nAnswer: X"),
    ],
)
def test_an_exemplar_shows_the_reasoning_word_for_word_and_one_answer_line(output: str, answer: str) -> None:
    for target in range(3):
        pool = (replace(pool_of([0])[0], targets=(target,)),)
        (shot,), facts, _ = chains_of({0: output}, pool, thinking=("<think>", "</think>"))
        assert shot.answer == answer.replace("X", "ABC"[target])
        assert shot.answer.count("Answer:") == 1
        assert shot.sample == pool[0]
        assert facts["n_bare"] == 0


def test_a_bare_answer_is_kept_and_counted() -> None:
    (shot,), facts, _ = chains_of({0: "<think>Long thoughts.</think>Answer: X"}, pool_of([0]), thinking=("<think>", "</think>"))
    assert shot.answer == "Answer: A"
    assert (facts["n_kept"], facts["n_bare"]) == (1, 1)


def test_a_chain_that_gives_another_answer_on_its_way_is_not_shown() -> None:
    outputs = {0: "Answer: B\nNo, wait.\nAnswer: X", 1: "Answer: A or B\nRather X.\nAnswer: X", 2: "Fine.\nAnswer: X"}
    shots, facts, _ = chains_of(outputs, pool_of([0, 1, 2]))
    assert [shot.sample.id for shot in shots] == ["p2"]
    assert (facts["n_wrong"], facts["n_kept"]) == (2, 1)


def test_what_is_cut_off_is_unread_and_counted_apart() -> None:
    shots, facts, _ = chains_of({0: "It seems that X is", 1: "The letter X"}, pool_of([0, 1]), cut=True)
    assert shots == []
    assert (facts["n_unread"], facts["n_truncated"], facts["n_short"]) == (2, 2, 1)


def test_a_question_too_long_for_the_model_is_passed_over_and_not_a_failure() -> None:
    pool = pool_of([0, 1])

    def reply(request: Request) -> Outcome:
        if places(request) == 0:
            return Failure(reason="too_long", message="900 tokens, 512 fit", transient=True)
        return Response(text="It fits.\nAnswer: B", finish_reason="stop")

    around = context(pool, nearest=look_up([[0, 1]]))
    chosen, facts, _ = run(Choosing(n=1, by="knn"), Reasoning(), around, reply, QUESTIONS[:1])
    assert [shot.sample.id for shot in chosen.by_question[question_of(QUESTIONS[0])]] == ["p1"]
    assert (facts["n_unread"], facts["n_failed"], chosen.failed) == (1, 0, {})


@pytest.mark.parametrize("tag", ["key_doubtful", "key_disputed", "key_contradicted", "conflicting_labels"])
def test_samples_whose_key_is_in_doubt_are_not_asked_and_are_counted(tag: str) -> None:
    pool = tuple(replace(sample, tags=(tag,) if sample.id == "p0" else ("option_debris",)) for sample in pool_of([0, 0, 1]))
    shots, facts, requests = chains_of(dict.fromkeys(range(3), "Fine.\nAnswer: X"), pool, n=2)
    assert [shot.sample.id for shot in shots] == ["p1", "p2"]
    assert [places(request) for request in requests] == [1, 2]
    assert (facts["n_doubtful"], facts["n_asked"]) == (1, 2)


def test_further_attempts_show_the_choices_in_other_orders_and_the_exemplar_in_the_one_that_succeeded() -> None:
    pool = pool_of([0])
    asked: list[str] = []

    def reply(request: Request) -> Outcome:
        asked.append(request.prompt.text)
        right = shown_letter(request, "a")
        letter = right if len(asked) == 3 else "ABC"[("ABC".index(right) + 1) % 3]
        return Response(text=f"Hm.\nAnswer: {letter}", finish_reason="stop")

    around = context(pool, nearest=look_up([[0]]))
    chosen, facts, _ = run(Choosing(n=1, by="knn"), Reasoning(attempts=3), around, reply, QUESTIONS[:1])
    (shot,) = chosen.by_question[question_of(QUESTIONS[0])]
    assert len(set(asked)) == 3
    assert (facts["n_attempts"], facts["n_regenerated"], facts["n_kept"]) == (3, 1, 1)
    orders = [order for order in drawn_orders(3, 3, derive_seed(3, "chains", "t", "p0")) if order != (0, 1, 2)]
    assert shot.sample.order == orders[1]
    assert shot.sample.choices[shot.sample.targets[0]] == "a"
    assert shot.answer == f"Hm.\nAnswer: {'ABC'[shot.sample.targets[0]]}"


def test_what_cannot_be_re_ordered_is_tried_again_only_where_draws_differ() -> None:
    pool = (Sample(id="p0", group="pool:0", question="Exemplar 0?", choices=("a", "b", "all of the above"), targets=(2,)),)
    for temperature, n in ((0.0, 1), (0.7, 3)):
        decoding = Decoding(max_tokens=99, temperature=temperature)
        _, facts, requests = chains_of({0: "Answer: A"}, pool, attempts=3, decoding=decoding)
        assert len(requests) == facts["n_attempts"] == n
        assert len({request.sampling.seed for request in requests if request.sampling}) == n
        assert {request.sampling.temperature for request in requests if request.sampling} == {temperature}


NUMBER = Sample(
    id="p0",
    group="pool:0",
    question="Exemplar 0?",
    references=("63.2",),
    quantity=Quantity(form="number", low=60, high=66.4, unit="mL/min"),
)
WHOLE = replace(NUMBER, references=("4",), quantity=Quantity(form="whole", low=4, high=4))
DATE = replace(NUMBER, references=("05/01/2024",), quantity=Quantity(form="date"))
TEXT = replace(NUMBER, references=("What causes a chronic cough?",), quantity=None)


@pytest.mark.parametrize(
    ("sample", "output", "answer"),
    [
        (NUMBER, "6020 / 95 = 63.37\nAnswer: 63.37 mL/min", "6020 / 95 = 63.37\nAnswer: 63.37 mL/min"),
        (NUMBER, "About 61.\n**Answer: 61**", "About 61.\nAnswer: 61 mL/min"),
        (NUMBER, "Answer: 70 mL/min", None),
        (NUMBER, "Answer: 63 mL/min\nMore exactly:\nAnswer: 63.4 mL/min", "More exactly:\nAnswer: 63.4 mL/min"),
        (NUMBER, "Answer: 40 mL/min\nCorrected:\nAnswer: 63.4 mL/min", None),
        (WHOLE, "2 + 2\nAnswer: 4", "2 + 2\nAnswer: 4"),
        (WHOLE, "2 + 3\nAnswer: 5", None),
        (DATE, "40 weeks on.\nAnswer: 05/01/2024", "40 weeks on.\nAnswer: 05/01/2024"),
        (DATE, "40 weeks on.\nAnswer: 05/02/2024", None),
        (
            TEXT,
            "She coughs.\nAnswer: What are the causes of a chronic cough?",
            "She coughs.\nAnswer: What causes a chronic cough?",
        ),
        (TEXT, "She coughs.\nAnswer: How is asthma treated?", None),
        (TEXT, "What causes a chronic cough?", None),
    ],
)
def test_quantities_and_free_text_are_verified_by_their_metrics_rule(sample: Sample, output: str, answer: str | None) -> None:
    wording = quantity_wording("en") if sample.quantity else default_wording("en")
    shots, _, _ = chains_of({0: output}, (sample,), wording=wording)
    assert [shot.answer for shot in shots] == ([] if answer is None else [answer])


def test_several_right_choices_are_verified_as_a_set() -> None:
    sample = Sample(id="s", group="g", question="?", choices=("a", "b", "c"), targets=(0, 2))
    whole = Reading(status="scored", index=0, also=(2,))
    assert verified(sample, [whole])
    for reading in (Reading(status="scored", index=0), Reading(status="scored", index=0, also=(1, 2)), Reading(status="unparsed")):
        assert not verified(sample, [reading])
        assert not verified(sample, [whole, reading])
    assert several_wording("en").several


def test_chains_are_asked_for_with_the_studys_decoding_and_nothing_of_the_strategy() -> None:
    """Seeds name the sample, not the strategy: every strategy sends the same, so that the store gives one chain to all."""
    pool = pool_of([0, 1, 2, 3])
    decoding = Decoding(max_tokens=77, temperature=0.5, top_p=0.9)
    sent = []
    for choosing in (Choosing(n=2, by="fixed"), Choosing(n=3, by="random", seed=5), Choosing(n=4, by="knn", nearest_first=True)):
        around = context(pool, decoding=decoding, nearest=look_up([[3, 2, 1, 0]] * len(QUESTIONS)))
        _, _, waves = run(choosing, Reasoning(), around, by_plan(pool, dict.fromkeys(range(4), ("right",))))
        sent.append({places(request): request for request in itertools.chain(*waves)})
    for one, other in itertools.combinations(sent, 2):
        assert all(one[place] == other[place] for place in one.keys() & other.keys())
    request = sent[0][min(sent[0])]
    assert request.sampling is not None
    assert (request.sampling.max_tokens, request.sampling.temperature, request.sampling.top_p) == (77, 0.5, 0.9)
    assert request.sampling.seed is not None
    assert "Think step by step" in request.prompt.text
    assert Wording().reasoned == ""
