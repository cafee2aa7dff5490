"""Verdicts in sentences: each says what its verdict does, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.report.findings import Findings, Pair, family_size, is_set_metric, pooled_name, primary_metrics, whole
from evalsuite.report.verdicts import VERDICTS, Verdict
from evalsuite.report.words import CORRECTIONS, counted, interval, listed, number, p_phrase, scale_of, share
from evalsuite.stats.design import MIN_GROUPS

Row = Mapping[str, Any]
"""One row of a frame; missing values are None."""

MIN_MISSING = 0.05
"""Share of a model's answers from which on missing ones are named beside the verdict."""

MAX_NAMED = 4
"""Most tasks that a sentence names one by one."""

MISSING = ("unparsed", "truncated", "too_long")
"""Statuses that follow the study's rule for missing answers."""


def summary(findings: Findings, pair: Pair, rows: Sequence[Row]) -> str:
    """One sentence over all comparisons of a pair: how many of each verdict."""
    a, b = pair
    margin = margin_of(findings, rows[0])
    names: dict[Verdict, str] = {
        "a_better": "better than {b} on {n}",
        "b_better": "worse on {n}",
        "equivalent": f"the same within the margin of {margin} on {{n}}",
    }
    n = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    said = []
    for at, verdict in enumerate(v for v in names if n[v]):
        words = names[verdict].format(b=b, n=n[verdict])
        # The first clause names the other model and the total; the rest lean on it.
        if at == 0:
            words = words.replace("worse", f"worse than {b}").replace("the same", f"the same as {b}")
            words += f" of {counted(len(rows), 'task')}"
        said.append(words)
    clauses = [f"{a} is {', '.join(said)}"] if said else []
    if n["inconclusive"]:
        total = "" if said else f" of {counted(len(rows), 'task')}"
        clauses.append(f"this study cannot tell {'' if said else f'{a} from {b} '}on {n['inconclusive']}{total}")
    if n["not_established"]:
        total = "" if clauses else f" of {counted(len(rows), 'task')} between {a} and {b}"
        clauses.append(f"no verdict is established on {n['not_established']}{total}")
    text = "; ".join(clauses) + "."
    return _mark_exploratory(rows[0], text[0].upper() + text[1:] if not said else text)


def sentence(findings: Findings, row: Row) -> str:
    """One comparison in one sentence that says no more than its verdict does."""
    return _mark_exploratory(row, f"On {row['task']}, {_spoken(findings, row)}{_missing_clause(findings, row)}.")


def pooled_sentence(findings: Findings, row: Row) -> str:
    """The pooled difference of a pair in one sentence that names what it is taken over; a row of the frame `pooled`."""
    spoken = _spoken(findings, {**row, "metric": pooled_metric(findings, row)})
    n_tasks = int(row["n_tasks"] or 0)
    names = str(row["tasks"] or "").split(",")
    chosen = findings.study.analysis.pooled_tasks is not None and row["scope"] == "all"
    over = listed(names) if n_tasks == 1 or (chosen and n_tasks <= MAX_NAMED) else counted(n_tasks, "task")
    if findings.study.analysis.pooling == "tasks" and n_tasks > 1:
        lead = f"With each of {over} counting the same"
    elif row["verdict"] == "not_established" or not row["n_questions"]:
        lead = f"Over {over}" if n_tasks else f"Over {pooled_name(findings)}"
    else:
        lead = f"Over the {counted(round(row['n_questions']), 'distinct question')} of {over}"
    return _mark_exploratory(row, f"{lead}, {spoken}.")


def pooled_metric(findings: Findings, row: Row) -> str:
    """The metric that all tasks of a pooled row are compared on or, where they differ, `accuracy`: only right-or-wrong ones are pooled."""
    metrics = primary_metrics(findings)
    known = {metrics[name] for name in str(row["tasks"] or "").split(",") if name in metrics}
    return known.pop() if len(known) == 1 else "accuracy"


def tally(findings: Findings, rows: Sequence[Row]) -> str:
    """How many tasks have which verdict, for a reader who has just met both names: `By task: better on 2 of 5 tasks, …`."""
    words: dict[Verdict, str] = {
        "a_better": "better on {n}",
        "b_better": "worse on {n}",
        "equivalent": f"the same within the margin of {margin_of(findings, rows[0])} on {{n}}",
        "inconclusive": "cannot tell on {n}",
        "not_established": "not established on {n}",
    }
    n = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    said = [words[verdict].format(n=n[verdict]) for verdict in VERDICTS if n[verdict]]
    said[0] += f" of {counted(len(rows), 'task')}"
    return f"By task: {', '.join(said)}"


def missing_answers(findings: Findings, row: Row) -> dict[str, tuple[int, int]]:
    """Model to (missing answers, all answers) of the sides of a comparison whose share of missing ones is at least `MIN_MISSING`."""
    found = {}
    for model, n_missing in ((row["model_a"], row.get("n_a_missing")), (row["model_b"], row.get("n_b_missing"))):
        n_answers = _n_answers(findings, row, model) if n_missing else 0
        if n_missing and n_missing >= MIN_MISSING * n_answers:
            found[str(model)] = (int(n_missing), max(n_answers, int(n_missing)))
    return found


def missing_rule(findings: Findings, metric: str) -> str:
    """What becomes of missing answers, as the end of a sentence about them."""
    known = findings.metrics.get(metric)
    if findings.study.analysis.missing == "drop":
        return "are left out on both sides"
    if is_set_metric(findings, metric):
        return "count as no class"
    return "count as wrong" if known is None or known.binary else "count as the worst value"


def _n_answers(findings: Findings, row: Row, model: str) -> int:
    """Answers of a model in the condition of a comparison but refused ones, or as many as the comparison itself can tell of."""
    cell = _cell_of(findings, row, [model])
    counted_ones = [f"n_{status}" for status in ("scored", *MISSING, "failed")]
    if len(cell):
        return int(cell[counted_ones].fillna(0).to_numpy().sum())
    n_lost = max(row["n_a_missing"], row["n_b_missing"]) if findings.study.analysis.missing == "drop" else 0
    return int((row["n_samples"] or 0) + n_lost)


def _cell_of(findings: Findings, row: Row, models: Sequence[str]) -> pd.DataFrame:
    """Estimates over all samples of some models in the condition of a comparison."""
    estimates = whole(findings.estimates)
    same = estimates["model"].isin(models)
    for column in ("task", "metric", "strategy", "perturbation"):
        same &= estimates[column] == row[column]
    return estimates[same]


def _missing_clause(findings: Findings, row: Row) -> str:
    """`; 200 of b's 200 answers were missing and count as wrong`; empty below `MIN_MISSING` or where the reason says it already."""
    found = missing_answers(findings, row)
    if not found or _nothing_left(findings, row):
        return ""
    sides = [f"{n:,} of {model}'s {n_all:,}" for model, (n, n_all) in found.items()]
    return f"; {listed(sides)} answers were missing (unparsed, truncated or too long) and {missing_rule(findings, row['metric'])}"


def _nothing_left(findings: Findings, row: Row) -> str:
    """Why the rule “drop” leaves no answer to compare; empty where it does leave some."""
    found = missing_answers(findings, row)
    if findings.study.analysis.missing != "drop" or row["n_samples"] or not found:
        return ""
    if any(n == n_all for n, n_all in found.values()):
        found = {model: counts for model, counts in found.items() if counts[0] == counts[1]}
    sides = [f"{'all ' if n == n_all else ''}{n:,}{'' if n == n_all else f' of the {n_all:,}'} of {m}" for m, (n, n_all) in found.items()]
    return f"no answers left: {listed(sides)} were missing"


def why_not_established(findings: Findings, row: Row) -> str:
    """The reason that the analysis gave or, failing that, the one that the counts show."""
    nothing_left = _nothing_left(findings, row)
    notes = [note for note in str(row.get("status_note") or "").split("; ") if note]
    if nothing_left:
        notes = [note for note in notes if not note.startswith(("0 groups", "no answers left"))]
    if notes or nothing_left:
        # The analysis speaks of sides a and b; people read names.
        sides = {"a": str(row["model_a"]), "b": str(row["model_b"])}
        named = re.compile(r"(?<= of )[ab]\b(?: and b\b)?")
        reason = named.sub(lambda found: listed([sides[side] for side in found[0].split(" and ")]), "; ".join(notes))
        return "; ".join(part for part in (nothing_left, reason) if part)
    if "scope" in row:
        return str(row["left_out"] or "") or "no task could enter the mean"
    n_failed = int(_cell_of(findings, row, [row["model_a"], row["model_b"]])["n_failed"].fillna(0).sum())
    if n_failed:
        return f"{counted(n_failed, 'answer')} failed for reasons that are not the models'"
    n_groups = row.get("n_groups")
    if n_groups is not None and n_groups < MIN_GROUPS:
        return f"{counted(int(n_groups), 'independent group')} of samples, and at least {MIN_GROUPS} are needed"
    return "an audit forbids it"


def _spoken(findings: Findings, row: Row) -> str:
    """What the verdict of a row says, without where it was found."""
    words: dict[Verdict, Callable[[Findings, Row], str]] = {
        "a_better": _better,
        "b_better": _better,
        "equivalent": _equivalent,
        "inconclusive": _inconclusive,
        "not_established": _not_established,
    }
    return words[row["verdict"]](findings, row)


def _better(findings: Findings, row: Row) -> str:
    scale = scale_of(findings, row["metric"])
    known = findings.metrics.get(row["metric"])
    a_better = row["verdict"] == "a_better"
    size = number(abs(row["difference"]), scale) + scale.difference_unit
    a, b = row["model_a"], row["model_b"]
    # Where less is better, differences are still oriented so that positive favours a; "higher" would then be wrong.
    lower_is_better = known is not None and not known.higher_is_better
    right = _right(findings, row["metric"])
    if right:
        claim = f"{a} answers {size} {'more' if a_better else 'fewer'} questions {right} than {b}"
    elif lower_is_better:
        claim = f"{a} does {size} {'better' if a_better else 'worse'} than {b} on {row['metric']} (lower is better)"
    else:
        claim = f"{a} scores {size} {'higher' if a_better else 'lower'} than {b} on {row['metric']}"
    lead = "" if a_better else f"difference {number(row['difference'], scale, signed=True)}; "
    text = f"{claim} ({lead}{_evidence(findings, row)})"
    if row.get("within_margin"):
        text += f"; the difference is real but smaller than the margin of {margin_of(findings, row)}"
    return text


def _equivalent(findings: Findings, row: Row) -> str:
    scale = scale_of(findings, row["metric"])
    level = share(1 - 2 * findings.study.analysis.alpha)
    inside = interval(row["equivalence_low"], row["equivalence_high"], scale)
    p = row["p_equivalence_adjusted"] if row["p_equivalence_adjusted"] is not None else row["p_equivalence"]
    return (
        f"{row['model_a']} and {row['model_b']} are the same within the margin of {margin_of(findings, row)} "
        f"(difference {number(row['difference'], scale, signed=True)}; {level} interval {inside}; "
        f"{p_phrase(p)} for equivalence{_correction(findings, row, 'p_equivalence_adjusted')})"
    )


def _inconclusive(findings: Findings, row: Row) -> str:
    difference = number(row["difference"], scale_of(findings, row["metric"]), signed=True)
    no_worse = _no_worse(findings, row)
    return (
        f"this study cannot tell: neither a difference between {row['model_a']} and {row['model_b']} nor their equality within the "
        f"margin of {margin_of(findings, row)} is established (difference {difference}; {_evidence(findings, row)})"
        f"{'; but ' if no_worse else ''}{', and '.join(no_worse)}"
    )


def _no_worse(findings: Findings, row: Row) -> list[str]:
    """Of each side that is not worse by more than the margin, that it is; frames without those tests have none."""
    found = []
    for side, model, other in (("a", row["model_a"], row["model_b"]), ("b", row["model_b"], row["model_a"])):
        if row.get(f"{side}_noninferior"):
            raw, adjusted = f"p_{side}_noninferior", f"p_{side}_noninferior_adjusted"
            p = p_phrase(row[raw] if row[adjusted] is None else row[adjusted])
            found.append(f"{model} is not worse than {other} by more than the margin ({p}{_correction(findings, row, adjusted)})")
    return found


def _not_established(findings: Findings, row: Row) -> str:
    return f"no verdict on {row['model_a']} against {row['model_b']} is established: {why_not_established(findings, row)}"


def _evidence(findings: Findings, row: Row) -> str:
    scale = scale_of(findings, row["metric"])
    p = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_value"]
    level = share(row["ci_level"])
    return f"{level} interval {interval(row['ci_low'], row['ci_high'], scale)}; {p_phrase(p)}{_correction(findings, row, 'p_adjusted')}"


def _correction(findings: Findings, row: Row, adjusted: str) -> str:
    """` after Holm over 5 comparisons`: what was done to the p-value that stands before it.

    The family is the whole one: a comparison that could not be tested counts as p = 1.
    """
    if row[adjusted] is None:
        return ", not corrected"
    n, noun = family_size(findings), "comparison"
    if "scope" in row:
        # One pooled difference per pair: their family is the pairs.
        n, noun = None if n is None else n // max(len(findings.study.tasks), 1), "pair"
    if n is not None and n <= 1:
        return ""
    family = "the whole family" if n is None else counted(n, noun)
    method = CORRECTIONS[findings.study.analysis.correction]
    if row["role"] == "secondary":
        return f" after {method} within the secondary family" if method else ", not corrected within the secondary family"
    return f" after {method} over {family}" if method else f", not corrected for {family}"


def margin_of(findings: Findings, row: Row) -> str:
    """The margin of a row as shown, with its unit: `±3.0 points`."""
    scale = scale_of(findings, row["metric"])
    margin = row["margin"] if row["margin"] is not None else findings.study.analysis.margin
    return f"±{number(margin, scale)}{scale.difference_unit}"


def _right(findings: Findings, metric: str) -> str:
    """What a question that counts was answered, where a mean is a share of such questions; else empty."""
    known = findings.metrics.get(metric)
    strict, shares = metric == "accuracy_strict", metric in ("accuracy", "accuracy_strict")
    if known is not None:
        strict = known.reading == "strict"
        shares = known.binary and known.higher_is_better and known.of_set is None and known.applies != "text"
    return ("right in exactly the asked form" if strict else "right") if shares else ""


def _mark_exploratory(row: Row, text: str) -> str:
    return text if row["role"] == "primary" else f"{str(row['role']).capitalize()}: {text}"
