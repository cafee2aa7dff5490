"""Tasks of lm-evaluation-harness (0.4.x): its YAML, samplers, filters and metrics, with our rendering, engines, store and statistics.

What is theirs: the words of a prompt, the draw of exemplars (seed 1234, its default, in the order of the rows), the filters, the
metrics of a sample and their aggregation. What is ours: tokens (exactly one BOS), requests, statuses, pairing. Conditions stay the
study's: temperature and top_p are never taken from the task; `until` and `max_gen_toks` are, since they are part of the question.
"""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from evalsuite.errors import Fault, UserError
from evalsuite.foreign import Group
from evalsuite.task_sources.lm_eval_metrics import metrics_for
from evalsuite.task_sources.lm_eval_task import KINDS, LmEvalTask, has_choices, kinds_of, shows_the_sample_itself
from evalsuite.task_sources.named import PREFIX
from evalsuite.tasks import Split, Task, TaskCard, TaskKind


def load(names: Sequence[str], include_path: Sequence[Path]) -> dict[str, tuple[Task, ...]]:
    """Tasks of each name, which may be a task, a group, a tag or a glob pattern.

    Raises:
        UserError: see `named.expand`; one fault per name.
    """
    with _quiet():
        index = _index_of(names, include_path)
        found: dict[str, tuple[Task, ...]] = {}
        faults: list[Fault] = []
        for name in names:
            try:
                found[name] = _load_one(name, index)
            except UserError as error:
                faults.extend(error.faults)
    if faults:
        raise UserError(faults)
    return found


def _load_one(name: str, index: Any) -> tuple[Task, ...]:
    matches = index.match_tasks([name]) if "*" in name or "?" in name else [name]
    known = set(index.all_tasks)
    if not matches or any(match not in known for match in matches):
        close = difflib.get_close_matches(name, known, n=5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        allowed = f"no such lm-eval task or group{hint} (`lm-eval ls tasks` lists all)"
        raise UserError(Fault(file="study", key="tasks", value=f"{PREFIX}{name}", allowed=allowed))
    # Some tasks shuffle rows or choices while they load, with the global chance that lm-eval seeds so (its simple_evaluate).
    importlib.import_module("random").seed(0)
    np.random.seed(1234)  # noqa: NPY002 - lm-eval's own seed of NumPy's global chance
    try:
        loaded = index.load(matches)
    except Exception as error:  # a task's YAML and its Python may raise anything; it becomes a fault that names the task
        raise UserError(_load_fault(name, index, error)) from error
    groups = tuple(_group(group) for group in loaded.get("groups", {}).values())
    tasks = []
    for member, task in loaded["tasks"].items():
        _check_runnable(member, task)
        tasks.append(_as_task(member, task, tuple(group for group in groups if f"{PREFIX}{member}" in group.tasks)))
    return tuple(tasks)


def _index_of(names: Sequence[str], include_path: Sequence[Path]) -> Any:
    """An index that knows the names: of the given folders alone if they do, since the shipped tasks take seconds to scan."""
    from lm_eval.tasks import TaskManager

    folders = [str(folder) for folder in include_path]
    try:
        if folders:
            index = TaskManager(include_path=folders, include_defaults=False)
            if set(names) <= set(index.all_tasks):
                return index
        return TaskManager(include_path=folders or None, include_defaults=True)
    except Exception as error:  # a YAML file that its scanner cannot read raises whatever the parser raises
        raise UserError(Fault(file=", ".join(folders) or "lm_eval", key="include_path", value="", allowed=_words(error))) from error


def _load_fault(name: str, index: Any, error: Exception) -> Fault:
    entry = index.task_index.get(name)
    path = getattr(entry, "yaml_path", None)
    file = str(path) if path else f"lm_eval task {name}"
    return Fault(file=file, key="task", value=name, allowed=f"cannot be loaded by lm-eval {version('lm_eval')}: {_words(error)}")


def _words(error: BaseException) -> str:
    """What went wrong in one line: the innermost cause, which names the YAML key or the data set."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:300]}" if lines else type(error).__name__


def _check_runnable(name: str, task: Any) -> None:
    """What this package does not do is refused by name before anything is asked."""
    where = f"lm_eval task {name}"
    if getattr(task, "UNSAFE_CODE", False):
        raise UserError(Fault(file=where, key="unsafe_code", value="true", allowed="a task that does not run code written by the model"))
    if getattr(task, "MULTIMODAL", False):
        raise UserError(Fault(file=where, key="doc_to_image", value="set", allowed="a task of text alone"))
    if task.OUTPUT_TYPE not in KINDS:
        raise UserError(Fault(file=where, key="output_type", value=str(task.OUTPUT_TYPE), allowed=f"one of {', '.join(sorted(KINDS))}"))


def _group(group: Any) -> Group:
    """A group's own means, as far as it reports any; without `aggregate_metric_list` it only gathers tasks."""
    metrics: dict[str, bool] = {}
    # Without a list of its own an entry means every filter of its tasks; a mean of another kind is a function that we do not call.
    held = sorted({ensemble.name for task in group.get_all_tasks() for ensemble in task._filters})
    for entry in group.aggregate_metric_list or ():
        for filter_name in (entry.filter_list or held) if entry.aggregation == "mean" else ():
            metrics[entry.metric if filter_name == "none" else f"{entry.metric},{filter_name}"] = bool(entry.weight_by_size)
    tasks = tuple(dict.fromkeys(f"{PREFIX}{task.task_name}" for task in group.get_all_tasks()))
    return Group(name=f"{PREFIX}{group.name}", tasks=tasks, metrics=metrics)


def _as_task(name: str, task: Any, groups: tuple[Group, ...]) -> Task:
    foreign = LmEvalTask(name=name, task=task, rows_held=getattr(task, "task_docs", None) or list(task.eval_docs), groups=groups)
    metrics = metrics_for(task)
    if not metrics:
        allowed = "at least one metric whose items are numbers, (log-likelihood, weight) or (gold, prediction)"
        raise UserError(Fault(file=f"lm_eval task {name}", key="metric_list", value="", allowed=allowed))
    kind: TaskKind = "choice" if has_choices(task, foreign.rows_held[0]) else "text"
    plain_choice = kind == "choice" and not task.multiple_target
    first = next(iter(metrics))
    split = _eval_split(task)
    shots_split = _shots_split(task)
    card = TaskCard(
        name=f"{PREFIX}{name}",
        kind=kind,
        description=f"Task {name} of lm-evaluation-harness, {task.OUTPUT_TYPE}; prompts, filters and metrics are its own.",
        language="und",
        licence="as its data set states; not read",
        citation=f"lm-evaluation-harness {version('lm_eval')}, task {name}, version {task.VERSION}; data set {task.DATASET_PATH}",
        splits={split: Split(n_rows=None), **({shots_split: Split(n_rows=None)} if shots_split and shots_split != split else {})},
        split=split,
        exemplar_split=shots_split if shots_split != split else None,
        metric=first,
        metrics=(*metrics, *(("accuracy",) if plain_choice else ())),
        chance=None,
        family=f"lm_eval:{task.DATASET_PATH}/{task.DATASET_NAME or ''}",
        known_issues=_known_issues(task, split, shots_split),
        get_data=f"lm-eval loads {task.DATASET_PATH} itself",
        kinds=kinds_of(task),
        form="native",
    )
    return Task(card=card, to_sample=foreign.to_sample, foreign=foreign, metrics=metrics)


def _eval_split(task: Any) -> str:
    config = task.config
    return str(config.test_split or config.validation_split or "test")


def _shots_split(task: Any) -> str | None:
    """The split that its sampler draws from; None where exemplars are written in the YAML or there are none."""
    config = task.config
    named = getattr(task.fewshot_cfg, "split", None) if getattr(task, "fewshot_cfg", None) else None
    return str(named) if named else config.training_split or config.validation_split or None


def _known_issues(task: Any, split: str, shots_split: str | None) -> dict[str, str]:
    issues = {"unpinned": "The data set's revision is whatever lm-eval's YAML names; the rows' fingerprint is recorded."}
    if shows_the_sample_itself(task):
        issues["shows_the_sample_itself"] = "lm-eval could draw a question as its own exemplar; exemplars are refused."
    elif shots_split == split:
        issues["exemplars_of_the_evaluated_split"] = "lm-eval draws exemplars from the evaluated split, leaving only the sample itself out."
    kwargs = task.config.generation_kwargs or {}
    if kwargs.get("do_sample") or float(kwargs.get("temperature") or 0) > 0:
        issues["sampled_by_its_authors"] = "The task's own configuration samples; here the study's temperature counts."
    return issues


@contextmanager
def _quiet() -> Iterator[None]:
    """Its warnings go to the log of who wants them, not between our lines; progress bars of data sets likewise."""
    import datasets

    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        datasets.enable_progress_bars()
