"""Scoring choices through vLLM: our engine beside lm-eval's VLLM class, on the same checkpoint, prompts and dtype."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sides import Measurement, two_sides
from benchmarks.turns import Peer, in_turn
from evalsuite import pocket

CASES = {
    "vllm_letters": ("letters", 600, 4.0),
    "vllm_cloze": ("cloze", 600, 1.3),
    # Fewer, because the peer reads the five shots four times for each: minutes for 600. It favours the peer: we read them once.
    "vllm_five_shot_letters": ("five_shot_letters", 120, 4.0),
}
"""Form of the questions, how many, and target."""

TOLERANCE = 1e-3

needs = tuple(name for name in ("vllm", "lm_eval") if find_spec(name) is None)
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Measurement]:
    """All cases."""
    checkpoint = str(Path(pocket.__file__).parent / "checkpoints" / "pocket-generalist")
    # Our engine sets it for vLLM's process; the peer gets it too, so that this is no part of what is compared.
    patient = {"OMP_WAIT_POLICY": "PASSIVE"}
    with two_sides(("our_engine", checkpoint, "vllm"), ("vllm_lm_eval", checkpoint), patient) as (ours, peer):
        for case, (form, n_questions, target) in CASES.items():
            detail = f"{n_questions} questions, tokenizing included, float32; lm-eval's VLLM class on the same strings"
            peers = [Peer(case=case, target=target, detail=detail)]
            question = {"form": form, "n": n_questions}
            yield from in_turn(ours, peer, peers, question, n_repeats=n_repeats, tolerance=TOLERANCE)
