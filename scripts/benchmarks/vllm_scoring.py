"""Scoring choices through vLLM: our engine beside lm-eval's VLLM class, on the same checkpoint, prompts and dtype."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sides import Measurement, largest_difference, two_sides
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
    """All cases; each repeat has questions of its own, so that no cache of an earlier one helps."""
    checkpoint = str(Path(pocket.__file__).parent / "checkpoints" / "pocket-generalist")
    with two_sides("vllm_ours", "vllm_lm_eval", checkpoint) as (ours, peer):
        for case, (form, n_questions, target) in CASES.items():
            for side in (ours, peer):
                side.ask({"n": 32, "seed": 10**6, "form": form})
            seconds: dict[str, list[float]] = {"ours": [], "peer": []}
            worst = 0.0
            for repeat in range(n_repeats):
                question = {"n": n_questions, "seed": repeat, "form": form}
                # Who is first changes, so that a machine that slows down favours neither.
                sides = {"ours": ours, "peer": peer} if repeat % 2 == 0 else {"peer": peer, "ours": ours}
                answers = {name: side.ask(question) for name, side in sides.items()}
                for name, answer in answers.items():
                    seconds[name].append(answer["seconds"])
                worst = max(worst, largest_difference(answers["ours"]["values"], answers["peer"]["values"]))
            yield Measurement(
                case=case,
                target=target,
                ours_s=seconds["ours"],
                peer_s=seconds["peer"],
                ours_load_s=ours.load_s,
                peer_load_s=peer.load_s,
                difference=worst,
                tolerance=TOLERANCE,
                detail=f"{n_questions} questions, tokenizing included, float32; lm-eval's VLLM class on the same strings",
            )
