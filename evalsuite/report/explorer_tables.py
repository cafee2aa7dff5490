"""What the explorer of report.html shows: every answer of both models of a pair, side by side, on the metric they are compared on.

Three tables that refer to each other by number: rows (one compared answer of a pair), answers (one model's) and questions (as
shown). `explorer_packing` turns them into the compressed parts of the page. Of restricted tasks nothing is kept but status, value and
outcome; their samples are numbered, since an id may name a patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.columns import rows_of
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import MISSING_STATUSES
from evalsuite.types import STATUSES, Sample

OUTCOMES = ("a_better", "b_better", "both_right", "both_wrong", "equal", "not_counted")
"""How the comparison counts a row: `both_right` and `both_wrong` of right-or-wrong metrics, `equal` of all others; `not_counted`: it
leaves the comparison (refused, failed, asked of one side only, or missing under the rule `drop`)."""

ALL_STATUSES = (*STATUSES, "absent")
"""Statuses of an answer, and `absent` where this model has none."""

NO_NUMBER = -1
"""Stands for no answer, no position and no prompt in the tables of numbers."""

SAMPLE_KEY = ["task", "perturbation", "sample_id", "variant"]
ANSWER_KEY = [*SAMPLE_KEY, "strategy", "replicate", "model"]
TEXTS = ("prompt", "output", "answer")
READ = frozenset(
    (*ANSWER_KEY, *TEXTS, "group", "language", "status", "value", "p_choices", "finish_reason", "votes", "shown_position", "n_calls",
     "label_mass", "metric")
)  # fmt: skip
"""Columns of scores that are looked at."""

Ints = npt.NDArray[np.int64]


def explorer_data(
    scores: pd.DataFrame,
    prompts: pd.DataFrame,
    shown: Mapping[tuple[str, str], Sequence[Sample]],
    design: AnalysisDesign,
    restricted: Collection[str],
    models: Sequence[str],
    n_rows: int | None = None,
) -> ExplorerData | None:
    """Pair the answers of a study for reading.

    Args:
        scores: columns of scores.parquet; only rows of the metric that a task is compared on are used.
        prompts: of plan.parquet the columns of `ANSWER_KEY` and `prompt` (null: restricted, or nothing was sent), or in its place
            what stands for it until `with_prompts` puts it in.
        shown: (task, perturbation) to the samples as shown; one that is not here has no choices and no question to show.
        design: the analysis: pairs, metrics, the rule for missing answers, samples left out.
        restricted: tasks whose texts never leave their files.
        models: all models of the study in its order, which decides their colours.
        n_rows: most rows; those beyond are counted, and nothing is made of what only they need. None: all.

    Returns:
        The tables, rows with disagreements first; None where no answer of a pair exists. Does not depend on the order of the
        rows of `scores` and `prompts`.
    """
    answers = kept_answers(scores[[name for name in scores.columns if name in READ]], design)
    if not len(answers):
        return None
    ordered = _ordered(answers, design)
    kept = ordered.codes
    rows = pd.concat([_pair_rows(kept, ordered.models, number, pair) for number, pair in enumerate(design.pairs)], ignore_index=True)
    if not len(rows):
        return None
    metrics = tuple(design.metrics[design.primary_metric[task]] for task in ordered.tasks)
    rows["outcome"] = outcomes(rows, kept, metrics, design.missing)
    rows["primary"] = (rows["strategy"] == 0) & (rows["perturbation"] == 0)
    rows = in_reading_order(rows)
    n_kept = len(rows) if n_rows is None else min(n_rows, len(rows))
    beyond = rows["outcome"].to_numpy()[n_kept:]
    # Texts last, and of the rows that are kept alone: those of all may be more than memory holds.
    rows, used, asked = first_of(rows, n_kept)
    kept = kept.take(used).reset_index(drop=True)
    own = answers.take(ordered.at[used]).reset_index(drop=True)
    own = own.assign(prompt=own[ANSWER_KEY].merge(prompts[[*ANSWER_KEY, "prompt"]], on=ANSWER_KEY, how="left")["prompt"])
    hidden = own["task"].isin(list(restricted)).to_numpy()
    return ExplorerData(
        pairs=design.pairs,
        models=ordered.models,
        places=tuple(models.index(model) for model in ordered.models),
        tasks=tuple(
            ExplorerTask(
                name=task,
                metric=metric.name,
                right=metric.best if metric.binary or metric.of_set is not None else None,
                restricted=task in restricted,
            )
            for task, metric in zip(ordered.tasks, metrics, strict=True)
        ),
        strategies=ordered.strategies,
        perturbations=ordered.perturbations,
        missing=design.missing,
        rows=rows,
        answers=_answers(own, kept, hidden).assign(question=np.searchsorted(asked, kept["question"].to_numpy())),
        questions=_questions(own, np.searchsorted(kept["question"].to_numpy(), asked), kept["ordinal"].to_numpy(), hidden, shown),
        n_beyond=len(beyond),
        n_apart_beyond=int((beyond < 2).sum()),
    )


def first_of(rows: pd.DataFrame, n_rows: int) -> tuple[pd.DataFrame, Ints, Ints]:
    """The first rows, with answers and questions numbered among those that they need; and the old numbers of these, ascending.

    Args:
        rows: as `ExplorerData.rows`, in reading order.
        n_rows: how many are kept.
    """
    rows = rows.iloc[:n_rows]
    sides = rows[["a", "b"]].to_numpy()
    used, asked = np.unique(sides[sides != NO_NUMBER]), np.unique(rows["question"].to_numpy())
    numbers = {side: np.where(rows[side] == NO_NUMBER, NO_NUMBER, np.searchsorted(used, rows[side])) for side in "ab"}
    return rows.assign(**numbers, question=np.searchsorted(asked, rows["question"].to_numpy())), used, asked


def kept_answers(scores: pd.DataFrame, design: AnalysisDesign) -> pd.DataFrame:
    """Rows of the models of a pair on the metric of the task's comparison, without the samples left out by name."""
    own = scores["metric"] == scores["task"].map(dict(design.primary_metric))
    paired = scores["model"].isin({model for pair in design.pairs for model in pair})
    left_out = {(entry.task, entry.sample_id) for entry in design.exclude}
    rows = scores[own & paired]
    if left_out:
        rows = rows[[name not in left_out for name in zip(rows["task"], rows["sample_id"], strict=True)]]
    return rows.reset_index(drop=True)


def with_prompts(data: ExplorerData, texts: Callable[[npt.NDArray[np.int64]], Sequence[str | None]]) -> ExplorerData:
    """The tables with prompts in place of the numbers that stood for them.

    Args:
        data: `answers.prompt` holds numbers, None where there is none.
        texts: gives the prompts of ascending numbers, in their order.
    """
    there = np.flatnonzero(data.answers["prompt"].notna().to_numpy())
    numbers = data.answers["prompt"].to_numpy()[there].astype(np.int64)
    order = np.argsort(numbers, kind="stable")
    prompts = np.full(len(data.answers), None, dtype=object)
    prompts[there[order]] = texts(numbers[order])
    return replace(data, answers=data.answers.assign(prompt=pd.Series(prompts, index=data.answers.index, dtype=object)))


def outcomes(rows: pd.DataFrame, answers: pd.DataFrame, metrics: Sequence[Metric], missing: str) -> npt.NDArray[np.int64]:
    """Numbers in `OUTCOMES` of rows, as `stats.tables.pair_units` counts their answers.

    Args:
        rows: task, a and b (numbers of answers, -1: none).
        answers: status and value by number.
        metrics: by number of the task.
        missing: `incorrect` or `drop`.
    """
    task = rows["task"].to_numpy()
    worst, best = (np.array([getattr(metric, name) for metric in metrics])[task] for name in ("worst", "best"))
    better = np.where([metric.higher_is_better for metric in metrics], 1.0, -1.0)[task]
    binary = np.array([metric.binary or metric.of_set is not None for metric in metrics])[task]
    ruled = np.isin(np.arange(len(ALL_STATUSES)), [ALL_STATUSES.index(status) for status in MISSING_STATUSES])
    values = []
    for side in "ab":
        number = rows[side].to_numpy()
        status = np.where(number == NO_NUMBER, ALL_STATUSES.index("absent"), answers["status"].to_numpy()[number])
        value = np.where(status == 0, answers["value"].to_numpy()[number], np.nan)
        if missing == "incorrect":
            value = np.where(ruled[status] & np.isfinite(worst), worst, value)
        values.append(value)
    a, b = values
    # The same tolerance as in `stats.compare.mean_numbers`.
    noise = 1e-12 * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))
    difference = np.where(np.abs(a - b) <= noise, 0.0, (a - b) * better)
    same = np.where(binary & (a == best), 2, np.where(binary & (a == worst), 3, 4))
    counted = np.isfinite(a) & np.isfinite(b)
    return np.asarray(np.where(~counted, 5, np.where(difference > 0, 0, np.where(difference < 0, 1, same))), dtype=np.int64)


def in_reading_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Disagreements first, those of the primary cell before others; then by pair, task, condition and sample."""
    keys = rows.assign(agrees=rows["outcome"] > 1, secondary=~rows["primary"])
    by = ["agrees", "secondary", "pair", "task", "strategy", "perturbation", "question", "replicate"]
    return keys.sort_values(by, kind="stable").drop(columns=["agrees", "secondary"]).reset_index(drop=True)


def _first(name: str, column: pd.Series[str]) -> tuple[str, ...]:
    return (name, *sorted(set(column.unique()) - {name}))


def _codes(column: pd.Series[str], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The number of each entry in `names`, in which all of them are; looked up once for each that there is."""
    codes, known = pd.factorize(column)
    if (codes < 0).any():
        raise ValueError(f"an answer without {column.name}")
    return np.array([names.index(name) for name in known], dtype=np.int64)[codes]


def _ordered(answers: pd.DataFrame, design: AnalysisDesign) -> Ordered:
    """Names as numbers, and the order of the answers; of `answers`, see `kept_answers`."""
    tasks = tuple(task for task in design.primary_metric if (answers["task"] == task).any())
    strategies = _first(design.primary_strategy, answers["strategy"])
    perturbations = _first(design.primary_perturbation, answers["perturbation"])
    paired = tuple(dict.fromkeys(model for pair in design.pairs for model in pair))
    ranked = {"task": tasks, "strategy": strategies, "perturbation": perturbations, "model": paired}
    codes = {name: _codes(answers[name], names) for name, names in ranked.items()}
    codes |= {name: answers[name].to_numpy() for name in ("variant", "replicate")} | {"status": _codes(answers["status"], ALL_STATUSES)}
    codes["sample_id"] = pd.factorize(answers["sample_id"], sort=True)[0]
    # Renditions of one sample stand together, so that what they have in common is compressed.
    order = ["task", "sample_id", "perturbation", "variant", "strategy", "replicate", "model"]
    at = np.lexsort([codes[name] for name in reversed(order)])
    table = pd.DataFrame({name: column[at] for name, column in codes.items()})
    table["value"] = pd.to_numeric(answers["value"]).to_numpy(dtype=float, na_value=math.nan)[at]
    new = {name: np.diff(table[name].to_numpy(), prepend=-1) != 0 for name in order}
    new_sample = new["task"] | new["sample_id"]
    n_samples = np.cumsum(new_sample)
    # Numbered from 1 within the task.
    begins = np.flatnonzero(new["task"])
    table["ordinal"] = n_samples - np.repeat(n_samples[begins] - 1, np.diff(np.append(begins, len(table))))
    table["question"] = np.cumsum(new_sample | new["perturbation"] | new["variant"]) - 1
    return Ordered(codes=table, at=at, tasks=tasks, strategies=strategies, perturbations=perturbations, models=paired)


def _questions(
    answers: pd.DataFrame, first: Ints, ordinals: Ints, hidden: npt.NDArray[np.bool_], shown: Mapping[tuple[str, str], Sequence[Sample]]
) -> tuple[Question, ...]:
    """The questions of answers in order; `first` is the place of each one's first answer, `ordinals` the number of each answer's sample."""
    own = answers.take(first)
    keys = list(zip(*(own[name].tolist() for name in SAMPLE_KEY), strict=True))
    wanted = set(keys)
    known = {
        key: sample
        for (task, perturbation), samples in shown.items()
        for sample in samples
        if (key := (task, perturbation, sample.id, sample.variant)) in wanted
    }
    columns = zip(keys, own["group"].tolist(), own["language"].tolist(), ordinals[first].tolist(), hidden[first].tolist(), strict=True)
    return tuple(
        Question(
            name=str(ordinal) if secret else str(key[2]),
            group="" if secret else str(group),
            language=str(language),
            variant=int(key[3]),
            sample=None if secret else known.get(key),
        )
        for key, group, language, ordinal, secret in columns
    )


def _answers(merged: pd.DataFrame, codes: pd.DataFrame, hidden: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """The answers of all models, restricted texts and what was chosen removed whatever the tables hold."""
    kept = codes[["task", "strategy", "perturbation", "model", "replicate", "status", "value"]].copy()
    for name in (*TEXTS, "p_choices", "finish_reason", "votes"):
        column = pd.Series(rows_of(merged[name]) if name in merged else None, index=merged.index, dtype=object)
        kept[name] = column.where(column.notna() & ~hidden, None)
    for name, missing in (("shown_position", NO_NUMBER), ("n_calls", 0), ("label_mass", math.nan)):
        column = pd.to_numeric(merged[name]) if name in merged else pd.Series(math.nan, index=merged.index)
        kept[name] = column.astype(float).where(~hidden).fillna(missing)
    return kept


def _pair_rows(answers: pd.DataFrame, models: Sequence[str], number: int, pair: tuple[str, str]) -> pd.DataFrame:
    """One row per question, strategy and replicate that either model of a pair has an answer to."""
    on = ["task", "strategy", "perturbation", "question", "replicate"]
    sides = []
    for side, model in zip("ab", pair, strict=True):
        own = answers[answers["model"] == models.index(model)]
        sides.append(own[on].assign(**{side: own.index.to_numpy()}))
    joined = sides[0].merge(sides[1], on=on, how="outer")
    return joined.assign(**{side: joined[side].fillna(NO_NUMBER).astype(np.int64) for side in "ab"}, pair=number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ordered:
    """The answers of a study, by question, names as numbers."""

    codes: pd.DataFrame
    """task, sample_id, perturbation, variant, strategy, replicate, model, status, value, ordinal (of the sample in its task, from 1) and
    question (from 0), in order."""
    at: Ints
    """Row of each in the table that they were taken from."""
    tasks: tuple[str, ...]
    """What `task` counts in."""
    strategies: tuple[str, ...]
    """What `strategy` counts in."""
    perturbations: tuple[str, ...]
    """What `perturbation` counts in."""
    models: tuple[str, ...]
    """What `model` counts in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplorerTask:
    """What a reader must know of a task to read its rows."""

    name: str
    """Task name."""
    metric: str
    """Metric of the comparison."""
    right: float | None
    """Value of a right answer; None where values are not only right or wrong."""
    restricted: bool
    """True where no text may be shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One rendition of one sample."""

    name: str
    """Sample id; of restricted tasks a number from 1."""
    group: str
    """Group; empty for restricted tasks."""
    language: str
    """ISO 639-1 code."""
    variant: int
    """Number of the rendition."""
    sample: Sample | None
    """The sample as shown; None for restricted tasks, or where it is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplorerData:
    """Everything that the explorer shows, before it is packed."""

    pairs: tuple[tuple[str, str], ...]
    """(a, b), in the order of the study; `rows.pair` counts in it."""
    models: tuple[str, ...]
    """The models of the pairs; `answers.model` counts in it."""
    places: tuple[int, ...]
    """Place of each of them among all models of the study, from 0."""
    tasks: tuple[ExplorerTask, ...]
    """Tasks that have rows; `task` counts in it."""
    strategies: tuple[str, ...]
    """Strategy ids, the primary one first."""
    perturbations: tuple[str, ...]
    """Perturbation ids, the primary one first."""
    missing: str
    """`incorrect` or `drop`: what an answer that could not be read counts as."""
    rows: pd.DataFrame
    """pair, task, strategy, perturbation, replicate, question, a and b (numbers of answers, -1: none), outcome (number in
    `OUTCOMES`), primary (bool); disagreements first."""
    answers: pd.DataFrame
    """question, task, strategy, perturbation, model, replicate, status (number in `ALL_STATUSES`), value (NaN unless scored), prompt,
    output, answer, p_choices (in shown order), finish_reason, shown_position (-1: none), n_calls, label_mass, votes (as `Answer.votes`); by
    question."""
    questions: tuple[Question, ...]
    """By number."""
    n_beyond: int = 0
    """Further rows that were left out from the end of the reading order."""
    n_apart_beyond: int = 0
    """Those of them on which the models disagree."""
