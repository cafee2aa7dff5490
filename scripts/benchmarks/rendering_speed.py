"""What it costs to make a request: laying a sample out, the chat template, tokenizing, and the ids of what may follow.

Questions from the facts of the pocket checkpoints, rendered for the pocket tokenizer by the strategies themselves: the first wave of every
question's program. Beside each stands the bare tokenizer over the same texts, `encode_batch`: what it would cost if nothing but that were
done, and nothing twice. Texts that many prompts share are tokenized once, so that ours can lie below it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claims import Claim
from evalsuite import perturbations, pocket, strategies
from evalsuite.config import Study
from evalsuite.embedders.neighbours import Wanted
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.plan import Refused, variants_of
from evalsuite.plugins import load_specs
from evalsuite.programs import context_of
from evalsuite.prompts import Renderer, open_renderer
from evalsuite.strategies.base import Context
from evalsuite.tasks import find_tasks
from evalsuite.types import Request, Sample
from evalsuite.waves import Answered, Asked, drive

N_QUESTIONS, N_POOL = 300, 300
SHORT, LONG = 340, 2_900
"""Characters of a question's background: about 150 and 900 tokens of the pocket tokenizer."""

MOST = 1.5
"""Times the bare tokenizer that a request may cost: laying out, the template and the ids of what may follow are half of it at most."""

needs: tuple[str, ...] = ()
"""What is missing for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is asked of how many words in which way."""

    name: str
    """In the table."""
    strategy: str = "zero_shot"
    """Name of the strategy."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its options, as in study.yaml."""
    perturbation: str = "none"
    """What makes the renditions that are asked."""
    n_characters: int = SHORT
    """Of each question's background."""


CASES = (
    Case(name="letters, 150 tokens"),
    Case(name="letters, 900 tokens", n_characters=LONG),
    Case(name="letters, 150 tokens, all cyclic shifts", perturbation="cyclic_shift"),
    Case(name="cloze, 150 tokens", options={"format": "cloze"}),
    Case(name="written, 150 tokens", options={"format": "generate"}),
    Case(name="letters, 5 fixed shots", strategy="few_shot", options={"shots": 5}),
    Case(name="letters, 5 nearest shots", strategy="few_shot", options={"shots": 5, "exemplars": "knn"}),
    Case(name="letters, 5 orders, 5 nearest shots", strategy="choice_shuffle", options={"shots": 5, "exemplars": "knn"}),
)


def measure(n_repeats: int) -> Iterator[Claim]:
    """Microseconds of processor time per prompt, the least of the repeats on both sides.

    Args:
        n_repeats: how often each case is made anew, with a renderer that has seen nothing.
    """
    for case in CASES:
        samples = shown(case)
        pool = questions(N_POOL, seed=1, n_characters=case.n_characters)
        strategy = built(strategies, case.strategy, case.options)
        ours, peer, requests = [], [], list[Request]()
        for _ in range(n_repeats):
            renderer = opened()
            context = around(renderer, samples, pool)
            state = prepared(strategy, context)
            took, requests = clocked(lambda: first_wave(strategy, samples, state, context))  # noqa: B023 (called at once)
            ours.append(took)
            texts = [request.prompt.text for request in requests]
            tokenizer = renderer.encoder.tokenizer.backend_tokenizer  # type: ignore[attr-defined]  # a checkpoint's
            peer.append(clocked(lambda: [tuple(one.ids) for one in tokenizer.encode_batch(texts, add_special_tokens=False)])[0])  # noqa: B023
        n = len(requests)
        n_tokens = sum(len(request.prompt.token_ids) for request in requests) / n
        bare = min(peer) / n * 1e6
        yield Claim(
            case=f"rendering: {case.name}",
            ours=min(ours) / n * 1e6,
            peer=round(bare, 1),
            target=round(MOST * bare, 1),
            at_most=True,
            unit="us",
            detail=f"{n:,} prompts of {n_tokens:.0f} tokens on average; beside it the bare tokenizer over the same texts",
        )


def clocked(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of all threads, and what came back."""
    started = time.process_time()
    found = call()
    return time.process_time() - started, found


def first_wave(strategy: Any, samples: Sequence[Sample], state: Any, context: Context) -> list[Request]:
    """What the programs of all samples ask first."""
    return [request for sample in samples for request in next(strategy.answer(sample, state, context))]


def built(package: Any, name: str, options: Mapping[str, Any]) -> Any:
    """A strategy or perturbation from its name and options."""
    spec = load_specs(package)[name]
    return spec.build(spec.options.model_validate(options))


def opened() -> Renderer:
    """A renderer for the pocket generalist that has seen nothing."""
    folder = Path(pocket.__file__).parent / "checkpoints" / "pocket-generalist"
    return open_renderer(Checkpoint(name="pocket", path=str(folder), fingerprint="0" * 64), ChatEntry(), _study().prompting)


def around(renderer: Renderer, samples: Sequence[Sample], pool: Sequence[Sample]) -> Context:
    """What strategies know: the card of a task of four choices, and neighbours that are drawn, since looking them up is no part of this."""
    task = find_tasks()["medqa"]
    context = context_of(_study(), ChatEntry(), task, renderer, lambda: pool)
    return replace(context, questions=lambda: samples, nearest=_drawn_neighbours)


def prepared(strategy: Any, context: Context) -> Any:
    """The state that a strategy's answers need; it asks nothing."""

    def nobody(wave: Sequence[Asked[Any]]) -> Sequence[Answered]:
        raise RuntimeError(f"{len(wave)} requests before the first question")

    (finished,) = drive([("prepare", strategy.prepare(context))], nobody)
    return finished.result.state


def shown(case: Case) -> list[Sample]:
    """The renditions that a case asks."""
    samples = questions(N_QUESTIONS, seed=0, n_characters=case.n_characters)
    perturb = built(perturbations, case.perturbation, {})
    return [one for one in variants_of(samples, perturb, seed=0) if not isinstance(one, Refused)]


def questions(n: int, seed: int, n_characters: int) -> tuple[Sample, ...]:
    """Questions with four choices behind a background of drawn facts; groups of different seeds differ."""
    lines = (Path(pocket.__file__).parent / "facts.jsonl").read_text(encoding="utf-8").splitlines()
    facts = [(row["relation"], row["subject"]["en"], row["answer"]["en"]) for row in map(json.loads, lines)]
    rng = np.random.default_rng(seed)
    answers = sorted({answer for _, _, answer in facts})
    made = []
    for number in range(n):
        text = ""
        while len(text) < n_characters:
            relation, subject, answer = facts[int(rng.integers(len(facts)))]
            text += f"The {relation} of {subject} is {answer}. "
        relation, subject, _ = facts[int(rng.integers(len(facts)))]
        choices = tuple(answers[place] for place in rng.choice(len(answers), 4, replace=False))
        name = f"{seed}.{number}"
        question = f"{text}What is the {relation} of {subject}?"
        made.append(Sample(id=name, group=name, question=question, choices=choices, targets=(int(rng.integers(4)),)))
    return tuple(made)


def _study() -> Study:
    """A study's conditions at their defaults."""
    return Study.model_validate(
        {"study": "rendering", "question": "How long?", "models": ["pocket"], "tasks": ["medqa"], "strategies": ["zero_shot"]}
    )


def _drawn_neighbours(wanted: Wanted, pool: Sequence[Sample], asked: Sequence[Sample]) -> npt.NDArray[np.int32]:
    """Rows of different positions of the pool, the nearest first."""
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(len(pool))[: wanted.n_nearest] for _ in asked]).astype(np.int32)
