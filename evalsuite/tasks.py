"""Tasks: the card, the plugin contract, and finding plugins. A plugin is `tasks/<folder>/task.py` that defines `TASKS`.

Look-up order, first wins by task name: `tasks/` of the working directory, the folder $EVALSUITE_TASKS, entry points of
the group `evalsuite.tasks`, the bundled plugins. Nothing registers itself on import.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict, Unpack, get_args

from evalsuite.cards import Split as Split
from evalsuite.cards import Task as Task
from evalsuite.cards import TaskCard as TaskCard
from evalsuite.cards import TaskKind as TaskKind
from evalsuite.cards import pool_split as pool_split
from evalsuite.cards import validation_split as validation_split
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.formats import WORDINGS, default_wording
from evalsuite.metrics import METRICS
from evalsuite.plugin_files import import_file
from evalsuite.rows import AnswerKind, read_name
from evalsuite.rows import Row as Row
from evalsuite.rows import RowError as RowError
from evalsuite.rows import read_cell as read_cell
from evalsuite.rows import read_choices as read_choices
from evalsuite.rows import read_key as read_key
from evalsuite.rows import stem_name as stem_name
from evalsuite.types import Sample


class Options(TypedDict, total=False):
    """What `choice_task` and `text_task` take beside the columns. All optional."""

    split: str
    """Name of the evaluated split; `test`."""
    exemplars: str
    """File of the exemplars, with the same columns; no exemplars if left out."""
    n_rows: int
    """Exact number of rows of `file`; unchecked if left out."""
    context: str
    """Column of a passage that is shown before the question."""
    id: str
    """Column of a unique id; the row's number if left out."""
    group: str
    """Column of what ties rows together (patient, case): the unit of resampling; each row its own if left out."""
    labels: Sequence[str]
    """`choice_task`: the same choices for every row, instead of `choices`."""
    instruction: str
    """Stands once before the first question."""
    language: str
    """ISO 639-1; `en`."""
    metric: str
    """Default metric; `accuracy`, or `rougeL` for text."""
    metrics: Sequence[str]
    """All metrics; the default metric, and for text also rouge1 and rouge2."""
    restricted: bool
    """False: samples may be shown in reports. True if left out, since a file of one's own may hold patients' text."""
    description: str
    """What is asked."""
    licence: str
    """Licence of the data."""
    citation: str
    """Where the data are from."""
    known_issues: Mapping[str, str]
    """As on the card; `duplicate_choices` allows rows that hold one choice text twice."""


def choice_task(
    *,
    name: str,
    file: str,
    question: str = "question",
    choices: str | Sequence[str] = "options",
    answer: str = "answer",
    answer_kind: AnswerKind = "letter",
    **options: Unpack[Options],
) -> Task:
    """A multiple-choice or label task over one file beside the plugin (.jsonl, .jsonl.gz, .csv, .parquet).

    Args:
        name: task name.
        file: file name.
        question: column of the stem.
        choices: one column that holds a list, an object by letter, or either as JSON text; or the columns of the choices in order, of which
            the last ones may be empty.
        answer: column of the key.
        answer_kind: how the key is given.
        options: see `Options`.

    Raises:
        TypeError: an option or an `answer_kind` that is not known, with the nearest that is.
    """
    columns = ("name", "file", "question", "choices", "answer", "answer_kind")
    _check_options("choice_task", options, (*columns, *Options.__annotations__))
    if answer_kind not in get_args(AnswerKind):
        raise TypeError(f"choice_task has no answer_kind {answer_kind!r}; {nearest(str(answer_kind), get_args(AnswerKind))}")
    labels = tuple(options.get("labels", ()))

    def to_sample(row: Row, number: int) -> Sample:
        keys, texts = (labels, labels) if labels else read_choices(row, choices)
        target = read_key(read_cell(row, answer), answer_kind, keys, texts)
        return replace(_bare_sample(row, number, name, question, options), choices=texts, targets=(target,))

    kind: TaskKind = "labels" if labels else "choice"
    return Task(card=_own_card(name, file, kind, 1 / len(labels) if labels else None, options), to_sample=to_sample)


def text_task(*, name: str, file: str, question: str = "question", reference: str = "answer", **options: Unpack[Options]) -> Task:
    """A free-text task over one file beside the plugin.

    Args:
        name: task name.
        file: file name.
        question: column of the text that is worked on.
        reference: column of the right text, or of a list of right texts.
        options: see `Options`, without `labels`.

    Raises:
        TypeError: an option that is not known, with the nearest that is.
    """
    known = [option for option in Options.__annotations__ if option != "labels"]
    _check_options("text_task", options, ("name", "file", "question", "reference", *known))

    def to_sample(row: Row, number: int) -> Sample:
        held = read_cell(row, reference)
        right = held if isinstance(held, list) else [held]
        if not all(isinstance(text, str) for text in right):
            raise RowError(f"{reference} is neither a text nor a list of texts")
        return replace(_bare_sample(row, number, name, question, options), references=tuple(right))

    return Task(card=_own_card(name, file, "text", None, options), to_sample=to_sample)


def check_card(task: Task) -> tuple[Fault, ...]:
    """What is wrong with a card, one fault each."""
    where, name = str(task.folder / "task.py") if task.folder else "task", task.card.name
    return tuple(Fault(file=where, key=f"{name}.{key}", value=value, allowed=allowed) for key, value, allowed in _card_faults(task.card))


def find_tasks(extra: Path | None = None) -> dict[str, Task]:
    """All tasks by name, sorted: of `extra`, then in the module's look-up order; the first of a name wins.

    Args:
        extra: a further folder of plugins that precedes all others.

    Raises:
        UserError: plugins that cannot be imported (file and line), hold no TASKS, share a name within one folder, or whose cards are wrong.
    """
    named = os.environ.get("EVALSUITE_TASKS", "")
    if named and not Path(named).is_dir():
        raise UserError(Fault(file="$EVALSUITE_TASKS", key="", value=named, allowed="an existing folder, or unset"))
    faults: list[Fault] = []
    found: dict[str, Task] = {}
    places = [*([extra] if extra else ()), Path("tasks"), *([Path(named)] if named else ()), None, _bundled()]
    seen: set[Path] = set()
    for place in places:
        if place is None:
            loaded = _from_entry_points(faults)
        elif place.is_dir() and place.resolve() not in seen:
            seen.add(place.resolve())
            loaded = _from_folder(place.resolve(), faults)
        else:
            continue
        for name, task in loaded.items():
            found.setdefault(name, task)
    if faults:
        raise UserError(faults)
    return dict(sorted(found.items()))


def _bundled() -> Path:
    """The plugins of an installed wheel, else those of the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "bundled" / "tasks"
    return installed if installed.is_dir() or not (package.parent / "pyproject.toml").is_file() else package.parent / "tasks"


def _from_folder(place: Path, faults: list[Fault]) -> dict[str, Task]:
    loaded: dict[str, Task] = {}
    for file in sorted(place.glob("[!._]*/task.py")):
        module = import_file(file, f"evalsuite_task_{file.parent.name}", faults)
        for task in _tasks_of(module, str(file), faults) if module else ():
            _add(replace(task, folder=task.folder or file.parent), str(file), loaded, faults)
    return loaded


def _from_entry_points(faults: list[Fault]) -> dict[str, Task]:
    loaded: dict[str, Task] = {}
    for entry in sorted(importlib.metadata.entry_points(group="evalsuite.tasks"), key=lambda entry: (entry.name, entry.value)):
        where = f"entry point {entry.name} = {entry.value}"
        try:
            module = entry.load()
        except Exception as error:  # noqa: BLE001 - an installed plugin may raise anything; it becomes a fault that names the plugin
            faults.append(Fault(file=where, key="", value=type(error).__name__, allowed="a module that can be imported"))
            continue
        file = getattr(sys.modules.get(entry.module), "__file__", None)
        folder = Path(file).parent if file else None
        for task in _tasks_of(module, where, faults):
            _add(replace(task, folder=task.folder or folder), where, loaded, faults)
    return loaded


def _add(task: Task, where: str, loaded: dict[str, Task], faults: list[Fault]) -> None:
    name = task.card.name
    if name in loaded:
        faults.append(Fault(file=where, key="TASKS", value=name, allowed=f"another name; {loaded[name].folder} has a task of this name"))
        return
    loaded[name] = task
    faults.extend(check_card(task))


def _tasks_of(module: Any, where: str, faults: list[Fault]) -> tuple[Task, ...]:
    tasks = getattr(module, "TASKS", None) if isinstance(module, ModuleType) else module
    if isinstance(tasks, tuple | list) and tasks and all(isinstance(task, Task) for task in tasks):
        return tuple(tasks)
    wrong = "missing" if tasks is None else type(tasks).__name__
    faults.append(Fault(file=where, key="TASKS", value=wrong, allowed="a tuple of evalsuite.tasks.Task, e.g. TASKS = (choice_task(...),)"))
    return ()


def _card_faults(card: TaskCard) -> Iterator[tuple[str, str, str]]:
    """(key, value, allowed) of each fault of a card."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", card.name):
        yield "name", card.name, "lower-case letters, digits and underscores"
    if card.kind not in get_args(TaskKind):
        yield "kind", card.kind, f"one of {', '.join(get_args(TaskKind))}"
    for key in ("description", "licence", "citation", "get_data"):
        if not getattr(card, key).strip():
            yield key, "", "a sentence"
    splits = ", ".join(card.splits) or "none"
    named = [("split", card.split), ("exemplar_split", card.exemplar_split)]
    named += [(f"exemplar_splits.{split}", name) for pair in card.exemplar_splits.items() for split, name in (pair, (pair[0], pair[0]))]
    for key, value in named:
        if value is not None and value not in card.splits:
            yield key, value, f"one of the card's splits: {splits}"
    if card.exemplar_split == card.split or any(split == name for split, name in card.exemplar_splits.items()):
        yield "exemplar_split", str(card.exemplar_split), "another split than the evaluated one"
    if card.metric not in card.metrics or len(set(card.metrics)) < len(card.metrics):
        yield "metric", card.metric, f"one of metrics, each named once: {', '.join(card.metrics)}"
    yield from _metric_faults(card)
    if card.language not in WORDINGS and card.wording is None:
        yield "language", card.language, f"one of {', '.join(WORDINGS)}, or a wording of the card's own"
    if card.chance is not None and not 0 <= card.chance <= 1:
        yield "chance", str(card.chance), "a share in [0, 1]"
    for name, split in card.splits.items():
        yield from _split_faults(name, split, card)


def _metric_faults(card: TaskCard) -> Iterator[tuple[str, str, str]]:
    """Metrics that would fail only after the models have answered: unknown ones, and those of another kind of task."""
    applies = {"choice": "choice", "labels": "choice", "text": "text", "quantity": "quantity"}.get(card.kind)
    fitting = [name for name, metric in METRICS.items() if applies in (None, metric.applies)]
    if card.several:
        # Their table of counts has one class per answer.
        fitting = [name for name in fitting if METRICS[name].of_set is None]
    for name in dict.fromkeys(card.metrics):
        if name not in METRICS:
            yield "metrics", name, nearest(name, fitting)
        elif name not in fitting:
            kinds = f"{METRICS[name].applies} tasks, not those of kind {card.kind}"
            what = "one right choice, not several" if METRICS[name].applies == applies else kinds
            yield "metrics", name, f"scores {what}; known: {', '.join(fitting)}"


def _split_faults(name: str, split: Split, card: TaskCard) -> Iterator[tuple[str, str, str]]:
    counts = [*split.excluded.values(), *split.tagged.values()]
    if (split.n_rows is not None and split.n_rows < 1) or any(n < 0 for n in counts):
        yield f"splits.{name}", str(split.n_rows), "a positive number of rows, no negative counts"
    elif split.n_rows is not None and sum(split.excluded.values()) >= split.n_rows:
        yield f"splits.{name}.excluded", str(sum(split.excluded.values())), f"fewer than the {split.n_rows} rows"
    for tag in sorted(set(split.tagged) - set(card.known_issues)):
        yield f"splits.{name}.tagged", tag, "a name among known_issues"
    if split.hub_split and not card.hub_id:
        yield f"splits.{name}.hub_split", split.hub_split, "a card with a hub_id"


def _check_options(function: str, options: Mapping[str, object], known: Sequence[str]) -> None:
    """`Options` binds only who checks types: a misspelt `group` would make every row its own group, and every interval too narrow."""
    for option, value in options.items():
        if option not in known:
            raise TypeError(f"{function} has no option {option}; {nearest(option, known)}")
        if option in ("labels", "metrics") and isinstance(value, str):
            raise TypeError(f"{function}: {option} is one text; a list of texts is needed")


def _own_card(name: str, file: str, kind: TaskKind, chance: float | None, options: Options) -> TaskCard:
    """Card of a task over a file of one's own."""
    split, language = options.get("split", "test"), options.get("language", "en")
    metric = options.get("metric", "rougeL" if kind == "text" else "accuracy")
    splits = {split: Split(n_rows=options.get("n_rows"), file=file)}
    if "exemplars" in options:
        splits["exemplars"] = Split(n_rows=None, file=options["exemplars"])
    others = ("rougeL", "rouge1", "rouge2") if kind == "text" else ()
    return TaskCard(
        name=name,
        kind=kind,
        description=options.get("description", f"A task of your own over {file}."),
        language=language,
        licence=options.get("licence", "not stated"),
        citation=options.get("citation", "not stated"),
        splits=splits,
        split=split,
        exemplar_split="exemplars" if "exemplars" in options else None,
        metric=metric,
        metrics=tuple(options.get("metrics", dict.fromkeys((metric, *others)))),
        chance=chance if metric == "accuracy" else None,
        restricted=options.get("restricted", True),
        known_issues=options.get("known_issues", {}),
        get_data=f"put {file} beside the plugin",
        wording=replace(default_wording(language), instruction=options.get("instruction", "")),
    )


def _bare_sample(row: Row, number: int, name: str, question: str, options: Options) -> Sample:
    """Everything of a sample but choices and references."""
    texts = [read_cell(row, question), read_cell(row, options["context"]) if "context" in options else ""]
    if not all(isinstance(text, str) for text in texts):
        raise RowError("question or context is no text")
    sample_id = read_name(row, options["id"], "id") if "id" in options else f"{number:06d}"
    group = read_name(row, options["group"], "group") if "group" in options else sample_id
    return Sample(
        id=sample_id,
        group=f"{name}:{group}",
        question=texts[0].strip(),
        context=texts[1].strip(),
        language=options.get("language", "en"),
    )
