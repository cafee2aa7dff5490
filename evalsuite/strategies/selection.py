"""Choosing the prompt under which a model does best, on samples that are not evaluated.

Candidates are templates x exemplar seeds. The one with the best value of the task's metric on a validation split is chosen; of equal ones
the first, and the default template stands first. A missing answer counts as the metric's worst value.

Source: Jeong et al. 2024 (arXiv 2411.04118, arXiv 2411.08870): ten sampled templates beside the default one, ten draws of exemplars, at
most 500 validation samples, the first maximum; and their ablation, in which the base model is asked with the medical model's prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from evalsuite import metrics
from evalsuite.formats import Format, Wording
from evalsuite.metrics import Metric
from evalsuite.prompt_templates import Template, candidate_templates
from evalsuite.strategies.ask import failed_answer
from evalsuite.strategies.base import Beforehand, Context, Prepared, Trial
from evalsuite.strategies.composed import Composed
from evalsuite.strategies.exemplars import Chosen
from evalsuite.strategies.options import FormatOptions
from evalsuite.strategies.together import together
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Failure, Kind, Need, Sample

N_TOGETHER = 5_000
"""Most validation samples, over candidates, that are asked at once: bounds how many prompts are held in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A prompt that may be chosen."""

    template: Template
    """How questions are written."""
    exemplar_seed: int | None
    """Of the draw of its exemplars; None where none are drawn."""
    strategy: Composed
    """Asks with these exemplars."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """How a candidate did."""

    mean: float | None
    """Value of the metric; None where an answer failed."""
    n_missing: int
    """Validation samples without an answer that could be read."""
    n_failed: int
    """Of those, the ones where the engine failed, so that nothing can be said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Won:
    """State of a prepared selection."""

    index: int | None
    """The winner among the candidates; None: undetermined, since validation answers failed."""
    state: Any = None
    """What the winner's own preparation left."""
    wording: Wording | None = None
    """The task's wording under the winner's template, made once, since exemplars are laid out once for the same wording."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selecting:
    """Tries several prompts, then asks with the best."""

    candidates: tuple[Candidate, ...]
    """At least two, in the order in which ties are broken."""
    split: str | None
    """Split on which they are tried; None: the card's own."""
    limit: int
    """Most samples on which each is tried."""
    prompt_from: str | None
    """Registry name of the model whose winner all models are asked with; None: each model's own."""

    @property
    def n_shots(self) -> int:
        """Exemplars per prompt."""
        return self.candidates[0].strategy.n_shots

    @property
    def lender(self) -> str | None:
        """The model that chooses for all."""
        return self.prompt_from

    @property
    def trial(self) -> Trial:
        """What is tried, and on what."""
        return Trial(n_candidates=len(self.candidates), split=self.split, limit=self.limit)

    @property
    def beforehand(self) -> Beforehand:
        """That of its candidates, which differ in templates and seeds alone; which of them answers is not known either."""
        return replace(self.candidates[0].strategy.beforehand, exemplars=True)

    def form_for(self, card: TaskCard) -> Format:
        """The format for such a task.

        Raises:
            ValueError: the parts do not fit such a task or each other.
        """
        inner = self.candidates[0].strategy
        form = inner.form_for(card)
        if form == "native":
            raise ValueError("selection = per_model: a task of another framework brings its own prompts; selection: shared")
        writes = inner.reasoning is not None and inner.choosing is not None
        if writes and inner.lender != self.prompt_from:
            named = f"cot_from = {inner.lender or 'the model itself'}, prompt_from = {self.prompt_from or 'the model itself'}"
            raise ValueError(f"{named}: one model writes the reasoning of exemplars and chooses among them; name it under both, or none")
        return form

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds of the candidates.

        Raises:
            ValueError: as `form_for`.
        """
        self.form_for(card)
        return self.candidates[0].strategy.kinds_for(card)

    def meets(self, card: TaskCard) -> frozenset[Need]:
        """As its candidates, but that prompts and exemplars are what it chooses.

        Raises:
            ValueError: as `form_for`.
        """
        return self.candidates[0].strategy.meets(card) - {"own_prompt", "drawn_exemplars"}

    def prepare(self, context: Context) -> Asking[Prepared]:
        """Every candidate on all validation samples, then the winner's own preparation; in a preview, that of the first candidate."""
        if context.recorded is not None:
            own = {key: value for key, value in context.recorded.items() if key != "selection"}
            index = context.recorded.get("selection", {}).get("winner", 0)
            won = yield from self._prepared(index, replace(context, recorded=own))
            return replace(won, facts=context.recorded)
        samples = context.validation(self.split, self.limit)
        tried: list[Tried] = []
        size = max(1, N_TOGETHER // max(1, len(samples)))
        for start in range(0, len(self.candidates), size):
            tried += yield from together([_try(one, samples, context) for one in self.candidates[start : start + size]])
        winner = first_best(tried, _metric_of(context))
        won = yield from self._prepared(winner, context)
        return replace(won, facts={**won.facts, "selection": self._facts(tried, winner, len(samples), context)})

    def answer(self, sample: Sample, state: Won, context: Context) -> Asking[Answer]:
        """One answer under the winner; none where there is no winner."""
        if state.index is None or state.wording is None:
            why = "the prompt is not chosen yet, since validation answers failed; the next run asks them again"
            return failed_answer([Failure(reason="engine_error", message=why, transient=True)], n_calls=0)
        strategy = self.candidates[state.index].strategy
        return (yield from strategy.answer(sample, state.state, replace(context, wording=state.wording)))

    def _prepared(self, index: int | None, context: Context) -> Asking[Prepared]:
        if index is None:
            return Prepared(state=Won(index=None))
        candidate = self.candidates[index]
        around = _under(candidate, context)
        prepared = yield from candidate.strategy.prepare(around)
        return Prepared(state=Won(index=index, state=prepared.state, wording=around.wording), facts=prepared.facts)

    def _facts(self, tried: Sequence[Tried], winner: int | None, n_samples: int, context: Context) -> dict[str, Any]:
        return {
            "split": self.split or context.validation_split,
            "n_validation": n_samples,
            "metric": _metric_of(context).name,
            "lender": self.prompt_from,
            "winner": winner,
            "candidates": [
                {"template": candidate.template.name, "exemplar_seed": candidate.exemplar_seed, **asdict(one)}
                for candidate, one in zip(self.candidates, tried, strict=True)
            ],
            "templates": {candidate.template.name: asdict(candidate.template) for candidate in self.candidates},
        }


def selecting(build: Callable[[Any], Composed], options: FormatOptions) -> Composed | Selecting:
    """A strategy as its options have it: with one prompt for all models, or choosing among several.

    Args:
        build: makes the strategy with one prompt.
        options: its options.
    """
    if options.selection == "shared":
        return build(options)
    return Selecting(
        candidates=tuple(
            Candidate(
                template=template,
                exemplar_seed=seed,
                strategy=build(options if seed is None else options.model_copy(update={"exemplar_seed": seed})),
            )
            for template in candidate_templates(options.templates)
            for seed in options.seeds
        ),
        split=options.validation,
        limit=options.validation_limit,
        prompt_from=options.prompt_from,
    )


def first_best(tried: Sequence[Tried], metric: Metric) -> int | None:
    """The first of the best candidates; None where any candidate's answers failed, since that one might have been the best."""
    if any(one.mean is None for one in tried):
        return None
    sign = 1 if metric.higher_is_better else -1
    return max(range(len(tried)), key=lambda index: (sign * (tried[index].mean or 0.0), -index))


def value_of(answers: Sequence[Answer], samples: Sequence[Sample], metric: Metric) -> Tried:
    """How one prompt did.

    Args:
        answers: one per sample; those that could not be read count as the metric's worst value.
        samples: the samples, in their own order of choices.
        metric: its mean or, for a set metric, its value over all of them.
    """
    scores = [metrics.score(metric, sample, answer) for sample, answer in zip(samples, answers, strict=True)]
    n_missing = sum(score.value is None for score in scores)
    n_failed = sum(score.status == "failed" for score in scores)
    if n_failed:
        return Tried(mean=None, n_missing=n_missing, n_failed=n_failed)
    if metric.of_set is None:
        mean = math.fsum(metric.worst if score.value is None else score.value for score in scores) / len(scores)
        return Tried(mean=mean, n_missing=n_missing, n_failed=0)
    read = [metrics.reading_of(metric, answer).index for answer in answers]
    targets = np.array([sample.targets[0] for sample in samples], dtype=np.int64)
    predictions = np.array([-1 if index is None else index for index in read], dtype=np.int64)
    n_classes = max(len(sample.choices) for sample in samples)
    return Tried(mean=metric.of_set(targets, predictions, n_classes), n_missing=n_missing, n_failed=0)


def _try(candidate: Candidate, samples: Sequence[Sample], context: Context) -> Asking[Tried]:
    """Ask all validation samples with one candidate, after a preparation of its own."""
    strategy, around = candidate.strategy, _under(candidate, context)
    fixed = strategy.choosing is not None and strategy.choosing.by == "fixed" and strategy.reasoning is None
    if not fixed:
        # Exemplars that are the same for all are tried as they will be shown; all others are those of the validation samples.
        bare = tuple(replace(sample, targets=(), references=(), quantity=None) for sample in samples)
        around = replace(around, questions=lambda: bare)
    prepared = yield from strategy.prepare(around)
    answers = yield from together([strategy.answer(sample, _without_own(prepared.state, sample), around) for sample in samples])
    return value_of(answers, samples, _metric_of(context))


def _without_own(chosen: Chosen, sample: Sample) -> Chosen:
    """What a validation sample is shown: where it would be shown itself, the next exemplar of the draw stands in."""
    own = any(shot.sample.group == sample.group for shot in chosen.for_all)
    return replace(chosen, for_all=()) if own else chosen


def _under(candidate: Candidate, context: Context) -> Context:
    return replace(context, wording=replace(context.wording, template=candidate.template))


def _metric_of(context: Context) -> Metric:
    if context.metric is None:
        raise ValueError("prompts are chosen by a metric, and there is none here")
    return context.metric
