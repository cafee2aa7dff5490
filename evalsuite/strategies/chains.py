"""Self-generated chains of thought: a model reasons about questions of the exemplar pool; what arrives at the label becomes an exemplar.

Source: Nori et al. 2023 (arXiv 2311.16452), "self-generated chain of thought" with label verification; before them Zhang et al. 2022
(Auto-CoT, arXiv 2210.03493) and Zelikman et al. 2022 (STaR, arXiv 2203.14465).

Chains are generated only for pool questions that some evaluated question needs: candidates are tried in order of preference until as
many as wanted are kept. That gives exactly the exemplars that generating all chains first would give, for a fraction of the work.

Whether a chain arrived is decided by `verified`. Questions whose key is itself in doubt verify nothing and are passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from evalsuite import answers, formats
from evalsuite.choice_orders import drawn_orders, refers_to_order, reordered
from evalsuite.metrics.quantities import is_within
from evalsuite.metrics.text import rouge
from evalsuite.seeds import derive_seed
from evalsuite.strategies.ask import ask
from evalsuite.strategies.base import Context
from evalsuite.strategies.exemplars import Candidates, Choosing, Chosen, Exemplar, Question, in_order, question_of
from evalsuite.strategies.together import together
from evalsuite.types import Asking, Failure, Reading, Sample

TEXT_THRESHOLD = 0.5
"""Free text has no label to equal: a chain is kept whose answer reaches this ROUGE-L against the closest reference. To filter by a score
is ReST's rule (Gulcehre et al. 2023, arXiv 2308.08998); the number is ours and stands in the facts."""

DOUBTFUL_KEYS = ("key_", "conflicting_labels")
"""Beginnings of the tags that say that a sample's key may be wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoning:
    """How chains of thought come about."""

    source: str | None = None
    """Registry name of the model that writes them for all; None: each model writes its own."""
    attempts: int = 1
    """Most attempts per question; from the second on the choices stand in another order, since greedy decoding would repeat itself.
    A question without choices, or whose choices refer to each other, is tried again only above temperature 0."""


Verdict = Literal["kept", "wrong", "unread"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """What became of one question of the pool."""

    verdict: Verdict | None
    """`kept`: it arrived at the label; `wrong`: elsewhere, or at two answers; `unread`: no answer could be read, since it was cut off or
    too long for the model's context. None: it could not be generated."""
    exemplar: Exemplar | None = None
    """Kept: the question in the order in which it was reasoned about, and the reasoning with its answer line."""
    failure: Failure | None = None
    """Why it could not be generated."""
    n_attempts: int = 1
    """Attempts that were made."""
    truncated: bool = False
    """Unread because it was cut off at the token limit."""
    bare: bool = False
    """Kept although nothing but the answer was written."""


@dataclass(slots=True)
class _Search:
    """How far the exemplars of one question are found."""

    question: Sample
    rest: Iterator[int]  # candidates that were not looked at yet
    held: list[int] = field(default_factory=list)  # looked at and not ruled out, the preferred first
    kept: list[Exemplar] = field(default_factory=list)
    failure: Failure | None = None


def chained(
    choosing: Choosing, reasoning: Reasoning, candidates: Candidates, questions: Sequence[Sample], context: Context
) -> Asking[tuple[Chosen, Mapping[str, Any]]]:
    """Exemplars with chains of thought for every question, and the facts of how they came about.

    Args:
        choosing: how many, and in which order they are shown.
        reasoning: how often a question is tried.
        candidates: of each question, the preferred first.
        questions: what exemplars are wanted for.
        context: of the model that writes the chains.

    Returns:
        The exemplars, and the facts: of the pool's questions how many were asked (`n_asked`), and of those the chains that were kept,
        arrived elsewhere, could not be read (of which cut off at the token limit: `n_truncated`) and failed; kept ones that hold no
        reasoning (`n_bare`); questions asked more than once (`n_regenerated`) and attempts in all; questions passed over because their
        key is in doubt (`n_doubtful`); evaluated questions, and those that got fewer exemplars than wanted because the pool was
        exhausted (`n_short`). Of free text also the threshold.
    """
    pool, chains, doubtful = context.pool(), dict[int, Chain](), set[int]()
    searches = {
        question_of(question): _Search(question=question, rest=_sound(candidates(question, choosing.n), pool, doubtful))
        for question in questions
    }
    active = list(searches.values())
    while active:
        wanted: set[int] = set()
        unfinished = []
        for search in active:
            missing = _advance(search, choosing.n, pool, chains)
            wanted.update(missing)
            if missing:
                unfinished.append(search)
        active = unfinished
        positions = sorted(wanted)
        made = yield from together([_chain(pool[position], reasoning.attempts, context) for position in positions])
        chains.update(zip(positions, made, strict=True))
    facts = _facts(reasoning, choosing, chains, searches, len(doubtful))
    if context.card.kind == "text":
        facts["rougeL_at_least"] = TEXT_THRESHOLD
    return _chosen(choosing, searches), facts


def _sound(candidates: Iterable[int], pool: Sequence[Sample], doubtful: set[int]) -> Iterator[int]:
    """Candidates whose key is not in doubt; the others are noted."""
    for position in candidates:
        if any(tag.startswith(DOUBTFUL_KEYS) for tag in pool[position].tags):
            doubtful.add(position)
        else:
            yield position


def _advance(search: _Search, n: int, pool: Sequence[Sample], chains: Mapping[int, Chain]) -> list[int]:
    """Go on with a search as far as the known chains reach.

    Of a group one chain is kept: the preferred. Another candidate of the group waits until that one turns out not to be kept.

    Returns:
        Positions whose chains must be known to go further; empty once the search has ended.
    """
    taken = {search.question.group: True}  # group -> whether for certain, or until a chain is known
    missing: list[int] = []
    held: list[int] = []
    kept: list[Exemplar] = []
    for position in itertools.chain(search.held, search.rest):
        chain, group = chains.get(position), pool[position].group
        if taken.get(group) or (chain is not None and chain.verdict in ("wrong", "unread")):
            continue
        held.append(position)
        if group in taken:
            continue
        if chain is not None and chain.failure is not None:
            # Fewer than wanted stand before it, so that it would be looked at whatever becomes of them.
            search.failure = chain.failure
            return []
        taken[group] = chain is not None
        if chain is None:
            missing.append(position)
        elif chain.exemplar is not None:
            kept.append(chain.exemplar)
        if len(missing) + len(kept) == n:
            break
    search.held, search.kept = held, kept
    return missing


def _chosen(choosing: Choosing, searches: Mapping[Question, _Search]) -> Chosen:
    return Chosen(
        by_question={name: in_order(search.kept, choosing) for name, search in searches.items() if search.failure is None},
        failed={name: search.failure for name, search in searches.items() if search.failure is not None},
    )


def _facts(
    reasoning: Reasoning, choosing: Choosing, chains: Mapping[int, Chain], searches: Mapping[Question, _Search], n_doubtful: int
) -> dict[str, Any]:
    made = chains.values()
    return {
        "source": reasoning.source or "self",
        "n_asked": len(chains),
        "n_kept": sum(chain.verdict == "kept" for chain in made),
        "n_bare": sum(chain.bare for chain in made),
        "n_wrong": sum(chain.verdict == "wrong" for chain in made),
        "n_unread": sum(chain.verdict == "unread" for chain in made),
        "n_truncated": sum(chain.truncated for chain in made),
        "n_failed": sum(chain.failure is not None for chain in made),
        "n_regenerated": sum(chain.n_attempts > 1 for chain in made),
        "n_attempts": sum(chain.n_attempts for chain in made),
        "n_doubtful": n_doubtful,
        "n_questions": len(searches),
        "n_short": sum(search.failure is None and len(search.kept) < choosing.n for search in searches.values()),
    }


def _chain(sample: Sample, attempts: int, context: Context) -> Asking[Chain]:
    """The first of several attempts whose answer is the label."""
    verdict: Verdict = "unread"
    truncated = False
    n = 0
    for shown in _renditions(sample, attempts, context):
        answer = yield from ask(shown, (), "reasoned", context, draw=n)
        n += 1
        if answer.reading.status == "failed":
            # Scored again in the next run, which asks what failed anew.
            failure = Failure(reason="engine_error", message=f"a chain of thought of an exemplar: {answer.failure}", transient=True)
            return Chain(verdict=None, failure=failure, n_attempts=n)
        truncated = answer.reading.status == "truncated"
        if answer.reading.status != "scored":
            verdict = "unread"
            continue
        said = answers.without_thinking(answer.output or "", context.thinking)
        written = answers.taken_apart(formats.read_as_default(said, shown, context.wording), shown, context.wording)
        if verified(shown, (answer.reading, *(line.reading for line in written.answers))):
            exemplar = Exemplar(sample=shown, answer=chain_text(written, shown, answer.reading, context.wording))
            return Chain(verdict="kept", exemplar=exemplar, n_attempts=n, bare=not written.reasoning)
        verdict = "wrong"
    return Chain(verdict=verdict, n_attempts=n, truncated=truncated)


def _renditions(sample: Sample, attempts: int, context: Context) -> Iterator[Sample]:
    """The question as it is, then in other orders of its choices; one that cannot be re-ordered is asked again only where draws differ."""
    yield sample
    if attempts == 1:
        return
    if len(sample.choices) < 2 or refers_to_order(sample):
        yield from [sample] * (attempts - 1 if context.decoding.temperature > 0 else 0)
        return
    identity = tuple(range(len(sample.choices)))
    seed = derive_seed(context.seed, "chains", context.card.name, sample.id)
    orders = [order for order in drawn_orders(len(sample.choices), attempts, seed) if order != identity]
    yield from (reordered(sample, order, sample.variant) for order in orders[: attempts - 1])


def verified(sample: Sample, readings: Iterable[Reading]) -> bool:
    """Whether a chain arrived at the label, wherever it gave an answer.

    Choices: all the right ones and no other. Quantities: within the limits of the metric. Free text: ROUGE-L of `TEXT_THRESHOLD` or more.

    Args:
        sample: with what is right.
        readings: of the answer that counts and of every line that answers; one that contradicts itself or says otherwise verifies nothing.
    """
    return all(_is_right(sample, reading) for reading in readings)


def _is_right(sample: Sample, reading: Reading) -> bool:
    if reading.status != "scored":
        return False
    if sample.choices:
        read = () if reading.index is None else (reading.index, *reading.also)
        return bool(read) and set(read) == set(sample.targets)
    if sample.quantity is not None:
        return is_within(sample, reading) == 1.0
    return any(rouge("rougeL", reference, reading.text or "") >= TEXT_THRESHOLD for reference in sample.references)


def chain_text(written: answers.Written, sample: Sample, reading: Reading, wording: formats.Wording) -> str:
    """The assistant's turn of an exemplar: the reasoning word for word, and below it the answer in one line.

    The line gives the right answer as any exemplar does; of a quantity the value that the reasoning arrived at, which may differ from the
    reference within the limits, so that reasoning and answer agree.
    """
    line = formats.right_answer(sample, "reasoned", wording)
    if sample.quantity is not None and reading.text is not None:
        for value in (reading.text, reading.text.replace(".", ",")):
            named = replace(sample, references=(f"{value} {sample.quantity.unit}".rstrip(),))
            own = formats.right_answer(named, "reasoned", wording)
            kept = answers.read_reasoned_strict(formats.contract_as_default(own, sample, wording), sample, wording)
            line = own if kept.text == reading.text else line
    return f"{written.reasoning}\n{line}" if written.reasoning else line
