"""What is sent to an OpenAI-compatible server, and what its answers say; what they do not say exactly is a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evalsuite.engines._openai_calls import Unfit, engine_error, whole
from evalsuite.models.endpoints import EndpointEntry
from evalsuite.types import Failure, FinishReason, Prompt, Response, Sampling

N_IDS = 20
"""Ids whose log-probability one call may ask for: vLLM's `--max-logprobs` where its owner set nothing."""
MINUS_INFINITY = -9999.0
"""What vLLM writes for a probability of 0."""
ROUNDING = 1e-4
"""How far above 0 a log-probability may lie by rounding; it then counts as 0."""
NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_k": -1, "min_p": 0.0}
"""vLLM takes these from the checkpoint's generation_config.json unless told; a penalty changes greedy decoding too."""
STANDARD = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Those of them that every OpenAI-compatible server knows."""
FINISHED: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}


def generation(endpoint: EndpointEntry, prompt: Prompt, sampling: Sampling, special: Mapping[str, int]) -> dict[str, Any]:
    """Body of a `generate` call: the study's decoding, all of it and nothing else.

    Args:
        endpoint: the server.
        prompt: ids, or messages for a chat server.
        sampling: how to decode.
        special: ids of special tokens by their text, which the server leaves out of its text: a stop string that is one is sent as id.
    """
    body: dict[str, Any] = {"model": endpoint.model, endpoint.max_tokens_name: sampling.max_tokens, "temperature": sampling.temperature}
    body |= {"top_p": sampling.top_p, "n": 1, "stream": False}
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    is_vllm = endpoint.server == "vllm"
    body |= NEUTRAL if is_vllm else STANDARD
    stops = [text for text in sampling.stop if not (is_vllm and text in special)]
    if stops:
        body["stop"] = stops
    if endpoint.api == "chat":
        return body | {"messages": [{"role": message.role, "content": message.text} for message in prompt.messages]}
    body["prompt"] = list(prompt.token_ids)
    if is_vllm:
        body |= {"return_token_ids": True, "stop_token_ids": [special[text] for text in sampling.stop if text in special]}
    return body


def next_tokens(endpoint: EndpointEntry, ids: Sequence[int], wanted: Sequence[int]) -> dict[str, Any]:
    """Body of a call that gives the log-probabilities of at most `N_IDS` ids after a prompt (vLLM)."""
    return {**_one_token(endpoint, ids), "logprobs": 0, "logprob_token_ids": list(wanted), "return_tokens_as_token_ids": True}


def along(endpoint: EndpointEntry, ids: Sequence[int], *, greedy: bool) -> dict[str, Any]:
    """Body of a call that gives the log-probability of each token of a prompt (vLLM); greedy: and the likeliest at each place."""
    return {**_one_token(endpoint, ids), "prompt_logprobs": int(greedy)}


def _one_token(endpoint: EndpointEntry, ids: Sequence[int]) -> dict[str, Any]:
    head = {"model": endpoint.model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "top_p": 1.0, "n": 1, "stream": False}
    return {**head, **NEUTRAL, "return_token_ids": True}


def read_generation(content: Any, endpoint: EndpointEntry, prompt: Prompt, sampling: Sampling) -> Response:
    """The response to a `generate` call.

    Raises:
        Unfit: the answer is malformed, was filtered, or does not obey what was asked.
    """
    choice = only_choice(content, prompt.token_ids)
    text = _said_text(choice, endpoint)
    returns_ids = endpoint.server == "vllm" and endpoint.api == "completions"
    token_ids = choice.get("token_ids") if returns_ids else None
    if returns_ids and not _are_ids(token_ids):
        raise engine_error("the answer lacks its token ids; is this vLLM?")
    usage = content.get("usage") if isinstance(content.get("usage"), dict) else {}
    if endpoint.api == "completions" and not returns_ids and whole(usage.get("prompt_tokens")) is None:
        raise engine_error("the server does not say how many prompt tokens it read, so nobody can tell that they are those sent")
    finish_reason = FINISHED[choice["finish_reason"]]
    if token_ids is not None:
        n_output_tokens = _kept_limit(len(token_ids), sampling.max_tokens, finish_reason, slack=0)
    else:
        # Of a count, a token at the end may be left out.
        n_output_tokens = _kept_limit(whole(usage.get("completion_tokens")), sampling.max_tokens, finish_reason, slack=1)
    ends = [text.find(stop) for stop in sampling.stop if stop in text]
    if ends:
        # The words before a stop string are the same whether the server looked for it or not.
        text, finish_reason = text[: min(ends)], "stop"
    return Response(
        text=text,
        token_ids=tuple(token_ids or ()),
        finish_reason=finish_reason,
        n_prompt_tokens=len(prompt.token_ids) or whole(usage.get("prompt_tokens")) or 0,
        n_output_tokens=n_output_tokens,
    )


def read_next(content: Any, ids: Sequence[int], wanted: Sequence[int]) -> dict[int, float]:
    """Log-probability of each wanted id after a prompt. Raises Unfit where one is missing or no number."""
    choice = only_choice(content, ids)
    try:
        table = choice["logprobs"]["top_logprobs"][0]
        return {token: _logprob(table[f"token_id:{token}"]) for token in wanted}
    except (KeyError, IndexError, TypeError):
        raise engine_error("the answer lacks log-probabilities that were asked for; is this vLLM?") from None


def read_along(content: Any, ids: Sequence[int], *, greedy: bool) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Of each token of a prompt from the second on: its log-probability, and (greedy; else empty) whether greedy decoding takes it.

    Raises:
        Unfit: likewise.
    """
    choice = only_choice(content, ids)
    try:
        rows = choice["prompt_logprobs"]
        if len(rows) != len(ids) or rows[0] is not None:
            raise engine_error(f"{len(rows)} log-probabilities along a prompt of {len(ids)} tokens")
        found = tuple(_logprob(row[str(token)]["logprob"]) for token, row in zip(ids[1:], rows[1:], strict=True))
        return found, tuple(_is_first(token, row) for token, row in zip(ids[1:], rows[1:], strict=True)) if greedy else ()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise engine_error("the answer lacks log-probabilities along the prompt; is this vLLM?") from None


def only_choice(content: Any, ids: Sequence[int]) -> dict[str, Any]:
    """The one choice of an answer, ended as answers end, to exactly the prompt that was sent.

    Args:
        content: the answer.
        ids: the prompt's ids; empty: messages were sent, and nobody here knows their number.

    Raises:
        Unfit: it is something else.
    """
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise engine_error("the answer holds no choice, or several")
    choice: dict[str, Any] = choices[0]
    finish_reason = choice.get("finish_reason")
    message = choice.get("message")
    if finish_reason == "content_filter":
        raise engine_error("stopped by the server's content filter (finish_reason content_filter)", transient=False)
    if isinstance(message, dict) and message.get("refusal"):
        raise engine_error("the server gave its refusal in place of an answer (field refusal)", transient=False)
    if not isinstance(finish_reason, str) or finish_reason not in FINISHED:
        raise engine_error("the answer ended neither by itself nor at the limit")
    usage = content.get("usage")
    counted = whole(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    returned = choice.get("prompt_token_ids")
    if ids and ((counted is not None and counted != len(ids)) or (returned is not None and returned != list(ids))):
        raise engine_error(f"the server read another prompt than was sent ({counted} tokens, {len(ids)} were sent)")
    return choice


def _kept_limit(n_counted: int | None, max_tokens: int, finish_reason: FinishReason, *, slack: int) -> int:
    """Output tokens of an answer that kept the study's limit and no lower one; 0 where they are not counted and did not reach it.

    Args:
        n_counted: tokens of the answer; None: the server does not say.
        max_tokens: the study's limit.
        finish_reason: how the answer ended.
        slack: tokens by which the count of an answer at the limit may fall short of it.

    Raises:
        Unfit: another limit was at work, or nobody can tell.
    """
    if n_counted is None:
        if finish_reason == "length":
            raise engine_error("the server does not say how many tokens it gave")
        return 0
    # Some servers count the token that ends the answer, though the limit does not.
    if n_counted > max_tokens + 1:
        message = f"the server gave {n_counted} tokens where at most {max_tokens} were asked"
        raise Unfit(Failure(reason="unsupported", message=message, transient=False))
    if finish_reason == "length" and n_counted < max_tokens - slack:
        message = f"the server stopped at {n_counted} of {max_tokens} tokens: its own limit is lower than the study's"
        raise Unfit(Failure(reason="unsupported", message=message, transient=True))
    return n_counted


def _is_first(token: int, row: Mapping[str, Any]) -> bool:
    """Whether greedy decoding takes a token: none is likelier, and of equals it is the first by id, as transformers decides.

    vLLM's rank does not tell: it gives two equals rank 2 both.
    """
    values = {int(other): entry["logprob"] for other, entry in row.items()}
    for value in values.values():
        _logprob(value)
    if len(values) == 1 and row[str(token)]["rank"] != 1:
        raise engine_error("the answer lacks the likeliest tokens along the prompt; is this vLLM?")
    return token == min(other for other, value in values.items() if value == max(values.values()))


def _said_text(choice: Mapping[str, Any], endpoint: EndpointEntry) -> str:
    """The generated text; empty where the model said nothing."""
    if endpoint.api == "completions":
        text = choice.get("text")
    else:
        message = choice.get("message")
        text = message.get("content", "") if isinstance(message, dict) else None
        text = "" if isinstance(message, dict) and text is None else text
    if not isinstance(text, str):
        raise engine_error("the answer holds no text")
    return text


def _logprob(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not math.isfinite(value) or value <= MINUS_INFINITY or value > ROUNDING:
        message = "a log-probability is not finite, or above 0"
        raise Unfit(Failure(reason="invalid_logprob", message=message, transient=False))
    return min(float(value), 0.0)


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(whole(token) is not None for token in value)
