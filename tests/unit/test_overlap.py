"""Which questions count as the same: by hand, against all pairs, on a planted leak from end to end, and on real data."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.overlap import near_identical, without_repeats, words_of
from evalsuite.plan import Selection
from evalsuite.preview import check_study
from evalsuite.resolve import resolve
from evalsuite.study import run_study
from evalsuite.types import Sample
from tests.planted import Project, make_project

VIGNETTE = (
    "A 54-year-old woman comes to the physician because of a 3-week history of fatigue, dark urine and itching. Her pulse is 88/min"
    " and her blood pressure is 124/76 mm Hg. Serum alkaline phosphatase activity is 412 U/L. What is the most likely diagnosis?"
)


def sample(name: str, question: str, choices: tuple[str, ...] = (), context: str = "") -> Sample:
    return Sample(id=name, group=f"g:{name}", question=question, choices=choices, context=context)


def found(pool: list[Sample], evaluated: list[Sample]) -> list[str]:
    return [pool[position].id for position in sorted(near_identical(pool, evaluated))]


def test_words() -> None:
    assert words_of("¿Neumoni\u0301a, NEUMONÍA?") == ["neumonía", "neumonía"]
    assert words_of("l'œdème ____ (STRASSE, Straße) 120/80 5 %") == ["l", "œdème", "strasse", "strasse", "120", "80", "5"]
    assert words_of("…") == []


def test_verbatim_and_but_for_case_and_punctuation() -> None:
    pool = [sample("same", VIGNETTE), sample("typed", VIGNETTE.upper().replace(",", " -").replace(" ", "  ")), sample("other", "Why?")]
    assert found(pool, [sample("q", VIGNETTE)]) == ["same", "typed"]


def test_one_other_number_in_a_long_stem_but_not_in_a_short_one() -> None:
    pool = [sample("long", VIGNETTE.replace("412", "398")), sample("short", "What is the dose in a patient of 40 kg?")]
    assert found(pool, [sample("q", VIGNETTE), sample("s", "What is the dose in a patient of 60 kg?")]) == ["long"]


def test_the_least_length_and_similarity_are_in() -> None:
    """One other word inside 30 leaves 25 of 31 shingles, two in a row 24 of 32, below 0.8; 29 words are too few."""
    words = [f"w{number}" for number in range(30)]
    one = " ".join([*words[:10], "x", *words[11:]])
    two = " ".join([*words[:10], "x", "y", *words[12:]])
    pool = [sample("one", one), sample("two", two)]
    assert found(pool, [sample("q", " ".join(words))]) == ["one"]
    assert found([sample("one", " ".join(one.split()[:29]))], [sample("q", " ".join(words[:29]))]) == []


def test_a_common_short_stem_is_another_question_unless_a_choice_is_shared() -> None:
    stem = "Which of the following is correct?"
    evaluated = [sample("q", stem, ("Nightmares occur in REM sleep.", "None of these."))]
    pool = [
        sample("other", stem, ("Leucine is aromatic.", "Leucine is aliphatic.")),
        sample("same", stem, ("none of these", "Nightmares occur in sleep.")),
        sample("open", stem),
    ]
    assert found(pool, evaluated) == ["same", "open"]


def test_passage_and_stem_must_both_be_the_same() -> None:
    evaluated = [sample("q", "Is the albumin low?", ("yes", "no"), context=VIGNETTE)]
    pool = [
        sample("same", "Is the albumin low?", ("yes", "no"), context=VIGNETTE.replace("412", "398")),
        sample("asks", "Is the bilirubin high?", ("yes", "no"), context=VIGNETTE),
        sample("bare", "Is the albumin low?", ("yes", "no")),
    ]
    assert found(pool, evaluated) == ["same"]


def test_the_order_of_neither_side_matters() -> None:
    pool = [sample(str(n), VIGNETTE.replace("412", str(n))) for n in range(5)] + [sample("x", "Why?")]
    evaluated = [sample("q", VIGNETTE), sample("r", "Why not?")]
    assert found(pool, evaluated) == found(pool, evaluated[::-1]) == ["0", "1", "2", "3", "4"]
    assert found(pool[::-1], evaluated) == ["4", "3", "2", "1", "0"]


def alike(left: str, right: str) -> bool:
    """The rule in plain words: the same words, or, from 30 words on, Jaccard of word 3-shingles of at least 0.8."""
    words = [words_of(left), words_of(right)]
    if words[0] == words[1]:
        return True
    shingles = [{tuple(own[at : at + 3]) for at in range(len(own) - 2)} for own in words]
    return min(map(len, words)) >= 30 and len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1]) >= 0.8


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n_words=st.integers(1, 4))
def test_equals_all_pairs(seed: int, n_words: int) -> None:
    """Texts of 25 to 60 words of a tiny vocabulary and copies with a few changes, against every pair alone."""
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    for _ in range(12):
        if texts and rng.random() < 0.6:
            words = texts[int(rng.integers(len(texts)))].split()
            for _ in range(int(rng.integers(0, 4))):
                words[int(rng.integers(len(words)))] = f"x{rng.integers(5)}"
        else:
            words = [f"w{rng.integers(3**n_words)}" for _ in range(int(rng.integers(25, 60)))]
        texts.append(" ".join(words))
    pool = [sample(f"p{number}", text) for number, text in enumerate(texts[:6])]
    evaluated = [sample(f"e{number}", text) for number, text in enumerate(texts[6:])]
    pairs = {position for position, own in enumerate(pool) for other in evaluated if alike(own.question, other.question)}
    assert near_identical(pool, evaluated) == pairs


# ------------------------------------------------------------------------------------------------------------- planted leak

PLUGIN = '''
"""Planted questions with a leak among the exemplars; written by the tests."""

from evalsuite.tasks import choice_task

TASKS = (
    choice_task(
        name="planted", file="planted.jsonl", exemplars="exemplars.jsonl", answer_kind="index0", group="group", id="id",
        restricted=False,
    ),
)
'''
N_CLEAN, N_LEAKED = 12, 5


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The planted project, one of its questions a long one, and exemplars five of which are evaluated questions under other names."""
    project = make_project(tmp_path)
    task = tmp_path / "tasks" / "planted"
    rows = [json.loads(line) for line in (task / "planted.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[150]["question"] = VIGNETTE
    (task / "planted.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    leaked = [
        rows[3],
        rows[40] | {"question": rows[40]["question"].upper().replace("?", " ...")},
        rows[77] | {"options": rows[77]["options"][::-1], "answer": 3 - rows[77]["answer"]},
        rows[150],
        rows[150] | {"question": VIGNETTE.replace("412", "398")},
    ]
    clean = [rows[0] | {"question": f"Which drug stands on shelf {number}?", "options": list("abcd")} for number in range(N_CLEAN)]
    mixed = [row | {"id": f"x{number}", "group": f"pool:{number}"} for number, row in enumerate([*leaked[:2], *clean, *leaked[2:]])]
    # Of an evaluated group: left out as such, and not counted as a repeat.
    mixed.append(rows[9] | {"id": "x-group", "question": "What else?"})
    (task / "exemplars.jsonl").write_text("".join(json.dumps(row) + "\n" for row in mixed), encoding="utf-8")
    (task / "task.py").write_text(PLUGIN, encoding="utf-8")
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    monkeypatch.chdir(tmp_path)
    return project


def leaky_study(project: Project) -> Path:
    return project.study(models="[first, knows]", strategies="[zero_shot, {name: few_shot, shots: 3, exemplars: random}]")


@pytest.mark.parametrize("limit", [None, 10])
def test_a_planted_leak_leaves_the_pool_and_is_counted(leaky: Project, limit: int | None) -> None:
    """Whatever the limit: the leaked questions are not among the ten that are asked then."""
    plan = resolve(leaky_study(leaky), Selection(limit=limit))
    planned = plan.tasks["planted"]
    assert planned.n_pool_duplicates == N_LEAKED
    assert [sample.id for sample in planned.pool] == [f"x{number}" for number in range(2, 2 + N_CLEAN)]


def test_a_study_without_exemplars_looks_for_no_repeats(leaky: Project) -> None:
    plan = resolve(leaky.study(models="[first, knows]"))
    assert (plan.tasks["planted"].pool, plan.tasks["planted"].n_pool_duplicates) == ((), 0)


def test_a_planted_leak_is_told_by_check_and_report_and_never_sent(leaky: Project) -> None:
    line = "5 samples left out of the exemplar pool: the same question as an evaluated one"
    assert f"    {line}" in check_study(leaky_study(leaky), Selection())
    result = run_study(leaky_study(leaky), store=leaky.store, out=leaky.folder / "out")
    assert result.report is not None
    assert line in (leaky.folder / "out" / "report.md").read_text(encoding="utf-8")
    manifest = json.loads((leaky.folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["planted"]["n_pool_duplicates"] == N_LEAKED
    scores = result.scores
    assert scores is not None
    assert set(scores[scores.strategy == "few_shot"].status) == {"scored"}
    prompts = pd.read_parquet(leaky.folder / "out" / "plan.parquet", columns=["sample_id", "strategy", "prompt"])
    shown = prompts[prompts.strategy == "few_shot"]
    assert shown.prompt.str.count("Which drug stands on shelf").eq(3).all()
    assert shown[shown.sample_id != "q0150"].prompt.str.contains("alkaline phosphatase").sum() == 0
    assert shown.prompt.str.contains("398 U/L").sum() == 0


def test_a_study_without_repeats_says_nothing_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    monkeypatch.chdir(tmp_path)
    run_study(project.study(models="[first, knows]"), store=project.store, out=tmp_path / "out")
    assert "exemplar pool" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "n_pool_duplicates" not in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")


# --------------------------------------------------------------------------------------------------------------- real data


def real(shared: Path, name: str) -> list[Sample]:
    with gzip.open(shared / "data" / name, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [sample(str(number), row["question"], tuple(row["options"].values())) for number, row in enumerate(rows)]


def test_medqa_vignettes_with_one_word_changed_are_all_found_and_no_others(shared: Path) -> None:
    evaluated = real(shared, "medqa_usmle_4opt/dev.jsonl.gz")[:300]
    pool = real(shared, "medqa_usmle_4opt/train_subset.jsonl.gz")[:300]
    assert not near_identical(pool, evaluated)
    changed = []
    for number, one in enumerate(evaluated):
        words = one.question.split(" ")
        words[len(words) // 2] = "otherwise"
        changed.append(replace(one, id=f"c{number}", question=" ".join(words)))
    long = {position for position, one in enumerate(changed) if len(words_of(one.question)) >= 40}
    assert len(long) > 250
    assert long <= near_identical([*changed, *pool], evaluated) <= set(range(len(changed)))


def test_pools_of_the_pocket_tasks_repeat_nothing() -> None:
    """Their committed report shows exemplars of the whole pool."""
    from evalsuite.data import load_split, pool_without
    from evalsuite.tasks import find_tasks, pool_split

    pocket = {name: task for name, task in find_tasks().items() if name.startswith("pocket_")}
    assert pocket
    for task in pocket.values():
        split = pool_split(task.card, task.card.split)
        if split is not None:
            evaluated = load_split(task, task.card.split, {}).samples
            pool = pool_without(load_split(task, split, {}).samples, {one.group for one in evaluated})
            assert without_repeats(pool, evaluated) == pool
