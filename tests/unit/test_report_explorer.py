"""The explorer's tables and their packed form: everything is in, nothing restricted is, and the file stays small."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.config import Exclusion
from evalsuite.metrics.accuracy import ACCURACY
from evalsuite.report import build, write_report
from evalsuite.report.explorer_packing import LEFT_OUT, NOTHING, Packed, by_importance, counted_votes, first_rows, pack
from evalsuite.report.explorer_tables import ALL_STATUSES, OUTCOMES, ExplorerData
from evalsuite.report.html import MAX_BYTES, policy_for
from evalsuite.stats.tables import pair_units, split_conditions
from evalsuite.types import STATUSES
from tests.unit.explorer_rows import HOSTILE, A, B, answer, explorer, index_of, large, mixed, pages_of, sample, wrong
from tests.unit.report_findings import findings

PACKAGE = Path(__file__).resolve().parents[2] / "evalsuite" / "report"


@pytest.fixture(scope="module")
def data() -> ExplorerData:
    return mixed()


def shown_rows(packed: Packed) -> list[dict[str, object]]:
    """Rows as the page puts them together, texts in place of their numbers; a text that is left out is its mark."""
    header, columns = index_of(packed)
    pages = pages_of(packed)
    first_answers = [int(np.searchsorted(columns["of"], first)) for first in header["pages"]]
    rows: list[dict[str, object]] = []
    for at in range(len(columns["outcome"])):
        question = int(columns["question"][at])
        k = int(np.searchsorted(header["pages"], question, side="right")) - 1
        row: dict[str, object] = {name: int(columns[name][at]) for name in ("pair", "task", "strategy", "perturbation", "replicate")}
        row |= {"outcome": OUTCOMES[columns["outcome"][at]], "name": header["names"][question], "group": header["groups"][question]}
        row["question"] = [*resolved(pages[k], pages[k]["questions"][question - header["pages"][k]])]
        for side in "ab":
            number = int(columns[side][at])
            row[side] = None
            if number >= 0:
                status, value = ALL_STATUSES[columns["status"][number]], float(columns["value"][number])
                texts = [*resolved(pages[k], pages[k]["answers"][number - first_answers[k]][:3])]
                row[side] = (status, None if math.isnan(value) else value, *texts)
        rows.append(row)
    return rows


def resolved(page: dict[str, object], entry: list[object]) -> list[object]:
    """Numbers of texts as texts, in lists too; right positions, which are numbers of choices, stay."""
    texts = page["texts"]
    assert isinstance(texts, list)

    def text(item: object) -> object:
        return texts[item] if isinstance(item, int) and item >= 0 else item

    return [[text(part) for part in item] if isinstance(item, list) and at != 2 else text(item) for at, item in enumerate(entry)]


def test_every_row_comes_back_as_it_went_in(data: ExplorerData) -> None:
    rows = shown_rows(pack(data, 1_000_000))
    assert len(rows) == len(data.rows) == 240
    for row, (_, before) in zip(rows, data.rows.iterrows(), strict=True):
        question = data.questions[before["question"]]
        assert question.sample is not None
        assert (row["name"], row["group"]) == (question.name, question.group)
        for side in "ab":
            own = data.answers.loc[before[side]]
            value = None if math.isnan(own["value"]) else own["value"]
            texts = [NOTHING if own[name] is None else own[name] for name in ("prompt", "output", "answer")]
            assert row[side] == (ALL_STATUSES[own["status"]], value, *texts)
        stem = row["question"]
        assert isinstance(stem, list)
        assert stem[-1] == question.sample.question
        assert tuple(stem[1]) == question.sample.choices
        assert tuple(stem[2]) == question.sample.targets
    assert {row["name"] for row in rows} >= {HOSTILE[0]}


def test_disagreements_of_the_primary_cell_come_first(data: ExplorerData) -> None:
    rows = data.rows
    ranks = [(outcome > 1, not primary) for outcome, primary in zip(rows["outcome"], rows["primary"], strict=True)]
    assert ranks == sorted(ranks)
    assert {data.strategies[0], data.perturbations[0]} == {"zero_shot", "none"}


def test_the_order_of_the_tables_changes_nothing() -> None:
    samples = [sample(at) for at in range(9)]
    answers = [make(of, model) for of in samples for model, make in ((A, answer), (B, wrong))]
    packed = [pack(made, 1_000_000) for rows in (answers, answers[::-1]) if (made := explorer(samples, rows))]
    assert packed[0] == packed[1]


def test_packing_twice_gives_the_same_bytes(data: ExplorerData) -> None:
    assert pack(data, 20_000) == pack(mixed(), 20_000)


def outcome_of(first: dict[str, object], second: dict[str, object] | None, task: str = "exam", **design: object) -> str:
    of = sample(0, references=("a",)) if task != "summaries" else sample(0, choices=(), targets=(), references=("a",))
    base = {"task": task, "metric": "rougeL"} if task == "summaries" else {"task": task}
    made = explorer([of], [answer(of, A, **base, **first), *([] if second is None else [answer(of, B, **base, **second)])], **design)
    assert made is not None
    return OUTCOMES[made.rows["outcome"].iloc[0]]


RIGHT, WRONG = {"value": 1.0}, {"value": 0.0}
UNPARSED, REFUSED, FAILED = ({"value": None, "status": status} for status in ("unparsed", "refused", "failed"))


@pytest.mark.parametrize(
    ("first", "second", "incorrect", "drop"),
    [
        (RIGHT, WRONG, "a_better", "a_better"),
        (WRONG, RIGHT, "b_better", "b_better"),
        (RIGHT, RIGHT, "both_right", "both_right"),
        (WRONG, WRONG, "both_wrong", "both_wrong"),
        (RIGHT, UNPARSED, "a_better", "not_counted"),
        (UNPARSED, WRONG, "both_wrong", "not_counted"),
        (RIGHT, REFUSED, "not_counted", "not_counted"),
        (FAILED, RIGHT, "not_counted", "not_counted"),
        (RIGHT, None, "not_counted", "not_counted"),
    ],
)
def test_outcomes_follow_the_rule_for_missing_answers(
    first: dict[str, object], second: dict[str, object] | None, incorrect: str, drop: str
) -> None:
    assert outcome_of(first, second, missing="incorrect") == incorrect
    assert outcome_of(first, second, missing="drop") == drop


def test_outcomes_of_graded_metrics() -> None:
    grades = {"value": 0.3}, {"value": 0.1 + 0.2}, {"value": 0.5}
    assert outcome_of(grades[0], grades[1], "summaries") == "equal"
    assert outcome_of(grades[2], grades[0], "summaries") == "a_better"
    assert outcome_of(RIGHT, RIGHT, "summaries") == "equal"


@settings(deadline=None, max_examples=40)
@given(
    statuses=st.lists(
        st.tuples(st.sampled_from([*STATUSES, "absent"]), st.sampled_from(STATUSES), st.booleans(), st.booleans()), min_size=1
    ),
    missing=st.sampled_from(["incorrect", "drop"]),
)
def test_outcomes_add_up_to_the_difference_of_the_comparison(statuses: list[tuple[str, str, bool, bool]], missing: str) -> None:
    """What counts, and for whom, is what `stats.tables.pair_units` pairs and what the means of the comparison are taken over."""
    samples = [sample(at) for at in range(len(statuses))]
    answers = []
    for of, (on_a, on_b, right_a, right_b) in zip(samples, statuses, strict=True):
        for model, status, right in ((A, on_a, right_a), (B, on_b, right_b)):
            if status != "absent":
                answers.append(answer(of, model, status=status, value=float(right) if status == "scored" else None))
    made = explorer(samples, answers, missing=missing)
    assert made is not None
    table = pd.DataFrame(answers).astype({"value": float})
    (cells,) = split_conditions(table, {"accuracy": ACCURACY}).values()
    units = pair_units(cells.get(A), cells.get(B), ACCURACY, missing, ())  # type: ignore[arg-type]
    counts = {name: int((made.rows["outcome"] == number).sum()) for number, name in enumerate(OUTCOMES)}
    assert len(made.rows) - counts["not_counted"] == units.n_samples
    assert counts["a_better"] - counts["b_better"] == round((units.a - units.b).sum())


def test_pairs_replicates_and_renditions_are_rows_of_their_own() -> None:
    of = sample(0)
    renditions = [of, sample(0, variant=1)]
    answers = [answer(each, model, replicate=replicate) for each in renditions for model in (A, B, "third") for replicate in range(3)]
    made = explorer(renditions, answers, pairs=((A, B), ("third", B)))
    assert made is not None
    assert len(made.rows) == 12
    assert not made.rows.duplicated(["pair", "question", "replicate"]).any()
    assert (made.models, made.places) == ((A, B, "third"), (0, 1, 2))


def test_what_is_no_part_of_a_comparison_is_left_out() -> None:
    samples = [sample(at) for at in range(3)]
    rows = [answer(of, model) for of in samples for model in (A, B)]
    others = [answer(samples[0], "unpaired"), answer(samples[0], A, metric="accuracy_strict")]
    made = explorer(samples, [*rows, *others], exclude=(Exclusion(task="exam", sample_id="q00001", reason="doubtful"),))
    assert made is not None
    assert [question.name for question in made.questions] == ["q00000", "q00002"]
    assert explorer(samples, [answer(samples[0], "unpaired")]) is None


def test_nothing_of_a_restricted_task_is_in_but_status_and_outcome() -> None:
    """Even where the tables hold its texts, as they never should."""
    made = mixed(restricted=("notes",))
    packed = pack(made, 1_000_000)
    notes = [row for row in shown_rows(packed) if row["task"] == 1]
    assert len(notes) == 120
    assert {row["name"] for row in notes} == {str(number) for number in range(1, 41)}
    for row in notes:
        assert row["question"] == []
        assert row["group"] == ""
        for side in "ab":
            assert row[side][2:] == (NOTHING, NOTHING, NOTHING)  # type: ignore[index]
    hidden = made.answers[made.answers["task"] == 1]
    assert (hidden["shown_position"] == -1).all()
    assert hidden["p_choices"].isna().all()
    assert hidden["label_mass"].isna().all()
    alone = pack(explorer_of_notes_only(), 1_000_000)
    held = json.dumps([index_of(alone)[0], pages_of(alone)])
    assert "SECRET" not in held
    assert "q000" not in held


def explorer_of_notes_only() -> ExplorerData:
    samples = [sample(at, question="SECRET", choices=("SECRET", "b", "c", "d"), group="SECRET") for at in range(4)]
    answers = [
        answer(of, model, task="notes", output="SECRET", answer="SECRET", prompt="SECRET", target="SECRET")
        for of in samples
        for model in (A, B)
    ]
    made = explorer(samples, answers, restricted=("notes",))
    assert made is not None
    return made


@pytest.mark.parametrize("budget", [60_000, 30_000, 15_000, 6_000])
def test_a_limit_is_kept_and_what_it_cost_is_told(data: ExplorerData, budget: int) -> None:
    packed = pack(many(), budget)
    header, columns = index_of(packed)
    assert len(packed.index) + sum(len(content) for content in packed.pages) <= budget
    assert packed.n_rows + packed.n_rows_left_out == 600
    assert packed.n_rows == len(columns["outcome"])
    assert header["n_rows_left_out"] == packed.n_rows_left_out
    rows = shown_rows(packed)
    for name, place in (("prompts", 2), ("outputs", 3)):
        lacking = [row for row in rows if LEFT_OUT in (row["a"][place], row["b"][place])]  # type: ignore[index]
        assert header["n_rows_without"][name] == len(lacking)


def many() -> ExplorerData:
    return large(600)


def test_prompts_of_agreeing_rows_go_before_anything_of_disagreements() -> None:
    full = pack(many(), 10**6)
    whole = len(full.index) + sum(len(content) for content in full.pages)
    rows = shown_rows(pack(many(), int(whole * 0.9)))
    by_kind = {kind: [row for row in rows if (row["outcome"] in ("a_better", "b_better")) == kind] for kind in (True, False)}
    lacks = {kind: sum(row["a"][2] == LEFT_OUT for row in own) for kind, own in by_kind.items()}  # type: ignore[index]
    assert lacks[False] > 0
    assert lacks[True] == 0
    assert all(LEFT_OUT not in (row["a"][3], row["b"][3]) for row in rows)  # type: ignore[index]


def test_importance_names_every_text_once(data: ExplorerData) -> None:
    order = by_importance(data)
    assert sorted(order.tolist()) == list(range(2 * len(data.answers)))


def test_fewer_rows_keep_their_own_answers(data: ExplorerData) -> None:
    some = first_rows(data, 50)
    assert shown_rows(pack(some, 10**6)) == shown_rows(pack(data, 10**6))[:50]
    assert len(some.answers) <= 100


def test_a_budget_that_holds_nothing_is_refused(data: ExplorerData) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack(data, 500)


def test_fifty_thousand_rows_with_their_prompts_fit() -> None:
    packed = pack(large(50_000), MAX_BYTES - 1_000_000)
    header, _ = index_of(packed)
    assert packed.n_rows == 50_000
    assert header["n_rows_without"] == {"outputs": 0, "prompts": 0}
    assert len(packed.index) + sum(len(content) + 90 for content in packed.pages) < MAX_BYTES - 1_000_000


def test_no_text_of_data_or_models_stands_in_the_page_as_text(data: ExplorerData, tmp_path: Path) -> None:
    write_report(build(findings(explorer=data)), tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "window.harmed" not in html
    bodies = re.findall(r"<script([^>]*)>(.*?)</script>", html, flags=re.DOTALL)
    assert html.count("<script") == len(bodies)
    assert [attributes for attributes, _ in bodies[:-1]] == [
        f' type="application/octet-stream" id="explorer-{name}"' for name in ("index", *(f"page-{k}" for k in range(len(bodies) - 2)))
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", body) for _, body in bodies[:-1])
    assert bodies[-1] == ("", (PACKAGE / "explorer.js").read_text(encoding="utf-8"))
    assert policy_for(bodies[-1][1]).replace("'", "&#39;") in html
    assert "[report.html](report.html)" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_reports_are_byte_identical_with_an_explorer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(build(findings(explorer=mixed())), tmp_path / name)
    assert (tmp_path / "a" / "report.html").read_bytes() == (tmp_path / "b" / "report.html").read_bytes()


def test_without_answers_there_is_no_explorer_and_no_script_is_allowed(tmp_path: Path) -> None:
    write_report(build(findings()), tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "explorer" not in html
    assert "script-src" not in html
    assert "default-src &#39;none&#39;" in html


@pytest.mark.parametrize(
    ("votes", "changes", "counted"),
    [
        ("1,0,3,1,1", {}, [5, 0, 1, 3, 0, 1]),
        ("1,-,3,1,-", {}, [5, 2, 0, 2, 0, 1]),
        # Votes name original choices; what is shown first here was the third.
        ("1,0,2,1,1", {"order": (2, 0, 3, 1)}, [5, 0, 1, 1, 0, 3]),
        # Of several right choices each is voted for.
        ("0+2,2,-", {}, [3, 1, 1, 0, 2, 0]),
        ("=,x,=,-", {"choices": (), "targets": (), "references": ("fever",)}, [4, 1, 2]),
        ("0,1", {"order": (0, -1, -1, 1)}, [2, 0]),
    ],
)
def test_votes_are_counted_for_the_choices_as_shown(votes: str, changes: dict[str, object], counted: list[int]) -> None:
    assert counted_votes(votes, sample(0, **changes)) == counted


def test_votes_of_an_ensemble_are_in_and_change_nothing_for_others() -> None:
    first, second = sample(0), sample(1)
    answers = [answer(of, model) for of in (first, second) for model in (A, B)]
    without = pack(explorer([first, second], answers), 1_000_000)
    voted = [row | {"votes": "0,0,1,-,0", "n_calls": 5} if row["sample_id"] == first.id else row | {"votes": None} for row in answers]
    entries = pages_of(pack(explorer([first, second], voted), 1_000_000))[0]["answers"]
    assert [entry[7:] for entry in entries] == [[[5, 1, 3, 1, 0, 0]], [[5, 1, 3, 1, 0, 0]], [], []]
    assert pack(explorer([first, second], [row | {"votes": None} for row in answers]), 1_000_000) == without


def test_votes_on_restricted_tasks_are_not_in() -> None:
    one = sample(0)
    answers = [answer(one, model, votes="0,0,1") for model in (A, B)]
    assert not explorer([one], answers, restricted=("exam",)).answers["votes"].notna().any()


def test_the_script_never_makes_markup_of_text() -> None:
    source = (PACKAGE / "explorer.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|fetch\(|XMLHttp", source
    )
    assert "</script" not in source
    assert "<!--" not in source
