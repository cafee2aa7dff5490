"""How much of our time is not the model's: five fixed shots through the transformers engine beside the bare forward pass.

The bare loop (`bare_forward`) feeds the fewest tokens and is what could be written by hand for exactly these questions, at the best of a
few batch sizes. Where the engine is faster than the loop the share is negative: the loop is no lower bound of what the machine can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.claims import Claim
from benchmarks.sides import Side, largest_difference
from benchmarks.turns import N_WARM, WARM_SEED
from evalsuite import pocket

N_QUESTIONS = 600
N_TRIED = 200
"""Questions on which the loop's batch sizes are tried."""

BATCH_SIZES = (4, 8, 16, 32, 64)

MOST = 0.25
"""Share that is promised."""

TOLERANCE = 1e-3

needs: tuple[str, ...] = ()
"""What is missing for it."""


def measure(n_repeats: int) -> Iterator[Claim]:
    """The share, median of the repeats' shares; both in one process, in turn, on fresh questions in each repeat.

    Raises:
        RuntimeError: the two ways differ by more than rounding, so that their times cannot be compared.
    """
    checkpoint = str(Path(pocket.__file__).parent / "checkpoints" / "pocket-generalist")
    side = Side("bare_forward", checkpoint)
    try:
        best = _best_batch_size(side)
        shares, ours, bare = [], [], []
        for repeat in range(n_repeats):
            ways = ["ours", "bare"] if repeat % 2 == 0 else ["bare", "ours"]
            answer = side.ask({"n": N_QUESTIONS, "seed": repeat, "batch_size": best, "ways": ways})["values"]
            apart = largest_difference(answer["values"]["ours"], answer["values"]["bare"])
            if apart > TOLERANCE:
                raise RuntimeError(f"our engine and the bare forward pass differ by {apart}")
            ours.append(answer["seconds"]["ours"] + answer["tokenized_s"])
            bare.append(answer["seconds"]["bare"])
            shares.append(1 - bare[-1] / ours[-1])
    finally:
        side.close()
    yield Claim(
        case="share that is not the forward pass, 5 shots",
        ours=median(shares),
        target=MOST,
        at_most=True,
        unit="",
        detail=(
            f"{N_QUESTIONS} questions, {n_repeats} repeats, shares {min(shares):.3f} to {max(shares):.3f}; ours {median(ours):.2f} s with "
            f"tokenizing, the bare model {median(bare):.2f} s at its best batch size {best} of {', '.join(map(str, BATCH_SIZES))}"
        ),
    )


def _best_batch_size(side: Side) -> int:
    """The batch size at which the bare loop is fastest on fewer questions, the better of two times each."""
    side.ask({"n": N_WARM, "seed": WARM_SEED, "batch_size": BATCH_SIZES[0], "ways": ["ours", "bare"]})
    seconds = dict.fromkeys(BATCH_SIZES, float("inf"))
    for number in range(2):
        for size in BATCH_SIZES:
            question = {"n": N_TRIED, "seed": WARM_SEED + 1 + number, "batch_size": size, "ways": ["bare"]}
            seconds[size] = min(seconds[size], side.ask(question)["values"]["seconds"]["bare"])
    return min(BATCH_SIZES, key=lambda size: seconds[size])
