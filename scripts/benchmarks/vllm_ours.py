"""Our side of `vllm_scoring`: strings to tokens to log-probabilities, through the engine as a study uses it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

from benchmarks.questions import questions
from benchmarks.sides import Values, answer_lines
from evalsuite.engines import open_engine
from evalsuite.engines.base import EngineSettings
from evalsuite.types import Prompt, Request, Response


def main() -> None:
    checkpoint = sys.argv[1]
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(checkpoint, EngineSettings(name="vllm", dtype="float32")))
        # Loading the engine does not need a tokenizer here; scoring strings does.
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(checkpoint)

        def answer(question: dict[str, Any]) -> Values:
            asked = questions(question["n"], question["seed"], form=question["form"])
            requests = [
                _request(context, wholes, letters=question["form"] != "cloze")
                for context, wholes in _tokens(tokenizer, [(item.context, item.continuations) for item in asked])
            ]
            # As a study's runner does: neighbours share prefixes.
            order = sorted(range(len(requests)), key=lambda number: requests[number].prompt.token_ids)
            found: Values = [[] for _ in requests]
            for place, outcome in engine.run([requests[number] for number in order]):
                if not isinstance(outcome, Response):
                    raise RuntimeError(outcome.message)
                sums = [sum(values) for values in outcome.continuation_logprobs]
                found[order[place]] = sums or list(outcome.logprobs)
            return found

        answer_lines(answer)


def _tokens(tokenizer: Any, asked: list[tuple[str, tuple[str, ...]]]) -> list[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """(ids of the context, ids of each continuation behind it) of each question."""
    texts = [text for context, continuations in asked for text in (context, *(context + more for more in continuations))]
    ids = iter(tokenizer(texts)["input_ids"])
    found = []
    for _, continuations in asked:
        context = tuple(next(ids))
        found.append((context, [tuple(next(ids)[len(context) :]) for _ in continuations]))
    return found


def _request(context: tuple[int, ...], continuations: list[tuple[int, ...]], *, letters: bool) -> Request:
    prompt = Prompt(token_ids=context, text="")
    if letters:
        return Request(kind="next", prompt=prompt, candidates=tuple(token for (token,) in continuations))
    return Request(kind="continuation", prompt=prompt, continuations=tuple(continuations))


if __name__ == "__main__":
    main()
