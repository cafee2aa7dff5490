"""Asking for one answer in one format: the building block of every strategy.

Each function is a small program over requests (`types.Asking`). A failed request becomes the answer's status; what a
model did never raises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from evalsuite import answers, formats
from evalsuite.contracts import Contract
from evalsuite.formats import Format, Layout, Wording
from evalsuite.prompts import conversation
from evalsuite.seeds import derive_seed
from evalsuite.strategies.base import Context
from evalsuite.strategies.exemplars import Exemplar
from evalsuite.types import Answer, Asking, Failure, Message, Prompt, Reading, Request, Response, Sample, Sampling, Status

Normalisation = Literal["raw", "token", "byte", "unconditional"]
"""How a choice's log-probability is made comparable: as it is; per token; per UTF-8 byte (lm-evaluation-harness `acc_norm`,
OLMES per-character); minus its log-probability after the bare cue (OLMES `pmi`, arXiv 2406.08446)."""


def prompt_for(sample: Sample, shots: Sequence[Exemplar], form: Format, context: Context) -> tuple[Prompt, Layout]:
    """The rendered prompt of a sample with its exemplars, and the sample's layout.

    Raises:
        ValueError: as `messages_for`.
    """
    messages, layout = messages_for(sample, shots, form, context)
    return context.renderer.render(messages, joint=layout.joint), layout


def messages_for(sample: Sample, shots: Sequence[Exemplar], form: Format, context: Context) -> tuple[tuple[Message, ...], Layout]:
    """The conversation that asks a sample with its exemplars, and the sample's layout.

    Raises:
        ValueError: an exemplar is of the sample's own group, which only a programming error can bring here.
    """
    if any(shot.sample.group == sample.group for shot in shots):
        raise ValueError(f"an exemplar of sample {sample.id} is of its own group")
    layout = formats.lay_out(sample, form, context.wording)
    messages = conversation(
        instruction=context.wording.instruction,
        shots=layouts_of(shots, form, context),
        layout=layout,
        system=context.system,
        shots_as=context.shots_as,
    )
    return messages, layout


def layouts_of(shots: Sequence[Exemplar], form: Format, context: Context) -> Sequence[tuple[Layout, str]]:
    """Exemplars and their answers; once for the same ones in a row, as for the members of an ensemble, or for all samples."""
    kept = context.laid_out.get(form)
    if kept is None or kept[0] is not shots or kept[1] is not context.wording:
        wording = context.wording
        pairs = [(formats.lay_out(shot.sample, form, wording), _said_of(shot, form, wording)) for shot in shots]
        kept = context.laid_out[form] = (shots, wording, pairs)
    return kept[2]


def _said_of(shot: Exemplar, form: Format, wording: Wording) -> str:
    if shot.answer is None:
        return formats.right_answer(shot.sample, form, wording)
    return formats.ending_under_template(shot.answer, shot.sample, wording)


def ask(
    sample: Sample, shots: Sequence[Exemplar], form: Format, context: Context, normalisation: Normalisation = "byte", draw: int = 0
) -> Asking[Answer]:
    """Ask one sample in a format; `normalisation` matters for `cloze` only, the number of the draw for generated text only."""
    prompt, layout = prompt_for(sample, shots, form, context)
    return (yield from ask_prompted(prompt, layout, sample, form, context, normalisation, draw))


def ask_prompted(
    prompt: Prompt, layout: Layout, sample: Sample, form: Format, context: Context, normalisation: Normalisation = "byte", draw: int = 0
) -> Asking[Answer]:
    """The same where the prompt is rendered already and ends with the sample's layout."""
    if form == "letters":
        return (yield from ask_letters(prompt, layout, context))
    if form == "cloze":
        return (yield from ask_cloze(prompt, layout, sample, context, normalisation))
    return (yield from ask_text(prompt, sample, context, form=form, draw=draw))


def ask_letters(prompt: Prompt, layout: Layout, context: Context) -> Asking[Answer]:
    """The label with the highest probability as next token; of equal ones the first shown, marked in `details`."""
    candidates = context.renderer.label_ids(prompt, layout.answers, joint=layout.joint)
    outcomes = yield [Request(kind="next", prompt=prompt, candidates=candidates)]
    outcome = outcomes[0]
    if isinstance(outcome, Failure):
        return failed_answer([outcome], n_calls=1)
    p_choices = softmax(outcome.logprobs)
    return Answer(
        reading=Reading(status="scored", index=first_maximum(outcome.logprobs)),
        p_choices=p_choices,
        # Rounding may carry a sum of probabilities a hair above 1.
        label_mass=min(1.0, math.fsum(map(math.exp, outcome.logprobs))),
        n_calls=1,
        n_prompt_tokens=outcome.n_prompt_tokens,
        n_output_tokens=outcome.n_output_tokens,
        details=tie_details(outcome.logprobs),
    )


def ask_cloze(prompt: Prompt, layout: Layout, sample: Sample, context: Context, normalisation: Normalisation) -> Asking[Answer]:
    """The choice whose text is the likeliest continuation under a normalisation."""
    texts = layout.answers
    requests = [_continuation_request(prompt, texts, layout.joint, context)]
    if normalisation == "unconditional":
        # OLMES' pmi: the same choices after the cue alone, without question and exemplars.
        cue = Layout(user=formats.answer_cue(sample, context.wording)[0], joint=layout.joint, answers=texts)
        messages = conversation(instruction="", shots=[], layout=cue, system=context.system, shots_as=context.shots_as)
        bare = context.renderer.render(messages, joint=cue.joint)
        requests.append(_continuation_request(bare, texts, cue.joint, context))
    outcomes = yield requests
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        return failed_answer(failures, n_calls=len(requests))
    responses = [outcome for outcome in outcomes if isinstance(outcome, Response)]
    values = cloze_values(responses, texts, normalisation)
    return Answer(
        reading=Reading(status="scored", index=first_maximum(values)),
        p_choices=softmax(values),
        n_calls=len(requests),
        n_prompt_tokens=sum(response.n_prompt_tokens for response in responses),
        n_output_tokens=sum(response.n_output_tokens for response in responses),
        details=tie_details(values),
    )


def cloze_values(responses: Sequence[Response], texts: Sequence[str], normalisation: Normalisation) -> tuple[float, ...]:
    """Comparable log-probability of each choice; the second response, if any, is the unconditional one."""
    sums = [math.fsum(logprobs) for logprobs in responses[0].continuation_logprobs]
    if normalisation == "token":
        counts = [len(logprobs) for logprobs in responses[0].continuation_logprobs]
        return tuple(total / count for total, count in zip(sums, counts, strict=True))
    if normalisation == "byte":
        return tuple(total / len(text.encode()) for total, text in zip(sums, texts, strict=True))
    if normalisation == "unconditional":
        bare = [math.fsum(logprobs) for logprobs in responses[1].continuation_logprobs]
        return tuple(total - without for total, without in zip(sums, bare, strict=True))
    return tuple(sums)


def ask_text(prompt: Prompt, sample: Sample, context: Context, *, form: Format = "generate", draw: int = 0) -> Asking[Answer]:
    """Generate text and read the answer out of it, leniently and under the exact contract."""
    outcomes = yield [Request(kind="generate", prompt=prompt, sampling=sampling_for(sample, context, draw))]
    outcome = outcomes[0]
    if isinstance(outcome, Failure):
        return failed_answer([outcome], n_calls=1)
    reading, strict = read_output(outcome, sample, context, form)
    return Answer(
        reading=reading,
        strict=strict,
        output=outcome.text,
        finish_reason=outcome.finish_reason,
        n_calls=1,
        n_prompt_tokens=outcome.n_prompt_tokens,
        n_output_tokens=outcome.n_output_tokens,
    )


def read_output(response: Response, sample: Sample, context: Context, form: Format = "generate") -> tuple[Reading, Reading | None]:
    """Lenient and strict reading of generated text (of free text the one that there is); unread text at the token limit is `truncated`."""
    # Thoughts are cut first: an answer's line is told by where it stands.
    said = answers.without_thinking(response.text, context.thinking)
    if form == "generate" and context.wording.output is not None and sample.choices:
        return read_under_contract(context.wording.output, said, response, sample, context.wording)
    text, kept = formats.read_as_default(said, sample, context.wording), formats.contract_as_default(said, sample, context.wording)
    if form == "reasoned":
        return _read_reasoned(text, kept, response, sample, context)
    if sample.choices:
        reading = answers.read_lenient(text, sample, context.wording)
        return _or_truncated(reading, response), _or_truncated(answers.read_strict(kept, sample, context.wording), response)
    if sample.quantity is not None:
        reading = answers.read_quantity(text, sample, context.wording)
        return _or_truncated(reading, response), _or_truncated(answers.read_quantity_strict(kept, sample, context.wording), response)
    return _or_truncated(answers.read_text(said), response), None


def read_under_contract(
    contract: Contract, said: str, response: Response, sample: Sample, wording: Wording
) -> tuple[Reading, Reading | None]:
    """Lenient and strict reading of text that was asked for under an output contract; they agree where the contract is kept.

    Args:
        contract: what was asked for.
        said: the generated text without thoughts.
        response: the whole of it: an unread text that ended at the token limit is `truncated`.
        sample: as shown.
        wording: of its task, as the sample's manner changes it.
    """
    index = contract.read(said, sample, formats.labels_of(sample))
    if index is not None:
        kept = Reading(status="scored", index=index, rule=f"contract:{contract.name}")
        return kept, kept
    text = formats.read_as_default(said, sample, wording)
    reading = answers.read_lenient(text, sample, wording)
    return _or_truncated(reading, response), _or_truncated(Reading(status="unparsed"), response)


def _read_reasoned(text: str, kept: str, response: Response, sample: Sample, context: Context) -> tuple[Reading, Reading | None]:
    cut = response.finish_reason == "length"
    reading = answers.read_reasoned(text, sample, context.wording, cut=cut)
    if not sample.choices and sample.quantity is None:
        return _or_truncated(reading, response), None
    strict = answers.read_reasoned_strict(kept, sample, context.wording, cut=cut)
    return _or_truncated(reading, response), _or_truncated(strict, response)


def sampling_for(sample: Sample, context: Context, draw: int = 0, *, stop: Sequence[str] = (), max_tokens: int | None = None) -> Sampling:
    """The study's decoding; above temperature 0 with a seed of this sample, replicate and draw (DESIGN 2.2).

    Args:
        sample: part of the seed.
        context: the study's decoding.
        draw: number of the draw.
        stop: further strings that end the text, where the task has some of its own.
        max_tokens: the task's own limit; None: the study's.
    """
    decoding = context.decoding
    greedy = decoding.temperature == 0
    seed = None if greedy else derive_seed(context.seed, context.card.name, sample.id, sample.variant, context.replicate, draw)
    return Sampling(
        max_tokens=max_tokens or decoding.max_tokens,
        temperature=decoding.temperature,
        top_p=1.0 if greedy else decoding.top_p,
        stop=tuple(dict.fromkeys((*stop, *decoding.stop))),
        seed=seed,
    )


def failed_answer(failures: Sequence[Failure], n_calls: int) -> Answer:
    """The answer of a sample one of whose requests failed: `too_long` only if nothing else went wrong."""
    ours = [failure for failure in failures if failure.reason != "too_long"]
    status: Status = "failed" if ours else "too_long"
    told = (ours or failures)[0]
    return Answer(reading=Reading(status=status), n_calls=n_calls, failure=f"{told.reason}: {told.message}")


def softmax(values: Sequence[float]) -> tuple[float, ...]:
    """Probabilities proportional to exp(value); values are finite."""
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def first_maximum(values: Sequence[float]) -> int:
    """Position of the largest value; of equal ones the first shown."""
    return values.index(max(values))


def tie_details(values: Sequence[float]) -> dict[str, bool]:
    """Marks a maximum that stands more than once."""
    return {"tie": True} if values.count(max(values)) > 1 else {}


def _continuation_request(prompt: Prompt, texts: Sequence[str], joint: str, context: Context) -> Request:
    ids = context.renderer.continuation_ids(prompt, texts, joint=joint)
    return Request(kind="continuation", prompt=prompt, continuations=ids)


def _or_truncated(reading: Reading, response: Response) -> Reading:
    if reading.status == "unparsed" and response.finish_reason == "length":
        return Reading(status="truncated", rule=reading.rule)
    return reading
