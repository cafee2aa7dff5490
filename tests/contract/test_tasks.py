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
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evalsuite.data import LoadedSplit, content_hash, load_split, locate, pool_without, read_rows
from evalsuite.errors import UserError
from evalsuite.formats import default_wording, labels_of, lay_out, right_answer
from evalsuite.tasks import Row, Task, check_card, find_tasks, pool_split
from evalsuite.types import Excluded, Sample

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
TASKS = find_tasks(REPOSITORY / "tasks")

OURS = (
    "medqa medqa_5opt pubmedqa headqa_en headqa_es headqa_area_en headqa_area_es meqsum rqe frenchmedmcqa medcalc medmcqa mmlu_pro_health "
    "casimedicos_en medhalt_fake"
).split()
MMLU_LOCAL = {
    "mmlu_anatomy": (135, 14, 5),
    "mmlu_clinical_knowledge": (265, 29, 5),
    "mmlu_college_biology": (144, 16, 5),
    "mmlu_college_medicine": (173, 22, 5),
    "mmlu_medical_genetics": (100, 11, 5),
    "mmlu_professional_medicine": (272, 31, 5),
}
"""Subjects of the local files `mmlu_medical` with their rows in test, val and dev."""
OTHER_MMLU = {name for name in TASKS if name.startswith("mmlu_")} - {*MMLU_LOCAL, "mmlu_pro_health"}
"""Subjects that we have no data of; their code is that of the others, and skipping them split by split would hide other skips."""
SPLITS = [(name, split) for name, task in TASKS.items() if name not in OTHER_MMLU for split in task.card.splits]
LOCAL_NAMES = {
    "medqa": "medqa_usmle_4opt",
    "medqa_5opt": "medqa_usmle_5opt",
    "pubmedqa": "pubmedqa_pqal",
    "headqa_area_en": "headqa_en",
    "headqa_area_es": "headqa_es",
    "medcalc": "medcalc_bench_v1_0",
    "medhalt_fake": "medhalt_reasoning_fake",
}

KNOWN_ISSUES = {
    ("headqa_en", "dev", "repeated_questions"): 1,
    ("headqa_en", "test", "repeated_questions"): 1,
    ("headqa_en", "train", "repeated_questions"): 6,
    ("headqa_es", "test", "repeated_questions"): 1,
    ("headqa_es", "train", "repeated_questions"): 2,
    ("headqa_en", "test", "shared_with_exemplars"): 4,
    ("headqa_es", "test", "shared_with_exemplars"): 1,
    ("casimedicos_en", "train", "repeated_questions"): 6,
    ("medmcqa", "dev", "repeated_questions"): 13,
    ("medmcqa", "validation", "repeated_questions"): 13,
    ("mmlu_pro_health", "test", "repeated_questions"): 94,
    ("rqe", "test", "repeated_questions"): 7,
    ("rqe", "train", "repeated_questions"): 24,
    ("rqe", "test", "conflicting_keys"): 1,
    ("rqe", "train", "conflicting_keys"): 1,
    ("meqsum", "all", "repeated_references"): 6,
    ("meqsum", "all", "reference_in_question"): 9,
    ("frenchmedmcqa", "test", "shared_with_exemplars"): 1,
    ("frenchmedmcqa", "train", "repeated_questions"): 5,
    ("medcalc", "test", "repeated_questions"): 8,
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
    keeps = TASKS[name].keeps
    return tuple(row for _, row in read_rows(place.path) if keeps is None or keeps(row)) if place.path else None


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
        assert len(sample.targets) >= (card.kind in ("choice", "labels"))
        assert card.several or len(sample.targets) <= 1
        assert (card.kind in ("text", "quantity")) == bool(sample.references) == (not sample.choices)
        assert (card.kind == "quantity") == (sample.quantity is not None)
        shown = "".join((sample.question, sample.context, *sample.choices, *sample.references))
        assert not [character for character in shown if unicodedata.category(character) in ("Co", "Cn", "Cs") or character == "\ufffd"]
        assert not sample.order
        assert sample.variant == 0


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_every_format_lays_every_sample_out(name: str, split: str) -> None:
    wording = wording_of(TASKS[name])
    for sample in split_of(name, split).samples:
        for form in ("letters", "cloze", "generate"):
            layout = lay_out(sample, form, wording)
            assert sample.question in layout.user
            answer = right_answer(sample, form, wording)
            assert answer.strip()
            if sample.choices and form != "generate" and not TASKS[name].card.several:
                assert answer == layout.answers[sample.targets[0]]
            elif sample.choices and form == "generate":
                assert answer == f"{wording.answer}: {', '.join(labels_of(sample)[target] for target in sample.targets)}"
            elif not sample.choices:
                assert answer == (sample.references[0] if sample.quantity is None else f"{wording.answer}: {sample.references[0]}")


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
            # Where the key is one of the options by its words, it cannot change alone.
            if after.choices == before.choices or name == "medhalt_fake":
                deciding.add(field)
                assert (after.question, after.context) == (before.question, before.context), field
    assert deciding, "no field alone changes the key: this test sees nothing"


def changed(task: Task, row: Row, other: Row, field: str) -> Sample | None:
    """The sample of a row that has one field of another row; None if the plugin refuses or leaves out such a row."""
    mixed = dict(row) | {field: other.get(field)}
    if row.get("answer_idx") and "options" in row and field == "answer_idx" and other.get(field) in row["options"]:
        mixed["answer"] = row["options"][other[field]]  # MedQA names its key twice
    if field == "answer" and "answer_letter" in row and isinstance(other.get(field), int):
        mixed["answer_letter"] = "ABCD"[other[field]]  # so do our MMLU files
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


def test_shared_mmlu_files_hold_each_subject_and_nothing_else(manifest: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    """One file for six subjects: each task takes its own rows, and together they are all."""
    for place, split in enumerate(("test", "val", "dev")):
        sizes = {name: len(split_of(name, split).samples) for name in MMLU_LOCAL}
        assert sizes == {name: counts[place] for name, counts in MMLU_LOCAL.items()}
        assert sum(sizes.values()) == manifest["mmlu_medical", split]["n"]
        assert all(not split_of(name, split).excluded for name in MMLU_LOCAL)


def test_mmlu_has_all_subjects() -> None:
    """Their sizes add up to the whole of MMLU, as its authors and the hub state it."""
    cards = [task.card for name, task in TASKS.items() if name.startswith("mmlu_") and name != "mmlu_pro_health"]
    assert len(cards) == 57
    assert [sum(card.splits[split].n_rows or 0 for card in cards) for split in ("test", "val", "dev")] == [14042, 1531, 285]
    assert all(card.hub_config == card.name.removeprefix("mmlu_") for card in cards)


def test_every_mmlu_subject_takes_its_rows_out_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `mmlu` with all subjects in one file, named as the hub names them or as people do; none is left over, none taken twice."""
    names = sorted({*OTHER_MMLU, *MMLU_LOCAL})
    rows = [
        {"subject": name.removeprefix("mmlu_"), "question": f"{number} of {name}?", "choices": list("wxyz"), "answer": number % 4}
        for name in names
        for number in range(5)
    ]
    rows[0]["subject"] = "Abstract algebra"
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setenv("EVALSUITE_DATA", str(tmp_path))
    taken = {name: load_split(TASKS[name], "dev", {}).samples for name in names}
    assert all(sample.question.endswith(f"of {name}?") for name, samples in taken.items() for sample in samples)
    assert [len(samples) for samples in taken.values()] == [5] * 57
    assert [sample.targets for sample in taken["mmlu_virology"]] == [(0,), (1,), (2,), (3,), (0,)]


def test_mmlu_and_mmlu_pro_questions_are_linked(shared: Path) -> None:
    """What the cards say of repeats: between MMLU-Pro and MMLU, within MMLU-Pro, and between the two sister subjects."""
    tests = {name: split_of(name, "test").samples for name in MMLU_LOCAL}
    groups = {sample.group for samples in tests.values() for sample in samples}
    pro = split_of("mmlu_pro_health", "test").samples
    linked = [sample for sample in pro if sample.group in groups]
    assert (len(linked), len({sample.group for sample in linked}), len({sample.group for sample in pro})) == (506, 416, 684)
    keys: dict[str, set[str]] = {}
    for samples in tests.values():
        for sample in samples:
            keys.setdefault(sample.group, set()).add(words(sample.choices[sample.targets[0]]))
            assert sample.metadata["subject"] in {name.removeprefix("mmlu_") for name in tests}
    assert all(words(sample.choices[sample.targets[0]]) in keys[sample.group] for sample in linked)

    def asked(name: str, split: str) -> set[Any]:
        return {(words(s.question), tuple(sorted(map(words, s.choices)))) for s in split_of(name, split).samples}

    knowledge, medicine = "mmlu_clinical_knowledge", "mmlu_college_medicine"
    assert len(asked(knowledge, "test") & asked(medicine, "test")) == 78
    pairs = ((knowledge, medicine), (medicine, knowledge))
    assert [len(asked(one, split) & asked(two, "test")) for one, two in pairs for split in ("dev", "val")] == [2, 5, 3, 9]
    assert not [name for name in MMLU_LOCAL for split in ("dev", "val") if asked(name, split) & asked(name, "test")]


STOP = frozenset("the of a an and in to is with for on by at or as that it following which be most from this was has are not".split())


def overlap(one: frozenset[str], two: frozenset[str]) -> float:
    return len(one & two) / len(one | two)


def bags(stem: str, options: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Words of the stem and of the options."""
    return frozenset(words(stem).split()) - STOP, frozenset(words(" ".join(options)).split()) - STOP


def test_casimedicos_repeats_share_a_group_and_only_they_do(shared: Path) -> None:
    """The plugin's table is what the words say: translations differ, so that stems and options are compared by shared words."""
    samples = [sample for split in ("train", "dev") for sample in split_of("casimedicos_en", split).samples]
    # Rows, not samples: HEAD-QA leaves questions out whose image is missing.
    rows = [row for split in ("train", "dev", "test") for row in rows_of("headqa_en", split) or () if row["category"] == "medicine"]
    spanish = [
        (f"headqa:{row['year']}_M:{int(row['qid'])}", *bags(row["qtext"], [answer["atext"] for answer in row["answers"]])) for row in rows
    ]
    held = [(sample, *bags(sample.question, sample.choices)) for sample in samples]
    for number, (sample, stem, options) in enumerate(held):
        score, group = max(((overlap(stem, other) + overlap(options, others)) / 2, found) for found, other, others in spanish)
        linked = group if score >= 0.5 else None
        assert linked == (sample.group if sample.group.startswith("headqa:") else None), sample.id
        for other, other_stem, other_options in held[:number]:
            same = overlap(stem, other_stem) >= 0.6 and overlap(options, other_options) >= 0.4
            assert same == (sample.group == other.group), (sample.id, other.id)
    assert sum(sample.group.startswith("headqa:") for sample in samples) == 182
    assert len({sample.group for sample in samples}) == 377
    pool = {sample.group for sample in split_of("casimedicos_en", "train").samples}
    assert sum(sample.group in pool for sample in split_of("casimedicos_en", "dev").samples) == 13


def test_casimedicos_disputed_keys_are_tagged(shared: Path) -> None:
    """By option number, which is the same in both sources but for two questions that order their options otherwise."""
    samples = [sample for split in ("train", "dev") for sample in split_of("casimedicos_en", split).samples]
    keys: dict[str, set[int]] = {}
    spanish = [sample for split in ("train", "dev", "test") for sample in split_of("headqa_en", split).samples]
    for sample in (*samples, *spanish):
        if not sample.group.startswith("headqa:2017") and sample.group != "headqa:2013_M:97":
            keys.setdefault(sample.group, set()).add(sample.targets[0])
    linked = {sample.group for sample in samples if sample.group.startswith("headqa:")}
    disputed = {group for group in linked if len(keys.get(group, ())) > 1}
    assert {sample.id for sample in samples if "key_disputed" in sample.tags} == {s.id for s in samples if s.group in disputed}
    assert len(disputed) == 10


def test_casimedicos_never_shows_an_explanation(shared: Path) -> None:
    for split in ("train", "dev"):
        for row, sample in zip(rows_of("casimedicos_en", split) or (), split_of("casimedicos_en", split).samples, strict=True):
            held = (sample.question, sample.context, *sample.choices, *sample.metadata.values())
            assert not [text for text in held if row["full_answer"] in text]


def test_medmcqa_keys_are_read_from_both_bases(shared: Path, tmp_path: Path) -> None:
    """The authors count from 1, the hub from 0: the same samples come of both, and a mixture is a fault, never a shifted key."""
    rows = [dict(row) for row in rows_of("medmcqa", "validation") or ()]

    def read(name: str, base: Any) -> LoadedSplit:
        file = tmp_path / name / "validation.jsonl"
        file.parent.mkdir()
        file.write_text("".join(json.dumps(row | {"cop": base(row["cop"])}) + "\n" for row in rows), encoding="utf-8")
        return load_split(TASKS["medmcqa"], "validation", {"medmcqa": file.parent})

    local = split_of("medmcqa", "validation").samples
    assert Counter(sample.targets[0] for sample in local) == {0: 1348, 1: 1085, 2: 925, 3: 825}
    assert read("hub", lambda cop: cop - 1).samples == local
    for name, base, said in (
        ("mixed", lambda cop: 0 if cop == 1 else cop, "are mixed"),
        ("narrow", lambda cop: 1 + cop % 3, "cannot be told"),
        ("unlabelled", lambda cop: cop * 0 - 1, "not public"),
        ("beyond", lambda cop: cop + 1, "outside its 4 choices"),
    ):
        with pytest.raises(UserError, match=said):
            read(name, base)


def test_medhalt_right_option_is_the_plain_one(shared: Path) -> None:
    data = split_of("medhalt_fake", "test")
    for sample in data.samples:
        assert words(sample.choices[sample.targets[0]]) == "i do not know"
        assert [words(choice) for choice in sample.choices].count("i do not know") == 1
    assert sum(sample.targets[0] == len(sample.choices) - 1 for sample in data.samples) == 1812
    assert Counter(row.reason for row in data.excluded) == {"no_plain_right_option": 10, "right_option_twice": 1, "unreadable_symbols": 1}


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


CHOICE_TASKS = [name for name in (*OURS, *MMLU_LOCAL) if TASKS[name].card.chance is not None and not TASKS[name].card.several]


@pytest.mark.parametrize("name", CHOICE_TASKS)
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
        ("mmlu_anatomy", (rows_of("mmlu_anatomy", "test") or ())[0], None),
        ("mmlu_pro_health", (rows_of("mmlu_pro_health", "test") or ())[0], None),
        ("medhalt_fake", (rows_of("medhalt_fake", "test") or ())[0], None),
    ):
        other = other or dict(local)
        if name == "medqa":
            other["options"] = dict(local["options"]) | {"E": None}
        if name == "headqa_en":
            other |= {"ra": int(local["ra"]), "qid": int(local["qid"]), "image": None}
        if name == "mmlu_anatomy":
            del other["answer_letter"]
        if name == "mmlu_pro_health":
            letter = other.pop("answer_idx")
            other |= {"question_id": other.pop("realidx"), "options": list(local["options"].values()), "answer": letter}
            other |= {"answer_index": "ABCDEFGHIJ".index(letter), "cot_content": ""}
        one, two = TASKS[name].to_sample(local, 0), TASKS[name].to_sample(other, 0)
        assert isinstance(one, Sample)
        assert isinstance(two, Sample)
        assert (one.id, one.group, one.targets, content_hash(one)) == (two.id, two.group, two.targets, content_hash(two))


def test_frenchmedmcqa_keys_are_the_sources(shared: Path) -> None:
    rows = rows_of("frenchmedmcqa", "test") or ()
    samples = split_of("frenchmedmcqa", "test").samples
    for row, sample in zip(rows, samples, strict=True):
        right = {unicodedata.normalize("NFC", row["answers"][letter]) for letter in row["correct_answers"]}
        assert {words(sample.choices[target]) for target in sample.targets} == {words(text) for text in right}
        hub = {
            "id": row["id"],
            "question": row["question"],
            "correct_answers": ["abcde".index(letter) for letter in row["correct_answers"]],
        }
        hub |= {f"answer_{letter}": text for letter, text in row["answers"].items()}
        assert TASKS["frenchmedmcqa"].to_sample(hub, int(sample.id[:4])) == sample
    assert Counter(len(sample.targets) for sample in samples) == {1: 321, 2: 97, 3: 141, 4: 56, 5: 7}
    assert TASKS["frenchmedmcqa"].card.chance == 1 / 31


def test_medcalc_keys_lie_between_their_limits_and_are_read_back(shared: Path) -> None:
    from evalsuite.answers import read_quantity, read_quantity_strict
    from evalsuite.metrics import METRICS, score
    from evalsuite.types import Answer

    wording = wording_of(TASKS["medcalc"])
    forms: Counter[str] = Counter()
    for sample in split_of("medcalc", "test").samples:
        assert sample.quantity is not None
        forms[sample.quantity.form] += 1
        for read in (read_quantity, read_quantity_strict):
            reading = read(right_answer(sample, "generate", wording), sample, wording)
            assert score(METRICS["within_tolerance"], sample, Answer(reading=reading)).value == 1.0, sample.id
            if sample.quantity.form in ("number", "whole"):
                assert sample.quantity.unit in sample.references[0]
                # the unit is the one of the question, where it names one
                beyond = read(f"{wording.answer}: {2 * abs(sample.quantity.high or 0) + 10:.6f}", sample, wording)
                assert score(METRICS["within_tolerance"], sample, Answer(reading=beyond)).value == 0.0, sample.id
    assert forms == {"number": 627, "whole": 360, "date": 40, "weeks_days": 20}
    without = {
        s.metadata["calculator"]
        for s in split_of("medcalc", "test").samples
        if s.quantity and not s.quantity.unit and "in terms of" in s.question
    }
    assert without == set()


def test_casimedicos_rows_of_the_hub() -> None:
    """They name examination and number, which tie a question's commentators and languages together; the fifth option may be null or NaN."""
    row = {
        "id": 274,
        "year": 2016,
        "question_id_specific": 73,
        "full_question": "Which?",
        "full_answer": "The second, since ...",
        "type": "DIGESTIVE SYSTEM",
        "options": {"1": "a", "2": "b", "3": "c", "4": "d", "5": float("nan")},
        "correct_option": 2,
        "explanations": {},
        "lang": "es",
    }
    sample = TASKS["casimedicos_es"].to_sample(row, 0)
    assert isinstance(sample, Sample)
    assert (sample.id, sample.group, sample.choices, sample.targets) == ("274", "casimedicos:2016:73", ("a", "b", "c", "d"), (1,))
    other = TASKS["casimedicos_fr"].to_sample(row | {"lang": "fr", "full_question": "Laquelle ?", "options": {"1": "x", "2": "y"}}, 0)
    assert isinstance(other, Sample)
    assert other.group == sample.group
    for wrong in ({"correct_option": 5}, {"lang": "it"}, {"options": {"1": "a", "3": "c"}}):
        with pytest.raises(ValueError):
            TASKS["casimedicos_es"].to_sample(row | wrong, 0)


@pytest.mark.parametrize("name", ["mmlu_anatomy", "mmlu_pro_health", "medhalt_fake"])
def test_rows_that_contradict_themselves_are_refused(name: str) -> None:
    """Two columns that name different answers, an option too few or too many, no dictionary of options: never a sample."""
    choices = ["a", "b", "c", "d"]
    options = "{'0': 'a', '1': 'I do not know'}"
    row, wrong = {
        "mmlu_anatomy": (
            {"question": "q", "choices": choices, "answer": 2, "answer_letter": "C"},
            ({"answer_letter": "B"}, {"choices": choices[:3]}, {"choices": [*choices, "e"]}, {"answer": 4}),
        ),
        "mmlu_pro_health": (
            {"question_id": 1, "question": "q", "options": [*choices, "N/A"], "answer": "C", "answer_index": 2},
            ({"answer_index": 1}, {"answer": "E", "answer_index": 4}, {"options": {"A": "a", "C": "c"}}),
        ),
        "medhalt_fake": (
            {"id": "1", "question": "q", "options": options},
            ({"options": "I do not know"}, {"options": "{'1': 'I do not know', '0': 'a'}"}, {"options": "{'0': '', '1': 'I do not know'}"}),
        ),
    }[name]
    sample = TASKS[name].to_sample(row, 0)
    assert isinstance(sample, Sample)
    assert sample.targets == ((1,) if name == "medhalt_fake" else (2,))
    for fields in wrong:
        with pytest.raises(ValueError):
            TASKS[name].to_sample(row | fields, 0)


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
    texts = [(words(sample.question), words(sample.references[0])) for sample in samples if sample.references and sample.quantity is None]
    yield "repeated_references", len(texts) - len({reference for _, reference in texts})
    yield "reference_in_question", sum(reference in question for question, reference in texts)


CHECKED = [(name, split) for name, split in SPLITS if name in {*OURS, *MMLU_LOCAL} and "area" not in name]


@pytest.mark.parametrize(("name", "split"), CHECKED)
def test_flaws_of_the_data_are_the_known_ones(name: str, split: str) -> None:
    found = {(name, split, issue): n for issue, n in issues_of(name, split) if n}
    known = {key: n for key, n in KNOWN_ISSUES.items() if key[:2] == (name, split)}
    assert found == known, "a new flaw: state it on the card and list it; a flaw that is gone: strike it from the list"
