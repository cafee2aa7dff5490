"""Scoring and writing through transformers: our engine beside lm-eval's HFLM class, on the same checkpoint, prompts and dtype.

Each case has two rows: the peer as it is (its default batch size is 1), and the peer at the batch size that is best for it here, which
is tried first on fewer questions.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sides import Measurement, Side, two_sides
from benchmarks.turns import WARM_SEED, Peer, in_turn
from evalsuite import pocket


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One case."""

    form: str
    """Form of the questions."""
    n: int
    """How many prompts."""
    target: float | None
    """How many times the seconds of the peer as it is ours must be below; None: nothing is promised."""
    tuned_target: float | None = None
    """Likewise of the peer at its best; None: nothing is promised."""
    n_tried: int
    """Prompts on which the peer's batch sizes are tried."""
    n_vocabulary: int | None = None
    """Tokens of the checkpoint's output layer; None: as the pocket checkpoints have them, 4,096."""


N_WIDE = 32_000
"""The vocabulary of Llama 2 and Mistral 7B, the smallest of the families in models.yaml; Llama 3's is four times as large."""

CASES = {
    "transformers_letters": Case(form="letters", n=600, target=2.2, n_tried=200),
    "transformers_cloze": Case(form="cloze", n=600, target=2.2, n_tried=100),
    "transformers_five_shot_letters": Case(form="five_shot_letters", n=600, target=9.0, n_tried=50, n_vocabulary=N_WIDE),
    "transformers_five_shot_letters, narrow": Case(form="five_shot_letters", n=600, target=None, n_tried=50),
    "transformers_medprompt_letters": Case(form="medprompt_letters", n=600, target=4.0, n_tried=50),
    "transformers_generation": Case(form="generation", n=200, target=1.2, tuned_target=1.2, n_tried=64),
}

BATCH_SIZES = (1, 4, 16, 64)
"""Those of the peer that are tried; the first is its default."""

TOLERANCE = 1e-3

NEVER_WRITTEN = "<|system|>"
"""A token that the pocket checkpoints were never taught to write; it ends a generation in the copy that is measured."""

needs = tuple(name for name in ("lm_eval",) if find_spec(name) is None)
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Measurement]:
    """All cases."""
    for n_vocabulary in dict.fromkeys(case.n_vocabulary for case in CASES.values()):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = endless(Path(folder) / "checkpoint")
            if n_vocabulary is not None:
                widen(checkpoint, n_vocabulary)
            with two_sides(("our_engine", str(checkpoint), "transformers"), ("transformers_lm_eval", str(checkpoint))) as (ours, peer):
                for name, case in CASES.items():
                    if case.n_vocabulary == n_vocabulary:
                        peers = peers_of(name, case, best_batch_size(peer, case))
                        question = {"form": case.form, "n": case.n}
                        yield from in_turn(ours, peer, peers, question, n_repeats=n_repeats, tolerance=TOLERANCE)


def endless(folder: Path) -> Path:
    """A copy of a pocket checkpoint whose end token is one that it never writes: every generation is as long as asked for on both sides.

    Scores do not depend on the end token, so that all cases use the copy.
    """
    shutil.copytree(Path(pocket.__file__).parent / "checkpoints" / "pocket-generalist", folder)
    tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    (number,) = (token["id"] for token in tokens if token["content"] == NEVER_WRITTEN)
    for name, key, value in (
        ("config.json", "eos_token_id", number),
        ("generation_config.json", "eos_token_id", number),
        ("tokenizer_config.json", "eos_token", NEVER_WRITTEN),
    ):
        settings = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(settings | {key: value}), encoding="utf-8")
    return folder


def widen(folder: Path, n_vocabulary: int) -> None:
    """Give a checkpoint an output layer of so many tokens; its tokenizer knows no more than before, so that prompts are the same."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.resize_token_embeddings(n_vocabulary)
    model.save_pretrained(folder)


def best_batch_size(peer: Side, case: Case) -> int:
    """The batch size at which the peer is fastest on a part of the case's size; each size is timed twice and its better time counts."""
    seconds = {size: float("inf") for size in BATCH_SIZES}
    for number in range(2):
        for size in BATCH_SIZES:
            question = {"form": case.form, "n": case.n_tried, "seed": WARM_SEED + 1 + number, "batch_size": size}
            seconds[size] = min(seconds[size], peer.ask(question)["seconds"])
    return min(BATCH_SIZES, key=lambda size: seconds[size])


def peers_of(name: str, case: Case, best: int) -> list[Peer]:
    """The peer as it is, and at its best where that is something else."""
    wide = "" if case.n_vocabulary is None else f", a vocabulary of {case.n_vocabulary:,}"
    text = f"{case.n} prompts{wide}, tokenizing included, float32, our engine with its defaults; lm-eval's HFLM class on the same strings"
    as_it_is = f"{text}, batch size {BATCH_SIZES[0]}, its default"
    if best == BATCH_SIZES[0]:
        as_it_is += f", which is also its best of {', '.join(map(str, BATCH_SIZES))}"
    ways: list[tuple[str, float | None, str, int]] = [(name, case.target, as_it_is, BATCH_SIZES[0])]
    if best != BATCH_SIZES[0]:
        tuned = f"{text}, batch size {best}, its best of {', '.join(map(str, BATCH_SIZES))}"
        ways.append((f"{name}, peer tuned", case.tuned_target, tuned, best))
    return [Peer(case=case_name, target=target, detail=detail, asked={"batch_size": size}) for case_name, target, detail, size in ways]
