"""Checkpoints through transformers, in plain batches: every kind of request, on a CPU or one GPU.

Requests become rows (one forward pass each), rows are sorted by length and taken into batches by a budget of tokens.
Only `_take` knows how a batch is put together; what computes a batch knows nothing of the queue.
Log-probabilities are `log_softmax` in float32 of the model's logits, computed only at the positions that are asked for.
"""

from __future__ import annotations

import gc
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from evalsuite.engines._checkpoint import Checkpoint, load_checkpoint
from evalsuite.engines._decoding import Prompted, decode, pad
from evalsuite.engines._limits import Limits, n_tokens_needed, refusal
from evalsuite.engines._transformers_light import KINDS, setting_faults
from evalsuite.engines.base import EngineInfo, EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.types import Failure, Kind, Outcome, Request, Response, Sampling

N_BATCH_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Default of the option `batch_tokens`: padded tokens per batch, generated ones included."""

N_LOGITS = {"cpu": 2**27, "cuda": 2**29}
"""Most logits (positions x vocabulary) of a batch; a single row may exceed it."""

N_LOGITS_AT_ONCE = 2**25
"""Most logits that are turned into float32 log-probabilities at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One forward pass (or one generation) of a request."""

    request: int
    """Index of the request."""
    part: int
    """Number of the continuation; 0 for other kinds."""
    ids: tuple[int, ...]
    """Tokens that are fed."""
    first: int = 0
    """Position of the first logits that are wanted; the others follow it."""
    wanted: tuple[tuple[int, ...], ...] = ()
    """For each position from `first` on the ids whose log-probability is wanted there."""
    greedy: bool = False
    """Also whether the first wanted id is the likeliest at each of these positions."""
    moments: bool = False
    """Also mean and variance at each of these positions."""
    sampling: Sampling | None = None
    """Generation only: how to decode."""

    @property
    def n_tokens(self) -> int:
        """Tokens that the row occupies at its end."""
        return len(self.ids) + (self.sampling.max_tokens if self.sampling else 0)


def load(path: str, settings: EngineSettings) -> TransformersEngine:
    """Load a checkpoint from a local folder.

    Options: `batch_tokens` (padded tokens per batch, halved when memory runs out), `attention` (sdpa or eager).

    Raises:
        UserError: an option or setting that is not known, or a folder that does not hold a whole causal language model.
    """
    faults = setting_faults(settings)
    if faults:
        raise UserError(faults)
    engine = TransformersEngine(load_checkpoint(path, settings), settings)
    try:
        engine.check_causal(path)
    except BaseException:
        engine.close()
        raise
    return engine


def rows_of(index: int, request: Request) -> list[Row]:
    """Rows of a scoring request. The last token of a continuation or prompt is never fed: nothing is asked after it."""
    prompt = request.prompt.token_ids
    if request.kind == "next":
        return [Row(request=index, part=0, ids=prompt, first=len(prompt) - 1, wanted=(request.candidates,))]
    if request.kind == "continuation":
        return [
            Row(
                request=index,
                part=part,
                ids=prompt + tokens[:-1],
                first=len(prompt) - 1,
                wanted=tuple((token,) for token in tokens),
                greedy=request.greedy,
            )
            for part, tokens in enumerate(request.continuations)
        ]
    if request.kind == "prompt":
        wanted = tuple((token,) for token in prompt[1:])
        return [Row(request=index, part=0, ids=prompt[:-1], wanted=wanted, moments=request.moments)]
    return [Row(request=index, part=0, ids=prompt, sampling=request.sampling)]


class TransformersEngine:
    """One checkpoint on one device. See `evalsuite.engines.base.Engine`."""

    def __init__(self, checkpoint: Checkpoint, settings: EngineSettings) -> None:
        device = checkpoint.device
        self._checkpoint: Checkpoint | None = checkpoint
        self._takes_positions = "position_ids" in inspect.signature(checkpoint.model.forward).parameters
        self._n_batch_tokens = int(settings.options.get("batch_tokens", N_BATCH_TOKENS[device.type]))
        self._n_logit_rows = max(1, N_LOGITS[device.type] // checkpoint.n_vocabulary)
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
        return self._info

    @property
    def kinds(self) -> frozenset[Kind]:
        """All five."""
        return KINDS

    def close(self) -> None:
        """Give all memory back. Idempotent."""
        if self._checkpoint is None:
            return
        self._checkpoint = None
        gc.collect()
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
        work = ((scored, self._score), (embedded, self._embed), (generated, self._generate))
        for row, outcome in itertools.chain.from_iterable(self._drain(rows, answer) for rows, answer in work):
            request = requests[row.request]
            done = parts.setdefault(row.request, {})
            done[row.part] = outcome
            if len(done) == (len(request.continuations) if request.kind == "continuation" else 1):
                yield row.request, _put_together(request, parts.pop(row.request))

    def check_causal(self, path: str) -> None:
        """Refuse a model in which a token sees the tokens after it (an encoder that was loaded as a decoder).

        Raises:
            UserError: the model is not causal, or answers in another form than causal language models do.
        """
        some, other = self._limits.n_vocabulary // 3, self._limits.n_vocabulary // 2
        ids, mask = pad([(some, some), (some, other)], left=False, device=self._loaded().device)
        logits, cache = self._logits(ids, mask, [0, 1], [0, 0], keep=True)
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

    def _drain(self, rows: Sequence[Row], answer: Callable[[Sequence[Row]], list[Outcome]]) -> Iterator[tuple[Row, Outcome]]:
        """Answer all rows batch by batch, longest first; when memory runs out, smaller batches from there on."""
        # Longest first: padding stays small, and a budget that is too large shows at once. Stable: prefixes stay neighbours.
        waiting = deque(sorted(rows, key=lambda row: -row.n_tokens))
        while waiting:
            batch = self._take(waiting)
            try:
                outcomes: list[Outcome] | None = answer(batch)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                outcomes = None
            # Outside the `except`: while it lasts, the error's traceback holds on to the tensors.
            if outcomes is None:
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                if len(batch) > 1:
                    self._n_batch_tokens = max(1, len(batch) * batch[0].n_tokens // 2)
                    waiting.extendleft(reversed(batch))
                    continue
                outcomes = [Failure(reason="out_of_memory", message=f"no memory for {batch[0].n_tokens} tokens", transient=True)]
            yield from zip(batch, outcomes, strict=True)

    def _take(self, waiting: deque[Row]) -> list[Row]:
        """The next batch: within both budgets, and on one side of the length where rotary factors change."""
        batch = [waiting.popleft()]
        n_logit_rows = len(batch[0].wanted)
        n_short = self._loaded().n_short_rope_tokens
        while waiting:
            row = waiting[0]
            n_logit_rows += len(row.wanted)
            if (len(batch) + 1) * batch[0].n_tokens > self._n_batch_tokens or n_logit_rows > self._n_logit_rows:
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

    @torch.inference_mode()
    def _logits(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: Sequence[int], columns: Sequence[int], *, cache: Any = None, keep: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Logits [len(rows), vocabulary] at the given places of a batch, in the model's dtype, and the cache if it is to be kept.

        The places are picked in front of the output layer, inside the model's own forward pass: what a model does around
        that layer (soft caps, scales) stays in.
        """
        model = self._loaded().model
        at = (torch.tensor(rows, device=ids.device), torch.tensor(columns, device=ids.device))

        def pick(_module: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            return (arguments[0][at].unsqueeze(0), *arguments[1:])

        hook = model.get_output_embeddings().register_forward_pre_hook(pick)
        try:
            output = model(**self._feed(ids, mask), past_key_values=cache, use_cache=keep)
        finally:
            hook.remove()
        if output.logits.shape[:2] != (1, len(rows)):
            raise RuntimeError(f"{type(model).__name__} does not apply its output layer as causal language models do")
        return output.logits[0], getattr(output, "past_key_values", None)

    def _score(self, batch: Sequence[Row]) -> list[Outcome]:
        ids, mask = pad([row.ids for row in batch], left=False, device=self._loaded().device)
        places = [(number, row.first + offset) for number, row in enumerate(batch) for offset in range(len(row.wanted))]
        logits, _ = self._logits(ids, mask, [number for number, _ in places], [column for _, column in places])
        values, means, variances = _gather(logits, batch)
        tops = _tops(logits, batch)
        outcomes: list[Outcome] = []
        n_values = np.cumsum([0, *(sum(map(len, row.wanted)) for row in batch)])
        n_places = np.cumsum([0, *(len(row.wanted) for row in batch)])
        for number, row in enumerate(batch):
            of_values, of_places = slice(n_values[number], n_values[number + 1]), slice(n_places[number], n_places[number + 1])
            found = (values[of_values], means[of_places], variances[of_places]) if row.moments else (values[of_values],)
            if not all(np.isfinite(part).all() for part in found):
                outcomes.append(Failure(reason="invalid_logprob", message="a log-probability is not finite", transient=False))
                continue
            logprobs, *moments = (tuple(part.tolist()) for part in found)
            mean, variance = moments if moments else ((), ())
            greedy = (bool(tops[of_places].all()),) if row.greedy else ()
            outcomes.append(Response(logprobs=logprobs, means=mean, variances=variance, continuation_greedy=greedy))
        return outcomes

    @torch.inference_mode()
    def _embed(self, batch: Sequence[Row]) -> list[Outcome]:
        checkpoint = self._loaded()
        ids, mask = pad([row.ids for row in batch], left=False, device=checkpoint.device)
        hidden = checkpoint.model.base_model(**self._feed(ids, mask), use_cache=False).last_hidden_state.float()
        outcomes: list[Outcome] = []
        for number, row in enumerate(batch):
            vector = hidden[number, : len(row.ids)].mean(dim=0)
            if bool(torch.isfinite(vector).all()):
                outcomes.append(Response(vector=vector.cpu().numpy().astype("<f4").tobytes()))
            else:
                outcomes.append(Failure(reason="engine_error", message="a hidden state is not finite", transient=False))
        return outcomes

    def _generate(self, batch: Sequence[Row]) -> list[Outcome]:
        checkpoint = self._loaded()
        prompts = [Prompted(ids=row.ids, sampling=row.sampling) for row in batch if row.sampling is not None]
        return decode(prompts, step=self._step, tokenizer=checkpoint.tokenizer, end_ids=checkpoint.end_ids, device=checkpoint.device)

    def _step(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
        logits, cache = self._logits(ids, mask, range(ids.shape[0]), [ids.shape[1] - 1] * ids.shape[0], cache=cache, keep=True)
        return logits.float(), cache


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Also on a CPU, where torch has no class of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@torch.inference_mode()
def _gather(logits: torch.Tensor, batch: Sequence[Row]) -> tuple[Any, Any, Any]:
    """Wanted log-probabilities of a batch, in order (float32 arrays), and per position the moments of log p under p.

    Moments are those of Min-K%++ (arXiv 2404.02936, eq. 3): mean and variance of log p(z) for z drawn from p; zeros unless
    a row asks for them.
    """
    places = [ids for row in batch for ids in row.wanted]
    owners = np.repeat(np.arange(len(places)), [len(ids) for ids in places])
    tokens = torch.tensor(list(itertools.chain.from_iterable(places)), device=logits.device)
    with_moments = any(row.moments for row in batch)
    values = np.empty(len(owners), dtype=np.float32)
    means, variances = np.zeros(len(places), dtype=np.float32), np.zeros(len(places), dtype=np.float32)
    n_at_once = max(1, N_LOGITS_AT_ONCE // logits.shape[-1])
    for begin in range(0, len(places), n_at_once):
        logp = torch.log_softmax(logits[begin : begin + n_at_once].float(), dim=-1)
        some = slice(*np.searchsorted(owners, [begin, begin + n_at_once]))
        of = torch.from_numpy(owners[some] - begin).to(logits.device)
        values[some] = logp[of, tokens[some]].cpu().numpy()
        if with_moments:
            p = logp.exp()
            # A token of probability 0 adds nothing, although its log-probability is minus infinity. NaN stays NaN.
            logp = logp.masked_fill(p == 0, 0.0)
            mean = (p * logp).sum(dim=-1)
            means[begin : begin + n_at_once] = mean.cpu().numpy()
            variances[begin : begin + n_at_once] = (p * (logp - mean[:, None]).square()).sum(dim=-1).cpu().numpy()
    return values, means, variances


def _tops(logits: torch.Tensor, batch: Sequence[Row]) -> Any:
    """Per position whether its first wanted id has the largest logit (of equal ones the first); not looked at where no row asks."""
    if not any(row.greedy for row in batch):
        return np.zeros(logits.shape[0], dtype=bool)
    first = torch.tensor([ids[0] for row in batch for ids in row.wanted], device=logits.device)
    return (logits.argmax(dim=-1) == first).cpu().numpy()


def _put_together(request: Request, parts: dict[int, Outcome]) -> Outcome:
    """The outcome of a request from those of its rows; one failed continuation fails the request."""
    ordered = [parts[part] for part in sorted(parts)]
    responses = [part for part in ordered if isinstance(part, Response)]
    if len(responses) < len(ordered):
        return next(part for part in ordered if isinstance(part, Failure))
    n_prompt_tokens = len(request.prompt.token_ids)
    if request.kind == "continuation":
        logprobs = tuple(part.logprobs for part in responses)
        n_output_tokens = sum(map(len, request.continuations))
        greedy = tuple(itertools.chain.from_iterable(part.continuation_greedy for part in responses))
        return Response(
            continuation_logprobs=logprobs, continuation_greedy=greedy, n_prompt_tokens=n_prompt_tokens, n_output_tokens=n_output_tokens
        )
    if request.kind == "generate":
        return responses[0]
    found = responses[0]
    return Response(
        logprobs=found.logprobs, means=found.means, variances=found.variances, vector=found.vector, n_prompt_tokens=n_prompt_tokens
    )
