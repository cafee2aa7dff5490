"""Example flips: answers that were right unperturbed and wrong perturbed, chosen by a seeded rule before anybody reads them.

A rule that nobody can tune: examples picked by eye would show what somebody wants to be seen. Source: the rule is ours.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from evalsuite.plan import Refused
from evalsuite.seeds import derive_seed
from evalsuite.stats.analyses import Labels
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.judged_under import judged_metric, judged_under
from evalsuite.stats.tables import MISSING_STATUSES, Cells, Condition
from evalsuite.types import Sample

N_EXAMPLES = 5
"""Examples per model."""

Turn = Literal["lost", "gained"]
"""`lost`: right unperturbed and wrong perturbed; `gained`: the other way."""

ANSWER = ["task", "strategy", "model", "sample_id", "replicate"]
"""What names the unperturbed answer of a perturbed one."""
SAMPLE = ["task", "perturbation", "sample_id", "variant", "replicate"]
"""What names what was asked."""
READ = ("value", "status", "shown_position", "answer_indices", "answer", "output")
"""Of either answer."""

Cell = tuple[str, str]
"""(task, perturbation)."""


def flip_examples(
    scores: pd.DataFrame,
    shown: Mapping[Cell, Sequence[Sample | Refused]],
    design: AnalysisDesign,
    labels: Labels,
    restricted: Collection[str],
    models: Sequence[str],
) -> Flips | None:
    """Choose `N_EXAMPLES` flips per model and take their texts.

    A perturbation is judged under one strategy (`judged_under`) on one metric (`judged_metric`), as in the tables; every variant and
    replicate is set against the unperturbed answer (variant 0 of the primary perturbation) of the same replicate. Right and wrong are the
    best and the worst value of a right-or-wrong metric; unparsed, truncated and too long answers are wrong under the rule `incorrect`
    and in no flip under `drop`; refused and failed ones are in none.

    Which are shown: answers that were lost before answers that were gained; then families of perturbations take turns, within a family its
    perturbations, within a perturbation its answers. Families and perturbations stand in the order of `derive_seed(study seed, "flip
    examples", model, name)`, answers in that of `derive_seed(study seed, "flip examples", task, perturbation, sample, variant, replicate)`.
    A sample comes a second time only where there are no others that turned that way. Flips on restricted tasks are counted, never chosen.

    Args:
        scores: columns of scores.parquet.
        shown: (task, perturbation) to what is shown of each sample, in any order; only chosen samples are looked up.
        design: primary cell, metrics, missing rule, exclusions, seed.
        labels: strategies and perturbations in the study's order, and the families of perturbations.
        restricted: tasks whose texts never leave their files.
        models: the models, in the study's order.

    Returns:
        Examples and counts; None where nothing was perturbed or judged. Does not depend on the order of the rows of `scores`.
    """
    judged = judged_cells(scores, design, labels)
    turns = turned(scores, design, judged)
    if turns is None:
        return None
    open_turns = drawn_places(turns[~turns["task"].isin(list(restricted))], design.seed)
    examples: list[Flip] = []
    for model in models:
        own = open_turns[open_turns["model"] == model]
        examples += [_flip(row, shown, design.primary_perturbation) for row in chosen(own, design.seed, model, labels)]
    counts = {
        model: Turned(
            n_lost=int((own["turn"] == "lost").sum()),
            n_gained=int((own["turn"] == "gained").sum()),
            n_restricted=int(own["task"].isin(list(restricted)).sum()),
        )
        for model in models
        for own in [turns[turns["model"] == model]]
    }
    return Flips(examples=tuple(examples), counts=counts)


def judged_cells(scores: pd.DataFrame, design: AnalysisDesign, labels: Labels) -> dict[Cell, tuple[str, str]]:
    """(task, perturbation) to the strategy and metric at which it is judged, where there are both."""
    names = ["task", "metric", "strategy", "perturbation"]
    ran = scores[[*names, "model"]].drop_duplicates()
    # Only which cells exist is asked, never what they hold.
    cells: Cells = {
        Condition(**dict(zip(names, map(str, key), strict=True))): dict.fromkeys(own["model"], pd.DataFrame())
        for key, own in ran.groupby(names, observed=True, sort=True)
    }
    found = {}
    for task in design.primary_metric:
        metric = judged_metric(cells, design, task)
        for perturbation in sorted({where.perturbation for where in cells if where.task == task} - {design.primary_perturbation}):
            strategy = judged_under(cells, design, perturbation, task, labels.strategies)
            if metric is not None and strategy is not None and design.metrics[metric].binary:
                found[task, perturbation] = (strategy, metric)
    return found


def turned(scores: pd.DataFrame, design: AnalysisDesign, judged: Mapping[Cell, tuple[str, str]]) -> pd.DataFrame | None:
    """Perturbed answers of which either they or their unperturbed ones are right, and the other wrong: `turn` says which.

    Columns that end in `_before` are of the unperturbed answer. None where nothing is judged.
    """
    if not judged:
        return None
    wanted = pd.DataFrame([(*cell, *where) for cell, where in judged.items()], columns=["task", "perturbation", "strategy", "metric"])
    columns = [*ANSWER, "perturbation", "variant", "metric", *(name for name in READ if name in scores)]
    after = scores[columns].merge(wanted, on=["task", "perturbation", "strategy", "metric"])
    before = scores[(scores["perturbation"] == design.primary_perturbation) & (scores["variant"] == 0)]
    before = before[columns].drop(columns=["perturbation", "variant"])
    both = after.merge(before, on=[*ANSWER, "metric"], suffixes=("", "_before"))
    left_out = {(entry.task, entry.sample_id) for entry in design.exclude}
    if left_out:
        both = both[[name not in left_out for name in zip(both["task"], both["sample_id"], strict=True)]]
    verdicts = {}
    for side in ("", "_before"):
        best, worst = (
            both["metric"].map({name: getattr(metric, which) for name, metric in design.metrics.items()}) for which in ("best", "worst")
        )
        scored = both[f"status{side}"] == "scored"
        missing = both[f"status{side}"].isin(MISSING_STATUSES) & (design.missing == "incorrect")
        verdicts[side] = scored & (both[f"value{side}"] == best), (scored & (both[f"value{side}"] == worst)) | missing
    lost, gained = verdicts["_before"][0] & verdicts[""][1], verdicts["_before"][1] & verdicts[""][0]
    return both.assign(turn=lost.map({True: "lost", False: "gained"}))[lost | gained]


def drawn_places(turns: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The answers in drawn order within their perturbation; the same order for every model, so that models show the same questions."""
    names = turns[SAMPLE].drop_duplicates()
    keys = zip(*(names[name].astype(object).tolist() for name in SAMPLE), strict=True)
    drawn = [derive_seed(seed, "flip examples", *map(str, key)) for key in keys]
    # Beyond the rare equal seeds, names decide.
    ordered = turns.merge(names.assign(drawn=drawn), on=SAMPLE).sort_values(["drawn", *SAMPLE], ignore_index=True)
    return ordered.assign(place=ordered.groupby(["model", "turn", "perturbation"], observed=True).cumcount())


def chosen(turns: pd.DataFrame, seed: int, model: str, labels: Labels) -> list[dict[str, Any]]:
    """The examples of one model, in the order in which they are shown; see `flip_examples`.

    Args:
        turns: its answers that turned, from `drawn_places`.
        seed: study seed.
        model: its name, so that models differ in which families and perturbations come first.
        labels: families of perturbations.
    """

    def drawn(*names: str) -> int:
        return derive_seed(seed, "flip examples", model, *names)

    def family(perturbation: str) -> str:
        known = labels.perturbations.get(perturbation)
        return known.family if known is not None else ""

    kept: list[dict[str, Any]] = []
    of_samples = turns.drop_duplicates(["turn", "perturbation", "task", "sample_id"]).groupby(["turn", "perturbation"], observed=True)
    # More of a perturbation are never reached: so many are taken in all, and so many others may stand before them.
    reached = turns.index.isin(of_samples.head(N_EXAMPLES).index) | (turns["place"] < 2 * N_EXAMPLES)
    rows = [{str(key): value for key, value in row.items()} for row in turns[reached].to_dict("records")]
    rows.sort(key=lambda row: (row["place"], drawn(row["perturbation"]), row["perturbation"]))
    for turn in get_args(Turn):
        queues: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["turn"] == turn:
                queues.setdefault(family(row["perturbation"]), []).append(row)
        ordered = [queues[name] for name in sorted(queues, key=lambda name: (drawn("family", name), name))]
        kept += first_unlike(ordered, N_EXAMPLES - len(kept), {(row["task"], row["sample_id"]) for row in kept})
    return kept


def first_unlike(queues: Sequence[list[dict[str, Any]]], n: int, seen: Collection[tuple[str, str]]) -> list[dict[str, Any]]:
    """So many rows, a queue at a time in turns: its first one of a sample that was not taken yet, and any first one once all were."""
    left, taken = [list(queue) for queue in queues], set(seen)
    kept: list[dict[str, Any]] = []
    for again in (False, True):
        progress = True
        while progress and len(kept) < n:
            progress = False
            for queue in left:
                row = next((row for row in queue if again or (row["task"], row["sample_id"]) not in taken), None)
                if row is not None and len(kept) < n:
                    queue.remove(row)
                    kept.append(row)
                    taken.add((row["task"], row["sample_id"]))
                    progress = True
    return kept


def _flip(row: Mapping[str, Any], shown: Mapping[Cell, Sequence[Sample | Refused]], reference: str) -> Flip:
    return Flip(
        model=str(row["model"]),
        task=str(row["task"]),
        strategy=str(row["strategy"]),
        perturbation=str(row["perturbation"]),
        replicate=int(row["replicate"]),
        turn=row["turn"],
        before=_rendition(row, "_before", shown[row["task"], reference], 0),
        after=_rendition(row, "", shown[row["task"], row["perturbation"]], int(row["variant"])),
    )


def _rendition(row: Mapping[str, Any], side: str, samples: Sequence[Sample | Refused], variant: int) -> Rendition:
    sample = next(each for each in samples if isinstance(each, Sample) and (each.id, each.variant) == (row["sample_id"], variant))
    indices = row.get(f"answer_indices{side}")
    also = {int(index) for index in indices.split(",")} if isinstance(indices, str) and indices else set()
    at = row.get(f"shown_position{side}")
    positions = {int(at)} if isinstance(at, int | float) and math.isfinite(at) else set()
    # An added choice has no index of its own (-1), so that only its place says that it was answered.
    positions |= {place for place in range(len(sample.choices)) if sample.original_index(place) in also - {-1}}
    output, answer = row.get(f"output{side}"), row.get(f"answer{side}")
    return Rendition(
        sample=sample,
        right=(row["turn"] == "lost") == bool(side),
        status=str(row[f"status{side}"]),
        answered=tuple(sorted(positions)),
        answer=answer if isinstance(answer, str) else "",
        output=output if isinstance(output, str) else "",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendition:
    """A sample as shown, and what was answered."""

    sample: Sample
    """The sample as shown."""
    right: bool
    """Whether the answer is right."""
    status: str
    """Status of the answer."""
    answered: tuple[int, ...]
    """Shown positions that were answered; empty where none was read."""
    answer: str
    """The answer as read; empty where none was."""
    output: str
    """What the model wrote; empty where it wrote nothing (log-probabilities)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """One answer that turned."""

    model: str
    """Model name."""
    task: str
    """Task name; never a restricted one."""
    strategy: str
    """Strategy id, of both answers."""
    perturbation: str
    """Perturbation id."""
    replicate: int
    """Replicate, of both answers."""
    turn: Turn
    """Which way it turned."""
    before: Rendition
    """Unperturbed."""
    after: Rendition
    """Perturbed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turned:
    """How many answers of a model turned, over all perturbations, variants and replicates."""

    n_lost: int
    """From right to wrong."""
    n_gained: int
    """From wrong to right."""
    n_restricted: int
    """Of both, those on restricted tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """Examples, and out of how many they were chosen."""

    examples: tuple[Flip, ...]
    """By model, in the order in which they are shown."""
    counts: Mapping[str, Turned]
    """By model, in the study's order."""
