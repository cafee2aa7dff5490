"""Which exemplars a question is shown: the same for all, drawn for each, or its nearest neighbours in the exemplar pool.

Candidates come in an order of preference; the first that qualify are taken, at most one of a group and never one of the question's
own. Sources: few-shot prompting, Brown et al. 2020 (arXiv 2005.14165); nearest neighbours as exemplars, Liu et al. 2022 (arXiv
2101.06804), as used by Nori et al. 2023 (arXiv 2311.16452), who put the nearest last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evalsuite.embedders.neighbours import Wanted, embedding_text
from evalsuite.embedders.similarity import nearest_dense
from evalsuite.seeds import derive_seed
from evalsuite.strategies.base import Context
from evalsuite.types import Asking, Failure, Outcome, Request, Response, Sample

N_SPARE = 8
"""Neighbours that are looked up beyond those wanted, for candidates that do not qualify."""

Chooser = Literal["fixed", "random", "knn"]
Question = tuple[str, str, str, tuple[str, ...]]
"""What names a question here: perturbations make several of one sample, and random draws depend on its id."""
Candidates = Callable[[Sample, int], Iterable[int]]
"""(question, at least so many) -> positions in the pool, the preferred first; fewer only where the pool is exhausted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemplar:
    """A question that is shown with its answer."""

    sample: Sample
    """The question, as shown."""
    answer: str | None = None
    """What the assistant's turn says; None: the right answer in the format."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choosing:
    """How exemplars are chosen."""

    n: int
    """Exemplars per prompt, at least 1."""
    by: Chooser
    """`fixed`: one draw for all; `random`: a draw for each sample; `knn`: the nearest of each question."""
    seed: int = 0
    """`exemplar_seed` of the study; part of the seed of both draws."""
    embedder: str = "tfidf"
    """`knn`: what makes questions comparable; `self`: the model's own mean hidden state."""
    shows: Literal["question", "question_and_choices"] = "question"
    """`knn`: what is compared."""
    nearest_first: bool = False
    """`knn`: the nearest stands first instead of last, next to the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Exemplars by question; a question that is not among them gets what its draw gives."""

    by_question: Mapping[Question, tuple[Exemplar, ...]] = field(default_factory=dict)
    """In the order shown."""
    for_all: tuple[Exemplar, ...] = ()
    """Those of every question, where all get the same."""
    failed: Mapping[Question, Failure] = field(default_factory=dict)
    """Questions whose exemplars could not be found, and why."""
    by_seed: dict[int, tuple[Exemplar, ...]] = field(default_factory=dict, repr=False, compare=False)
    """Fixed draws under other seeds, made when they are first shown."""

    def under_seed(self, sample: Sample, pool: Sequence[Sample], choosing: Choosing, context: Context) -> tuple[Exemplar, ...]:
        """What a sample is shown under another seed of a drawn choice; the same objects for all samples of a fixed draw.

        Raises:
            ValueError: as `drawn`.
        """
        if choosing.by != "fixed":
            return drawn(sample, pool, choosing, context)
        if choosing.seed not in self.by_seed:
            self.by_seed[choosing.seed] = drawn(sample, pool, choosing, context)
        return self.by_seed[choosing.seed]


def question_of(sample: Sample) -> Question:
    """The name of a sample's question."""
    return (sample.id, sample.context, sample.question, sample.choices)


def failures_as_facts(failed: Mapping[Question, Failure], questions: Sequence[Sample]) -> dict[str, list[list[object]]]:
    """Which questions have no exemplars, by their number, and why: for the facts of a preparation; empty if all have."""
    numbered = [(number, failed.get(question_of(question))) for number, question in enumerate(questions)]
    found: list[list[object]] = [[number, failure.reason, failure.message] for number, failure in numbered if failure is not None]
    return {"failed": found} if found else {}


def failures_again(recorded: Iterable[Sequence[Any]], questions: Sequence[Sample]) -> dict[Question, Failure]:
    """The failures of `failures_as_facts`, for the same questions."""
    return {
        question_of(questions[number]): Failure(reason=reason, message=message, transient=True)
        for number, reason, message in recorded
        if number < len(questions)
    }


def qualifying(sample: Sample, pool: Sequence[Sample], candidates: Iterable[int]) -> Iterator[int]:
    """Candidates of groups that are not the sample's own and not yet taken; the caller takes what it needs."""
    groups = {sample.group}
    for position in candidates:
        group = pool[position].group
        if group not in groups:
            groups.add(group)
            yield position


def shown(positions: Sequence[int], pool: Sequence[Sample], choosing: Choosing) -> tuple[Exemplar, ...]:
    """Chosen positions as exemplars without texts of their own, in the order shown."""
    return in_order([Exemplar(sample=pool[position]) for position in positions], choosing)


def in_order(preferred: Sequence[Exemplar], choosing: Choosing) -> tuple[Exemplar, ...]:
    """Exemplars, the preferred first, in the order shown: neighbours with the nearest last unless the study says otherwise."""
    turned = choosing.by == "knn" and not choosing.nearest_first
    return tuple(reversed(preferred)) if turned else tuple(preferred)


def drawn(sample: Sample, pool: Sequence[Sample], choosing: Choosing, context: Context) -> tuple[Exemplar, ...]:
    """Exemplars of a fixed or random draw; for neighbours, which are then not known, those of the fixed draw stand in.

    Raises:
        ValueError: the pool holds fewer groups than exemplars are wanted, which is found before anything runs.
    """
    candidates = drawn_candidates(pool, choosing, context)
    positions = list(islice(qualifying(sample, pool, candidates(sample, choosing.n)), choosing.n))
    if len(positions) < choosing.n:
        raise ValueError(f"{choosing.n} exemplars wanted, the pool holds {len(positions)} groups")
    return shown(positions, pool, choosing)


def drawn_candidates(pool: Sequence[Sample], choosing: Choosing, context: Context) -> Candidates:
    """Candidates in random order: one order for all questions, or one for each sample.

    The seed does not name the strategy, so that strategies with one exemplar seed show the same exemplars.
    """
    parts = ("few_shot", context.card.name, choosing.seed)
    if choosing.by == "random":

        def own(sample: Sample, n: int) -> Iterator[int]:
            del n
            return random_positions(len(pool), derive_seed(context.seed, *parts, sample.id))

        return own
    order: list[int] = np.random.default_rng(derive_seed(context.seed, *parts)).permutation(len(pool)).tolist()

    def same(sample: Sample, n: int) -> Iterable[int]:
        del sample, n
        return order

    return same


def random_positions(n_pool: int, seed: int) -> Iterator[int]:
    """All positions of a pool in random order, lazily: a few of a large pool cost no permutation of it."""
    rng = np.random.default_rng(seed)
    seen: set[int] = set()
    while 2 * len(seen) < n_pool:
        position = int(rng.integers(n_pool))
        if position not in seen:
            seen.add(position)
            yield position
    rest = [position for position in range(n_pool) if position not in seen]
    yield from (rest[index] for index in rng.permutation(len(rest)).tolist())


def candidates_for(
    choosing: Choosing, pool: Sequence[Sample], questions: Sequence[Sample], context: Context
) -> Asking[tuple[Candidates, Mapping[Question, Failure]]]:
    """Candidates of every question; asks only where the model's own hidden states are compared.

    Returns:
        The candidates, and the questions whose hidden state could not be had.
    """
    if choosing.by != "knn":
        return drawn_candidates(pool, choosing, context), {}
    if choosing.embedder == "self":
        return (yield from _own_candidates(choosing, pool, questions, context))
    if context.nearest is None:
        raise ValueError("nothing looks neighbours up here")
    look_up = context.nearest

    def table(n_nearest: int) -> npt.NDArray[np.int32]:
        return look_up(Wanted(embedder=choosing.embedder, shows=choosing.shows, n_nearest=n_nearest), pool, questions)

    return _from_table(table, len(pool), questions), {}


def _own_candidates(
    choosing: Choosing, pool: Sequence[Sample], questions: Sequence[Sample], context: Context
) -> Asking[tuple[Candidates, Mapping[Question, Failure]]]:
    texts = [embedding_text(sample, choosing.shows) for sample in (*pool, *questions)]
    outcomes = yield [Request(kind="embed", prompt=context.renderer.render_whole(text)) for text in texts]
    of_pool, of_questions = outcomes[: len(pool)], outcomes[len(pool) :]
    # A pool sample that the model cannot read is nobody's neighbour. One that a further run may read could be anybody's.
    awaited = next((o for o in of_pool if isinstance(o, Failure) and o.transient and o.reason != "too_long"), None)
    by_question = {question_of(question): awaited or outcome for question, outcome in zip(questions, of_questions, strict=True)}
    failed = {question: outcome for question, outcome in by_question.items() if isinstance(outcome, Failure)}
    able = [position for position, outcome in enumerate(of_pool) if isinstance(outcome, Response)]

    def table(n_nearest: int) -> npt.NDArray[np.int32]:
        found = nearest_dense(_states(of_pool), _states(of_questions), n_nearest)
        return np.asarray(able, dtype=np.int32)[found]

    read = [question for question, outcome in zip(questions, of_questions, strict=True) if isinstance(outcome, Response)]
    return _from_table(table, len(able), read), failed


def _states(outcomes: Sequence[Outcome]) -> npt.NDArray[np.float32]:
    """Hidden states of those that were read, a row each; there is one at least."""
    return np.stack([np.frombuffer(outcome.vector, dtype="<f4") for outcome in outcomes if isinstance(outcome, Response)])


def _from_table(table: Callable[[int], npt.NDArray[np.int32]], n_pool: int, questions: Sequence[Sample]) -> Candidates:
    """Candidates out of a table of neighbours, which is made anew, four times as wide, when it is too narrow."""
    rows = {question_of(question): row for row, question in enumerate(questions)}
    held: list[npt.NDArray[np.int32]] = []

    def candidates(sample: Sample, n: int) -> Iterator[int]:
        wanted = min(n + N_SPARE, n_pool)
        start = 0
        while start < n_pool:
            if not held or held[-1].shape[1] < wanted:
                held[:] = [table(wanted)]
            row = held[-1][rows[question_of(sample)]]
            # One at a time: thousands of questions wait in the middle of their rows, which may be as long as the pool.
            yield from map(int, row[start:])
            start = len(row)
            wanted = min(4 * start, n_pool)

    return candidates
