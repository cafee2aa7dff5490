"""From the answers of an ensemble's members to one answer.

What a vote is. Choices and labels: the original choices that a member named; where several are right the whole set is the unit, as it is
for accuracy. Quantities: the canonical text of the reading; numbers are the same vote if they are equal to 12 significant digits in the
unit asked for. The task's tolerance plays no part: it belongs to the right answer, and closeness within it is not transitive. Free text:
agreement in the sense of a utility (`consensus`).

Ties, under every rule: the tied candidate that was voted for first wins; of choices that nobody voted for, the one that the first member
was shown first. The place of a choice in the data plays no part. That keeps an ensemble that knows nothing at chance: to rename the
choices throughout changes neither how likely a set of orders is nor what an engine without knowledge answers to it, and renames the
winner; so every choice wins equally often, wherever the right ones stand. "The first choice of the data" would have won all its ties.

Missing votes. A member whose text could not be read, or whose prompt did not fit, votes for nobody; it is counted, and is part of the
denominator of a vote share. Where no member can be read the answer has no value: `truncated` if a text was cut (more tokens might have
brought a vote), else `unparsed`, and `too_long` if no prompt fitted. A member that failed is our fault and makes the answer `failed`.

Sources: majority, Wang et al. 2023 (arXiv 2203.11171); mean probability, the sum rule of Kittler et al. 1998 (doi 10.1109/34.667881);
mean rank, the Borda count as in Ho, Hull & Srihari 1994 (doi 10.1109/34.273716); votes and probabilities together, Medprompt+ (promptbase,
`mmlu/analyze.py`), where the votes of unread members were dropped and a question without any was credited with a quarter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evalsuite.answers.quantities import canonical
from evalsuite.strategies.base import Context
from evalsuite.strategies.consensus import mean_utilities, text_key
from evalsuite.types import Answer, Reading, Sample, Status

Vote = Literal["majority", "average", "rank_average"]
"""`majority`: the answer that most members gave; `average`: the choice with the highest mean probability; `rank_average`: the choice with
the best mean rank by probability over the members (Borda count; equal probabilities share their ranks). The last two need `format:
letters`. They differ where one member is very sure: its probability moves the mean as far as it likes, its rank does not."""

Order = tuple[int, ...]
"""For each shown position the position in the sample as it was given of the choice that stands there."""

Ballot = tuple[int, ...]
"""What a member voted for: positions in the sample as it was given, ascending; several only where several are right."""

MISSING = "-"
"""A member without a vote, in `Answer.votes`."""
AGREES, DIFFERS = "=", "x"
"""A member's vote for a text or quantity there: whether it is the ensemble's answer; texts themselves may be restricted."""

WITHOUT_VOTES: tuple[Status, ...] = ("truncated", "unparsed", "too_long")
"""Status of an answer without any vote: the first of these that a member has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How votes become an answer."""

    vote: Vote = "majority"
    """Of choices and labels."""
    letters_weight: float = 1.0
    """Weight of the mean probability of direct members against the share of the votes of the others."""
    utility: str = "auto"
    """Of free text; see `consensus.Utility`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One answer of an ensemble."""

    answer: Answer
    """To the sample in the member's order."""
    order: Order
    """That order; empty for samples without choices."""
    direct: bool = False
    """A letters run beside members that write: its probabilities count instead of its vote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Election:
    """The outcome of a vote over one reading of every member."""

    reading: Reading
    """What was elected, in the sample as it was given; or why nothing was."""
    votes: tuple[str, ...]
    """Each member's, as `Answer.votes` writes them."""
    deciding: int | None
    """The first member that voted for it, or that shows why nothing was elected; None: nobody voted for it."""
    tied: bool = False
    """Whether the tie rule decided."""


def elected(members: Sequence[Member], sample: Sample, rule: Rule, context: Context) -> Answer:
    """One answer of all members.

    The strict reading is the vote over the members' strict readings; direct members have only one. `p_choices` is there under `average`
    alone: under the other rules the likeliest choice need not be the one that was elected, and a share of votes is no probability of the
    model's. `label_mass` is the mean over the members that have one. Output, finish reason and the rule of the reading are those of the
    first member that voted for what was elected.

    Args:
        members: at least one; those that cast votes first, then the direct ones.
        sample: the sample as it was given.
        rule: how votes become an answer.
        context: of the task.
    """
    answers = [member.answer for member in members]
    failed = next((answer for answer in answers if answer.reading.status == "failed"), None)
    if failed is not None:
        return _summed(Answer(reading=failed.reading, failure=failed.failure), answers)
    election = _election([answer.reading for answer in answers], members, sample, rule, context)
    strict = None
    if any(answer.strict is not None for answer in answers):
        readings = [answer.reading if answer.strict is None else answer.strict for answer in answers]
        strict = _election(readings, members, sample, rule, context).reading
    deciding = None if election.deciding is None else answers[election.deciding]
    masses = [answer.label_mass for answer in answers if answer.label_mass is not None]
    answer = Answer(
        reading=election.reading,
        strict=strict,
        p_choices=mean_probabilities(members) if rule.vote == "average" and election.reading.status == "scored" else None,
        label_mass=math.fsum(masses) / len(masses) if masses else None,
        output=None if deciding is None else deciding.output,
        finish_reason="none" if deciding is None else deciding.finish_reason,
        n_votes_missing=election.votes.count(MISSING),
        votes=",".join(election.votes),
        failure=deciding.failure if deciding is not None and election.reading.status == "too_long" else None,
        details={"tie": True} if election.tied else {},
    )
    return _summed(answer, answers)


def _election(readings: Sequence[Reading], members: Sequence[Member], sample: Sample, rule: Rule, context: Context) -> Election:
    if all(reading.status != "scored" for reading in readings):
        status = next(status for status in WITHOUT_VOTES if any(reading.status == status for reading in readings))
        first = next(number for number, reading in enumerate(readings) if reading.status == status)
        return Election(reading=readings[first], votes=(MISSING,) * len(readings), deciding=first)
    if sample.choices:
        return _choice_election(readings, members, sample, rule)
    return _text_election(readings, sample, rule, context)


def _choice_election(readings: Sequence[Reading], members: Sequence[Member], sample: Sample, rule: Rule) -> Election:
    ballots = [ballot_of(reading, member.order) for reading, member in zip(readings, members, strict=True)]
    scores = choice_scores(ballots, members, rule)
    preferred = dict.fromkeys((*(ballot for ballot in ballots if ballot is not None), *((place,) for place in members[0].order)))
    top = max(scores.values())
    tied = [ballot for ballot in preferred if scores.get(ballot) == top]
    winner = tied[0]
    deciding = ballots.index(winner) if winner in ballots else None
    rule_name = "" if deciding is None else readings[deciding].rule
    names = [MISSING if ballot is None else "+".join(map(str, sorted(map(sample.original_index, ballot)))) for ballot in ballots]
    return Election(
        reading=Reading(status="scored", index=winner[0], also=winner[1:], rule=rule_name),
        votes=tuple(names),
        deciding=deciding,
        tied=len(tied) > 1,
    )


def ballot_of(reading: Reading, order: Order) -> Ballot | None:
    """What a reading of a re-ordered sample names in the sample as it was given; None if nothing was read."""
    if reading.index is None:
        return None
    return tuple(sorted(order[place] for place in (reading.index, *reading.also)))


def choice_scores(ballots: Sequence[Ballot | None], members: Sequence[Member], rule: Rule) -> Mapping[Ballot, float]:
    """What each candidate has; the highest is elected. Sums are exact or rounded once, so that equal support is equal.

    `majority`: votes; with direct members: votes / members that vote + weight x (sum of probabilities / direct members). `average`: sum of
    probabilities. `rank_average`: Borda points, that is, for each member the choices below plus half of those level.
    """
    if rule.vote != "majority":
        rows = probability_rows(members)
        points = rows if rule.vote == "average" else [borda_points(row) for row in rows]
        return {(place,): math.fsum(column) for place, column in enumerate(zip(*points, strict=True))}
    votes = Counter(ballot for ballot, member in zip(ballots, members, strict=True) if ballot is not None and not member.direct)
    direct = [member for member in members if member.direct]
    if not direct:
        return votes
    n_voting, places = max(1, len(members) - len(direct)), range(len(members[0].order))
    mass = {place: math.fsum(row[place] for row in probability_rows(direct)) / len(direct) for place in places}
    return {(place,): votes[place,] / n_voting + rule.letters_weight * mass[place] for place in places}


def probability_rows(members: Sequence[Member]) -> list[tuple[float, ...]]:
    """Each member's probability of each choice, in the order of the sample as it was given; members that gave none are left out."""
    given = [(member.order, member.answer.p_choices) for member in members if member.answer.p_choices is not None]
    return [tuple(p for _, p in sorted(zip(order, p_choices, strict=True))) for order, p_choices in given]


def mean_probabilities(members: Sequence[Member]) -> tuple[float, ...]:
    """Mean probability of each choice over the members that gave some, in the order of the sample as it was given."""
    rows = probability_rows(members)
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))


def borda_points(values: Sequence[float]) -> list[float]:
    """For each value how many of the others are lower, plus half of those that are equal.

    Source: the Borda count with the mean of tied ranks; n minus the points is the fractional rank of `scipy.stats.rankdata` from above.
    """
    return [sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2 for value in values]


def _text_election(readings: Sequence[Reading], sample: Sample, rule: Rule, context: Context) -> Election:
    texts = {number: reading.text for number, reading in enumerate(readings) if reading.text is not None}
    if sample.quantity is not None:
        keys = {number: quantity_key(text, sample.quantity.form) for number, text in texts.items()}
        # Equal quantities have equal keys, and a key is its own normal form: the majority.
        votes = Counter(keys.values())
        scores: Mapping[int, float] = {number: votes[key] for number, key in keys.items()}
    else:
        keys = {number: text_key(text) for number, text in texts.items()}
        utility = ("exact_match" if context.card.metric == "exact_match" else "rougeL") if rule.utility == "auto" else rule.utility
        scores = dict(zip(texts, mean_utilities(list(texts.values()), utility, context.vectors), strict=True))
    top = max(scores.values())
    tied = [number for number, score in scores.items() if score == top]
    winner = tied[0]
    names = [MISSING if number not in keys else AGREES if keys[number] == keys[winner] else DIFFERS for number in range(len(readings))]
    return Election(
        reading=readings[winner],
        votes=tuple(names),
        deciding=winner,
        tied=len({keys[number] for number in tied}) > 1,
    )


def quantity_key(text: str, form: str) -> str:
    """What is equal for quantities that are the same vote: the canonical text, with one zero instead of 0 and -0."""
    return canonical(float(text) + 0.0) if form in ("number", "whole") else text


def _summed(answer: Answer, answers: Sequence[Answer]) -> Answer:
    """An answer with what all members took."""
    return replace(
        answer,
        n_calls=sum(each.n_calls for each in answers),
        n_prompt_tokens=sum(each.n_prompt_tokens for each in answers),
        n_output_tokens=sum(each.n_output_tokens for each in answers),
    )
