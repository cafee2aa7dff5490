"""What a study would do, without doing it: `check` and `plan`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.models import Memory, memory_gib
from evalsuite.overlap import repeats_lines
from evalsuite.plan import Item, Plan, PlannedModel, Refused, Selection, context_tokens, limited, tokens_needed
from evalsuite.programs import Preparation, context_for, n_programs, prepare_all, stand_in, state_for, unprepared
from evalsuite.prompts import renderer_for
from evalsuite.published.reproduce import papers_of
from evalsuite.reach import Reach, reach_of
from evalsuite.refusals import perturbation_lines, second_turn_lines
from evalsuite.resolve import resolve
from evalsuite.seals import sealed_line
from evalsuite.stats.multiplicity import reachable
from evalsuite.stats.power import Assumptions
from evalsuite.store import Store, request_key
from evalsuite.strategies.ask import ask
from evalsuite.strategies.base import Renders, Strategy
from evalsuite.types import Failure, Request, Tell, untold
from evalsuite.waves import Answered, Asked

UNASKED = Failure(reason="engine_error", message="not asked: this is only a preview", transient=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPreview:
    """What one model would be asked; first requests only where a strategy takes several steps."""

    model: str
    """Registry name."""
    n_items: int
    """Variants of samples over all cells."""
    n_requests: int
    """Distinct first requests."""
    n_known: int
    """Of those, answered in the store."""
    n_prompt_tokens: int
    """Prompt tokens of those that would be asked."""
    longest: int
    """Tokens of the longest prompt with the output it may get."""
    n_context_tokens: int | None
    """What the configuration says the model can read; None if it does not say."""
    n_too_long: int
    """Requests that do not fit."""
    weights_gib: float | None
    """Memory of the weights at the dtype in use; None for the stub engine or a configuration that does not say."""
    kv_gib: float | None
    """Memory of the keys and values of the longest request; None likewise."""
    counted: bool = True
    """False: tokens are the server's own, and taken to be four bytes long wherever they are shown."""
    cost_usd: tuple[float, float] | None = None
    """US dollars of the prompts, and of the answers if each took all the tokens that it may; None where no price is stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a study would do."""

    study: str
    """Study name."""
    n_cells: int
    """Cells over all models."""
    models: tuple[ModelPreview, ...]
    """Per model."""
    n_comparisons: int
    """Size of the primary family."""
    n_secondary: int
    """Size of the secondary family; 0 without one."""
    reach: tuple[Reach, ...]
    """Per task and, where several share a scale, of their pooled difference."""
    replicates: int
    """Answers per sample that the study asks for."""
    margin: float
    """Equivalence margin."""
    sealed: str = ""
    """How much is sealed, in a line; empty without a sealed part."""
    trials: tuple[str, ...] = ()
    """What is asked to choose prompts, beside the items, a line per strategy that chooses."""
    uncounted: tuple[str, ...] = ()
    """What cannot be counted before it is done, a line each."""
    perturbed: tuple[str, ...] = ()
    """What is shown and refused under each perturbation, a line each; empty without perturbations."""


def probe(plan: Plan) -> None:
    """Render one sample of every model, task, strategy and prompt, so that what cannot be asked is found before anything loads.

    Raises:
        UserError: all faults of templates, tokenizers, labels and named papers together.
    """
    faults = _unreachable(plan)
    n_prompts = max(map(_n_prompts, plan.strategies.values()))
    for model in {**plan.lenders, **plan.models}.values():
        try:
            renderer = renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting)
        except UserError as error:
            faults.extend(error.faults)
            continue
        for number in range(n_prompts):
            for item, _ in first_requests(plan, model, renderer, n_samples=1, faults=faults, candidate=number):
                del item
    try:
        papers_of(plan)
    except UserError as error:
        faults.extend(error.faults)
    if faults:
        raise UserError(list(dict.fromkeys(faults)))


def _unreachable(plan: Plan) -> list[Fault]:
    """A fault if a family is so large that no randomisation p can be significant in it by itself."""
    analysis, n_family = plan.study.analysis, max(plan.n_family, plan.n_secondary)
    if reachable(n_family, analysis.n_resamples, analysis.alpha, analysis.correction):
        return []
    needed_n = math.ceil(n_family / analysis.alpha)
    allowed = f"at least {needed_n} for {n_family} comparisons at alpha {analysis.alpha}, else none can be significant by itself"
    return [Fault(file=str(plan.file), key="analysis.n_resamples", value=str(analysis.n_resamples), allowed=allowed)]


def _n_prompts(strategy: Strategy) -> int:
    return 1 if strategy.trial is None else strategy.trial.n_candidates


def first_requests(
    plan: Plan, model: PlannedModel, renderer: Renders, n_samples: int | None = None, faults: list[Fault] | None = None, candidate: int = 0
) -> Iterator[tuple[Item, Sequence[Request]]]:
    """The first wave of each item of a model, as it would be sent.

    Args:
        plan: the study.
        model: one of its models; of one that is only asked for what it lends, the strategies for which it does.
        renderer: its renderer.
        n_samples: items per cell and manner, those with the most choices first, since they need the most labels; None: all.
        faults: receives rendering faults, of second turns too; None: they are raised, and no second turn is rendered.
        candidate: number of the prompt, where one is chosen among several; strategies with fewer are left out.
    """

    def unasked(wave: Sequence[Asked[Any]]) -> list[Answered]:
        return [Answered(key="", outcome=UNASKED) for _ in wave]

    def recall(name: Preparation) -> Mapping[str, Any]:
        """As if the prompt of this number had been chosen, where there is one."""
        return {"selection": {"winner": candidate}} if candidate < _n_prompts(plan.strategies[name.strategy]) else unprepared(name)

    prepared = prepare_all(plan, model, renderer, unasked, recall=recall)
    for lender in plan.lenders.values():
        # Nothing is rendered for lenders here, so any renderer will do.
        prepared |= prepare_all(plan, lender, renderer, unasked, recall=recall, lends=True)
    for cell in plan.cells(model.name):
        strategy = plan.strategies[cell.strategy]
        if candidate >= _n_prompts(strategy) or (model.name not in plan.models and strategy.lender != model.name):
            continue
        context = context_for(plan, model, cell.task, renderer, cell.replicate)
        state, taken = state_for(plan, model.name, cell.task, cell.strategy, prepared), Counter[Any]()
        rendered = (shown for shown in plan.shown(cell) if not isinstance(shown, Refused))
        for shown in rendered if n_samples is None else sorted(rendered, key=lambda sample: -len(sample.choices)):
            if n_samples is not None and taken[shown.manner] >= n_samples:
                continue
            taken[shown.manner] += 1
            # Who lends reasoning alone writes it, and is never asked as the models under test are.
            lends = model.name not in plan.models and strategy.trial is None
            program = ask(shown, (), "reasoned", context) if lends else strategy.answer(shown, state, context)
            try:
                asked = next(program)
                yield Item(cell=cell, sample=shown), asked
                if faults is not None and shown.dialogue is not None:
                    # A second turn may be asked in another way than the first: under other labels, or another contract.
                    program.send([stand_in(request) for request in asked])
            except StopIteration:
                continue
            except UserError as error:
                if faults is None:
                    raise
                faults.extend(error.faults)
            finally:
                program.close()


def preview(file: str | Path, selection: Selection, store_folder: Path, tell: Tell = untold) -> Preview:
    """Count what a study would ask and state what it could establish; loads tokenizers, no model.

    Args:
        file: study.yaml.
        selection: what the command line narrows it to.
        store_folder: the store whose answers would be used.
        tell: told of progress.

    Raises:
        UserError: anything is wrong with the study.
    """
    plan = resolve(file, selection, tell=tell)
    probe(plan)
    with Store(store_folder) as store:
        models = tuple(_model_preview(plan, model, store, tell) for model in plan.models.values())
    return Preview(
        study=plan.study.study,
        n_cells=sum(1 for model in plan.models for _ in plan.cells(model)),
        models=models,
        n_comparisons=plan.n_family,
        n_secondary=plan.n_secondary,
        reach=reach_of(plan),
        replicates=plan.study.replicates,
        margin=plan.study.analysis.margin,
        sealed=sealed_line(plan.sealed, unsealed=False),
        trials=_trial_lines(plan),
        uncounted=(*_uncounted_lines(plan), *second_turn_lines(plan)),
        perturbed=tuple(perturbation_lines(plan)),
    )


def _trial_lines(plan: Plan) -> tuple[str, ...]:
    """What is asked to choose prompts."""
    lines = []
    for label, strategy in plan.strategies.items():
        trial = strategy.trial
        if trial is None:
            continue
        sizes = []
        for name, task in plan.tasks.items():
            split = trial.split or task.validation_split or ""
            sizes.append(f"{len(limited(task.validation[split], trial.limit, plan.study.seed)):,} of {name}/{split}")
        who = f"by {strategy.lender}, for all models" if strategy.lender else "for each model"
        lines.append(f"{label}: one of {trial.n_candidates} prompts is chosen {who}; each is first asked of {', '.join(sizes)}")
    return tuple(lines)


def _uncounted_lines(plan: Plan) -> tuple[str, ...]:
    """What strategies ask beforehand, and what of their prompts follows from that, strategies that are alike in one line."""
    first: dict[str, list[str]] = {}
    replaced = []
    for label, strategy in plan.strategies.items():
        ahead, who = strategy.beforehand, strategy.lender or "each model"
        pools = ", ".join(f"{len(task.pool):,} of {name}" for name, task in plan.tasks.items())
        if ahead.n_attempts:
            most = f"of {who} at most {ahead.n_attempts} for each question of the exemplar pool ({pools})"
            first.setdefault(f"chains of thought are asked first, not counted above: {most}", []).append(label)
        if ahead.embeds:
            each = f"of {who} one for each question and each of the exemplar pool ({pools})"
            first.setdefault(f"hidden states are asked first, not counted above: {each}", []).append(label)
        if ahead.exemplars:
            replaced.append(label)
    lines = [f"{', '.join(labels)}: {what}" for what, labels in first.items()]
    if replaced:
        lines.append(
            f"{', '.join(replaced)}: the exemplars are not known yet, others stand in for them above: tokens are rough, and answers that"
            " the store may hold are not found"
        )
    return tuple(lines)


def _model_preview(plan: Plan, model: PlannedModel, store: Store, tell: Tell) -> ModelPreview:
    renderer = renderer_for(model.checkpoint, model.entry.chat, plan.study.prompting)
    limit = context_tokens(model)
    lengths: dict[str, tuple[int, int]] = {}
    n_output: dict[str, int] = {}
    n_items, n_expected = 0, n_programs(plan, model.name)
    for _, requests in first_requests(plan, model, renderer):
        n_items += 1
        tell(f"counting {model.name}", n_items, n_expected)
        for request in requests:
            key, n_prompt = request_key(model.identity, request), _n_prompt_tokens(request)
            n_output[key] = 0 if request.sampling is None else request.sampling.max_tokens
            lengths[key] = (n_prompt, n_prompt + tokens_needed(request) - len(request.prompt.token_ids))
    known = {key for key in lengths if store.get(key) is not None}
    longest = max((total for _, total in lengths.values()), default=0)
    memory = _memory(model)
    asked = lengths.keys() - known
    counted = model.checkpoint.takes == "ids"
    return ModelPreview(
        model=model.name,
        n_items=n_items,
        n_requests=len(lengths),
        n_known=len(known),
        n_prompt_tokens=sum(lengths[key][0] for key in asked),
        longest=longest,
        n_context_tokens=limit,
        n_too_long=sum(limit is not None and counted and total > limit for _, total in lengths.values()),
        weights_gib=None if memory is None else memory.weights,
        kv_gib=None if memory is None else memory.kv_per_token_bytes * longest / 2**30,
        counted=counted,
        cost_usd=_cost(model, sum(lengths[key][0] for key in asked), sum(n_output[key] for key in asked)),
    )


def _n_prompt_tokens(request: Request) -> int:
    """Tokens of a prompt; of messages, whose tokens nobody here knows, a quarter of their bytes."""
    return len(request.prompt.token_ids) or sum(len(message.text.encode()) for message in request.prompt.messages) // 4


def _cost(model: PlannedModel, n_prompt_tokens: int, n_output_tokens: int) -> tuple[float, float] | None:
    price = None if model.entry.endpoint is None else model.entry.endpoint.price
    return None if price is None else (n_prompt_tokens * price.input / 1e6, n_output_tokens * price.output / 1e6)


def _memory(model: PlannedModel) -> Memory | None:
    if model.entry.is_stub or model.checkpoint.served:
        return None
    try:
        return memory_gib(model.checkpoint.config, model.settings.dtype, parameters_b=model.entry.parameters_b)
    except ValueError:
        return None  # an architecture whose configuration names its sizes otherwise


def preview_lines(preview: Preview) -> list[str]:
    """A preview as lines for a terminal."""
    secondary = f" and {preview.n_secondary} in the secondary one" if preview.n_secondary else ""
    lines = [f"study {preview.study}: {preview.n_cells} cells, {preview.n_comparisons} comparisons in the primary family{secondary}", ""]
    lines.append(
        f"{'model':24} {'items':>8} {'requests':>9} {'in store':>9} {'prompt tokens':>14} {'longest':>8} {'context':>8}"
        f" {'too long':>9} {'weights + cache':>16}"
    )
    for model in preview.models:
        context = "unknown" if model.n_context_tokens is None else str(model.n_context_tokens)
        lines.append(
            f"{model.model:24} {model.n_items:8} {model.n_requests:9} {model.n_known:9} {_tokens_text(model, model.n_prompt_tokens):>14}"
            f" {_tokens_text(model, model.longest):>8} {context:>8} {model.n_too_long:9} {_memory_text(model):>16}"
        )
    costs = [(model.model, *model.cost_usd) for model in preview.models if model.cost_usd is not None]
    lines += [f"{name}: about USD {sent:.2f} for the prompts, at most USD {back:.2f} for the answers" for name, sent, back in costs]
    lines += [*preview.trials, *preview.uncounted, *([preview.sealed] if preview.sealed else [])]
    return [*lines, *(["", *preview.perturbed] if preview.perturbed else []), "", *_reach_lines(preview)]


def _reach_lines(preview: Preview) -> list[str]:
    """What could be established, as a table."""
    assumed = Assumptions()
    margin = f"{100 * preview.margin:.1f} points"
    heads = ("finds", f"to find {margin}", f"`equivalent` at ±{margin}")
    lines = [
        "What could be established, at the level that the correction puts a comparison to at worst. `finds`: the smallest true difference",
        f"that is found with power {assumed.power:.0%}. Assumed: two models disagree on {assumed.discordance:.0%} of samples, differences",
        f"correlate by {assumed.icc} within groups.",
        f"{'task':24} {'samples':>8} {'groups':>8} {'refused':>8} {heads[0]:>12} {heads[1]:>28} {heads[2]:>28}",
    ]
    for reach in preview.reach:
        smallest, size, equivalent = _reach_cells(reach)
        refused = "" if reach.n_refused is None else str(reach.n_refused)
        lines.append(f"{reach.name:24} {reach.n_samples:8} {reach.n_groups:8} {refused:>8} {smallest:>12} {size:>28} {equivalent:>28}")
    if any(reach.now is None for reach in preview.reach):
        lines.append("-: a metric that is not right or wrong, or no samples; nothing is assumed of its differences")
    taken = [reach.name for reach in preview.reach if reach.of_set]
    if taken:
        lines.append(f"{', '.join(taken)}: taken as a share of right answers; its own metric needs more samples where a class is rare")
    if preview.replicates > 1:
        lines.append(f"{preview.replicates} replicates can only narrow this; by how much depends on how often a model contradicts itself")
    return lines


def _reach_cells(reach: Reach) -> tuple[str, str, str]:
    """Smallest difference, size for a difference of one margin, and whether equality can be shown."""
    now, size = reach.now, reach.for_margin
    if now is None or size is None:
        return "-", "-", "-"
    groups = "" if size.n_groups == size.n_samples else f" in {size.n_groups:,} groups"
    smallest = f"{100 * now.smallest_difference:.1f} points" if now.established else "< 10 groups"
    return smallest, f"{size.n_samples:,} samples{groups}", "within reach" if now.equivalent_reachable else "out of reach"


def _tokens_text(model: ModelPreview, n_tokens: int) -> str:
    """Tokens, marked where they are only guessed."""
    return str(n_tokens) if model.counted else f"~{n_tokens}"


def _memory_text(model: ModelPreview) -> str:
    if model.weights_gib is None or model.kv_gib is None:
        return "unknown"
    return f"{model.weights_gib:.2f} + {model.kv_gib:.2f} GiB"


def check_study(file: str | Path, selection: Selection, tell: Tell = untold) -> list[str]:
    """Validate a study as far as that goes without a model; returns what was found in order.

    Raises:
        UserError: all faults.
    """
    plan = resolve(file, selection, tell=tell)
    probe(plan)
    lines = [f"{plan.file}: in order"]
    for name, model in plan.models.items():
        source = "not pinned" if not model.checkpoint.pinned else f"fingerprint {model.checkpoint.fingerprint[:12]}"
        lines.append(f"  model {name}: {source}, {model.settings.name} {model.settings.dtype} on {model.settings.device}")
    for name, task in plan.tasks.items():
        n_groups = len({sample.group for sample in task.data.samples})
        left_out = f", {len(task.data.excluded)} left out" if task.data.excluded else ""
        lines.append(f"  task {name}/{task.split}: {len(task.data.samples)} samples in {n_groups} groups{left_out}, {task.metric}")
        lines.extend(f"    {note}" for note in (*task.data.notes, *repeats_lines(task.n_pool_duplicates)))
    lines.append(f"  pairs: {', '.join(f'{a} against {b}' for a, b in plan.pairs) or 'none: nothing will be compared'}")
    lines.append(f"  strategies: {', '.join(plan.strategies)}; perturbations: {', '.join(plan.perturbations)}")
    lines += [f"  {line}" for line in perturbation_lines(plan)]
    return [*lines, *([f"  {sealed_line(plan.sealed, unsealed=False)}"] if plan.sealed else [])]
