"""Logits at the places that are wanted and nowhere else, and what is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import numpy as np
import torch

from evalsuite.types import Failure, Outcome, Response

N_LOGITS_AT_ONCE = 2**25
"""Most logits that are turned into float32 log-probabilities at once."""

INVALID = Failure(reason="invalid_logprob", message="a log-probability is not finite", transient=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """What was read off logits [places, vocabulary]."""

    values: Any
    """Log-probability of each token that was asked for, float32 [tokens]."""
    means: Any
    """Mean of log p under p at each place, float32 [places]; zeros unless moments were wanted."""
    variances: Any
    """Its variance likewise."""
    tops: Any
    """The likeliest id at each place (of equal ones the first), int64 [places]; zeros unless wanted."""


def picked_logits(model: Any, at: tuple[torch.Tensor, torch.Tensor], arguments: Mapping[str, Any]) -> tuple[torch.Tensor, Any]:
    """Logits [places, vocabulary] in the model's dtype at (rows, columns) of a batch, and all that the model returned.

    The places are picked in front of the output layer, inside the model's own forward pass: what a model does around that layer
    (soft caps, scales) stays in.

    Raises:
        RuntimeError: a model that does not apply its output layer to all places alike.
    """
    thread = get_ident()

    def pick(_module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        # The model is everybody's: other streams pick places of their own.
        return (inputs[0][at].unsqueeze(0), *inputs[1:]) if get_ident() == thread else inputs

    hook = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        output = model(**arguments)
    finally:
        hook.remove()
    if output.logits.shape[:2] != (1, len(at[0])):
        raise RuntimeError(f"{type(model).__name__} does not apply its output layer as causal language models do")
    return output.logits[0], output


@torch.inference_mode()
def read_logits(logits: torch.Tensor, owners: Any, tokens: Any, *, moments: bool, tops: bool) -> Numbers:
    """Log-probabilities by `log_softmax` in float32, a few places at a time.

    Moments are those of Min-K%++ (arXiv 2404.02936, eq. 3): mean and variance of log p(z) for z drawn from p.

    Args:
        logits: [places, vocabulary].
        owners: place of each token that is asked for, int64 [tokens], ascending.
        tokens: the tokens, int64 [tokens].
        moments: also mean and variance at each place.
        tops: also the likeliest id at each place.
    """
    n_places = logits.shape[0]
    values = np.empty(len(owners), dtype=np.float32)
    means, variances = np.zeros(n_places, dtype=np.float32), np.zeros(n_places, dtype=np.float32)
    n_at_once = max(1, N_LOGITS_AT_ONCE // logits.shape[-1])
    for begin in range(0, n_places, n_at_once):
        places = slice(begin, begin + n_at_once)
        logp = torch.log_softmax(logits[places].float(), dim=-1)
        some = slice(*np.searchsorted(owners, [begin, begin + n_at_once]))
        of, at = (torch.from_numpy(numbers).to(logits.device) for numbers in (owners[some] - begin, tokens[some]))
        values[some] = logp[of, at].cpu().numpy()
        if moments:
            p = logp.exp()
            # A token of probability 0 adds nothing, although its log-probability is minus infinity. NaN stays NaN.
            logp = logp.masked_fill(p == 0, 0.0)
            mean = (p * logp).sum(dim=-1)
            means[places] = mean.cpu().numpy()
            variances[places] = (p * (logp - mean[:, None]).square()).sum(dim=-1).cpu().numpy()
    likeliest = logits.argmax(dim=-1).cpu().numpy() if tops else np.zeros(n_places, dtype=np.int64)
    return Numbers(values=values, means=means, variances=variances, tops=likeliest)


def scored(values: Any, moments: tuple[Any, Any] | None, greedy: bool | None) -> Outcome:
    """The outcome of a row.

    Args:
        values: log-probabilities of all that was wanted, in order; one that is not finite makes a failure of the row.
        moments: means and variances per position, None if not asked for.
        greedy: whether the wanted tokens are the likeliest throughout, None if not asked for.
    """
    found = (values, *moments) if moments is not None else (values,)
    if not all(np.isfinite(part).all() for part in found):
        return INVALID
    mean, variance = (tuple(part.tolist()) for part in moments) if moments is not None else ((), ())
    return Response(
        logprobs=tuple(values.tolist()), means=mean, variances=variance, continuation_greedy=() if greedy is None else (greedy,)
    )


def embedded(vector: torch.Tensor) -> Outcome:
    """The outcome of an embedding, float32 [hidden]."""
    if bool(torch.isfinite(vector).all()):
        return Response(vector=vector.cpu().numpy().astype("<f4").tobytes())
    return Failure(reason="engine_error", message="a hidden state is not finite", transient=False)
