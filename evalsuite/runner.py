"""Running a plan: asks the engine for what the store does not hold, and journals every outcome as it arrives.

The one impure step. Models run one after another; a model whose answers are all in the store is never loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from evalsuite.engines import open_engine
from evalsuite.engines.base import Engine, EngineInfo, Metered, Spent
from evalsuite.plan import Item, Plan, PlannedModel, context_tokens, tokens_needed
from evalsuite.programs import Preparation, answers_of, n_programs, prepare_all
from evalsuite.prompts import renderer_for
from evalsuite.store import Store, note_engine, request_key
from evalsuite.types import Answer, Failure, Outcome, Request
from evalsuite.waves import Answered, Asked, Finished


@dataclass(slots=True)
class ModelRun:
    """How far a model is; grows while it runs, and goes into the manifest at the end."""

    model: str
    """Registry name."""
    n_items: int
    """Items to answer."""
    n_finished: int = 0
    """Items answered."""
    n_known: int = 0
    """Requests that the store held."""
    n_repeated: int = 0
    """Requests that another one of the same wave asked already."""
    n_wanted: int = 0
    """Requests handed to the engine so far."""
    n_asked: int = 0
    """Requests that the engine has answered."""
    n_failed: int = 0
    """Of those, failures."""
    n_too_long: int = 0
    """Requests over the known context, which no engine was asked."""
    n_prompt_tokens: int = 0
    """Prompt tokens of what was asked."""
    n_output_tokens: int = 0
    """Output tokens likewise."""
    loading: bool = False
    """True while the checkpoint is being loaded."""
    load_s: float = 0.0
    """Seconds that loading took; 0 if nothing was loaded."""
    engine_s: float = 0.0
    """Seconds inside the engine."""
    wall_s: float = 0.0
    """Seconds in all."""
    info: EngineInfo | None = None
    """What was loaded, None if nothing was."""
    spent: Spent | None = None
    """What a server that is paid by use was asked for, None for every other engine."""
    preparations: dict[Preparation, tuple[str, ...]] = field(default_factory=dict)
    """Keys of the requests of each preparation."""


Watch = Callable[[ModelRun], None]
"""Called often while a model runs; must be quick."""


def run_model(
    plan: Plan, model: PlannedModel, store: Store, run: ModelRun, watch: Watch, begin: Callable[[], None]
) -> Iterator[Finished[Item, Answer]]:
    """Answer all items of a model; yields each as it finishes.

    Args:
        plan: the study.
        model: one of its models.
        store: holds and receives outcomes.
        run: the model's record, updated in place.
        watch: told of progress.
        begin: called before an engine is asked anything.
    """
    started = time.perf_counter()
    renderer = renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting)
    with ExitStack() as stack:
        asker = _Asker(model=model, store=store, run=run, watch=watch, begin=begin, stack=stack)
        prepared = prepare_all(plan, model, renderer, asker)
        run.preparations = {name: finished.keys for name, finished in prepared.items() if finished.keys}
        for finished in answers_of(plan, model, renderer, asker, prepared):
            run.n_finished += 1
            run.wall_s = time.perf_counter() - started
            watch(run)
            yield finished
    run.wall_s = time.perf_counter() - started
    watch(run)


def run_plan(plan: Plan, store: Store, watch: Watch, runs: list[ModelRun], begin: Callable[[], None]) -> Iterator[Finished[Item, Answer]]:
    """Answer all items of all models, one model in memory at a time.

    Args:
        plan: the study.
        store: holds and receives outcomes.
        watch: told of progress.
        runs: receives one record per model.
        begin: called before an engine is asked anything; may be called again.
    """
    for model in plan.models.values():
        run = ModelRun(model=model.name, n_items=n_programs(plan, model.name))
        runs.append(run)
        yield from run_model(plan, model, store, run, watch, begin)


@dataclass(slots=True)
class _Asker:
    """Answers waves from the store, and from the engine what the store does not hold."""

    model: PlannedModel
    store: Store
    run: ModelRun
    watch: Watch
    begin: Callable[[], None]
    stack: ExitStack
    engine: Engine | None = None

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        identity = self.model.identity
        keys = [request_key(identity, asked.request) for asked in wave]
        wanted = {key: asked.request for key, asked in zip(keys, wave, strict=True)}
        self.run.n_repeated += len(wave) - len(wanted)
        # Another process may be at the same study.
        self.store.refresh()
        known = {key: self.store.get(key) for key in wanted}
        outcomes = {key: outcome for key, outcome in known.items() if outcome is not None}
        self.run.n_known += len(outcomes)
        missing = {key: request for key, request in wanted.items() if key not in outcomes}
        self._refuse_too_long(missing, outcomes)
        if missing:
            self._ask(missing, outcomes)
        return [Answered(key=key, outcome=outcomes[key]) for key in keys]

    def _refuse_too_long(self, missing: dict[str, Request], outcomes: dict[str, Outcome]) -> None:
        """What cannot fit needs no engine. Decided anew in every run, so that a raised limit takes effect."""
        limit = context_tokens(self.model)
        for key, request in list(missing.items()):
            n_tokens = tokens_needed(request)
            if limit is None or n_tokens <= limit:
                continue
            outcomes[key] = Failure(reason="too_long", message=f"{n_tokens} tokens, {limit} fit", transient=True)
            if self.store.last_failure(key) != outcomes[key]:
                self.store.put(key, outcomes[key])
            del missing[key]
            self.run.n_too_long += 1

    def _ask(self, missing: dict[str, Request], outcomes: dict[str, Outcome]) -> None:
        # Sorted by tokens, so that requests that share a prefix are neighbours.
        order = sorted(missing, key=lambda key: missing[key].prompt.token_ids)
        engine = self._loaded()
        self.run.n_wanted += len(order)
        started = time.perf_counter()
        for index, outcome in engine.run([missing[key] for key in order]):
            key = order[index]
            if self.store.last_failure(key) != outcome:  # the same refusal again is no news
                self.store.put(key, outcome)
            outcomes[key] = outcome
            self._count(outcome)
            self.watch(self.run)
        self.run.engine_s += time.perf_counter() - started
        if isinstance(engine, Metered):
            self.run.spent = engine.spent
        for key in order:
            if key not in outcomes:
                # An engine that forgets a request breaks its contract; the sample is ours to repair, never a zero.
                outcomes[key] = Failure(reason="engine_error", message="the engine gave no outcome", transient=True)
                self.run.n_failed += 1

    def _loaded(self) -> Engine:
        if self.engine is None:
            self.begin()
            started = time.perf_counter()
            self.run.loading = True
            self.watch(self.run)
            self.engine = self.stack.enter_context(open_engine(self.model.checkpoint.path, self.model.settings))
            self.run.load_s = time.perf_counter() - started
            self.run.loading = False
            self.run.info = self.engine.info
            note_engine(self.store.folder, self.model.identity, asdict(self.engine.info))
        return self.engine

    def _count(self, outcome: Outcome) -> None:
        self.run.n_asked += 1
        if isinstance(outcome, Failure):
            self.run.n_failed += 1
            return
        self.run.n_prompt_tokens += outcome.n_prompt_tokens
        self.run.n_output_tokens += outcome.n_output_tokens
