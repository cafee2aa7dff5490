"""Running a plan: asks the engine for what the store does not hold, and journals every outcome as it arrives.

The one impure step. Models run one after another; a model whose answers are all in the store is never loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

from evalsuite.embedders.neighbours import Lookup, Nearest
from evalsuite.engines import interpreted, open_engine
from evalsuite.engines.base import CachesPrefixes, Engine, EngineInfo, Metered, PrefixCache, Spent
from evalsuite.plan import Item, Plan, PlannedModel, context_tokens, tokens_needed
from evalsuite.programs import Preparations, answers_of, n_programs, prepare_all
from evalsuite.prompts import renderer_for
from evalsuite.store import Identity, Store, note_engine, packed_ids, request_key
from evalsuite.timings import Timing, Use, timed, uses_by_key
from evalsuite.types import Answer, Failure, Outcome, Request, Tell, untold
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
    preparing: bool = False
    """True while strategies are prepared, before any sample is answered."""
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
    prefix_cache: PrefixCache | None = None
    """What an engine that caches prefixes looked up and found, None for every other engine and if nothing was loaded."""
    timings: dict[Use, Timing] = field(default_factory=dict)
    """What was asked for each task, strategy and stage, and how long it took."""
    preparations: Preparations = field(default_factory=dict)
    """What the model prepared, for itself or for all."""


Watch = Callable[[ModelRun], None]
"""Called often while a model runs; must be quick."""


def run_plan(
    plan: Plan, store: Store, watch: Watch, runs: list[ModelRun], begin: Callable[[], None], tell: Tell = untold
) -> Iterator[Finished[Item, Answer]]:
    """Answer all items of all models, one model in memory at a time; models that prepare for all come first.

    Args:
        plan: the study.
        store: holds and receives outcomes, and keeps embeddings.
        watch: told of progress.
        runs: receives one record per model.
        begin: called before an engine is asked anything; may be called again.
        tell: told of progress outside the engine.
    """
    look_up = Lookup(store.folder / "embeddings", plan.file.parent, tell)
    session = _Session(plan=plan, store=store, watch=watch, begin=begin, nearest=look_up)
    lent: Preparations = {}
    for name, model in plan.lenders.items():
        run = ModelRun(model=name, n_items=0)
        runs.append(run)
        lent = {**lent, **_lend(session, model, run)}
    for name, model in plan.models.items():
        found = next((run for run in runs if run.model == name), None)
        run = found or ModelRun(model=name, n_items=0)
        run.n_items = n_programs(plan, name)
        if found is None:
            runs.append(run)
        yield from _run_model(session, model, run, lent)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    """What running all models of a plan has in common."""

    plan: Plan
    store: Store
    watch: Watch
    begin: Callable[[], None]
    nearest: Nearest


def _lend(session: _Session, model: PlannedModel, run: ModelRun) -> Preparations:
    """What a model prepares for all models."""
    started = time.perf_counter()
    with ExitStack() as stack:
        asker = _asker(session, model, run, stack)
        renderer = renderer_for(model.checkpoint, model.entry.chat, session.plan.study.prompting)
        run.preparing = True
        run.preparations = prepare_all(session.plan, model, renderer, asker, nearest=session.nearest, lends=True)
        run.preparing = False
    run.wall_s += time.perf_counter() - started
    session.watch(run)
    return run.preparations


def _run_model(session: _Session, model: PlannedModel, run: ModelRun, lent: Preparations) -> Iterator[Finished[Item, Answer]]:
    """Answer all items of a model; yields each as it finishes."""
    started, before = time.perf_counter(), run.wall_s
    renderer = renderer_for(model.checkpoint, model.entry.chat, session.plan.study.prompting)
    with ExitStack() as stack:
        asker = _asker(session, model, run, stack)
        run.preparing = True
        prepared = prepare_all(session.plan, model, renderer, asker, nearest=session.nearest)
        run.preparing = False
        run.preparations = {**run.preparations, **prepared}
        for finished in answers_of(session.plan, model, renderer, asker, {**lent, **prepared}):
            run.n_finished += 1
            run.wall_s = before + time.perf_counter() - started
            session.watch(run)
            yield finished
    run.wall_s = before + time.perf_counter() - started
    session.watch(run)


def _asker(session: _Session, model: PlannedModel, run: ModelRun, stack: ExitStack) -> _Asker:
    return _Asker(
        model=model,
        identity=model.identity,
        interpreted=interpreted(model.settings.name),
        store=session.store,
        run=run,
        watch=session.watch,
        begin=session.begin,
        stack=stack,
    )


def _in_order(requests: Mapping[str, Request], packed: Mapping[str, bytes]) -> list[str]:
    """Keys of requests such that those that share a prefix are neighbours: of ids, or of messages where a server makes the ids.

    Any order of the ids' packed form does that, and no other order lets neighbours share more.
    """
    return sorted(requests, key=lambda key: (packed[key], [message.text for message in requests[key].prompt.messages]))


@dataclass(slots=True)
class _Asker:
    """Answers waves from the store, and from the engine what the store does not hold."""

    model: PlannedModel
    identity: Identity
    interpreted: bool
    store: Store
    run: ModelRun
    watch: Watch
    begin: Callable[[], None]
    stack: ExitStack
    engine: Engine | None = None
    # An embedder that a program loads, and the engine, change libraries' settings while they load.
    loading: Lock = field(default_factory=Lock)
    # a model that lends is opened twice, and counts anew each time
    spent_before: Spent | None = None
    cached_before: PrefixCache | None = None

    def known_by(self, request: Request) -> tuple[str, bytes]:
        """Key of a request and the packed ids of its prompt; touches nothing that a wave changes."""
        packed = packed_ids(request.prompt.token_ids)
        return request_key(self.identity, request, packed), packed

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        known_by = [asked.known_by or self.known_by(asked.request) for asked in wave]
        keys = [key for key, _ in known_by]
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
            order = _in_order(missing, dict(known_by))
            self._ask(order, missing, outcomes, uses_by_key(keys, wave, missing))
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

    def _ask(
        self, order: Sequence[str], missing: Mapping[str, Request], outcomes: dict[str, Outcome], uses: Mapping[str, Sequence[Use]]
    ) -> None:
        engine = self._loaded()
        self.run.n_wanted += len(order)
        started = time.perf_counter()
        for index, outcome in timed(engine.run([missing[key] for key in order]), [uses[key] for key in order], self.run.timings):
            key = order[index]
            if self.store.last_failure(key) != outcome:  # the same refusal again is no news
                self.store.put(key, outcome)
            outcomes[key] = outcome
            self._count(outcome)
            self.watch(self.run)
        self.run.engine_s += time.perf_counter() - started
        if isinstance(engine, Metered):
            self.run.spent = engine.spent if self.spent_before is None else self.spent_before.plus(engine.spent)
        if isinstance(engine, CachesPrefixes):
            self.run.prefix_cache = engine.prefix_cache if self.cached_before is None else self.cached_before.plus(engine.prefix_cache)
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
            with self.loading:
                self.engine = self.stack.enter_context(open_engine(self.model.checkpoint.path, self.model.settings))
            self.run.load_s += time.perf_counter() - started
            self.run.loading = False
            self.spent_before, self.cached_before = self.run.spent, self.run.prefix_cache
            self.run.info = self.engine.info
            note_engine(self.store.folder, self.identity, asdict(self.engine.info))
        return self.engine

    def _count(self, outcome: Outcome) -> None:
        self.run.n_asked += 1
        if isinstance(outcome, Failure):
            self.run.n_failed += 1
            return
        self.run.n_prompt_tokens += outcome.n_prompt_tokens
        self.run.n_output_tokens += outcome.n_output_tokens
