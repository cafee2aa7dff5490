"""Two sets of scores side by side: samples are matched by what was asked, never by their number, and nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from evalsuite.errors import Fault, UserError, nearest
from evalsuite.interop.score_sets import ScoreSet, metric_record, open_scores
from evalsuite.metrics.base import Metric
from evalsuite.stats.compare import Planned, as_frame, compare_pair
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import UNIT, Condition, Missing, class_counts, split_conditions
from evalsuite.stats.verdicts import adjudicate

KEY = ["content_hash", "replicate", "occurrence"]
"""What two answers to the same question share: its content, the draw, and its number among equal questions."""
N_NAMED = 3
"""Most sample ids that a fault names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairingDesign:
    """How two sets of scores are compared."""

    a_model: str | None = None
    """Model of the first; None: its only one."""
    b_model: str | None = None
    """Model of the second likewise."""
    a_strategy: str | None = None
    """Strategy of the first; None: each strategy with that of the same name in the second."""
    b_strategy: str | None = None
    """Strategy of the second, given together with that of the first."""
    metrics: tuple[str, ...] | None = None
    """Only these metrics; None: all that both have."""
    tasks: tuple[str, ...] | None = None
    """Only these tasks; None: all that both have."""
    margin: float = 0.03
    """Equivalence margin in the metric's unit, above 0."""
    alpha: float = 0.05
    """Error rate over all rows of the table, in (0, 0.5)."""
    missing: Missing = "incorrect"
    """What `unparsed`, `truncated` and `too_long` count as."""
    common: bool = False
    """True: compare the samples that both have, where they are not the same."""
    n_resamples: int = 10_000
    """Resamples of randomisation and bootstrap."""
    seed: int = 0
    """Seed that every comparison derives its own from."""


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """What came of a comparison."""

    a: ScoreSet
    """The first; positive differences favour it."""
    b: ScoreSet
    """The second."""
    design: PairingDesign
    """How they were compared."""
    comparisons: pd.DataFrame = field(repr=False)
    """Columns of comparisons.csv; every role is `exploratory`, p_adjusted is Holm's over all rows."""
    notes: tuple[str, ...]
    """What a reader must know: conditions that differ, samples, tasks and metrics that are on one side only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How the samples of a condition differ between two sets; numbers are answers."""

    n_other: int
    """Sample ids that both sides have, with different contents."""
    n_a: int
    """Only in a."""
    n_b: int
    """Only in b."""
    n_key: int
    """Same content with another target."""
    n_shared: int
    """Same content and target on both sides."""
    named: tuple[str, ...]
    """A few of the ids."""

    @property
    def any(self) -> bool:
        """True if the samples are not the same."""
        return bool(self.n_other or self.n_a or self.n_b or self.n_key)

    def __str__(self) -> str:
        parts = (
            (self.n_other, "with the same id but different content"),
            (self.n_key, "with the same content but another target"),
            (self.n_a, "only in A"),
            (self.n_b, "only in B"),
        )
        named = f" (first: {', '.join(self.named)})" if self.named else ""
        return "; ".join(f"{count} samples {what}" for count, what in parts if count) + named


def compare_sets(a: str | Path, b: str | Path, design: PairingDesign | None = None) -> SideBySide:
    """Compare one model's scores with another's, wherever they came from.

    Answers are paired by content hash within task, strategy, perturbation and metric; the group is that of a. Nothing here
    was pre-stated, so every row is exploratory; p-values are corrected over all rows by Holm all the same.

    Args:
        a: a folder with scores.
        b: another, or the same.
        design: which models, metrics and tasks, and how they are compared.

    Raises:
        UserError: no such scores, nothing in common, or samples differ and `common` was not asked for.
    """
    design = design or PairingDesign()
    first, second = open_scores(a, design.a_model), open_scores(b, design.b_model)
    names = (first.model, second.model) if first.model != second.model else (f"{first.model} (A)", f"{second.model} (B)")
    where = f"{a} against {b}"
    if (first.model, Path(a).resolve(), design.a_strategy) == (second.model, Path(b).resolve(), design.b_strategy):
        allowed = "two different models, two different folders, or two different strategies"
        raise UserError(Fault(file=where, key="model", value=first.model, allowed=allowed))
    metrics, notes = _shared_metrics(first, second)
    cells_a, cells_b = _strategies(_cells(first, metrics), _cells(second, metrics), design, where)
    wanted, unmatched = _conditions(cells_a, cells_b, design, where)
    notes += unmatched
    pairs, faults = {}, []
    for condition in wanted:
        own_a, own_b, difference = paired(cells_a[condition], cells_b[condition])
        label = f"{condition.task}, {condition.strategy}, {condition.perturbation}"
        if difference.any and not (design.common and difference.n_shared):
            allowed = f"the same samples on both sides; --common compares the {difference.n_shared} that both have"
            allowed = allowed if difference.n_shared else "no sample in common, so there is nothing to compare"
            faults.append(Fault(file=where, key=label, value=str(difference), allowed=allowed))
        elif difference.any:
            notes.append(f"{label}: {difference.n_shared} samples that both have are compared; left out: {difference}")
        n_groups = int((own_a["group"].to_numpy() != own_b["group_b"].to_numpy()).sum())
        if n_groups:
            notes.append(f"{label}: {n_groups} samples have another group in B; the groups of A are used")
        pairs[condition] = {names[0]: own_a, names[1]: own_b.drop(columns="group_b")}
    if faults:
        raise UserError(list(dict.fromkeys(faults)))
    tables = class_counts(pd.concat([first.scores, second.scores]), metrics)
    frame = _compared(pairs, names, _records(first, wanted, pairs, metrics), tables, design)
    notes += different_facts(first, second, {condition.task for condition in wanted})
    return SideBySide(a=first, b=second, design=design, comparisons=frame, notes=tuple(dict.fromkeys(notes)))


def paired(cell_a: pd.DataFrame, cell_b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, Difference]:
    """Answers of two cells to the same questions, named alike, and how the rest differs.

    Args:
        cell_a: answers of a, indexed by sample, variant and replicate (`stats.tables.split_conditions`).
        cell_b: answers of b.

    Returns:
        The shared answers of a and of b with the names and groups of a (`group_b`: b's own), and the difference. Of equal
        questions within a cell the first of a goes with the first of b, in the order of their ids.
    """
    keyed_a, keyed_b = _keyed(cell_a), _keyed(cell_b)
    shared = keyed_a.index.intersection(keyed_b.index)
    only_a, only_b = keyed_a.index.difference(keyed_b.index), keyed_b.index.difference(keyed_a.index)
    own_a, own_b = keyed_a.loc[shared], keyed_b.loc[shared]
    # The hash of a whole row of lm-eval covers its key, which is written in other ways on other sides.
    whole_rows = shared.get_level_values("content_hash").astype(str).str.startswith("lm_eval:")
    targets = own_a["target"].notna() & own_b["target"].notna() & ~whole_rows
    other_key = targets & (own_a["target"].astype(str) != own_b["target"].astype(str))
    left_a, left_b = keyed_a.loc[only_a], keyed_b.loc[only_b]
    units_a, units_b = (pd.MultiIndex.from_frame(left.reset_index()[UNIT]) for left in (left_a, left_b))
    n_other = len(units_a.intersection(units_b))
    named = [*left_a["sample_id"], *left_b["sample_id"], *own_a.loc[other_key, "sample_id"]]
    difference = Difference(
        n_other=n_other,
        n_a=len(only_a) - n_other,
        n_b=len(only_b) - n_other,
        n_key=int(other_key.sum()),
        n_shared=len(shared) - int(other_key.sum()),
        named=tuple(dict.fromkeys(map(str, named)))[:N_NAMED],
    )
    own_a, own_b = own_a[~other_key], own_b[~other_key]
    renamed = own_b.assign(group_b=own_b["group"], sample_id=own_a["sample_id"], variant=own_a["variant"], group=own_a["group"])
    return _units(own_a), _units(renamed), difference


def _keyed(cell: pd.DataFrame) -> pd.DataFrame:
    table = cell.reset_index().sort_values(["content_hash", *UNIT], kind="stable")
    table["occurrence"] = table.groupby(["content_hash", "replicate"]).cumcount()
    return table.set_index(KEY)


def _units(keyed: pd.DataFrame) -> pd.DataFrame:
    return keyed.reset_index().drop(columns="occurrence").set_index(UNIT).sort_index()


def _shared_metrics(a: ScoreSet, b: ScoreSet) -> tuple[dict[str, Metric], list[str]]:
    """Records under which both tables can be read, and metrics that cannot be compared."""
    records: dict[str, Metric] = {}
    notes = []
    for scores in (a, b):
        for (task, name), part in scores.scores.groupby(["task", "metric"], observed=True):
            record = metric_record(scores, str(task), str(name), part["value"])
            if record is None:
                notes.append(f"{task}, {name}: left out, its source does not say whether more is better")
            else:
                records.setdefault(str(name), record)
    return records, notes


def _cells(scores: ScoreSet, metrics: Mapping[str, Metric]) -> dict[Condition, pd.DataFrame]:
    table = scores.scores[scores.scores["metric"].isin(list(metrics))]
    undirected = {key for key, better in scores.higher_is_better.items() if better is None}
    if undirected:
        keys = list(zip(table["task"], table["metric"], strict=True))
        table = table[[key not in undirected for key in keys]]
    if table["content_hash"].isna().any():
        n_without = int(table["content_hash"].isna().sum())
        allowed = "every score needs the hash of what was asked, else it cannot be paired"
        raise UserError(Fault(file=str(scores.folder), key="content_hash", value=f"{n_without} empty", allowed=allowed))
    try:
        return {condition: models[scores.model] for condition, models in split_conditions(table, metrics).items()}
    except ValueError as error:
        raise UserError(Fault(file=f"{scores.folder}/scores.parquet", key="", value="", allowed=str(error))) from None


def _strategies(
    cells_a: Mapping[Condition, pd.DataFrame], cells_b: Mapping[Condition, pd.DataFrame], design: PairingDesign, where: str
) -> tuple[Mapping[Condition, pd.DataFrame], Mapping[Condition, pd.DataFrame]]:
    """Both sides under one strategy's name where the design names one for each.

    Raises:
        UserError: only one is named, or a side does not have it.
    """
    if design.a_strategy is None and design.b_strategy is None:
        return cells_a, cells_b
    chosen = []
    label = design.a_strategy if design.a_strategy == design.b_strategy else f"{design.a_strategy} / {design.b_strategy}"
    for key, name, cells in (("--a-strategy", design.a_strategy, cells_a), ("--b-strategy", design.b_strategy, cells_b)):
        known = sorted({condition.strategy for condition in cells})
        if name not in known:
            allowed = nearest(name, known) if name else f"named for both sides; one of {', '.join(known)}"
            raise UserError(Fault(file=where, key=key, value=name or "", allowed=allowed))
        chosen.append({replace(condition, strategy=str(label)): cell for condition, cell in cells.items() if condition.strategy == name})
    return chosen[0], chosen[1]


def _conditions(
    cells_a: Mapping[Condition, pd.DataFrame], cells_b: Mapping[Condition, pd.DataFrame], design: PairingDesign, where: str
) -> tuple[list[Condition], list[str]]:
    """Conditions to compare, and a note per condition that only one side has."""
    faults = []
    for key, chosen, known in (
        ("--metric", design.metrics, {c.metric for c in [*cells_a, *cells_b]}),
        ("--tasks", design.tasks, {c.task for c in [*cells_a, *cells_b]}),
    ):
        unknown = sorted(set(chosen or ()) - known)
        faults += [Fault(file=where, key=key, value=name, allowed=nearest(name, known)) for name in unknown]
    if faults:
        raise UserError(faults)

    def chosen_of(cells: Mapping[Condition, pd.DataFrame]) -> set[Condition]:
        return {
            c for c in cells if (design.metrics is None or c.metric in design.metrics) and (design.tasks is None or c.task in design.tasks)
        }

    chosen_a, chosen_b = chosen_of(cells_a), chosen_of(cells_b)
    notes = []
    for side, rest in (("A", chosen_a - chosen_b), ("B", chosen_b - chosen_a)):
        notes += [f"only in {side}, not compared: {c.task}, {c.strategy}, {c.perturbation}, {c.metric}" for c in sorted(rest)]
    if not chosen_a & chosen_b:
        has = [", ".join(sorted({f"{c.task} ({c.strategy}, {c.metric})" for c in chosen})) or "nothing" for chosen in (chosen_a, chosen_b)]
        allowed = f"nothing in common, compared are equal task, strategy, perturbation and metric; A has {has[0]}; B has {has[1]}"
        raise UserError(Fault(file=where, key="", value="", allowed=allowed))
    return sorted(chosen_a & chosen_b), notes


def _records(
    a: ScoreSet, wanted: list[Condition], pairs: Mapping[Condition, Mapping[str, pd.DataFrame]], metrics: Mapping[str, Metric]
) -> dict[Condition, Metric]:
    """The record of each condition's metric, its bounds read off both sides."""
    found = {}
    for condition in wanted:
        values = pd.concat([cell["value"] for cell in pairs[condition].values()])
        found[condition] = metric_record(a, condition.task, condition.metric, values) or metrics[condition.metric]
    return found


def _compared(
    pairs: Mapping[Condition, Mapping[str, pd.DataFrame]],
    names: tuple[str, str],
    records: Mapping[Condition, Metric],
    n_classes: Mapping[str, int],
    design: PairingDesign,
) -> pd.DataFrame:
    """All rows, corrected as one family; then called what they are."""
    stated = AnalysisDesign(
        study="", pairs=(names,), primary_strategy="", primary_perturbation="", primary_metric={}, metrics={}, alpha=design.alpha,
        margin=design.margin, missing=design.missing, n_resamples=design.n_resamples, seed=design.seed,
    )  # fmt: skip
    rows = []
    for condition, cells in pairs.items():
        planned = Planned(condition=condition, a=names[0], b=names[1], role="primary")
        own = replace(stated, metrics={condition.metric: records[condition]})
        rows.append(compare_pair(planned, cells, n_classes.get(condition.task, 0), own))
    return as_frame([{**row, "role": "exploratory", "family": "exploratory"} for row in adjudicate(rows, stated)])


def different_facts(a: ScoreSet, b: ScoreSet, tasks: set[str]) -> list[str]:
    """Conditions under which the two sets were made that are stated on both sides and differ, one line each."""
    lines = []
    for (task, key), texts in _fact_pairs(a, b, tasks):
        where = f"{task}: " if task else ""
        lines.append(f"{where}{key} differs: {texts[0]} in A, {texts[1]} in B")
    return lines


def _fact_pairs(a: ScoreSet, b: ScoreSet, tasks: set[str]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    named = sorted(tasks)
    for what in sorted({key for _, key in a.facts} & {key for _, key in b.facts}):
        found = {}
        for task in named:
            own = tuple(scores.facts.get((task, what), scores.facts.get(("", what))) for scores in (a, b))
            if own[0] is not None and own[1] is not None and own[0] != own[1]:
                found[task] = (own[0], own[1])
        if len(found) == len(named) and len(set(found.values())) == 1:
            yield ("", what), next(iter(found.values()))
        else:
            yield from (((task, what), texts) for task, texts in found.items())


def side_by_side_lines(result: SideBySide) -> list[str]:
    """A comparison as lines for a terminal; numbers in the metric's unit, shares in [0, 1]."""
    frame = result.comparisons
    names = (frame["model_a"].iloc[0], frame["model_b"].iloc[0])
    lines = [f"A: {names[0]}   ({result.a.folder})", f"B: {names[1]}   ({result.b.folder})", ""]
    several = [key for key in ("strategy", "perturbation") if frame[key].nunique() > 1]
    heads = ["task", "metric", *several, "n", "groups", "A", "B", "difference", f"{100 * (1 - result.design.alpha):g}% interval"]
    heads += ["p", "p adjusted", "verdict"]
    rows = [heads]
    for row in frame.to_dict("records"):
        cells = [str(row["task"]), str(row["metric"]), *(str(row[key]) for key in several), str(row["n_samples"]), str(row["n_groups"])]
        cells += [_number(row["mean_a"]), _number(row["mean_b"]), _number(row["difference"], "+")]
        interval = f"{_number(row['ci_low'], '+')} to {_number(row['ci_high'], '+')}" if row["ci_low"] == row["ci_low"] else "-"
        verdict = f"{row['verdict']}{' (' + row['status_note'] + ')' if row['status_note'] else ''}"
        rows.append([*cells, interval, _number(row["p_value"]), _number(row["p_adjusted"]), verdict])
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    n_left = 2 + len(several)
    for cells in rows:
        *fixed, verdict = cells
        texts = [text.ljust(widths[at]) if at < n_left else text.rjust(widths[at]) for at, text in enumerate(fixed)]
        lines.append("  ".join([*texts, verdict]).rstrip())
    lines += ["", *not_stated_lines(result), *(f"note: {note}" for note in result.notes)]
    return lines


def not_stated_lines(result: SideBySide) -> list[str]:
    """What kind of comparison this is."""
    n_rows = len(result.comparisons)
    family = f"Holm over the {n_rows} rows" if n_rows > 1 else "one row, nothing to correct"
    said = "positive differences favour A; exploratory: nothing was stated before the answers were seen"
    return [f"{said}; p adjusted: {family}; margin ±{result.design.margin:g}"]


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None or value != value else f"{value:{sign}.4f}"
