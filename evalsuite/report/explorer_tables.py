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
     "label_mass")
)  # fmt: skip
"""Columns of scores that are looked at."""


def explorer_data(
    scores: pd.DataFrame,
    prompts: pd.DataFrame,
    shown: Mapping[tuple[str, str], Sequence[Sample]],
    design: AnalysisDesign,
    restricted: Collection[str],
    models: Sequence[str],
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

    Returns:
        The tables, rows with disagreements first; None where no answer of a pair exists. Does not depend on the order of the
        rows of `scores` and `prompts`.
    """
    answers = kept_answers(scores, design)
    if not len(answers):
        return None
    answers = answers[[name for name in answers.columns if name in READ]]
    order = [*SAMPLE_KEY[:2], "sample_id", "variant", "strategy", "replicate", "model"]
    merged = answers.merge(prompts[[*ANSWER_KEY, "prompt"]], on=ANSWER_KEY, how="left")
    tasks = tuple(task for task in design.primary_metric if (merged["task"] == task).any())
    strategies = _first(design.primary_strategy, merged["strategy"])
    perturbations = _first(design.primary_perturbation, merged["perturbation"])
    paired = tuple(dict.fromkeys(model for pair in design.pairs for model in pair))
    ranked = {"task": tasks, "strategy": strategies, "perturbation": perturbations, "model": paired}
    codes = pd.DataFrame({name: _codes(merged[name], names) for name, names in ranked.items()}, index=merged.index)
    codes = codes.assign(**{name: merged[name] for name in ("sample_id", "variant", "replicate")})
    # Renditions of one sample stand together, so that what they have in common is compressed.
    at = codes.sort_values(["task", "sample_id", *(name for name in order if name not in ("task", "sample_id"))]).index
    merged, codes = merged.loc[at].reset_index(drop=True), codes.loc[at].reset_index(drop=True)
    hidden = merged["task"].isin(list(restricted)).to_numpy()
    questions, question = _questions(merged, hidden, shown)
    kept = _answers(merged, codes, hidden).assign(question=question)
    rows = pd.concat([_pair_rows(kept, paired, number, pair) for number, pair in enumerate(design.pairs)], ignore_index=True)
    if not len(rows):
        return None
    metrics = tuple(design.metrics[design.primary_metric[task]] for task in tasks)
    rows["outcome"] = outcomes(rows, kept, metrics, design.missing)
    rows["primary"] = (rows["strategy"] == 0) & (rows["perturbation"] == 0)
    return ExplorerData(
        pairs=design.pairs,
        models=paired,
        places=tuple(models.index(model) for model in paired),
        tasks=tuple(
            ExplorerTask(
                name=task,
                metric=metric.name,
                right=metric.best if metric.binary or metric.of_set is not None else None,
                restricted=task in restricted,
            )
            for task, metric in zip(tasks, metrics, strict=True)
        ),
        strategies=strategies,
        perturbations=perturbations,
        missing=design.missing,
        rows=in_reading_order(rows),
        answers=kept,
        questions=questions,
    )


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
    return np.asarray(column.map({name: number for number, name in enumerate(names)}), dtype=np.int64)


def _questions(
    merged: pd.DataFrame, hidden: npt.NDArray[np.bool_], shown: Mapping[tuple[str, str], Sequence[Sample]]
) -> tuple[tuple[Question, ...], npt.NDArray[np.int64]]:
    """The questions in the order of the answers, and the number of each answer's."""
    known = {
        (task, perturbation, sample.id, sample.variant): sample for (task, perturbation), samples in shown.items() for sample in samples
    }
    numbers: dict[tuple[str, str, str, int], int] = {}
    ordinals: dict[str, dict[str, int]] = {}
    questions: list[Question] = []
    index = np.empty(len(merged), dtype=np.int64)
    columns = [merged[name].tolist() for name in (*SAMPLE_KEY, "group", "language")]
    for at, (task, perturbation, sample_id, variant, group, language) in enumerate(zip(*columns, strict=True)):
        key = (task, perturbation, sample_id, int(variant))
        if key not in numbers:
            numbers[key] = len(questions)
            if hidden[at]:
                seen = ordinals.setdefault(task, {})
                name, known_group, sample = str(seen.setdefault(sample_id, len(seen) + 1)), "", None
            else:
                name, known_group, sample = str(sample_id), str(group), known.get(key)
            questions.append(Question(name=name, group=known_group, language=str(language), variant=int(variant), sample=sample))
        index[at] = numbers[key]
    return tuple(questions), index


def _answers(merged: pd.DataFrame, codes: pd.DataFrame, hidden: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """The answers of all models, restricted texts and what was chosen removed whatever the tables hold."""
    kept = codes[["task", "strategy", "perturbation", "model", "replicate"]].copy()
    kept["status"] = _codes(merged["status"], ALL_STATUSES)
    kept["value"] = pd.to_numeric(merged["value"]).astype(float)
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
