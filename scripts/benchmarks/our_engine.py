"""Our side: strings to tokens to results, through an engine as a study uses it.

python -m benchmarks.our_engine CHECKPOINT ENGINE
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

from benchmarks.questions import N_WRITTEN, Asked, questions
from benchmarks.sides import Values, answer_lines
from evalsuite.config import Prompting
from evalsuite.engines import open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts import Renderer, open_renderer
from evalsuite.types import Request, Response, Sampling


def main() -> None:
    checkpoint, name = sys.argv[1:]
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(checkpoint, EngineSettings(name=name, dtype="float32")))
        renderer = plain_renderer(checkpoint)

        def answer(question: dict[str, Any]) -> Values:
            form = question["form"]
            return answered(engine, requests_of(renderer, questions(question["n"], question["seed"], form=form), form=form))

        answer_lines(answer)


def plain_renderer(checkpoint: str) -> Renderer:
    """The renderer that a study has for a model without chat template: as the peer, it puts the tokenizer's BOS first and nothing else."""
    return open_renderer(Checkpoint(name="pocket", path=checkpoint, fingerprint=""), ChatEntry(template="plain"), Prompting())


def requests_of(renderer: Renderer, asked: list[Asked], *, form: str) -> list[Request]:
    """Requests of the questions of one form, rendered and tokenized as in a study."""
    return [_request(renderer, one, form) for one in asked]


def answered(engine: Engine, requests: list[Request]) -> Values:
    """What the engine gives: log-probabilities, or the text that it writes.

    Raises:
        RuntimeError: a request failed, or a text has another number of tokens than was asked for.
    """
    # As a study's runner does: neighbours share prefixes.
    order = sorted(range(len(requests)), key=lambda number: requests[number].prompt.token_ids)
    found: list[list[float] | list[str]] = [[] for _ in requests]
    for place, outcome in engine.run([requests[number] for number in order]):
        if not isinstance(outcome, Response):
            raise RuntimeError(outcome.message)
        found[order[place]] = _values(requests[order[place]], outcome)
    return found


def _request(renderer: Renderer, asked: Asked, form: str) -> Request:
    prompt, _ = renderer.render_own(asked.context, (), scored=form != "generation")
    if form == "generation":
        return Request(kind="generate", prompt=prompt, sampling=Sampling(max_tokens=N_WRITTEN))
    texts = [more.strip() for more in asked.continuations]
    if form == "cloze":
        return Request(kind="continuation", prompt=prompt, continuations=renderer.continuation_ids(prompt, texts))
    return Request(kind="next", prompt=prompt, candidates=renderer.label_ids(prompt, texts))


def _values(request: Request, response: Response) -> list[float] | list[str]:
    if request.kind == "generate":
        if response.n_output_tokens != N_WRITTEN:
            raise RuntimeError(f"{response.n_output_tokens} tokens were written, not {N_WRITTEN}")
        return [response.text]
    return [sum(values) for values in response.continuation_logprobs] or list(response.logprobs)


if __name__ == "__main__":
    main()
