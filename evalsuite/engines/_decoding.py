"""One batched decoding loop for greedy and sampled generation, over any function that steps a model.

Why not `model.generate`: each row has its own seed, and its draw must not depend on which rows it shares a batch with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from evalsuite.types import Failure, FinishReason, Outcome, Response, Sampling

N_SPARE_TOKENS = 8
"""Tokens that the window for stop strings is longer than the longest stop string can be: decoders treat a first token differently."""


class Step(Protocol):
    """Feeds tokens to a model and returns the logits after the last one."""

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
        """(ids [rows, new], mask [rows, all so far], cache or None) -> (logits [rows, vocabulary] in float32, cache)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompted:
    """One generation to do."""

    ids: tuple[int, ...]
    """Token ids of the prompt."""
    sampling: Sampling
    """How to decode."""


@dataclass(kw_only=True, slots=True)
class Writing:
    """One generation under way."""

    place: int
    """Position in the batch as it was given."""
    sampling: Sampling
    """How it is decoded."""
    end_ids: frozenset[int]
    """Ids that end it: the model's, and stop strings that are one special token."""
    draws: np.random.Generator | None
    """Its own source of chance; None if greedy."""
    tokens: list[int] = field(default_factory=list)
    """Tokens so far."""


class Texts:
    """Texts of tokens, as far as stop strings need them."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._alone: dict[int, str] = {}

    def whole(self, tokens: Sequence[int]) -> str:
        """Text of tokens; special ones are left out."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def may_end(self, token: int, stops: Sequence[str]) -> bool:
        """Whether a token can be the last of a stop string. In doubt it can: nothing is decided here, only work is saved.

        It must bring the string's last character. What it brings is what it reads as alone or after another, since some
        decoders leave out a first space; a part of a character reads as a replacement character.
        """
        text = self._alone.get(token)
        if text is None:
            text = self._alone[token] = self.whole([token]) + self.whole([token, token])
        return not text or "\ufffd" in text or any(stop[-1] in text for stop in stops)


@torch.inference_mode()
def decode(prompts: Sequence[Prompted], *, step: Step, tokenizer: Any, end_ids: frozenset[int], device: torch.device) -> list[Outcome]:
    """Generate for a batch; rows leave it as they end.

    Args:
        prompts: what to continue.
        step: steps the model; called first with the left-padded prompts, then with one token per row.
        tokenizer: decodes ids.
        end_ids: ids that end any generation.
        device: where the tensors go.

    Returns:
        One outcome per prompt, in order. `invalid_logprob` where the model's logits are not finite.
    """
    outcomes: list[Outcome | None] = [None] * len(prompts)
    special_ids, texts = special_ids_of(tokenizer), Texts(tokenizer)
    rows = [start(place, prompt.sampling, special_ids, end_ids) for place, prompt in enumerate(prompts)]
    ids, mask = pad([prompt.ids for prompt in prompts], left=True, device=device)
    cache: Any = None
    while True:
        logits, cache = step(ids, mask, cache)
        going = []
        for number, (row, token) in enumerate(zip(rows, choose(logits, rows), strict=True)):
            outcome = advance(row, token, texts, len(prompts[row.place].ids))
            outcomes[row.place] = outcome
            if outcome is None:
                going.append(number)
        if going and len(going) < len(rows):
            kept = torch.tensor(going, device=device)
            cache.reorder_cache(kept)
            mask = mask[kept]
        rows = [rows[number] for number in going]
        if not rows:
            break
        mask = torch.cat([mask, mask.new_ones(mask.shape[0], 1)], dim=1)
        ids = torch.tensor([[row.tokens[-1]] for row in rows], device=device)
    return [outcome for outcome in outcomes if outcome is not None]


def pad(rows: Sequence[Sequence[int]], *, left: bool, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask of rows of different lengths, both int64 [rows, longest]; padding is id 0 under mask 0."""
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, place] = row
        mask[number, place] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def draw(logits: torch.Tensor, sampling: Sampling, chance: float) -> int:
    """Draw a token by the inverse of the cumulative distribution, in the order of ids, in float64.

    The order of ids (not of probabilities) keeps a draw where it is when rounding swaps two nearly equal tokens.

    Args:
        logits: [vocabulary], finite maximum.
        sampling: temperature above 0 and nucleus mass.
        chance: uniform draw in [0, 1).
    """
    p = torch.softmax(logits.double() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, order = torch.sort(p, descending=True, stable=True)
        before = torch.cumsum(ordered, dim=-1) - ordered
        p = p.index_fill(0, order[before >= sampling.top_p], 0.0)
    cumulative = torch.cumsum(p, dim=-1)
    found = int(torch.searchsorted(cumulative, chance * cumulative[-1], right=True))
    # Rounding may put the target on the very end of the distribution.
    return min(found, int(torch.nonzero(p)[-1]))


def special_ids_of(tokenizer: Any) -> dict[str, int]:
    """Ids of the tokens that decoding leaves out, by their text."""
    return {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}


def start(place: int, sampling: Sampling, special_ids: Mapping[str, int], end_ids: frozenset[int]) -> Writing:
    # A stop string that is one special token never shows in decoded text: it is told by its id.
    special = {special_ids[stop] for stop in sampling.stop if stop in special_ids}
    draws = np.random.default_rng(sampling.seed) if sampling.temperature > 0 else None
    return Writing(place=place, sampling=sampling, end_ids=end_ids | special, draws=draws)


def choose(logits: torch.Tensor, rows: Sequence[Writing]) -> list[int | None]:
    """Next token of each row; None where the logits are not finite. Ties go to the lowest id."""
    # The maximum is NaN as soon as any logit is; minus infinity for single tokens is a model's right.
    sound = torch.isfinite(logits.amax(dim=-1)).tolist()
    tokens: list[int | None] = logits.argmax(dim=-1).tolist()
    for number, row in enumerate(rows):
        if not sound[number]:
            tokens[number] = None
        elif row.draws is not None:
            tokens[number] = draw(logits[number], row.sampling, row.draws.random())
    return tokens


def advance(row: Writing, token: int | None, texts: Texts, n_prompt_tokens: int) -> Outcome | None:
    """Add a token to a row; its outcome if it has ended."""
    if token is None:
        return Failure(reason="invalid_logprob", message="the model's logits are not finite", transient=False)
    row.tokens.append(token)
    if token in row.end_ids or _stop_in_tail(row, texts):
        return decoded(tuple(row.tokens), texts, row.sampling, "stop", n_prompt_tokens)
    if len(row.tokens) == row.sampling.max_tokens:
        return decoded(tuple(row.tokens), texts, row.sampling, "length", n_prompt_tokens)
    return None


def _stop_in_tail(row: Writing, texts: Texts) -> bool:
    """Whether a stop string has just been completed; only as many tokens are decoded as could hold it."""
    if not row.sampling.stop or not texts.may_end(row.tokens[-1], row.sampling.stop):
        return False
    # A token may be a single byte, so that a string takes at most as many tokens as bytes.
    n_tail_tokens = max(len(stop.encode()) for stop in row.sampling.stop) + N_SPARE_TOKENS
    tail = texts.whole(row.tokens[-n_tail_tokens:])
    if not any(stop in tail for stop in row.sampling.stop):
        return False
    whole = texts.whole(row.tokens)
    return any(stop in whole for stop in row.sampling.stop)


def decoded(tokens: tuple[int, ...], texts: Texts, sampling: Sampling, reason: FinishReason, n_prompt_tokens: int = 0) -> Response:
    """The response of a generation that has ended.

    Args:
        tokens: ids as generated, the one that ended it included.
        texts: decodes ids; special tokens are left out.
        sampling: its stop strings are looked for; the text is cut before the first.
        reason: why it ended, unless a stop string shows.
        n_prompt_tokens: tokens of the prompt.
    """
    text = texts.whole(tokens)
    cut = min((place for stop in sampling.stop if (place := text.find(stop)) >= 0), default=None)
    return Response(
        text=text if cut is None else text[:cut],
        token_ids=tokens,
        finish_reason=reason if cut is None else "stop",
        n_prompt_tokens=n_prompt_tokens,
        n_output_tokens=len(tokens),
    )
