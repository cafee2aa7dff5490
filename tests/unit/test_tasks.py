"""Finding plugins, checking cards, and tasks over a file of one's own."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import evalsuite
from evalsuite.data import load_split
from evalsuite.errors import UserError
from evalsuite.formats import lay_out, right_answer
from evalsuite.tasks import Split, Task, TaskCard, check_card, choice_task, find_tasks, pool_split, text_task

OWN = 'from evalsuite.tasks import choice_task\n\nTASKS = (choice_task(name="{name}", file="quiz.csv", description="{note}"),)\n'


def plugin(place: Path, folder: str, source: str) -> Path:
    file = place / folder / "task.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    return file


def card(**changed: Any) -> TaskCard:
    return replace(choice_task(name="ward", file="quiz.csv", n_rows=3, exemplars="shots.csv").card, **changed)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# ------------------------------------------------------------------------------------------------------------ finding


def test_look_up_order(elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALSUITE_TASKS", str(tmp_path / "named"))
    points = ModuleType("installed_plugin")
    points.__file__ = str(tmp_path / "site" / "plugin.py")
    points.TASKS = [choice_task(name=name, file="f.csv", description="point") for name in ("rqe", "ward", "point")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "installed_plugin", points)
    entry = importlib.metadata.EntryPoint(name="p", value="installed_plugin", group="evalsuite.tasks")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: (entry,) if group == "evalsuite.tasks" else ())
    for place, note, names in (
        (tmp_path / "extra", "extra", ["a"]),
        (elsewhere / "tasks", "here", ["a", "b"]),
        (tmp_path / "named", "named", ["a", "b", "ward"]),
    ):
        for name in names:
            plugin(place, name, OWN.format(name=name, note=note))
    found = find_tasks(tmp_path / "extra")
    notes = {name: found[name].card.description for name in ("a", "b", "ward", "point", "rqe")}
    assert notes == {"a": "extra", "b": "here", "ward": "named", "point": "point", "rqe": "point"}
    assert "medqa" in found
    assert found["point"].folder == tmp_path / "site"
    assert found["b"].folder == elsewhere / "tasks" / "b"
    assert list(found) == sorted(found)


def test_bundled_plugins_are_found_from_anywhere(elsewhere: Path) -> None:
    names = {"medqa", "medqa_5opt", "pubmedqa", "headqa_en", "headqa_es", "headqa_area_en", "headqa_area_es", "meqsum", "rqe"}
    assert names <= set(find_tasks())


def test_an_installed_package_uses_what_it_carries(elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    plugin(site / "evalsuite" / "bundled" / "tasks", "carried", OWN.format(name="carried", note="wheel"))
    plugin(site / "tasks", "stranger", OWN.format(name="stranger", note="another package's"))
    monkeypatch.setattr("evalsuite.tasks.__file__", str(site / "evalsuite" / "tasks.py"))
    assert set(find_tasks()) == {"carried"}
    assert Path(evalsuite.__file__).is_file()


def test_import_leaves_no_name_behind_that_could_clash(elsewhere: Path) -> None:
    for place in ("tasks", "more"):
        plugin(elsewhere / place, "one", OWN.format(name=place, note=place))
    assert {"tasks", "more"} <= set(find_tasks(elsewhere / "more"))
    assert "task" not in sys.modules


def test_dataclasses_work_in_plugins(elsewhere: Path) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Key:\n    x: int\n\n"
    plugin(elsewhere / "tasks", "one", source + OWN.format(name="one", note="n"))
    assert "one" in find_tasks()


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("x = 1\ndef (:\n", ":2", "valid Python"),
        ("import json\njson.loads('{')\n", ":2", "JSONDecodeError"),
        ("import no_such_library\n", ":1", "ModuleNotFoundError"),
        ("x = 1\n", "", "TASKS = missing"),
        ("TASKS = ()\n", "", "TASKS = tuple"),
        ("TASKS = ('medqa',)\n", "", "TASKS = tuple"),
        ("TASKS = {}\n", "", "TASKS = dict"),
        (OWN.format(name="Bad Name", note="n"), "", "Bad Name.name = Bad Name: lower-case"),
        (OWN.format(name="ward", note="n").replace("description", "groups"), ":3", "no option groups; did you mean group?"),
        (OWN.format(name="ward", note="n").replace("description", "answers"), ":3", "no option answers; did you mean answer?"),
        (OWN.format(name="w", note="number").replace("description", "answer_kind"), ":3", "no answer_kind 'number'; known: index0"),
        (OWN.format(name="w", note="leter").replace("description", "answer_kind"), ":3", "did you mean letter?"),
        (OWN.format(name="w", note="yes").replace("description", "labels"), ":3", "labels is one text; a list of texts"),
        (OWN.format(name="w", note="rougeL").replace("description", "metric"), "", "w.metrics = rougeL: scores text tasks"),
        (OWN.format(name="w", note="acuracy").replace("description", "metric"), "", "w.metrics = acuracy: did you mean accuracy?"),
        (
            OWN.format(name="w", note="n").replace("choice_", "text_").replace("description", "labels"),
            ":3",
            "text_task has no option labels",
        ),
        (OWN.format(name="w", note="n").replace("choice_", "text_").replace("description", "choices"), ":3", "no option choices"),
    ],
)
def test_broken_plugins_are_faults(elsewhere: Path, source: str, line: str, said: str) -> None:
    file = plugin(elsewhere / "tasks", "bad", source)
    with pytest.raises(UserError) as caught:
        find_tasks()
    assert str(caught.value).startswith(f"{file}{line}: ") or str(caught.value).startswith(f"{file}{line} = ")
    assert said in str(caught.value)
    assert len(caught.value.faults) == 1


def test_all_broken_plugins_are_told_at_once(elsewhere: Path) -> None:
    for name in ("one", "two"):
        plugin(elsewhere / "tasks", name, "x = 1\n")
    with pytest.raises(UserError) as caught:
        find_tasks()
    assert len(caught.value.faults) == 2


def test_one_name_twice_in_one_folder_is_a_fault(elsewhere: Path) -> None:
    for folder in ("one", "two"):
        plugin(elsewhere / "tasks", folder, OWN.format(name="same", note="n"))
    with pytest.raises(UserError, match=r"two.task\.py: TASKS = same: another name; .*one has a task of this name"):
        find_tasks()


def test_a_named_folder_must_exist(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALSUITE_TASKS", "no/such/folder")
    with pytest.raises(UserError, match=r"\$EVALSUITE_TASKS = no/such/folder: an existing folder"):
        find_tasks()


def test_a_broken_entry_point_names_itself(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint(name="p", value="no_such_module:TASKS", group="evalsuite.tasks")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: (entry,) if group else ())
    with pytest.raises(UserError, match=r"entry point p = no_such_module:TASKS = ModuleNotFoundError"):
        find_tasks()


# ------------------------------------------------------------------------------------------------------------ cards


def test_a_good_card_has_no_faults() -> None:
    assert check_card(Task(card=card(), to_sample=choice_task(name="x", file="y").to_sample)) == ()


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"name": "Ward-A"}, "name"),
        ({"kind": "mcq"}, "kind"),
        ({"licence": " "}, "licence"),
        ({"citation": ""}, "citation"),
        ({"get_data": ""}, "get_data"),
        ({"split": "dev"}, "split"),
        ({"exemplar_split": "train"}, "exemplar_split"),
        ({"exemplar_split": "test"}, "exemplar_split"),
        ({"exemplar_splits": {"test": "train"}}, "exemplar_splits.test"),
        ({"exemplar_splits": {"dev": "exemplars"}}, "exemplar_splits.dev"),
        ({"exemplar_splits": {"exemplars": "exemplars"}}, "exemplar_split"),
        ({"metric": "f1"}, "metric"),
        ({"metrics": ("accuracy", "accuracy")}, "metric"),
        ({"metrics": ("accuracy", "f1")}, "metrics"),
        ({"metrics": ("accuracy", "rougeL")}, "metrics"),
        ({"kind": "labels", "metrics": ("accuracy", "exact_match")}, "metrics"),
        ({"kind": "text"}, "metrics"),
        ({"language": "xx", "wording": None}, "language"),
        ({"chance": 25.0}, "chance"),
        ({"splits": {"test": Split(n_rows=0), "exemplars": Split(n_rows=1)}}, "splits.test"),
        ({"splits": {"test": Split(n_rows=9, tagged={"t": -1}), "exemplars": Split(n_rows=1)}, "known_issues": {"t": "x"}}, "splits.test"),
        ({"splits": {"test": Split(n_rows=9, excluded={"a": 9}), "exemplars": Split(n_rows=1)}}, "splits.test.excluded"),
        ({"splits": {"test": Split(n_rows=9, tagged={"t": 1}), "exemplars": Split(n_rows=1)}}, "splits.test.tagged"),
        ({"splits": {"test": Split(n_rows=9, hub_split="test"), "exemplars": Split(n_rows=1)}}, "splits.test.hub_split"),
    ],
)
def test_wrong_cards_are_faults(changed: dict[str, Any], key: str) -> None:
    wrong = card(**changed)
    found = check_card(Task(card=wrong, to_sample=choice_task(name="x", file="y").to_sample))
    assert [fault.key for fault in found] == [f"{wrong.name}.{key}"]


def test_metrics_that_fit_are_no_faults() -> None:
    for kind, names in (
        ("choice", ("accuracy", "accuracy_strict")),
        ("labels", ("macro_f1", "accuracy")),
        ("text", ("rougeL", "exact_match")),
    ):
        good = card(kind=kind, metric=names[0], metrics=names)
        assert check_card(Task(card=good, to_sample=choice_task(name="x", file="y").to_sample)) == ()


def test_pool_split() -> None:
    it = card(splits={name: Split(n_rows=None) for name in ("test", "dev", "train", "exemplars")}, exemplar_splits={"dev": "train"})
    assert [pool_split(it, split) for split in ("test", "dev", "train", "exemplars")] == ["exemplars", "train", "exemplars", None]
    assert pool_split(card(exemplar_split=None), "test") is None


# ------------------------------------------------------------------------------------------------------------ own files


def test_a_csv_file_of_ones_own(elsewhere: Path) -> None:
    plugin(
        elsewhere / "tasks",
        "ward",
        """from evalsuite.tasks import choice_task

TASKS = (
    choice_task(
        name="ward_quiz", file="quiz.csv", question="stem", choices=["a", "b", "c"], answer="key", group="patient", id="nr",
        exemplars="shots.csv", n_rows=2,
    ),
)
""",
    )
    folder = elsewhere / "tasks" / "ward"
    (folder / "quiz.csv").write_text("nr,patient,stem,a,b,c,key\n7,p1,Is it é?,yes,no,,B\n8,p1,Which?,one,two,three,c\n", encoding="utf-8")
    (folder / "shots.csv").write_text("nr,patient,stem,a,b,c,key\n1,p2,Why?,so,no,,A\n", encoding="utf-8")
    task = find_tasks()["ward_quiz"]
    first, second = load_split(task, "test", {}).samples
    assert (first.id, first.group, first.choices, first.targets) == ("7", "ward_quiz:p1", ("yes", "no"), (1,))
    assert (second.group, second.choices, second.targets) == ("ward_quiz:p1", ("one", "two", "three"), (2,))
    shots = load_split(task, "exemplars", {}).samples
    assert task.card.wording is not None
    assert right_answer(shots[0], "letters", task.card.wording) == "A"
    assert lay_out(first, "letters", task.card.wording).user == "Question: Is it é?\nA. yes\nB. no\nAnswer:"
    assert task.card.restricted
    (folder / "quiz.csv").write_text("nr,patient,stem,a,b,c,key\n7,p1,Is it?,yes,no,,B\n8,p1,Which?,one,two,three,D\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"quiz\.csv:3: row: the plugin of ward_quiz refuses it: the answer lies outside its 3 choices$"):
        load_split(task, "test", {})
    (folder / "quiz.csv").write_text("nr,patient,stem,a,b,c,key\n7,,Is it?,yes,no,,B\n,p1,Which?,one,two,three,A\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_split(task, "test", {})
    lines = [str(fault).removeprefix(f"{folder / 'quiz.csv'}") for fault in caught.value.faults]
    assert lines == [
        ":2: row: the plugin of ward_quiz refuses it: group is empty (column patient)",
        ":3: row: the plugin of ward_quiz refuses it: id is empty (column nr)",
    ]


@pytest.mark.parametrize("held", ["null", "NaN", '""', '" "'])
@pytest.mark.parametrize("what", ["group", "id"])
def test_rows_without_group_or_id_are_faults_not_one_group(tmp_path: Path, what: str, held: str) -> None:
    options: Any = {what: "p"}
    task = replace(text_task(name="t", file="f.jsonl", **options), folder=tmp_path)
    rows = ['{"question": "q", "answer": "a", "p": 1}', f'{{"question": "Mrs Miller", "answer": "a", "p": {held}}}']
    (tmp_path / "f.jsonl").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_split(task, "test", {})
    assert str(caught.value) == f"{tmp_path / 'f.jsonl'}:2: row: the plugin of t refuses it: {what} is empty (column p)"


def test_an_unknown_option_is_refused_at_once() -> None:
    wrong: Any = {"groups": "patient"}
    with pytest.raises(TypeError, match="did you mean group"):
        choice_task(name="t", file="f.csv", **wrong)
    with pytest.raises(TypeError, match="did you mean group"):
        text_task(name="t", file="f.csv", **wrong)
    assert choice_task(name="t", file="f.csv", group="patient").card.name == "t"


@pytest.mark.parametrize("kind", ["letter", "index0", "index1", "text"])
def test_keys_of_every_kind(tmp_path: Path, kind: Any) -> None:
    held = {"letter": "B", "index0": 1, "index1": 2, "text": "no"}[kind]
    sample = choice_task(name="t", file="f.jsonl", answer_kind=kind).to_sample(
        {"question": "q", "options": ["yes", "no"], "answer": held}, 3
    )
    assert (getattr(sample, "targets", None), getattr(sample, "id", None)) == ((1,), "000003")


def test_fixed_labels() -> None:
    task = choice_task(name="t", file="f.csv", answer="cls", answer_kind="text", labels=["yes", "no"], context="note", language="es")
    assert (task.card.kind, task.card.chance) == ("labels", 0.5)
    sample = task.to_sample({"question": "q", "note": "n", "cls": "no"}, 0)
    assert (getattr(sample, "choices", None), getattr(sample, "targets", None)) == (("yes", "no"), (1,))
    assert task.card.wording is not None
    assert task.card.wording.question == "Pregunta"


def test_text_task_of_ones_own(tmp_path: Path) -> None:
    task = replace(text_task(name="t", file="f.jsonl", question="note", reference="summary", instruction="Shorten."), folder=tmp_path)
    (tmp_path / "f.jsonl").write_text('{"note": "long", "summary": "short"}\n{"note": "x", "summary": ["a", "b"]}\n', encoding="utf-8")
    samples = load_split(task, "test", {}).samples
    assert [sample.references for sample in samples] == [("short",), ("a", "b")]
    assert (task.card.metric, task.card.metrics) == ("rougeL", ("rougeL", "rouge1", "rouge2"))
    assert check_card(task) == ()
    (tmp_path / "f.jsonl").write_text('{"note": "long", "summary": 3}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"f\.jsonl:1"):
        load_split(task, "test", {})
