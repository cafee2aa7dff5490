"""Both sides of a case in turn: fresh questions for each repeat, whoever is first changes, and equal results or the times do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sides import Measurement, Side, largest_difference

N_WARM = 32
"""Questions that each side gets before the clock counts."""

WARM_SEED = 10**6
"""Seed of those questions; no repeat has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One way of asking the peer."""

    case: str
    """Name of the row."""
    target: float | None
    """How many times its seconds ours must be below; None: nothing is promised, the row stands beside one that is."""
    detail: str
    """What was measured beside what, in words."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What the peer is told beyond the questions."""


def in_turn(
    ours: Side, peer: Side, peers: Sequence[Peer], question: Mapping[str, Any], *, n_repeats: int, tolerance: float
) -> Iterator[Measurement]:
    """A row for each way of asking the peer; our seconds of a repeat stand beside all of them.

    Args:
        ours: our side.
        peer: the peer's.
        peers: ways of asking it.
        question: form and number of the questions; each repeat has questions of its own, so that no cache of an earlier one helps.
        n_repeats: how often.
        tolerance: most that two results may differ.
    """
    asked = [(ours, dict[str, Any]()), *((peer, dict(way.asked)) for way in peers)]
    for side, more in asked:
        side.ask({**question, **more, "n": min(N_WARM, int(question["n"])), "seed": WARM_SEED})
    seconds: list[list[float]] = [[] for _ in asked]
    worst = [0.0 for _ in asked]
    for repeat in range(n_repeats):
        # Who is first changes, so that a machine that slows down favours nobody.
        places = list(range(len(asked)))
        places = places[repeat % len(places) :] + places[: repeat % len(places)]
        values: dict[int, Any] = {}
        for place in places:
            side, more = asked[place]
            answer = side.ask({**question, **more, "seed": repeat})
            seconds[place].append(answer["seconds"])
            values[place] = answer["values"]
        worst = [max(so_far, largest_difference(values[0], values[place])) for place, so_far in enumerate(worst)]
    for place, way in enumerate(peers, start=1):
        yield Measurement(
            case=way.case,
            target=way.target,
            ours_s=seconds[0],
            peer_s=seconds[place],
            ours_load_s=ours.load_s,
            peer_load_s=peer.load_s,
            difference=worst[place],
            tolerance=tolerance,
            detail=way.detail,
        )
