"""Forced decoding inside vLLM: the sampler is left no choice but the given next token, so that its raw log-probability comes out.

Loaded by vLLM by name (V1 model runner). Log-probabilities are taken before this is applied (`logprobs_mode: raw_logprobs`).
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

ARGUMENT = "evalsuite_forced"
"""Key in `SamplingParams.extra_args` of the ids that are to be decoded."""

NAME = "evalsuite.engines._vllm_forced:Forced"
"""As vLLM is told of it."""


class Forced(LogitsProcessor):  # type: ignore[misc]  # vLLM may be absent where types are checked
    """Raises the logit of the given next token above all others, in the rows of requests that bring such ids."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        del vllm_config, is_pin_memory
        self._device = device
        self._rows: dict[int, tuple[list[int], list[int]]] = {}

    def is_argmax_invariant(self) -> bool:
        """It decides the argmax."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they enter, leave and move within the batch."""
        process_dict_updates(self._rows, batch_update, _state)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Change logits [rows, vocabulary] in place. NaN stays the maximum, so that broken logits are seen."""
        if self._rows:
            rows = torch.tensor(list(self._rows), device=self._device)
            tokens = torch.tensor([ids[min(len(done), len(ids) - 1)] for ids, done in self._rows.values()], device=self._device)
            logits[rows, tokens] = torch.finfo(logits.dtype).max
        return logits


def _state(params: Any, prompt_ids: list[int] | None, output_ids: list[int]) -> tuple[list[int], list[int]] | None:
    """(ids to decode, ids decoded so far: a list that vLLM keeps up to date) of a request; None if it decodes freely."""
    del prompt_ids
    ids = (params.extra_args or {}).get(ARGUMENT)
    return None if ids is None else (ids, output_ids)
