"""Asking what a task of another framework asks: its words, our rendering, requests and statuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite import answers
from evalsuite.errors import Fault, UserError
from evalsuite.foreign import Ask, Judged, Result, Style
from evalsuite.strategies.ask import failed_answer, sampling_for
from evalsuite.strategies.base import Context
from evalsuite.types import Answer, Asking, Failure, FinishReason, Reading, Request, Response, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A request, and which asks it answers: continuations of one prompt are one request."""

    request: Request
    asks: tuple[int, ...]


def ask_foreign(sample: Sample, shots: int | None, context: Context) -> Asking[Answer]:
    """Ask one sample the way its own framework would.

    Args:
        sample: the sample as the task made it; anything else is `refused`, since its prompts are the task's own.
        shots: exemplars; None: as many as the task's configuration says.
        context: `context.foreign` is set.

    Raises:
        ValueError: the task has no prompts of its own, which only a programming error can bring here.
    """
    foreign = context.foreign
    if foreign is None:
        raise ValueError(f"task {context.card.name} has no prompts of its own")
    style = Style(shots=shots, chat=context.renderer.chats, turns=context.shots_as == "turns", system=context.system)
    asks = foreign.asks(sample, style)
    if not asks:
        return Answer(reading=Reading(status="refused"))
    sent = [one for group in _by_prompt(asks) for one in _requests(asks, group, sample, context)]
    outcomes = yield [one.request for one in sent]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        return failed_answer(failures, n_calls=len(sent))
    responses = [outcome for outcome in outcomes if isinstance(outcome, Response)]
    if any(
        asks[one.asks[0]].greedy and len(response.continuation_greedy) < len(one.asks)
        for one, response in zip(sent, responses, strict=True)
    ):
        silent = Failure(reason="unsupported", message="the engine does not say what greedy decoding would give", transient=True)
        return failed_answer([silent], n_calls=len(sent))
    results = _results(asks, sent, responses, context.thinking)
    try:
        judged = foreign.judge(sample, style, results)
    except Exception as error:  # noqa: BLE001 - filters and metrics are anybody's code; what they raise must not end the run
        broken = Failure(reason="engine_error", message=f"the task's own scoring raised {type(error).__name__}", transient=True)
        return failed_answer([broken], n_calls=len(sent))
    return _answer(judged, responses)


def _by_prompt(asks: Sequence[Ask]) -> list[tuple[int, ...]]:
    """Positions of the asks, those that continue one prompt together, in order of first appearance."""
    groups: dict[object, list[int]] = {}
    for position, ask in enumerate(asks):
        together = ask.continuation is not None
        groups.setdefault((ask.text, ask.turns, ask.greedy) if together else position, []).append(position)
    return [tuple(group) for group in groups.values()]


def _requests(asks: Sequence[Ask], group: tuple[int, ...], sample: Sample, context: Context) -> list[_Sent]:
    first = asks[group[0]]
    if first.rolling:
        return [_Sent(request=Request(kind="prompt", prompt=context.renderer.render_whole(first.text)), asks=group)]
    if first.continuation is None:
        prompt, _ = context.renderer.render_own(first.text, first.turns, scored=False)
        n_draws = first.n_draws if context.decoding.temperature > 0 else 1
        plans = [sampling_for(sample, context, draw, stop=first.stop, max_tokens=first.max_tokens) for draw in range(n_draws)]
        return [_Sent(request=Request(kind="generate", prompt=prompt, sampling=sampling), asks=group) for sampling in plans]
    if context.thinking is not None:
        allowed = "a task that generates: this model thinks before it answers, so the next tokens are no answer"
        raise UserError(Fault(file=f"task {context.card.name}", key="output_type", value="log-likelihood", allowed=allowed))
    prompt, tail = context.renderer.render_own(first.text, first.turns, scored=True)
    ids = context.renderer.following_ids(prompt, [tail + (asks[position].continuation or "") for position in group])
    if all(len(tokens) == 1 for tokens in ids) and not first.greedy and len(set(ids)) == len(ids):
        # One forward pass of the prompt alone answers them all, with the same numbers.
        request = Request(kind="next", prompt=prompt, candidates=tuple(tokens[0] for tokens in ids))
    else:
        request = Request(kind="continuation", prompt=prompt, continuations=ids, greedy=first.greedy)
    return [_Sent(request=request, asks=group)]


def _results(asks: Sequence[Ask], sent: Sequence[_Sent], responses: Sequence[Response], thinking: tuple[str, str] | None) -> list[Result]:
    """Results in the order of the asks.

    What a response holds says how it is read, not what its request was: answers that are recalled from a store have no requests.
    """
    found: dict[int, Result] = {}
    texts: dict[int, tuple[str, ...]] = {}
    for one, response in zip(sent, responses, strict=True):
        first = asks[one.asks[0]]
        if first.rolling:
            found[one.asks[0]] = math.fsum(response.logprobs)
        elif first.continuation is None:
            said = answers.without_thinking(response.text, thinking) if thinking else response.text
            texts[one.asks[0]] = (*texts.get(one.asks[0], ()), said)
        elif response.continuation_logprobs:
            greedy = response.continuation_greedy or (False,) * len(one.asks)
            for position, logprobs, is_greedy in zip(one.asks, response.continuation_logprobs, greedy, strict=True):
                found[position] = (math.fsum(logprobs), is_greedy)
        else:
            for position, logprob in zip(one.asks, response.logprobs, strict=True):
                found[position] = (logprob, False)
    for position, drawn in texts.items():
        # Greedy draws are all the same: one is asked and stands for all.
        found[position] = drawn * asks[position].n_draws if len(drawn) == 1 else drawn
    return [found[position] for position in range(len(asks))]


def _answer(judged: Judged, responses: Sequence[Response]) -> Answer:
    generated = [response for response in responses if response.finish_reason != "none"]
    cut = any(response.finish_reason == "length" for response in generated)
    finish_reason: FinishReason = "length" if cut else generated[0].finish_reason if generated else "none"
    return Answer(
        reading=Reading(status="scored", index=judged.index, text=judged.text, rule="own"),
        p_choices=judged.p_choices,
        output=generated[0].text if generated else None,
        finish_reason=finish_reason,
        n_calls=len(responses),
        n_prompt_tokens=sum(response.n_prompt_tokens for response in responses),
        n_output_tokens=sum(response.n_output_tokens for response in responses),
        details={"values": judged.values, "items": judged.items, "unread": judged.unread, "cut": cut},
    )
