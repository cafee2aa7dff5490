"""Checkpoints through transformers: every kind of request, on a CPU or one GPU.

Requests become rows. Where the model can be computed in packs exactly, rows share what they have in common and nothing is padded
(`_packed`, `_slot_decoding`); else they are answered in plain padded batches (`_padded`). What was taken and why stands in `info.notes`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import transformers

from evalsuite.collection import KEPT, KEPT_BY_DEFAULT, give_freed_memory_back, keep_freed_memory
from evalsuite.engines._checkpoint import Checkpoint, load_checkpoint
from evalsuite.engines._decoding import Texts, pad, special_ids_of
from evalsuite.engines._limits import Limits, n_tokens_needed, refusal
from evalsuite.engines._packed import Packed, PackSize
from evalsuite.engines._packed_model import packed_model
from evalsuite.engines._padded import Padded
from evalsuite.engines._rows import Row, put_together, rows_of
from evalsuite.engines._slot_decoding import Ends, SlotDecoder
from evalsuite.engines._streams import in_streams, n_streams_of
from evalsuite.engines._transformers_light import KINDS, setting_faults
from evalsuite.engines.base import EngineInfo, EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.types import Failure, Kind, Outcome, Request, Response

N_BATCH_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Default of the option `batch_tokens`: tokens per batch; where batches are padded, padding and generated ones included."""

N_LOGITS = {"cpu": 2**27, "cuda": 2**29}
"""Most logits (positions x vocabulary) of a batch; a single row may exceed it."""

MOST_SLOTS = {"cpu": 256, "cuda": 512}
"""Most generations under way at once."""

KV_CACHE_GIB_ON_CPU = 1.0
"""Default of the option `kv_cache_gib` on a CPU."""

SHARE_OF_FREE_MEMORY = 0.4
"""Default on a GPU: so much of what is free once the weights are loaded; the rest is for what a batch needs."""


def load(path: str, settings: EngineSettings) -> TransformersEngine:
    """Load a checkpoint from a local folder.

    Options: `batch_tokens` (tokens per batch, halved when memory runs out), `attention` (sdpa or eager), `share_prefixes` (False: plain
    padded batches), `kv_cache_gib` (memory for keys and values of generations under way), `streams` (packs computed at once).

    Raises:
        UserError: an option or setting that is not known, or a folder that does not hold a whole causal language model.
    """
    faults = setting_faults(settings)
    if faults:
        raise UserError(faults)
    engine = TransformersEngine(load_checkpoint(path, settings), settings)
    try:
        engine.check_causal(path)
        engine.choose_way(settings)
    except BaseException:
        engine.close()
        raise
    return engine


class TransformersEngine:
    """One checkpoint on one device. See `evalsuite.engines.base.Engine`."""

    def __init__(self, checkpoint: Checkpoint, settings: EngineSettings) -> None:
        device = checkpoint.device
        if device.type == "cpu":
            keep_freed_memory(KEPT)
        self._checkpoint: Checkpoint | None = checkpoint
        self._n_streams = int(settings.options.get("streams", n_streams_of(device)))
        n_batch_tokens = int(settings.options.get("batch_tokens", N_BATCH_TOKENS[device.type]))
        n_logit_rows = max(1, N_LOGITS[device.type] // checkpoint.n_vocabulary)
        self._size = PackSize(n_tokens=n_batch_tokens, n_places=n_logit_rows)
        self._padded = Padded(checkpoint, n_batch_tokens, n_logit_rows)
        self._packed: tuple[Packed, SlotDecoder] | None = None
        self._notes: tuple[str, ...] = ()
        self._limits = Limits(kinds=KINDS, n_context_tokens=checkpoint.n_context_tokens, n_vocabulary=checkpoint.n_vocabulary)
        name = f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else torch.cuda.get_device_name(device)
        self._info = EngineInfo(
            name="transformers",
            dtype=str(checkpoint.model.dtype).removeprefix("torch."),
            quantisation=checkpoint.quantisation,
            device=name,
            n_context_tokens=checkpoint.n_context_tokens,
            versions={"transformers": transformers.__version__, "torch": str(torch.__version__)},
        )

    @property
    def info(self) -> EngineInfo:
        """What is loaded."""
        return replace(self._info, notes=self._notes)

    @property
    def kinds(self) -> frozenset[Kind]:
        """All five."""
        return KINDS

    def close(self) -> None:
        """Give all memory back. Idempotent."""
        if self._checkpoint is None:
            return
        on_cpu = self._checkpoint.device.type == "cpu"
        self._checkpoint, self._packed = None, None
        del self._padded
        gc.collect()
        if on_cpu:
            keep_freed_memory(KEPT_BY_DEFAULT)
        give_freed_memory_back()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        """Answer requests as each batch is done; see the protocol.

        Raises:
            RuntimeError: the engine is closed, or the model itself is broken.
        """
        self._loaded()
        scored: list[Row] = []
        embedded: list[Row] = []
        generated: list[Row] = []
        for index, request in enumerate(requests):
            outcome = self._at_once(request)
            if outcome is not None:
                yield index, outcome
                continue
            rows = generated if request.kind == "generate" else embedded if request.kind == "embed" else scored
            rows.extend(rows_of(index, request))
        parts: dict[int, dict[int, Outcome]] = {}
        for row, outcome in self._answers(scored, embedded, generated):
            request = requests[row.request]
            done = parts.setdefault(row.request, {})
            done[row.part] = outcome
            if len(done) == (len(request.continuations) if request.kind == "continuation" else 1):
                yield row.request, put_together(request, parts.pop(row.request))

    def _answers(self, scored: Sequence[Row], embedded: Sequence[Row], generated: Sequence[Row]) -> Iterator[tuple[Row, Outcome]]:
        """Each row once, in any order."""
        if self._packed is None:
            yield from self._padded.score(scored)
            yield from self._padded.embed(embedded)
            yield from self._padded.generate(generated)
            return
        scorer, decoder = self._packed
        for rows, answers in ((scored, scorer.score), (embedded, scorer.embed), (generated, decoder.generate)):
            yield from in_streams(rows, answers, self._n_streams, self._size.n_tokens)

    def choose_way(self, settings: EngineSettings) -> None:
        """Answer in packs if the model can be computed so exactly; to be called once, before anything is asked."""
        checkpoint = self._loaded()
        if not settings.options.get("share_prefixes", True):
            self._notes = ("plain padded batches (share_prefixes is off)",)
            return
        if settings.options.get("attention") == "eager":
            self._notes = ("plain padded batches: attention is eager",)
            return
        found = packed_model(checkpoint, self._padded)
        if isinstance(found, str):
            self._notes = (f"plain padded batches: {found}",)
            return
        model, n_bytes = found
        n_cached_tokens = max(1, _n_cache_bytes(settings, checkpoint) // n_bytes // self._n_streams)
        tokenizer = checkpoint.tokenizer
        ends = Ends(texts=Texts(tokenizer), special_ids=special_ids_of(tokenizer), end_ids=checkpoint.end_ids)
        slots = max(1, MOST_SLOTS[checkpoint.device.type] // self._n_streams)
        decoder = SlotDecoder(model, self._size, ends, most_slots=slots, n_cached_tokens=n_cached_tokens)
        self._packed = Packed(model, self._size), decoder
        self._notes = ("beginnings that prompts have in common are computed once, no padding",)

    def check_causal(self, path: str) -> None:
        """Refuse a model in which a token sees the tokens after it (an encoder that was loaded as a decoder).

        Raises:
            UserError: the model is not causal, or answers in another form than causal language models do.
        """
        some, other = self._limits.n_vocabulary // 3, self._limits.n_vocabulary // 2
        ids, mask = pad([(some, some), (some, other)], left=False, device=self._loaded().device)
        logits, cache = self._padded.logits(ids, mask, [0, 1], [0, 0], keep=True)
        problem = ""
        if not torch.allclose(logits[0], logits[1], rtol=1e-2, atol=1e-2, equal_nan=True):
            problem = "not a causal language model: tokens see what follows them"
        elif not hasattr(cache, "reorder_cache"):
            problem = "this architecture has no key-value cache to generate with"
        if problem:
            raise UserError(Fault(file=path, key="config.json", value="", allowed=problem))

    def _loaded(self) -> Checkpoint:
        if self._checkpoint is None:
            raise RuntimeError("the engine is closed")
        return self._checkpoint

    def _at_once(self, request: Request) -> Outcome | None:
        """Outcomes that need no forward pass."""
        failure = refusal(request, self._limits)
        if failure is not None:
            return failure
        n_prompt_tokens = len(request.prompt.token_ids)
        if request.kind == "prompt" and n_prompt_tokens == 1:
            return Response(n_prompt_tokens=1)
        n_short = self._loaded().n_short_rope_tokens
        if request.kind == "generate" and n_short is not None and n_prompt_tokens <= n_short < n_tokens_needed(request):
            # The keys in the cache would belong to the short factors and the new ones to the long: no such model was trained.
            message = (
                f"the generation may cross {n_short} tokens, where this model's rotary factors change; lower max_tokens or max_model_len"
            )
            return Failure(reason="unsupported", message=message, transient=True)
        return None


def _n_cache_bytes(settings: EngineSettings, checkpoint: Checkpoint) -> int:
    """Bytes for keys and values of generations under way."""
    if "kv_cache_gib" in settings.options:
        return int(float(settings.options["kv_cache_gib"]) * 2**30)
    if checkpoint.device.type == "cpu":
        return int(KV_CACHE_GIB_ON_CPU * 2**30)
    return int(SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(checkpoint.device)[0])
