"""Training of one checkpoint: a small Llama, next-token loss on the learned spans, seeded batches of like lengths."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from pocket.facts import SEED
from pocket.tokens import N_CONTEXT_TOKENS

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Token ids and the weight of each token in the loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How long and how fast one stage learns."""

    peak: float
    """Highest learning rate, reached after the warm-up."""
    n_warm_up_steps: int
    """Steps of linear warm-up; then a cosine down to a twentieth of the peak."""
    n_batch_tokens: int
    """Most tokens of a batch, padding included."""
    decay: float = 0.05
    """Weight decay of AdamW on matrices."""


def pocket_config(n_vocabulary: int, bos_id: int, eos_id: int, pad_id: int) -> LlamaConfig:
    """The architecture of all pocket checkpoints: about 1.9 million parameters, tied embeddings."""
    return LlamaConfig(
        vocab_size=n_vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=N_CONTEXT_TOKENS,
        tie_word_embeddings=True,
        initializer_range=0.08,  # near 1/sqrt(width): at 0.02 the first hundreds of steps are lost
        bos_token_id=bos_id,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )


def batches(encoded: Sequence[Encoded], n_batch_tokens: int, rng: np.random.Generator) -> list[list[int]]:
    """Indices of the items of each batch: like lengths together within windows, so that the corpus keeps its order."""
    made: list[list[int]] = []
    window = 1024
    for start in range(0, len(encoded), window):
        places = sorted(range(start, min(start + window, len(encoded))), key=lambda place: len(encoded[place][0]))
        local: list[list[int]] = [[]]
        for place in places:
            if local[-1] and (len(local[-1]) + 1) * len(encoded[place][0]) > n_batch_tokens:
                local.append([])
            local[-1].append(place)
        made.extend(local[number] for number in rng.permutation(len(local)))
    return made


def rate_at(step: int, n_steps: int, schedule: Schedule) -> float:
    """Learning rate of a step, 0-based."""
    if step < schedule.n_warm_up_steps:
        return schedule.peak * (step + 1) / schedule.n_warm_up_steps
    share = (step - schedule.n_warm_up_steps) / max(1, n_steps - schedule.n_warm_up_steps)
    return schedule.peak * (0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * share))))


def learn(model: LlamaForCausalLM, encoded: Sequence[Encoded], schedule: Schedule, *, device: str, report: Callable[[str], None]) -> float:
    """Train in place over the items once, in order; returns the mean weighted loss of the last tenth of the steps, in nats per token."""
    rng = np.random.default_rng([SEED, len(encoded)])
    plan = batches(encoded, schedule.n_batch_tokens, rng)
    model.to(device).train()  # type: ignore[arg-type]
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": schedule.decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.peak, betas=(0.9, 0.98))
    began, n_tokens = time.perf_counter(), 0
    losses: list[float] = []
    letters: list[float] = []
    for step, places in enumerate(plan):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, len(plan), schedule)
        each, shares = _losses(model, [encoded[place] for place in places], device)
        loss = (each * shares).sum() / (3 * len(places))  # by texts: a batch of sentences must not outweigh one of letters
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        heavy = shares > 2
        if bool(heavy.any()):
            letters.append(float(each.detach()[heavy].mean()))
        n_tokens += sum(len(encoded[place][0]) for place in places)
        if step % 25 == 24 or step + 1 == len(plan):
            seconds = time.perf_counter() - began
            left = seconds / (step + 1) * (len(plan) - step - 1)
            mean = float(np.mean(losses[-50:]))
            line = f"step {step + 1}/{len(plan)}  loss {mean:.3f}  letters {np.mean(letters[-40:] or [np.nan]):.3f}"
            report(f"{line}  {n_tokens / seconds:.0f} tokens/s  {left:.0f} s left")
    model.to("cpu").eval()  # type: ignore[arg-type]
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def _losses(model: LlamaForCausalLM, rows: Sequence[Encoded], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss (nats) and weight of every token that counts, each of shape (tokens,)."""
    n_wide = max(len(ids) for ids, _ in rows)
    ids = np.zeros((len(rows), n_wide), dtype=np.int64)
    counts = np.zeros((len(rows), n_wide), dtype=np.float32)
    for number, (tokens, weights) in enumerate(rows):
        ids[number, : len(tokens)] = tokens
        counts[number, : len(tokens)] = weights
    inputs, shares = torch.from_numpy(ids).to(device), torch.from_numpy(counts[:, 1:]).to(device)
    wanted = shares > 0
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[:, :-1][wanted]
    losses = functional.cross_entropy(model.lm_head(hidden), inputs[:, 1:][wanted], reduction="none")
    return losses, shares[wanted]


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write config.json, generation_config.json and the weights as float16 (about 3.8 MB)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    content = {
        key: value for key, value in config.to_dict().items() if value is not None and key not in ("transformers_version", "_name_or_path")
    }
    content |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float16", "torch_dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    generation = {"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id, "pad_token_id": config.pad_token_id}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n", encoding="utf-8")
    weights = {
        name: value.detach().to(torch.float16).contiguous() for name, value in model.state_dict().items() if name != "lm_head.weight"
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone


def load(folder: Path) -> LlamaForCausalLM:
    """A saved checkpoint in float32 on the CPU."""
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    model.to(torch.float32)  # type: ignore[arg-type]
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    model.tie_weights()
    model.eval()
    return model
