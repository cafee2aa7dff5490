"""What holds for every task that is found, and for every split whose data are there.

Data: files beside the plugin, and the folder `shared/data` beside the repository where it exists.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evalsuite.data import LoadedSplit, content_hash, load_split, locate, pool_without, read_rows
from evalsuite.errors import UserError
from evalsuite.formats import FORMATS, default_wording, labels_of, lay_out, right_answer
from evalsuite.tasks import Row, Task, check_card, find_tasks, pool_split
from evalsuite.types import Excluded, Sample

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
TASKS = find_tasks(REPOSITORY / "tasks")
SPLITS = [(name, split) for name, task in TASKS.items() for split in task.card.splits]

OURS = "medqa medqa_5opt pubmedqa headqa_en headqa_es headqa_area_en headqa_area_es meqsum rqe".split()
LOCAL_NAMES = {
    "medqa": "medqa_usmle_4opt",
    "medqa_5opt": "medqa_usmle_5opt",
    "pubmedqa": "pubmedqa_pqal",
    "headqa_area_en": "headqa_en",
    "headqa_area_es": "headqa_es",
}

KNOWN_ISSUES = {
    ("headqa_en", "dev", "repeated_questions"): 1,
    ("headqa_en", "test", "repeated_questions"): 1,
    ("headqa_en", "train", "repeated_questions"): 6,
    ("headqa_es", "test", "repeated_questions"): 1,
    ("headqa_es", "train", "repeated_questions"): 2,
    ("headqa_en", "test", "shared_with_exemplars"): 4,
    ("headqa_es", "test", "shared_with_exemplars"): 1,
    ("rqe", "test", "repeated_questions"): 7,
    ("rqe", "train", "repeated_questions"): 24,
    ("rqe", "test", "conflicting_keys"): 1,
    ("rqe", "train", "conflicting_keys"): 1,
    ("meqsum", "all", "repeated_references"): 6,
    ("meqsum", "all", "reference_in_question"): 9,
}
"""Flaws of the data that are known, with their number: a new one fails, and so does one that no longer occurs (strike it then)."""


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch) -> None:
    if DATA.is_dir():
        monkeypatch.setenv("EVALSUITE_DATA", str(DATA))


@cache
def rows_of(name: str, split: str) -> tuple[Row, ...] | None:
    """The rows of a local split; None if there are no local data."""
    try:
        place = locate(TASKS[name], split, {})
    except UserError:
        return None
    return tuple(row for _, row in read_rows(place.path)) if place.path else None


@cache
def loaded(name: str, split: str) -> LoadedSplit | None:
    """A local split; None if there are no local data. Faults of data that are there are not caught."""
    return load_split(TASKS[name], split, {}) if rows_of(name, split) is not None else None


def split_of(name: str, split: str) -> LoadedSplit:
    found = loaded(name, split)
    if found is None:
        pytest.skip(f"no local data for {name}/{split} (nothing beside the plugin, and no folder shared/data beside the repository)")
    return found


def words(text: str) -> str:
    return re.sub(r"\W+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def wording_of(task: Task) -> Any:
    return task.card.wording or default_wording(task.card.language)


# ------------------------------------------------------------------------------------------------------------ cards


def test_the_tasks_are_found() -> None:
    assert set(OURS) <= set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_card_is_complete(name: str) -> None:
    task = TASKS[name]
    assert check_card(task) == ()
    assert task.folder is not None
    assert wording_of(task).answer
    if task.card.kind != "text":
        # Without the contract `generate` would not say what to answer with: a wording of one's own must keep it.
        assert "{answer}" in wording_of(task).contract
    for issue, sentence in task.card.known_issues.items():
        assert re.fullmatch(r"[a-z0-9_]+", issue)
        assert sentence.endswith(".")
    reasons = {reason for split in task.card.splits.values() for reason in split.excluded}
    assert reasons <= set(task.card.known_issues)


@pytest.mark.parametrize("name", TASKS)
def test_exemplars_never_come_from_the_evaluated_split(name: str) -> None:
    card = TASKS[name].card
    for split in card.splits:
        assert pool_split(card, split) != split


def test_tasks_that_repeat_questions_share_a_family() -> None:
    """A pool of exemplars may serve several tasks; what is evaluated may not be pooled twice."""
    groups: dict[str, set[str]] = {}
    for name, split in SPLITS:
        data = loaded(name, split) if split in (TASKS[name].card.split, "dev") else None
        for sample in data.samples if data else ():
            groups.setdefault(sample.group, set()).add(name)
    repeats = {tuple(sorted(names)) for names in groups.values() if len(names) > 1}
    assert repeats or not DATA.is_dir()
    assert [names for names in sorted(repeats) if len({TASKS[name].card.family or name for name in names}) > 1] == []


# ------------------------------------------------------------------------------------------------------------ splits


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_split_loads_and_its_counts_are_the_cards(name: str, split: str) -> None:
    data, card = split_of(name, split), TASKS[name].card
    entry = card.splits[split]
    assert entry.n_rows in (None, len(data.samples) + len(data.excluded))
    assert Counter(row.reason for row in data.excluded) == Counter(dict(entry.excluded))
    assert Counter(tag for sample in data.samples for tag in sample.tags) == Counter(dict(entry.tagged))
    ids = [sample.id for sample in data.samples] + [row.sample_id for row in data.excluded]
    assert len(set(ids)) == len(ids)
    assert len(data.fingerprint) == 64


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_samples_are_sound(name: str, split: str) -> None:
    card = TASKS[name].card
    for sample in split_of(name, split).samples:
        assert re.fullmatch(r"\S+:\S+(:\S+)?", sample.group), sample.id
        assert sample.question == sample.question.strip() != ""
        assert sample.language == card.language
        assert all(0 <= target < len(sample.choices) for target in sample.targets)
        assert len(sample.targets) >= (card.kind != "text")
        assert (card.kind == "text") == bool(sample.references) == (not sample.choices)
        shown = "".join((sample.question, sample.context, *sample.choices, *sample.references))
        assert not [character for character in shown if unicodedata.category(character) in ("Co", "Cn", "Cs") or character == "\ufffd"]
        assert not sample.order
        assert sample.variant == 0


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_every_format_lays_every_sample_out(name: str, split: str) -> None:
    wording = wording_of(TASKS[name])
    for sample in split_of(name, split).samples:
        for form in FORMATS:
            layout = lay_out(sample, form, wording)
            assert sample.question in layout.user
            answer = right_answer(sample, form, wording)
            assert answer.strip()
            if sample.choices and form != "generate":
                assert answer == layout.answers[sample.targets[0]]
            elif sample.choices:
                assert answer == f"{wording.answer}: {labels_of(sample)[sample.targets[0]]}"
            else:
                assert answer == sample.references[0]


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_no_key_reaches_the_question(name: str, split: str) -> None:
    """Whatever field decides the key: changing it leaves question and passage as they were."""
    split_of(name, split)
    rows = rows_of(name, split) or ()
    deciding: set[str] = set()
    for number, row in enumerate(rows[:30]):
        other = rows[number * 7919 % len(rows)]  # far away: files are often sorted by what decides the key
        before = TASKS[name].to_sample(row, 0)
        for field in row:
            after = changed(TASKS[name], row, other, field)
            if isinstance(before, Excluded) or after is None or (after.targets, after.references) == (before.targets, before.references):
                continue
            if after.choices == before.choices:
                deciding.add(field)
                assert (after.question, after.context) == (before.question, before.context), field
    assert deciding, "no field alone changes the key: this test sees nothing"


def changed(task: Task, row: Row, other: Row, field: str) -> Sample | None:
    """The sample of a row that has one field of another row; None if the plugin refuses or leaves out such a row."""
    mixed = dict(row) | {field: other.get(field)}
    if row.get("answer_idx") and "options" in row and field == "answer_idx" and other.get(field) in row["options"]:
        mixed["answer"] = row["options"][other[field]]  # MedQA names its key twice
    try:
        after = task.to_sample(mixed, 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return after if isinstance(after, Sample) else None


@pytest.mark.parametrize("name", TASKS)
def test_exemplar_pool_shares_no_group_with_the_evaluated_split(name: str) -> None:
    card = TASKS[name].card
    for split in card.splits:
        pool = pool_split(card, split)
        evaluated, exemplars = loaded(name, split), loaded(name, pool) if pool else None
        if evaluated is None or exemplars is None:
            continue
        groups = {sample.group for sample in evaluated.samples}
        left = pool_without(exemplars.samples, groups)
        assert not groups & {sample.group for sample in left}
        assert len(left) >= 5 or len(exemplars.samples) < 20


PRINT = """
import hashlib, sys
from pathlib import Path
from evalsuite.data import content_hash, load_split
from evalsuite.tasks import find_tasks
tasks = find_tasks(Path(sys.argv[1]))
for named in sys.argv[2:]:
    name, split = named.split("/")
    held = [(s.id, s.group, content_hash(s), s.targets, s.tags) for s in load_split(tasks[name], split, {}).samples]
    print(named, hashlib.sha256(repr(held).encode()).hexdigest())
"""


def test_ids_groups_and_hashes_are_equal_in_every_process() -> None:
    small = [(name, split) for name, split in SPLITS if (found := loaded(name, split)) and len(found.samples) < 3000]
    if not small:
        pytest.skip("no local data")
    command = [sys.executable, "-c", PRINT, str(REPOSITORY / "tasks"), *("/".join(pair) for pair in small)]
    environment = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ["PYTHONPATH"]])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    here = []
    for name, split in small:
        held = [(sample.id, sample.group, content_hash(sample), sample.targets, sample.tags) for sample in split_of(name, split).samples]
        here.append(f"{name}/{split} {hashlib.sha256(repr(held).encode()).hexdigest()}")
    assert done.stdout.splitlines() == here


# ------------------------------------------------------------------------------------------------------------ shared data


@pytest.fixture(scope="module")
def manifest(shared: Path) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """What the folder of real files says of itself, by (name, split)."""
    files = json.loads((shared / "data" / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
    return {(file["name"], file["split"]): file for file in files}


@pytest.mark.parametrize("name", OURS)
def test_every_shared_file_of_a_task_is_a_split_and_loads(name: str, manifest: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    folder = LOCAL_NAMES.get(name, name)
    files = {split: file for (owner, split), file in manifest.items() if owner == folder}
    assert files
    for split, file in files.items():
        data = split_of(name, split)
        assert len(data.samples) + len(data.excluded) == file["n"] == TASKS[name].card.splits[split].n_rows


def test_same_question_same_group_in_both_languages_and_both_versions(shared: Path) -> None:
    for first, second, splits in (
        ("headqa_en", "headqa_es", ("train", "dev", "test")),
        ("headqa_en", "headqa_area_es", ("dev",)),
        ("medqa", "medqa_5opt", ("dev",)),
    ):
        for split in splits:
            one, two = split_of(first, split).samples, split_of(second, split).samples
            assert [sample.group for sample in one] == [sample.group for sample in two]
    keys = [[sample.targets for sample in split_of(f"headqa_{language}", "test").samples] for language in ("en", "es")]
    assert keys[0] == keys[1]
    for four, five in zip(split_of("medqa", "dev").samples, split_of("medqa_5opt", "dev").samples, strict=True):
        assert words(four.choices[four.targets[0]]) == words(five.choices[five.targets[0]])


def test_headqa_repeats_share_a_group_and_only_they_do(shared: Path) -> None:
    """The plugin's table of repeated questions is what the English text says."""
    samples = {sample.id: sample for split in ("train", "dev", "test") for sample in split_of("headqa_en", split).samples}
    by_text: dict[Any, set[str]] = {}
    by_group: dict[str, set[str]] = {}
    for name, sample in samples.items():
        key = (words(sample.question), tuple(sorted(words(choice) for choice in sample.choices)))
        by_text.setdefault(key, set()).add(name)
        by_group.setdefault(sample.group, set()).add(name)
    repeats = {frozenset(names) for names in by_text.values() if len(names) > 1}
    assert repeats == {frozenset(names) for names in by_group.values() if len(names) > 1}
    assert len(repeats) == 12


def test_headqa_doubtful_exam_is_wholly_tagged(shared: Path) -> None:
    for language in ("en", "es"):
        samples = split_of(f"headqa_{language}", "test").samples
        tagged = {sample.id for sample in samples if "key_doubtful" in sample.tags}
        assert tagged == {sample.id for sample in samples if sample.metadata == {"year": "2017", "area": "medicine"}}
        assert len(tagged) == 196
        assert not [sample for sample in split_of(f"headqa_area_{language}", "test").samples if sample.tags]


def test_headqa_symbols_are_greek(shared: Path) -> None:
    by_id = {sample.id: sample for sample in split_of("headqa_es", "train").samples}
    assert "2 y los 8°C" in by_id["2013_E:152"].question + " ".join(by_id["2013_E:152"].choices)
    assert "70 μg/dl" in by_id["2013_F:63"].question
    assert "IFN-γ/IgM." in by_id["2013_F:223"].choices
    assert "Escualeno → Lanosterol" in by_id["2014_Q:154"].choices


@pytest.mark.parametrize("name", ["medqa", "medqa_5opt", "pubmedqa", "headqa_en", "headqa_es", "headqa_area_en", "headqa_area_es", "rqe"])
def test_chance_is_that_of_a_uniform_guess(name: str, shared: Path) -> None:
    card = TASKS[name].card
    split = card.split if loaded(name, card.split) else "dev"
    samples = split_of(name, split).samples
    n_classes = len(samples[0].choices)
    if card.metric == "accuracy":
        expected = sum(len(sample.targets) / len(sample.choices) for sample in samples) / len(samples)
    else:
        shares = [n / len(samples) for n in Counter(sample.targets[0] for sample in samples).values()]
        expected = sum(2 * p / n_classes / (p + 1 / n_classes) for p in shares) / n_classes
    assert card.chance == pytest.approx(expected, abs=0.001)


def test_a_hub_row_becomes_the_same_sample(shared: Path) -> None:
    """The hub names some fields otherwise; the rows are rebuilt here as its data viewer shows them."""
    row = (rows_of("pubmedqa", "test") or ())[0]
    hub = {
        "pubid": int(row["pubid"]),
        "question": row["QUESTION"],
        "context": {"contexts": row["CONTEXTS"], "labels": row["LABELS"], "meshes": row["MESHES"]},
        "long_answer": row["LONG_ANSWER"],
        "final_decision": row["final_decision"],
    }
    for name, local, other in (
        ("pubmedqa", row, hub),
        ("medqa", (rows_of("medqa", "dev") or ())[0], None),
        ("headqa_en", (rows_of("headqa_en", "test") or ())[0], None),
    ):
        other = other or dict(local)
        if name == "medqa":
            other["options"] = dict(local["options"]) | {"E": None}
        if name == "headqa_en":
            other |= {"ra": int(local["ra"]), "qid": int(local["qid"]), "image": None}
        one, two = TASKS[name].to_sample(local, 0), TASKS[name].to_sample(other, 0)
        assert isinstance(one, Sample)
        assert isinstance(two, Sample)
        assert (one.id, one.group, one.targets, content_hash(one)) == (two.id, two.group, two.targets, content_hash(two))


# ------------------------------------------------------------------------------------------------------------ ratchet


def issues_of(name: str, split: str) -> Iterator[tuple[str, int]]:
    """(issue, number of samples) of a split."""
    samples = split_of(name, split).samples
    asked = [(words(sample.question), words(sample.context), tuple(sorted(map(words, sample.choices)))) for sample in samples]
    keys: dict[Any, set[str]] = {}
    for key, sample in zip(asked, samples, strict=True):
        keys.setdefault(key, set()).add(" ".join(words(sample.choices[target]) for target in sample.targets))
    yield "repeated_questions", len(asked) - len(keys)
    # The key may well be another text where two options of a question say nearly the same; only labels are told apart by their name.
    yield "conflicting_keys", sum(len(held) > 1 for held in keys.values()) if TASKS[name].card.kind == "labels" else 0
    pool = pool_split(TASKS[name].card, split)
    exemplars = loaded(name, pool) if pool else None
    if exemplars and split == TASKS[name].card.split:
        held = {(words(s.question), words(s.context), tuple(sorted(map(words, s.choices)))) for s in exemplars.samples}
        yield "shared_with_exemplars", sum(key in held for key in asked)
    texts = [(words(sample.question), words(sample.references[0])) for sample in samples if sample.references]
    yield "repeated_references", len(texts) - len({reference for _, reference in texts})
    yield "reference_in_question", sum(reference in question for question, reference in texts)


@pytest.mark.parametrize(("name", "split"), [(name, split) for name, split in SPLITS if name in OURS and "area" not in name])
def test_flaws_of_the_data_are_the_known_ones(name: str, split: str) -> None:
    found = {(name, split, issue): n for issue, n in issues_of(name, split) if n}
    known = {key: n for key, n in KNOWN_ISSUES.items() if key[:2] == (name, split)}
    assert found == known, "a new flaw: state it on the card and list it; a flaw that is gone: strike it from the list"
