"""Numbers and verdicts in words: the only place where shares become percent and points, and where a verdict becomes a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Answer, Finding
from evalsuite.report.findings import Findings, Pair, family_size, is_set_metric, main_rows, pairs_of, records, whole
from evalsuite.report.plots import VERDICTS, Verdict

MIN_GROUPS = 10
"""Fewest groups for a verdict (DESIGN 2.6)."""

MIN_MISSING = 0.05
"""Share of a model's answers from which on missing ones are named beside the verdict."""

MISSING = ("unparsed", "truncated", "too_long")
"""Statuses that follow the study's rule for missing answers."""

MAX_UNFOLDED = 6
"""Most comparisons that the first screen lists one by one."""

VERDICT_NAMES: dict[Verdict, str] = {
    "a_better": "better",
    "b_better": "worse",
    "equivalent": "same within margin",
    "inconclusive": "cannot tell",
    "not_established": "not established",
}
"""Verdicts as read from the side of the first model of the pair."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How values of a metric are shown."""

    factor: float
    """Shown value over stored value: 100 for shares, else 1."""
    n_digits: int
    """Digits after the point."""
    unit: str
    """Unit of a mean with its leading space if it takes one: `%` or nothing."""
    difference_unit: str
    """Unit of a difference: ` points` or nothing."""


def scale_of(findings: Findings, metric: str) -> Scale:
    """Percent and points for metrics that run between 0 and 1, the bare number for all others."""
    known = findings.metrics.get(metric)
    if known is None or {known.worst, known.best} == {0.0, 1.0}:
        return Scale(factor=100.0, n_digits=1, unit="%", difference_unit=" points")
    return Scale(factor=1.0, n_digits=3, unit="", difference_unit="")


def number(value: float | None, scale: Scale, *, signed: bool = False) -> str:
    """A stored value as shown, with a true minus sign and no negative zero; a dash for None."""
    if value is None:
        return "–"
    text = f"{value * scale.factor:+.{scale.n_digits}f}"
    bare = text[1:]
    if not float(bare):
        return bare
    sign = "−" if text[0] == "-" else "+" if signed else ""
    return sign + bare


def interval(low: float | None, high: float | None, scale: Scale) -> str:
    """`27.1 to 35.3`; a dash if either end is None."""
    return "–" if low is None or high is None else f"{number(low, scale)} to {number(high, scale)}"


def p_number(p: float | None) -> str:
    """A p-value: four digits after the point below 0.1 (0.0496 must not read as 0.05 beside an alpha of 0.05), else two."""
    if p is None:
        return "–"
    if p < 0.00005:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.0995 else f"{p:.2f}"


def p_phrase(p: float | None) -> str:
    """`p = 0.012`, `p < 0.0001`, or `no p-value`."""
    text = p_number(p)
    return "no p-value" if p is None else f"p {text}" if text.startswith("<") else f"p = {text}"


def share(value: float) -> str:
    """A level such as 0.95 as `95%`."""
    return f"{100 * value:.6g}%"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def counted(n: int, noun: str) -> str:
    """`1 sample`, `1,273 samples`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def answers(findings: Findings) -> tuple[Answer, ...]:
    """What the study says about each pair: one sentence, and one finding per task where there are several tasks."""
    rows = main_rows(findings, findings.comparisons)
    found = []
    for pair in pairs_of(rows):
        own = [row for row in records(rows) if (row["model_a"], row["model_b"]) == pair]
        sentences = tuple(Finding(verdict=row["verdict"], text=sentence(findings, row)) for row in own)
        if len(own) == 1:
            found.append(Answer(sentence=sentences[0].text, findings=()))
        else:
            found.append(Answer(sentence=summary(findings, pair, own), findings=sentences, folded=len(rows) > MAX_UNFOLDED))
    return tuple(found)


def summary(findings: Findings, pair: Pair, rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence over all comparisons of a pair: how many of each verdict."""
    a, b = pair
    margin = _margin(findings, rows[0])
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


def sentence(findings: Findings, row: Mapping[str, Any]) -> str:
    """One comparison in one sentence that says no more than its verdict does."""
    spoken = {
        "a_better": _better,
        "b_better": _better,
        "equivalent": _equivalent,
        "inconclusive": _inconclusive,
        "not_established": _not_established,
    }[row["verdict"]](findings, row)
    return _mark_exploratory(row, f"On {row['task']}, {spoken}{_missing_clause(findings, row)}.")


def missing_answers(findings: Findings, row: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
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


def _n_answers(findings: Findings, row: Mapping[str, Any], model: str) -> int:
    """Answers of a model in the condition of a comparison but refused ones, or as many as the comparison itself can tell of."""
    cell = _cell_of(findings, row, [model])
    counted_ones = [f"n_{status}" for status in ("scored", *MISSING, "failed")]
    if len(cell):
        return int(cell[counted_ones].fillna(0).to_numpy().sum())
    n_lost = max(row["n_a_missing"], row["n_b_missing"]) if findings.study.analysis.missing == "drop" else 0
    return int((row["n_samples"] or 0) + n_lost)


def _cell_of(findings: Findings, row: Mapping[str, Any], models: Sequence[str]) -> pd.DataFrame:
    """Estimates over all samples of some models in the condition of a comparison."""
    estimates = whole(findings.estimates)
    same = estimates["model"].isin(models)
    for column in ("task", "metric", "strategy", "perturbation"):
        same &= estimates[column] == row[column]
    return estimates[same]


def _missing_clause(findings: Findings, row: Mapping[str, Any]) -> str:
    """`; 200 of b's 200 answers were missing and count as wrong`; empty below `MIN_MISSING` or where the reason says it already."""
    found = missing_answers(findings, row)
    if not found or _nothing_left(findings, row):
        return ""
    sides = [f"{n:,} of {model}'s {n_all:,}" for model, (n, n_all) in found.items()]
    return f"; {listed(sides)} answers were missing (unparsed, truncated or too long) and {missing_rule(findings, row['metric'])}"


def _nothing_left(findings: Findings, row: Mapping[str, Any]) -> str:
    """Why the rule “drop” leaves no answer to compare; empty where it does leave some."""
    found = missing_answers(findings, row)
    if findings.study.analysis.missing != "drop" or row["n_samples"] or not found:
        return ""
    if any(n == n_all for n, n_all in found.values()):
        found = {model: counts for model, counts in found.items() if counts[0] == counts[1]}
    sides = [f"{'all ' if n == n_all else ''}{n:,}{'' if n == n_all else f' of the {n_all:,}'} of {m}" for m, (n, n_all) in found.items()]
    return f"no answers left: {listed(sides)} were missing"


def why_not_established(findings: Findings, row: Mapping[str, Any]) -> str:
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
    n_failed = int(_cell_of(findings, row, [row["model_a"], row["model_b"]])["n_failed"].fillna(0).sum())
    if n_failed:
        return f"{counted(n_failed, 'answer')} failed for reasons that are not the models'"
    n_groups = row.get("n_groups")
    if n_groups is not None and n_groups < MIN_GROUPS:
        return f"{counted(int(n_groups), 'independent group')} of samples, and at least {MIN_GROUPS} are needed"
    return "an audit forbids it"


def _better(findings: Findings, row: Mapping[str, Any]) -> str:
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
        text += f"; the difference is real but smaller than the margin of {_margin(findings, row)}"
    return text


def _equivalent(findings: Findings, row: Mapping[str, Any]) -> str:
    scale = scale_of(findings, row["metric"])
    level = share(1 - 2 * findings.study.analysis.alpha)
    inside = interval(row["equivalence_low"], row["equivalence_high"], scale)
    p = row["p_equivalence_adjusted"] if row["p_equivalence_adjusted"] is not None else row["p_equivalence"]
    return (
        f"{row['model_a']} and {row['model_b']} are the same within the margin of {_margin(findings, row)} "
        f"(difference {number(row['difference'], scale, signed=True)}; {level} interval {inside}; "
        f"{p_phrase(p)} for equivalence{_correction(findings, row, 'p_equivalence_adjusted')})"
    )


def _inconclusive(findings: Findings, row: Mapping[str, Any]) -> str:
    difference = number(row["difference"], scale_of(findings, row["metric"]), signed=True)
    return (
        f"this study cannot tell: neither a difference between {row['model_a']} and {row['model_b']} nor their equality within the "
        f"margin of {_margin(findings, row)} is established (difference {difference}; {_evidence(findings, row)})"
    )


def _not_established(findings: Findings, row: Mapping[str, Any]) -> str:
    return f"no verdict on {row['model_a']} against {row['model_b']} is established: {why_not_established(findings, row)}"


def _evidence(findings: Findings, row: Mapping[str, Any]) -> str:
    scale = scale_of(findings, row["metric"])
    p = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_value"]
    level = share(row["ci_level"])
    return f"{level} interval {interval(row['ci_low'], row['ci_high'], scale)}; {p_phrase(p)}{_correction(findings, row, 'p_adjusted')}"


def _correction(findings: Findings, row: Mapping[str, Any], adjusted: str) -> str:
    """` after Holm over 5 comparisons`: what was done to the p-value that stands before it.

    The family is the whole one: a comparison that could not be tested counts as p = 1.
    """
    if row[adjusted] is None:
        return ", not corrected"
    n = family_size(findings)
    if n is not None and n <= 1:
        return ""
    family = "the whole family" if n is None else f"{n:,} comparisons"
    return f" after Holm over {family}" if findings.study.analysis.correction == "holm" else f", not corrected for {family}"


def _margin(findings: Findings, row: Mapping[str, Any]) -> str:
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


def _mark_exploratory(row: Mapping[str, Any], text: str) -> str:
    return text if row["role"] == "primary" else f"Exploratory: {text}"
