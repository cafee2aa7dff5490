"""What the stub's numbers are made of: a random language model over bytes, embeddings by counting, and chance by what is asked."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evalsuite.bytetext import N_VOCABULARY, decode
from evalsuite.types import Request, Response

N_DIMENSIONS = 64
"""Length of an embedding: hashed counts of three-byte strings, scaled to length 1."""

N_PREVIOUS_TOKENS = 8
"""Context of the random language model behind `prompt`."""

_NUMBERS = tuple(map(str, range(N_VOCABULARY)))


def along_prompt(request: Request, seed: int) -> Response:
    """Log-probabilities of a fixed random language model over the 258 ids that sees the last few tokens."""
    ids = request.prompt.token_ids
    logprobs, means, variances = [], [], []
    for place in range(1, len(ids)):
        logp = log_softmax(chance(seed, ids[max(0, place - N_PREVIOUS_TOKENS) : place]).normal(scale=2, size=N_VOCABULARY))
        logprobs.append(float(logp[ids[place]]))
        if request.moments:
            mean = float(np.exp(logp) @ logp)
            means.append(mean)
            variances.append(float(np.exp(logp) @ (logp - mean) ** 2))
    return Response(logprobs=tuple(logprobs), means=tuple(means), variances=tuple(variances), n_prompt_tokens=len(ids))


def vector_of(ids: Sequence[int]) -> bytes:
    """Hashed counts of three-byte strings, scaled to length 1, so that similar texts lie close; zeros for no text."""
    text = decode(ids).encode()
    counts = np.zeros(N_DIMENSIONS)
    for place in range(max(1, len(text) - 2) if text else 0):
        counts[zlib.crc32(text[place : place + 3]) % N_DIMENSIONS] += 1
    return (counts / max(1.0, float(np.linalg.norm(counts)))).astype("<f4").tobytes()


def chance(seed: int, ids: tuple[int, ...], *parts: object) -> np.random.Generator:
    """Chance that depends on the seed and what is asked, and on nothing else."""
    asked = ", ".join([repr(seed), _written(ids), *map(repr, parts)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"({asked})".encode()).digest()[:8], "big"))


def _written(ids: tuple[int, ...]) -> str:
    """`repr(ids)`, for the byte tokenizer's ids in a third of its time."""
    return f"({', '.join([_NUMBERS[token] for token in ids])})" if len(ids) > 1 else repr(ids)


def log_softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted: npt.NDArray[np.float64] = scores - scores.max()
    logp: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return logp
