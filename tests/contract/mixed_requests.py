"""Requests of all kinds over prompts that share beginnings as those of real studies do, and what two sets of answers differ in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from evalsuite.bytetext import BOS
from evalsuite.engines.base import Engine
from evalsuite.types import Outcome, Prompt, Request, Response, Sampling
from tests.tiny_checkpoint import N_CONTEXT_TOKENS

Ids = tuple[int, ...]
Tree = Callable[[np.random.Generator], list[Ids]]

KINDS = ("next", "continuation", "prompt", "moments", "greedy", "drawn", "embed", "broken")
SHARES_OF_KINDS = (0.28, 0.28, 0.09, 0.08, 0.11, 0.09, 0.06, 0.01)

STOP_STRINGS = tuple("aeimotux")
"""Each likely enough to come up in a short text of random bytes."""


def prompt_of(ids: Sequence[int]) -> Prompt:
    return Prompt(token_ids=tuple(ids), text="")


def some_ids(rng: np.random.Generator, low: int, high: int) -> Ids:
    """So many ids from `low` to `high` that stand for characters."""
    return tuple(rng.integers(1, 256, rng.integers(low, high + 1)).tolist())


def begun(rng: np.random.Generator, low: int, high: int) -> Ids:
    return (BOS, *some_ids(rng, low, high))


def system_prompt(rng: np.random.Generator) -> list[Ids]:
    """A long beginning that every question shares."""
    system = begun(rng, 40, 60)
    return [system + some_ids(rng, 1, 25) for _ in range(8)]


def five_shots(rng: np.random.Generator) -> list[Ids]:
    """A trunk of five exemplars under many questions, and the first three of them under others."""
    shots = [some_ids(rng, 8, 14) for _ in range(5)]
    few, all_five = (BOS, *sum(shots[:3], ())), (BOS, *sum(shots, ()))
    return [all_five + some_ids(rng, 3, 16) for _ in range(9)] + [few + some_ids(rng, 3, 16) for _ in range(3)]


def passages(rng: np.random.Generator) -> list[Ids]:
    """Under one instruction several passages, each with several questions; all end with the same words."""
    instruction, end = begun(rng, 6, 10), some_ids(rng, 3, 4)
    texts = [instruction + some_ids(rng, 20, 40) for _ in range(3)]
    return [text + some_ids(rng, 4, 12) + end for text in texts for _ in range(3)]


def choice_orders(rng: np.random.Generator) -> list[Ids]:
    """A stem under several orders of its choices: some agree in the first of them."""
    stem, choices = begun(rng, 15, 25), [some_ids(rng, 4, 8) for _ in range(4)]
    return [sum((choices[place] for place in rng.permutation(4)), stem) for _ in range(6)]


def ensemble(rng: np.random.Generator) -> list[Ids]:
    """Members of which each has its own exemplars after a common instruction, all with the same question."""
    instruction, question = begun(rng, 12, 20), some_ids(rng, 10, 20)
    return [instruction + some_ids(rng, 10, 30) + question for _ in range(4)]


def nested(rng: np.random.Generator) -> list[Ids]:
    """Prompts that are beginnings of each other."""
    longest = begun(rng, 60, 80)
    return [longest[:end] for end in (1, 2, 3, 17, 30, len(longest) - 1, len(longest))]


def equal(rng: np.random.Generator) -> list[Ids]:
    return [begun(rng, 3, 50)] * 4


def single(rng: np.random.Generator) -> list[Ids]:
    return [(BOS,), (int(rng.integers(0, 258)),), (int(rng.integers(0, 258)),)]


def full(rng: np.random.Generator) -> list[Ids]:
    """Up to the end of the context, one short of it, and one over it."""
    trunk = begun(rng, 70, 90)
    return [trunk + some_ids(rng, n, n) for n in [N_CONTEXT_TOKENS - len(trunk) + over for over in (0, 0, -1, 1)]]


def unrelated(rng: np.random.Generator) -> list[Ids]:
    return [some_ids(rng, 1, 90) for _ in range(3)]


TREES: tuple[Tree, ...] = (system_prompt, five_shots, passages, choice_orders, ensemble, nested, equal, single, full, unrelated)


def prompts(rng: np.random.Generator) -> Iterator[Ids]:
    """Without end; tree by tree."""
    while True:
        for tree in TREES:
            yield from tree(rng)


def several_continuations(rng: np.random.Generator) -> tuple[Ids, ...]:
    """Of 1 to 6 ids; some equal, some that begin or differ only at the end of another."""
    base = some_ids(rng, 2, 6)
    drawn = [base, base[:1], base[:-1], (*base[:-1], 7), base, *(some_ids(rng, 1, 6) for _ in range(3))]
    return tuple(drawn[place] for place in rng.permutation(len(drawn))[: rng.integers(1, 6)])


def generation(rng: np.random.Generator, ids: Ids, *, drawn: bool) -> Request:
    """To the end of the context where the prompt is nearly as long as that."""
    sampling = Sampling(max_tokens=int(rng.integers(1, 13)), stop=STOP_STRINGS if rng.random() < 0.4 else ())
    if drawn:
        seed, heat = int(rng.integers(0, 1000)), float(rng.uniform(0.5, 1.5))
        sampling = replace(sampling, temperature=heat, top_p=float(rng.choice([1.0, 0.9, 0.5])), seed=seed)
    if len(ids) == N_CONTEXT_TOKENS:
        ids = ids[: N_CONTEXT_TOKENS - sampling.max_tokens]
    return Request(kind="generate", prompt=prompt_of(ids), sampling=sampling)


def request_of(rng: np.random.Generator, ids: Ids) -> Request:
    """One request about a prompt, of any kind."""
    kind = str(rng.choice(KINDS, p=SHARES_OF_KINDS))
    if kind == "next":
        return Request(kind="next", prompt=prompt_of(ids), candidates=tuple(rng.integers(0, 258, rng.integers(1, 6)).tolist()))
    if kind == "continuation":
        continuations, longest = several_continuations(rng), 6
        # at the end of the context: half of those fit to the last token
        ids = ids[: N_CONTEXT_TOKENS - longest] if len(ids) > N_CONTEXT_TOKENS - longest and rng.random() < 0.5 else ids
        return Request(kind="continuation", prompt=prompt_of(ids), continuations=continuations, greedy=rng.random() < 0.5)
    if kind in ("greedy", "drawn"):
        return generation(rng, ids, drawn=kind == "drawn")
    if kind == "embed":
        return Request(kind="embed", prompt=prompt_of(ids))
    if kind == "broken":
        return Request(kind="next", prompt=prompt_of(ids), candidates=(1, 100_000))
    return Request(kind="prompt", prompt=prompt_of(ids), moments=kind == "moments")


def mixed_requests(n: int, *, seed: int = 0) -> list[Request]:
    """So many requests in no order; about a tenth of the prompts are asked for twice or more."""
    rng = np.random.default_rng(seed)
    requests: list[Request] = []
    for ids in prompts(rng):
        requests += [request_of(rng, ids) for _ in range(1 + (rng.random() < 0.1) + (rng.random() < 0.1))]
        if len(requests) >= n:
            break
    return [requests[place] for place in rng.permutation(len(requests))[:n]]


def greedy_continuations(requests: Sequence[Request], outcomes: Sequence[Outcome]) -> list[Request]:
    """What was generated, given as continuations: whole, in part, and with another end. Random ones are hardly ever greedy."""
    found = []
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Response) and request.sampling is not None and request.sampling.temperature == 0:
            tokens = outcome.token_ids
            other = (*tokens[:-1], (tokens[-1] + 1) % 256)
            continuations = (other, tokens, tokens[: len(tokens) // 2 + 1])
            found.append(Request(kind="continuation", prompt=request.prompt, continuations=continuations, greedy=True))
    return found


def sorted_requests(requests: Sequence[Request]) -> list[Request]:
    """As the runner hands them to an engine: neighbours share prefixes."""
    return sorted(requests, key=lambda request: request.prompt.token_ids)


def ask(engine: Engine, requests: Sequence[Request]) -> list[Outcome]:
    """Outcomes in the order of the requests; exactly one each."""
    pairs = list(engine.run(requests))
    assert sorted(index for index, _ in pairs) == list(range(len(requests)))
    return [outcome for _, outcome in sorted(pairs, key=lambda pair: pair[0])]


def numbers(response: Response) -> np.ndarray:
    """Every number of an answer, in one array."""
    flat = [value for values in response.continuation_logprobs for value in values]
    vector = np.frombuffer(response.vector, dtype="<f4")
    return np.array([*response.logprobs, *flat, *response.means, *response.variances, *vector], dtype=np.float64)


def shape(response: Response) -> tuple[object, ...]:
    """Everything that is no rounded number, and how many of those there are where."""
    counts = (len(response.logprobs), len(response.means), len(response.variances), len(response.vector))
    parts = tuple(map(len, response.continuation_logprobs))
    told = (response.text, response.token_ids, response.finish_reason, response.n_prompt_tokens, response.n_output_tokens)
    return (*told, response.continuation_greedy, counts, parts)


def difference(left: Outcome, right: Outcome, tolerance: float) -> str:
    """In what two outcomes differ, in a few words; empty if in nothing."""
    if not isinstance(left, Response) or not isinstance(right, Response):
        return "" if left == right else f"{left} / {right}"[:300]
    if shape(left) != shape(right):
        return f"{shape(left)} / {shape(right)}"[:300]
    # not `>`, which is false of what is not a number
    most = float(np.abs(numbers(left) - numbers(right)).max(initial=0.0))
    return "" if most <= tolerance else f"numbers by up to {most:.2g}"


def differences(requests: Sequence[Request], left: Sequence[Outcome], right: Sequence[Outcome], tolerance: float) -> list[str]:
    """One line for each request that was answered in two ways."""
    lines = []
    for number, (request, one, other) in enumerate(zip(requests, left, right, strict=True)):
        found = difference(one, other, tolerance)
        if found:
            lines.append(f"{number}: {request.kind} after {len(request.prompt.token_ids)} tokens: {found}")
    return lines


def n_fewest_tokens(requests: Sequence[Request]) -> int:
    """The fewest tokens that a model must read to answer: the different beginnings of what precedes each thing asked for.

    What is generated is left out, but for the prompts of it.
    """
    beginnings: set[Ids] = set()
    for request in requests:
        ids = request.prompt.token_ids
        ends = [ids + tokens[:-1] for tokens in request.continuations] or [ids[:-1] if request.kind == "prompt" else ids]
        beginnings.update(end[:n] for end in ends for n in range(1, len(end) + 1))
    return len(beginnings)
