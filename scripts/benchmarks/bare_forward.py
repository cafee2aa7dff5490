"""A side that answers the same questions in two ways in one process: our engine, and the bare model in a loop written by hand for them.

The loop feeds the fewest possible tokens: what all prompts begin with once, then only what follows it, in large batches of like length,
and takes the logits after the last token alone. Attention of what follows over what all begin with belongs to the forward pass.

python -m benchmarks.bare_forward CHECKPOINT
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.our_engine import answered, plain_renderer, requests_of
from benchmarks.questions import questions
from benchmarks.sides import Values, answer_lines
from evalsuite.engines import open_engine
from evalsuite.engines.base import EngineSettings
from evalsuite.types import Request


def main() -> None:
    os.environ.update(HF_HUB_OFFLINE="1")
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(sys.argv[1], EngineSettings(name="transformers", dtype="float32")))
        import torch
        from transformers import AutoModelForCausalLM

        renderer = plain_renderer(sys.argv[1])
        model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()

        def answer(question: dict[str, Any]) -> dict[str, Any]:
            asked = questions(question["n"], question["seed"], form="five_shot_letters")
            started = time.perf_counter()
            requests = requests_of(renderer, asked, form="five_shot_letters")
            tokenized_s = time.perf_counter() - started
            seconds, values = {}, {}
            for way in question["ways"]:
                started = time.perf_counter()
                values[way] = answered(engine, requests) if way == "ours" else bare(model, requests, question["batch_size"])
                seconds[way] = time.perf_counter() - started
            return {"values": values, "seconds": seconds, "tokenized_s": tokenized_s}

        answer_lines(answer)


def bare(model: Any, requests: list[Request], batch_size: int) -> Values:
    """Log-probabilities of the candidates after each prompt, all prompts sharing their beginning."""
    import torch
    from transformers import DynamicCache

    prompts = [request.prompt.token_ids for request in requests]
    n_common = common_length(min(prompts), max(prompts))
    found: list[list[float]] = [[] for _ in requests]
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    with torch.inference_mode():
        cache: Any = DynamicCache(config=model.config)
        model.model(input_ids=torch.tensor([prompts[0][:n_common]]), past_key_values=cache, use_cache=True)
        known = [(layer.keys, layer.values) for layer in cache.layers]
        for start in range(0, len(order), batch_size):
            numbers = order[start : start + batch_size]
            rows = [prompts[number][n_common:] for number in numbers]
            width = max(map(len, rows))
            # What stands right of a row's last token is never seen by it.
            ids = torch.tensor([row + (0,) * (width - len(row)) for row in rows])
            branched: Any = DynamicCache(ddp_cache_data=known)
            for layer in branched.layers:
                layer.keys, layer.values = (part.expand(len(rows), -1, -1, -1) for part in (layer.keys, layer.values))
            states = model.model(input_ids=ids, past_key_values=branched, use_cache=True).last_hidden_state
            last = states[torch.arange(len(rows)), torch.tensor([len(row) - 1 for row in rows])]
            logprobs = torch.log_softmax(model.lm_head(last), dim=-1)
            for number, row in zip(numbers, logprobs, strict=True):
                found[number] = row[list(requests[number].candidates)].tolist()
    return found


def common_length(first: tuple[int, ...], last: tuple[int, ...]) -> int:
    """Tokens that the first and the last in order, and so all between them, begin with; one token of each is left to be fed."""
    n_most = min(len(first), len(last)) - 1
    return next((place for place in range(n_most) if first[place] != last[place]), n_most)


if __name__ == "__main__":
    main()
