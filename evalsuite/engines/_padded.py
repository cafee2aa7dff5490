"""The plain way: every row whole, in padded batches of rows of similar length; generations in batches that only shrink.

For every architecture that transformers knows, and the way that the other one is measured against.
"""

from __future__ import annotations

import gc
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from evalsuite.engines._checkpoint import Checkpoint
from evalsuite.engines._decoding import Prompted, decode, pad
from evalsuite.engines._logits import embedded, picked_logits, read_logits, scored
from evalsuite.engines._rows import Row
from evalsuite.types import Failure, Outcome

NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says in errors of no class of their own."""


class Padded:
    """Answers rows of one checkpoint. A batch that does not fit into memory is repeated in halves."""

    def __init__(self, checkpoint: Checkpoint, n_batch_tokens: int, n_logit_rows: int) -> None:
        self._checkpoint = checkpoint
        self._takes_positions = takes_positions(checkpoint.model)
        self._n_batch_tokens = n_batch_tokens
        self._n_logit_rows = n_logit_rows

    def score(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Log-probabilities; each row once, as its batch is done."""
        return self._drain(rows, self._score)

    def embed(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Means of the last hidden states."""
        return self._drain(rows, self._embed)

    def generate(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Text."""
        return self._drain(rows, self._generate)

    @torch.inference_mode()
    def logits(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: Sequence[int], columns: Sequence[int], *, cache: Any = None, keep: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Logits [len(rows), vocabulary] at the given places of a batch, in the model's dtype, and the cache if it is to be kept."""
        at = (torch.tensor(rows, device=ids.device), torch.tensor(columns, device=ids.device))
        arguments = {**self._feed(ids, mask), "past_key_values": cache, "use_cache": keep}
        found, output = picked_logits(self._checkpoint.model, at, arguments)
        return found, getattr(output, "past_key_values", None)

    def _drain(self, rows: Sequence[Row], answer: Callable[[Sequence[Row]], list[Outcome]]) -> Iterator[tuple[Row, Outcome]]:
        """Answer all rows batch by batch, longest first; when memory runs out, smaller batches from there on."""
        # Longest first: padding stays small, and a budget that is too large shows at once. Stable: prefixes stay neighbours.
        waiting = deque(sorted(rows, key=lambda row: -row.n_tokens))
        while waiting:
            batch = self._take(waiting)
            try:
                outcomes: list[Outcome] | None = answer(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                outcomes = None
            # Outside the `except`: while it lasts, the error's traceback holds on to the tensors.
            if outcomes is None:
                give_memory_back()
                if len(batch) > 1:
                    self._n_batch_tokens = max(1, len(batch) * batch[0].n_tokens // 2)
                    waiting.extendleft(reversed(batch))
                    continue
                outcomes = [no_memory(batch[0])]
            yield from zip(batch, outcomes, strict=True)

    def _take(self, waiting: deque[Row]) -> list[Row]:
        """The next batch: within both budgets, and on one side of the length where rotary factors change."""
        batch = [waiting.popleft()]
        n_fed, n_logit_rows = len(batch[0].ids), len(batch[0].wanted)
        n_new = batch[0].n_tokens - n_fed
        n_short = self._checkpoint.n_short_rope_tokens
        while waiting:
            row = waiting[0]
            n_logit_rows += len(row.wanted)
            # Generations end where the longest prompt does: a short one with many tokens to come may need more than any alone.
            n_fed, n_new = max(n_fed, len(row.ids)), max(n_new, row.n_tokens - len(row.ids))
            if n_fed + n_new > max(batch[0].n_tokens, self._checkpoint.n_context_tokens):
                break
            if (len(batch) + 1) * (n_fed + n_new) > self._n_batch_tokens or n_logit_rows > self._n_logit_rows:
                break
            if n_short is not None and (len(row.ids) > n_short) != (len(batch[0].ids) > n_short):
                break
            batch.append(waiting.popleft())
        return batch

    def _feed(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        """Arguments of the model for ids [rows, new] under a mask [rows, all so far]."""
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if self._takes_positions:
            # Padding gets the position of its neighbour: it must not look like a longer sequence.
            arguments["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return arguments

    def _score(self, batch: Sequence[Row]) -> list[Outcome]:
        ids, mask = pad([row.ids for row in batch], left=False, device=self._checkpoint.device)
        places = [(number, row.first + offset) for number, row in enumerate(batch) for offset in range(len(row.wanted))]
        logits, _ = self.logits(ids, mask, [number for number, _ in places], [column for _, column in places])
        wanted = [ids for row in batch for ids in row.wanted]
        owners = np.repeat(np.arange(len(wanted)), [len(ids) for ids in wanted])
        tokens = np.fromiter(itertools.chain.from_iterable(wanted), dtype=np.int64, count=len(owners))
        moments, tops = any(row.moments for row in batch), any(row.greedy for row in batch)
        numbers = read_logits(logits, owners, tokens, moments=moments, tops=tops)
        n_values = np.cumsum([0, *(sum(map(len, row.wanted)) for row in batch)])
        n_places = np.cumsum([0, *(len(row.wanted) for row in batch)])
        outcomes: list[Outcome] = []
        for number, row in enumerate(batch):
            values = numbers.values[n_values[number] : n_values[number + 1]]
            of = slice(n_places[number], n_places[number + 1])
            greedy = bool((numbers.tops[of] == [ids[0] for ids in row.wanted]).all()) if row.greedy else None
            outcomes.append(scored(values, (numbers.means[of], numbers.variances[of]) if row.moments else None, greedy))
        return outcomes

    @torch.inference_mode()
    def _embed(self, batch: Sequence[Row]) -> list[Outcome]:
        ids, mask = pad([row.ids for row in batch], left=False, device=self._checkpoint.device)
        hidden = self._checkpoint.model.base_model(**self._feed(ids, mask), use_cache=False).last_hidden_state.float()
        return [embedded(hidden[number, : len(row.ids)].mean(dim=0)) for number, row in enumerate(batch)]

    def _generate(self, batch: Sequence[Row]) -> list[Outcome]:
        checkpoint = self._checkpoint
        prompts = [Prompted(ids=row.ids, sampling=row.sampling) for row in batch if row.sampling is not None]
        return decode(prompts, step=self._step, tokenizer=checkpoint.tokenizer, end_ids=checkpoint.end_ids, device=checkpoint.device)

    def _step(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
        logits, cache = self.logits(ids, mask, range(ids.shape[0]), [ids.shape[1] - 1] * ids.shape[0], cache=cache, keep=True)
        return logits.float(), cache


def takes_positions(model: Any) -> bool:
    """Whether a model can be told at which position a token stands."""
    return "position_ids" in inspect.signature(model.forward).parameters


def is_out_of_memory(error: Exception) -> bool:
    """Also on a CPU, where torch has no class of its own for it, and where a library of CUDA's ran out and not torch itself."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in NO_MEMORY)


def give_memory_back() -> None:
    """After memory ran out; not while the error is being handled, whose traceback holds on to the tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def no_memory(row: Row) -> Failure:
    """What a row comes to that does not fit even alone."""
    return Failure(reason="out_of_memory", message=f"no memory for {row.n_tokens} tokens", transient=True)
