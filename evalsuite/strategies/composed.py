"""A strategy made of parts: exemplars, reasoning, an ensemble. Every strategy but `native` is one of these with some parts left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from evalsuite.formats import Format
from evalsuite.strategies.ask import ask, failed_answer
from evalsuite.strategies.ask_foreign import ask_foreign
from evalsuite.strategies.base import Beforehand, Context, Prepared, Trial
from evalsuite.strategies.chains import Reasoning, chained
from evalsuite.strategies.dialogues import ask_twice
from evalsuite.strategies.ensembles import Ensemble, ask_members, check_fit
from evalsuite.strategies.exemplars import (
    Choosing,
    Chosen,
    Exemplar,
    candidates_for,
    drawn,
    failures_again,
    failures_as_facts,
    qualifying,
    question_of,
    shown,
)
from evalsuite.strategies.manners import context_under
from evalsuite.strategies.options import KIND_OF_FORMAT, FormatOptions
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Kind, Need, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """Exemplars x reasoning x ensemble; a part that is None is left out."""

    form: FormatOptions
    """How samples are asked."""
    choosing: Choosing | None = None
    """Exemplars."""
    reasoning: Reasoning | None = None
    """The model thinks before it answers; exemplars then show chains of thought."""
    ensemble: Ensemble | None = None
    """Members that vote."""

    @property
    def n_shots(self) -> int:
        """Exemplars per prompt."""
        return 0 if self.choosing is None else self.choosing.n

    @property
    def lender(self) -> str | None:
        """The model that writes the chains of thought for all."""
        return None if self.reasoning is None or self.choosing is None else self.reasoning.source

    @property
    def trial(self) -> Trial | None:
        """There is one prompt."""
        return None

    @property
    def beforehand(self) -> Beforehand:
        """Chains of thought and neighbours."""
        if self.choosing is None:
            return Beforehand()
        searched = self.choosing.by == "knn"
        return Beforehand(
            n_attempts=0 if self.reasoning is None else self.reasoning.attempts,
            embeds=searched and self.choosing.embedder == "self",
            exemplars=searched or self.reasoning is not None,
        )

    def form_for(self, card: TaskCard) -> Format:
        """The format for such a task.

        Raises:
            ValueError: the parts do not fit such a task.
        """
        form = self.form.form_for(card)
        if form == "native":
            if self.reasoning or self.ensemble or (self.choosing and self.choosing.by == "knn"):
                raise ValueError("a task of another framework brings its own prompts: zero_shot, few_shot or native")
            return form
        drawn_anew = self.ensemble is not None and self.ensemble.by == "samples"
        if self.reasoning is not None:
            form = "reasoned"
        elif drawn_anew and self.form.format == "auto":
            form = "generate"
        if self.ensemble is not None:
            check_fit(self.ensemble, form, card)
        return form

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds of the format and of the preparation.

        Raises:
            ValueError: as `form_for`.
        """
        form = self.form_for(card)
        if form == "native":
            return card.kinds
        own: frozenset[Kind] = frozenset({"embed"}) if self.choosing and self.choosing.embedder == "self" else frozenset()
        direct: frozenset[Kind] = frozenset({"next"}) if self.ensemble and self.ensemble.letters_runs else frozenset()
        return own | direct | {KIND_OF_FORMAT[form]}

    def meets(self, card: TaskCard) -> frozenset[Need]:
        """What its form, its ensemble and its exemplars allow.

        Raises:
            ValueError: as `form_for`.
        """
        form = self.form_for(card)
        if form == "native":
            return frozenset()
        met: set[Need] = {"own_prompt"}
        met |= {"listed"} if form != "cloze" else set()
        met |= {"dialogue"} if self.ensemble is None else set()
        met |= {"written"} if form == "generate" and (self.ensemble is None or self.ensemble.by == "samples") else set()
        drawn_by_seed = self.choosing is not None and self.choosing.by != "knn" and self.reasoning is None
        return frozenset(met | ({"drawn_exemplars"} if drawn_by_seed else set()))

    def prepare(self, context: Context) -> Asking[Prepared]:
        """Exemplars of every question, with their chains of thought."""
        choosing = self.choosing
        if choosing is None or self.form_for(context.card) == "native":
            return Prepared(state=Chosen())
        pool = context.pool()
        if choosing.by == "fixed" and self.reasoning is None:
            first = context.questions()
            return Prepared(state=Chosen(for_all=drawn(first[0], pool, choosing, context) if first else ()))
        if context.recorded is not None or (choosing.by == "random" and self.reasoning is None):
            recorded = context.recorded or {}
            failed_then = failures_again(recorded.get("failed", ()), context.questions()) if recorded else {}
            return Prepared(state=Chosen(failed=failed_then), facts=recorded)
        questions = context.questions()
        candidates, failed = yield from candidates_for(choosing, pool, questions, context)
        facts: dict[str, Any] = {}
        if choosing.by == "knn":
            facts["neighbours"] = {"embedder": choosing.embedder, "n_pool": len(pool), "n_questions": len(questions)}
        able = [question for question in questions if question_of(question) not in failed]
        if self.reasoning is not None:
            chosen, facts["chains"] = yield from chained(choosing, self.reasoning, candidates, able, context)
            failed = {**failed, **chosen.failed}
            return Prepared(state=replace(chosen, failed=failed), facts={**facts, **failures_as_facts(failed, questions)})
        by_question = {}
        for question in able:
            positions = qualifying(question, pool, candidates(question, choosing.n))
            nearest = [position for position, _ in zip(positions, range(choosing.n), strict=False)]
            by_question[question_of(question)] = shown(nearest, pool, choosing)
        return Prepared(state=Chosen(by_question=by_question, failed=failed), facts={**facts, **failures_as_facts(failed, questions)})

    def answer(self, sample: Sample, state: Chosen, context: Context) -> Asking[Answer]:
        """One answer, by one request or by the vote of several."""
        form = self.form_for(context.card)
        if form == "native":
            return (yield from ask_foreign(sample, self.n_shots, context))
        # What stands first in the prompt has the exemplars.
        opening = sample if sample.dialogue is None else sample.dialogue.first
        failure = state.failed.get(question_of(opening)) if state.failed else None
        if failure is not None:
            return failed_answer([failure], n_calls=0)
        shots = self._shots(opening, state, context)
        normalisation = self.form.normalisation or "byte"
        if sample.dialogue is not None:
            answer = yield from ask_twice(sample, sample.dialogue, shots, form, context, normalisation)
        elif self.ensemble is None:
            answer = yield from ask(sample, shots, form, context_under(sample, context), normalisation)
        else:
            answer = yield from ask_members(sample, shots, form, self.ensemble, context_under(sample, context))
        # An answer has many fields, and a copy takes as long as asking without exemplars does.
        return replace(answer, exemplars=tuple(shot.sample.id for shot in shots)) if shots else answer

    def _shots(self, sample: Sample, state: Chosen, context: Context) -> tuple[Exemplar, ...]:
        if self.choosing is None:
            return ()
        if sample.manner is not None and sample.manner.exemplar_seed is not None:
            return state.under_seed(sample, context.pool(), replace(self.choosing, seed=sample.manner.exemplar_seed), context)
        found = state.for_all or state.by_question.get(question_of(sample))
        # What is not known is stood in for by a draw: in previews, and where answers are recalled and nothing is sent.
        return drawn(sample, context.pool(), self.choosing, context) if found is None else found
