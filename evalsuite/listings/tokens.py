"""What is sent of one sample, token by token: the requests of a real strategy, made by the code that a run uses, and sent nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite import bytetext, strategies
from evalsuite.config import PluginEntry, Study, TaskEntry, faults_of, load_study
from evalsuite.data import load_split, pool_without
from evalsuite.embedders.neighbours import Lookup
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.listings.models import entry_of
from evalsuite.listings.renditions import RULE, chosen_perturbation, rendition_of, second_turn
from evalsuite.models import ModelEntry, find_checkpoint
from evalsuite.overlap import without_repeats
from evalsuite.plugins import load_specs
from evalsuite.programs import context_of
from evalsuite.prompts import Renderer, renderer_for
from evalsuite.prompts.encoders import CheckpointEncoder
from evalsuite.strategies.base import Context, Strategy
from evalsuite.strategies.manners import wording_under
from evalsuite.tasks import Task, pool_split
from evalsuite.types import Manner, Request, Sample, untold


@dataclass(frozen=True, kw_only=True, slots=True)
class Showing:
    """Which sample of a task is shown, and how it is asked."""

    model: str | None = None
    """Registry name; None: the words before any template."""
    number: int = 0
    """Number of the sample in the evaluated split, from 0."""
    form: str = "auto"
    """Format; `auto`: the task's."""
    strategy: str | None = None
    """Strategy, or its id in the study; None: zero_shot, or the study's primary one."""
    shots: int | None = None
    """Exemplars; None: the strategy's."""
    perturbation: str | None = None
    """Perturbation, or its id in the study; None: the sample as it is."""
    study: Path | None = None
    """Study file whose system prompt, decoding, seed, data and strategies count; None: the defaults."""
    tokens: bool = True
    """False: the text only."""
    restricted: bool = False
    """True: samples of restricted tasks are shown too, since the person asked for it on their own terminal."""


def request_lines(task: Task, sample: Sample, showing: Showing) -> list[str]:
    """The first requests of a sample as a run would send them to `showing.model`.

    Raises:
        UserError: no such model or strategy, a template or tokenizer fault, or a BOS that is not there exactly once.
    """
    name = showing.model or ""
    entry = entry_of(name)
    study = asked_study(task, showing)
    renderer = renderer_for(find_checkpoint(name, entry), entry.chat, study.prompting)
    label, strategy = chosen_strategy(study, showing)
    context = _context(task, study, entry, renderer)
    try:
        form = strategy.form_for(task.card)
    except ValueError as error:
        raise UserError(Fault(file="command line", key="--format", value=showing.form, allowed=str(error))) from None
    head = f"sample {sample.id}, group {sample.group}, strategy {label}, format {form}{rendition_of(sample, showing.perturbation)}"
    look_up = Lookup(None, showing.study.parent if showing.study else Path(), untold)
    asked = replace(sample if sample.dialogue is None else sample.dialogue.first, targets=(), references=(), quantity=None)
    requests = first_requests(strategy, sample, replace(context, questions=lambda: (asked,), nearest=look_up))
    if requests is None:
        return [head, f"{label} asks the model something before this sample: what is sent depends on what it answers"]
    lines = [head]
    for number, request in enumerate(requests, start=1):
        lines += _one_request(request, renderer, name, f"request {number} of {len(requests)}", showing.tokens)
    return [*lines, *second_turn(sample, form, wording_under(sample.manner or Manner(), context.wording))]


def asked_study(task: Task, showing: Showing) -> Study:
    """The study whose conditions hold: the one that was named, or one of nothing but defaults."""
    if showing.study is not None:
        return load_study(showing.study)
    return Study(study="shown", question="What is sent?", models=("shown",), tasks=(TaskEntry(name=task.card.name),))


def chosen_strategy(study: Study, showing: Showing) -> tuple[str, Strategy]:
    """The strategy that was asked for, with its id: of the study if it has one of that id, else the plugin of that name.

    Raises:
        UserError: there is none, or its options are not in order.
    """
    wanted = showing.strategy or study.analysis.primary.strategy or study.strategies[0].label
    entry = next((entry for entry in study.strategies if entry.label == wanted), PluginEntry(name=wanted))
    specs = load_specs(strategies)
    if entry.name not in specs:
        known = {*specs, *(own.label for own in study.strategies)}
        raise UserError(Fault(file="command line", key="--strategy", value=wanted, allowed=nearest(wanted, known)))
    options: dict[str, Any] = dict(entry.options)
    options |= {} if showing.form == "auto" else {"format": showing.form}
    options |= {} if showing.shots is None else {"shots": showing.shots}
    spec = specs[entry.name]
    try:
        return entry.label, spec.build(spec.options.model_validate(options))
    except ValidationError as error:
        raise UserError(faults_of(error, Path(f"strategy {entry.name}"))) from None


def able_to_show(task: Task, showing: Showing) -> Showing:
    """The same, under the study's first strategy that can ask the perturbation, or in the format that can; as it is where that was chosen.

    Raises:
        UserError: as `chosen_perturbation` and `chosen_strategy`.
    """
    if showing.perturbation is None or showing.strategy is not None or showing.form != "auto" or task.foreign is not None:
        return showing
    study = asked_study(task, showing)
    spec, options = chosen_perturbation(showing.perturbation, study)
    own = [] if showing.study is None else [replace(showing, strategy=entry.label) for entry in study.strategies]
    for one in (showing, *own, replace(showing, form="generate")):
        try:
            if spec.needs(options) <= chosen_strategy(study, one)[1].meets(task.card):
                return one
        except ValueError:
            # A strategy that cannot ask such a task at all.
            continue
    return showing


def first_requests(strategy: Strategy, sample: Sample, context: Context) -> Sequence[Request] | None:
    """What is asked first about a sample; empty if nothing is, None if it depends on an answer of the model."""
    if strategy.trial is not None:
        return None
    preparation = strategy.prepare(context)
    try:
        next(preparation)
    except StopIteration as ended:
        state = ended.value.state
    else:
        return None
    program = strategy.answer(sample, state, context)
    try:
        return next(program)
    except StopIteration:
        return ()
    finally:
        program.close()


def _context(task: Task, study: Study, entry: ModelEntry, renderer: Any) -> Context:
    card = task.card

    def pool() -> Sequence[Sample]:
        split = pool_split(card, card.split, next((entry.exemplar_split for entry in study.tasks if entry.name == card.name), None))
        if split is None:
            raise UserError(Fault(file=f"task {card.name}", key="exemplar_split", value="", allowed="the task has no exemplars"))
        evaluated = load_split(task, card.split, study.data).samples
        of_other_groups = pool_without(load_split(task, split, study.data).samples, {sample.group for sample in evaluated})
        return without_repeats(of_other_groups, evaluated)

    return context_of(study, entry.chat, task, renderer, pool)


def _one_request(request: Request, renderer: Any, model: str, which: str, with_tokens: bool) -> list[str]:
    prompt = request.prompt
    if not isinstance(renderer, Renderer):
        return [
            f"{which} ({request.kind}): turns for {model}, whose server renders them",
            RULE,
            prompt.text,
            RULE,
            *_asked(request, renderer),
        ]
    ids = prompt.token_ids
    lines = [f"{which} ({request.kind}): {len(ids)} tokens for {model}", RULE, prompt.text, RULE, bos_line(renderer, ids)]
    if with_tokens:
        pieces = token_texts(renderer, ids)
        width = max((len(str(token)) for token in ids), default=1)
        lines.append(f"{'index':>6}  {'id':>{width}}  token")
        lines += [
            f"{at:6}  {token:{width}}  {text}{'  (special)' if special else ''}"
            for at, (token, (text, special)) in enumerate(zip(ids, pieces, strict=True))
        ]
    return [*lines, *_asked(request, renderer)]


def bos_line(renderer: Renderer, ids: Sequence[int]) -> str:
    """How often the token that starts a text is there.

    Raises:
        UserError: it is missing, not first, or there twice; nothing may be scored then.
    """
    encoder = renderer.encoder
    if encoder.bos_id is None:
        return "BOS: this tokenizer has none"
    if renderer.bos == "none":
        return f"BOS: none; {encoder.bos_text} exists, but neither the tokenizer nor the chat template puts it in front of a text"
    # where BOS and EOS are one token, ended turns bring it again
    n = (ids[:2] if encoder.bos_id == encoder.eos_id else tuple(ids)).count(encoder.bos_id)
    if n != 1 or ids[0] != encoder.bos_id:
        allowed = f"{encoder.bos_text} exactly once, in front"
        raise UserError(Fault(file=f"model {renderer.model}", key="BOS", value=f"{n} times", allowed=allowed))
    return f"BOS: {encoder.bos_text} (id {encoder.bos_id}), exactly once, in front"


def token_texts(renderer: Renderer, ids: Sequence[int]) -> list[tuple[str, bool]]:
    """(text in quotes with everything visible, whether it is a special token) of each token."""
    encoder = renderer.encoder
    if not isinstance(encoder, CheckpointEncoder):
        special = {bytetext.BOS: "<|bos|>", bytetext.EOS: "<|eos|>"}
        return [(visible(special[token] if token in special else chr(token)), token in special) for token in ids]
    tokenizer = encoder.tokenizer
    marks = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    names = tokenizer.convert_ids_to_tokens(list(ids))
    return [(_piece(tokenizer, token, name), token in marks) for token, name in zip(ids, names, strict=True)]


def _piece(tokenizer: Any, token: int, name: str) -> str:
    if "\u2581" in name:  # SentencePiece's mark for a space, which decoding one token alone would lose
        return visible(name.replace("\u2581", " "))
    text = tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return visible(text) if "\ufffd" not in text else f"{visible(name)} (part of a character)"


def visible(text: str) -> str:
    """A text in quotes: line breaks, tabs and everything that is not printed as escapes."""
    escapes = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
    shown = (escapes.get(char) or (char if char.isprintable() else f"\\u{ord(char):04x}") for char in text)
    return f'"{"".join(shown)}"'


def _asked(request: Request, renderer: Any) -> list[str]:
    """What is wanted after the prompt."""

    def spelled(ids: Sequence[int]) -> str:
        return " ".join(f"{token} {text}" for token, (text, _) in zip(ids, token_texts(renderer, ids), strict=True))

    if request.kind == "next":
        return ["wanted: the log-probability of each of these as next token", *(f"  {spelled([token])}" for token in request.candidates)]
    if request.kind == "continuation":
        head = "wanted: the log-probabilities of the tokens of each continuation"
        return [head, *(f"  {number}: {spelled(ids)}" for number, ids in enumerate(request.continuations, start=1))]
    if request.kind == "generate" and request.sampling is not None:
        sampling = request.sampling
        stops = ", ".join(visible(text) for text in sampling.stop) or "none but the model's own end marks"
        drawn = (
            "greedy"
            if sampling.temperature == 0
            else f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, seed {sampling.seed}"
        )
        return [f"wanted: generated text, at most {sampling.max_tokens} tokens, {drawn}; stops at: {stops}"]
    return [f"wanted: {request.kind}, over the prompt itself"]
