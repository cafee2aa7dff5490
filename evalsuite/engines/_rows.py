"""Requests as rows, one forward pass or one generation each, and outcomes from the rows' outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from evalsuite.types import Failure, Outcome, Request, Response, Sampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a model is fed for a request, or for one of its continuations."""

    request: int
    """Index of the request."""
    part: int
    """Number of the continuation; 0 for other kinds."""
    ids: tuple[int, ...]
    """Tokens that are fed."""
    first: int = 0
    """Position of the first logits that are wanted; the others follow it."""
    wanted: tuple[tuple[int, ...], ...] = ()
    """For each position from `first` on the ids whose log-probability is wanted there."""
    greedy: bool = False
    """Also whether the first wanted id is the likeliest at each of these positions."""
    moments: bool = False
    """Also mean and variance at each of these positions."""
    sampling: Sampling | None = None
    """Generation only: how to decode."""

    @property
    def n_tokens(self) -> int:
        """Tokens that the row occupies at its end."""
        return len(self.ids) + (self.sampling.max_tokens if self.sampling else 0)


def rows_of(index: int, request: Request) -> list[Row]:
    """Rows of a request. The last token of a continuation or prompt is never fed: nothing is asked after it."""
    prompt = request.prompt.token_ids
    if request.kind == "next":
        return [Row(request=index, part=0, ids=prompt, first=len(prompt) - 1, wanted=(request.candidates,))]
    if request.kind == "continuation":
        return [
            Row(
                request=index,
                part=part,
                ids=prompt + tokens[:-1],
                first=len(prompt) - 1,
                wanted=tuple((token,) for token in tokens),
                greedy=request.greedy,
            )
            for part, tokens in enumerate(request.continuations)
        ]
    if request.kind == "prompt":
        wanted = tuple((token,) for token in prompt[1:])
        return [Row(request=index, part=0, ids=prompt[:-1], wanted=wanted, moments=request.moments)]
    if request.kind == "generate":
        # All logits behind the prompt are looked at, and no single one is asked for.
        return [Row(request=index, part=0, ids=prompt, first=len(prompt) - 1, wanted=((),), sampling=request.sampling)]
    return [Row(request=index, part=0, ids=prompt)]


def put_together(request: Request, parts: Mapping[int, Outcome]) -> Outcome:
    """The outcome of a request from those of its rows; one failed continuation fails the request."""
    ordered = [parts[part] for part in sorted(parts)]
    responses = [part for part in ordered if isinstance(part, Response)]
    if len(responses) < len(ordered):
        return next(part for part in ordered if isinstance(part, Failure))
    n_prompt_tokens = len(request.prompt.token_ids)
    if request.kind == "continuation":
        logprobs = tuple(part.logprobs for part in responses)
        n_output_tokens = sum(map(len, request.continuations))
        greedy = tuple(itertools.chain.from_iterable(part.continuation_greedy for part in responses))
        return Response(
            continuation_logprobs=logprobs, continuation_greedy=greedy, n_prompt_tokens=n_prompt_tokens, n_output_tokens=n_output_tokens
        )
    if request.kind == "generate":
        return responses[0]
    found = responses[0]
    return Response(
        logprobs=found.logprobs, means=found.means, variances=found.variances, vector=found.vector, n_prompt_tokens=n_prompt_tokens
    )
