"""Asking one sample several times and letting the answers vote.

Two kinds of members: the same question with its choices in other orders, or further draws at a temperature. Sources: choice-shuffle
ensembles, Nori et al. 2023 (arXiv 2311.16452); self-consistency, Wang et al. 2023 (arXiv 2203.11171); direct letters runs beside members
that reason, Medprompt+ (promptbase, `mmlu/analyze.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from evalsuite.choice_orders import drawn_orders, refers_to_order, reordered
from evalsuite.formats import Format
from evalsuite.seeds import derive_seed
from evalsuite.strategies.ask import ask
from evalsuite.strategies.base import Context
from evalsuite.strategies.exemplars import Exemplar
from evalsuite.strategies.together import together
from evalsuite.strategies.votes import Member, Order, Rule, elected
from evalsuite.tasks import TaskCard
from evalsuite.types import Answer, Asking, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensemble:
    """How often a sample is asked, and how the answers become one."""

    n: int
    """Members, at least 2."""
    by: Literal["orders", "samples"]
    """`orders`: each member sees the choices in another order; `samples`: each is another draw of the same prompt."""
    rule: Rule = field(default_factory=Rule)
    """How the answers become one."""
    temperature: float | None = None
    """Of members that are draws; members that differ by order are decoded as the study says. With `orders`: members of samples without
    choices are draws at this temperature; None: tasks without choices are refused."""
    letters_runs: int = 0
    """Further members that are asked for the letter alone, in further orders, beside members that write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """How one member is asked."""

    order: Order
    direct: bool
    draw: int


def check_fit(ensemble: Ensemble, form: Format, card: TaskCard) -> None:
    """Whether an ensemble can be had of such answers.

    Raises:
        ValueError: it cannot; the message says what can.
    """
    has_choices = card.kind in ("choice", "labels")
    if ensemble.by == "samples" and form in ("letters", "cloze"):
        raise ValueError(f"format = {form}: every draw would give the same probabilities; draws need `generate`")
    if ensemble.by == "orders" and not has_choices and ensemble.temperature is None:
        raise ValueError("there are no choices to re-order; self_consistency and medprompt draw instead")
    if ensemble.by == "orders" and form == "cloze":
        raise ValueError("format = cloze: the choices are not shown, so that their order changes nothing; letters or generate")
    if ensemble.rule.vote != "majority" and form != "letters":
        raise ValueError(f"vote = {ensemble.rule.vote}: only letters give probabilities; vote: majority for what is written")
    if ensemble.letters_runs and (not has_choices or card.several):
        raise ValueError("letters_runs: a letter is the answer only where one of several choices is right")
    if ensemble.letters_runs and form == "letters":
        raise ValueError("letters_runs stand beside written answers; with letters, a larger ensemble with vote: average")


def ask_members(sample: Sample, shots: Sequence[Exemplar], form: Format, ensemble: Ensemble, context: Context) -> Asking[Answer]:
    """Ask all members at once, in one wave, and let them vote: one request per member.

    Args:
        sample: as it was given; what comes back is in its terms.
        shots: exemplars of every member; direct members are shown the same ones with the right letter alone.
        form: how members are asked, the direct ones apart.
        ensemble: members and rule; `check_fit` has been passed.
        context: of the task.
    """
    runs = list(runs_of(sample, ensemble, context))
    if not sample.choices or ensemble.by == "samples":
        hot = context.decoding.model_copy(update={"temperature": ensemble.temperature})
        context = replace(context, decoding=hot)
    bare = [replace(shot, answer=None) for shot in shots]
    answers = yield from together([_asked(sample, run, bare if run.direct else shots, form, context) for run in runs])
    members = [Member(answer=answer, order=run.order, direct=run.direct) for answer, run in zip(answers, runs, strict=True)]
    return elected(members, sample, ensemble.rule, context)


def _asked(sample: Sample, run: _Run, shots: Sequence[Exemplar], form: Format, context: Context) -> Asking[Answer]:
    shown = reordered(sample, run.order, sample.variant) if sample.choices else sample
    return ask(shown, shots, "letters" if run.direct else form, context, draw=run.draw)


def runs_of(sample: Sample, ensemble: Ensemble, context: Context) -> Iterator[_Run]:
    """How each member is asked, the direct ones last.

    Orders are drawn uniformly among all permutations, so that no choice is favoured by its place, and no order comes twice among the
    members: a sample with few choices has fewer members than wanted (2 of two choices, 6 of three). A sample whose choices refer to each
    other by label or place keeps its order and is asked once, since in another order it would be another question.

    The seed names study, task, sample, variant and replicate, not the strategy: strategies with the same number of members show the same
    orders, and the orders of a smaller ensemble are the first of a larger one's. Replicates, which there are above temperature 0 alone,
    are draws of everything that is drawn, so that each has orders of its own.
    """
    standing = tuple(range(len(sample.choices)))
    if ensemble.by == "samples" or not sample.choices:
        yield from (_Run(order=standing, direct=False, draw=draw) for draw in range(ensemble.n))
        return
    orders: tuple[Order, ...] = (standing,)
    if not refers_to_order(sample):
        seed = derive_seed(context.seed, "choice_orders", context.card.name, sample.id, sample.variant, context.replicate)
        orders = drawn_orders(len(sample.choices), ensemble.n + ensemble.letters_runs, seed)
    for draw, order in enumerate(orders[: ensemble.n]):
        yield _Run(order=order, direct=False, draw=draw)
    # Further orders; where there are no more, those that stand come round again, none of them twice.
    for number in range(min(ensemble.letters_runs, len(orders))):
        yield _Run(order=orders[(ensemble.n + number) % len(orders)], direct=True, draw=0)
