"""Recompute OUT_DIR/comparisons.csv from OUT_DIR/scores.parquet and OUT_DIR/study.yaml, and say where they disagree.

Written against the contract alone: it imports nothing of the package and uses plain loops, so that a mistake in the
package's statistics is not repeated here. Monte Carlo p-values and bootstrap limits are compared within five standard errors of
fresh draws; everything else must agree to nine digits. Rows that a narrowed run could not have are noted. Exit 0: all rows
agree; 1: some do not, they are printed.

    python scripts/recompute_comparisons.py OUT_DIR [--lower-is-better NAME]... [--worst NAME=VALUE]...
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import optimize, stats

from recompute_families import check_coverage, check_family
from recompute_resamples import LIMITS, bootstrap_faults, mcnemar

MISSING = ("unparsed", "truncated", "too_long")
SET_METRICS = ("macro_f1",)
MARGIN_NUMBERS = ("equivalence_low", "equivalence_high", "p_equivalence", "p_a_noninferior", "p_b_noninferior")
ADJUSTED = ("p_adjusted", "p_equivalence_adjusted", "p_a_noninferior_adjusted", "p_b_noninferior_adjusted")
CLAIMS = ("within_margin", "a_noninferior", "b_noninferior")
RIGHT_OR_WRONG = ("accuracy", "accuracy_strict", "exact_match", *SET_METRICS)
N_RESAMPLES = 4000
Row = Mapping[str, Any]
Unit = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What study.yaml and the command line say."""

    study: dict[str, Any]
    lower: frozenset[str]
    worst: dict[str, float]

    @property
    def analysis(self) -> dict[str, Any]:
        """The pre-stated analysis."""
        found: dict[str, Any] = self.study["analysis"]
        return found


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Answers of both sides that count."""

    units: list[Unit]
    left: dict[Unit, Row]
    right: dict[Unit, Row]
    n_samples_before: int
    n_failed: int
    n_missing: tuple[int, int]
    faulty: bool

    @property
    def unread(self) -> str:
        """The sides that have no scored answer at all: `a`, `b`, `ab` or nothing."""
        sides = {"a": self.left, "b": self.right}
        return "".join(name for name, side in sides.items() if not any(side[unit]["status"] == "scored" for unit in self.units))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--lower-is-better", action="append", default=[], metavar="NAME", help="a metric whose low values are good")
    parser.add_argument("--worst", action="append", default=[], metavar="NAME=VALUE", help="a metric's worst value if it is not 0")
    options = parser.parse_args(arguments)
    rules = Rules(
        study=yaml.safe_load((options.out_dir / "study.yaml").read_text(encoding="utf-8")),
        lower=frozenset(options.lower_is_better),
        worst={name: float(value) for name, value in (entry.split("=") for entry in options.worst)},
    )
    scores = pd.read_parquet(options.out_dir / "scores.parquet")
    printed = pd.read_csv(options.out_dir / "comparisons.csv", keep_default_na=False, na_values=[""])
    answers, tags = answers_by_cell(scores)
    rows: list[Row] = [{str(name): value for name, value in row.items()} for row in printed.to_dict("records")]
    n_bad = 0
    for row in rows:
        faults = check_row(row, answers, tags, rules)
        n_bad += bool(faults)
        name = " ".join(str(row[key]) for key in ("task", "metric", "strategy", "perturbation", "model_a", "model_b", "subset"))
        sys.stdout.writelines(f"{name}: {fault}\n" for fault in faults)
    faults, notes = check_coverage(rows, answers, rules.study)
    faults += check_family(rows, rules.study)
    sys.stdout.writelines([*(f"{fault}\n" for fault in faults), *(f"note: {note}\n" for note in notes)])
    n_bad += len(faults)
    sys.stdout.write(f"{len(rows)} comparisons recomputed, {n_bad} disagreements\n")
    return 1 if n_bad else 0


def answers_by_cell(scores: pd.DataFrame) -> tuple[dict[tuple[str, ...], dict[Unit, Row]], dict[tuple[str, str], set[str]]]:
    """(task, metric, strategy, perturbation, model) -> unit -> row; and (task, sample) -> tags."""
    answers: dict[tuple[str, ...], dict[Unit, Row]] = defaultdict(dict)
    tags: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in scores.to_dict("records"):
        cell = tuple(str(row[key]) for key in ("task", "metric", "strategy", "perturbation", "model"))
        unit = (str(row["sample_id"]), int(row["variant"]), int(row["replicate"]))
        if unit in answers[cell]:
            raise SystemExit(f"{cell} {unit}: stands twice in scores.parquet")
        answers[cell][unit] = {str(key): value for key, value in row.items()}
        found = row.get("tags")
        if found is not None and not isinstance(found, float):
            tags[cell[0], unit[0]] |= {str(tag) for tag in found}
    return answers, tags


def pair(row: Row, answers: Mapping[tuple[str, ...], dict[Unit, Row]], tags: Mapping[tuple[str, str], set[str]], rules: Rules) -> Paired:
    """Apply exclusions, refusals, failures and the missing rule, in this order."""
    condition = tuple(str(row[key]) for key in ("task", "metric", "strategy", "perturbation"))
    left = answers.get((*condition, str(row["model_a"])), {})
    right = answers.get((*condition, str(row["model_b"])), {})
    by_name = {entry["sample_id"] for entry in rules.study.get("exclude") or [] if entry["task"] == row["task"]}
    gone = set(by_name)
    if str(row["subset"]).startswith("without:"):
        tag = str(row["subset"]).removeprefix("without:")
        gone |= {sample for (task, sample), found in tags.items() if task == row["task"] and tag in found}
    n_failed, missing, faulty, units = 0, [0, 0], not left or not right, []
    for unit in sorted(set(left) | set(right)):
        sides = [left.get(unit), right.get(unit)]
        statuses = [side["status"] if side is not None else "absent" for side in sides]
        if unit[0] in gone or "refused" in statuses or not left or not right:
            continue
        n_failed += statuses.count("failed")
        for number in (0, 1):
            missing[number] += statuses[number] in MISSING
        if "failed" in statuses or "absent" in statuses or sides[0]["content_hash"] != sides[1]["content_hash"]:  # type: ignore[index]
            faulty = True
            continue
        if rules.analysis["missing"] == "drop" and any(status in MISSING for status in statuses):
            continue
        units.append(unit)
    # Samples excluded by name were never asked for, and count as left out all the same.
    before = len(by_name | {unit[0] for unit in set(left) | set(right)})
    return Paired(
        units=units, left=left, right=right, n_samples_before=before, n_failed=n_failed, n_missing=(missing[0], missing[1]), faulty=faulty
    )


def check_row(
    row: Row, answers: Mapping[tuple[str, ...], dict[Unit, Row]], tags: Mapping[tuple[str, str], set[str]], rules: Rules
) -> list[str]:
    """What of one printed row cannot be confirmed."""
    paired = pair(row, answers, tags, rules)
    groups = {unit: str(paired.left[unit]["group"]) for unit in paired.units}
    n_samples, n_groups = len({unit[0] for unit in paired.units}), len(set(groups.values()))
    expected: dict[str, Any] = {
        "n_samples": n_samples,
        "n_groups": n_groups,
        "n_excluded": paired.n_samples_before - n_samples,
        "n_failed": paired.n_failed,
        "n_a_missing": paired.n_missing[0],
        "n_b_missing": paired.n_missing[1],
        "ci_level": 1 - rules.analysis["alpha"],
        "margin": rules.analysis["margin"],
    }
    names = ("mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_value", *MARGIN_NUMBERS, "p_mcnemar", "p_mcnemar_mid", *LIMITS)
    no_class = row["metric"] in SET_METRICS and any(not str(paired.left[unit]["target"]).isdigit() for unit in paired.units)
    if paired.faulty or no_class or n_samples == 0:
        return differences(row, {**expected, **dict.fromkeys((*names, *ADJUSTED, *CLAIMS)), "verdict": "not_established"})
    compute = set_numbers if row["metric"] in SET_METRICS else mean_numbers
    numbers, p = compute(row, paired, groups, rules)
    expected |= numbers
    if n_groups < 10:
        expected |= {"verdict": "not_established", **dict.fromkeys((*ADJUSTED, *CLAIMS))}
    else:
        expected |= verdict(row, paired.unread, rules)
    faults = differences(row, expected) + p_differs(row, p, rules.analysis["n_resamples"])
    return faults if row["metric"] in SET_METRICS else faults + bootstrap_faults(row, by_group(row, paired, groups, rules), rules.analysis)


def sample_means(row: Row, paired: Paired, rules: Rules) -> tuple[dict[str, float], dict[str, float]]:
    """Mean value of each sample of a and of b, a missing answer counting as the worst one."""
    worst = rules.worst.get(str(row["metric"]), 0.0)
    means = []
    for side in (paired.left, paired.right):
        values: dict[str, list[float]] = defaultdict(list)
        for unit in paired.units:
            values[unit[0]].append(side[unit]["value"] if side[unit]["status"] == "scored" else worst)
        means.append({sample: math.fsum(own) / len(own) for sample, own in values.items()})
    return means[0], means[1]


def by_group(row: Row, paired: Paired, groups: Mapping[Unit, str], rules: Rules) -> list[list[float]]:
    """The samples' differences, positive favouring a, group by group."""
    a, b = sample_means(row, paired, rules)
    sign = -1 if row["metric"] in rules.lower else 1
    members: dict[str, list[float]] = defaultdict(list)
    for sample, group in {unit[0]: groups[unit] for unit in paired.units}.items():
        members[group].append(sign * (a[sample] - b[sample]))
    return list(members.values())


def mean_numbers(row: Row, paired: Paired, groups: Mapping[Unit, str], rules: Rules) -> tuple[dict[str, Any], tuple[float, bool]]:
    """Means over samples, cluster-robust t, sign flips, McNemar, by loops."""
    a, b = sample_means(row, paired, rules)
    members = by_group(row, paired, groups, rules)
    n, n_groups = len(a), len(members)
    mean = math.fsum(value for inside in members for value in inside) / n
    se = math.nan
    if n_groups > 1:
        squares = math.fsum((math.fsum(value - mean for value in inside)) ** 2 for inside in members)
        se = math.sqrt(n_groups / (n_groups - 1) * squares) / n
        se = 0.0 if se < 1e-14 else se
    numbers: dict[str, Any] = {"mean_a": math.fsum(a.values()) / n, "mean_b": math.fsum(b.values()) / n}
    numbers |= limits(row, mean, se, members, rules)
    binary = n == n_groups and {*a.values(), *b.values()} <= {0.0, 1.0}
    if row["metric"] in RIGHT_OR_WRONG or not pd.isna(row["p_mcnemar"]):
        exact, mid = mcnemar(list(a.values()), [b[sample] for sample in a]) if binary else (None, None)
        numbers |= {"p_mcnemar": exact, "p_mcnemar_mid": mid}
    sums = np.array([math.fsum(inside) for inside in members])
    return numbers, sign_flips(sums[np.abs(sums) > 1e-11])


def sign_flips(sums: Any) -> tuple[float, bool]:
    """(p, exact): every sign vector of up to 12 groups, else random ones."""
    observed = abs(sums.sum()) - 1e-9
    if len(sums) <= 12:
        extreme = [abs(np.dot(signs, sums)) >= observed for signs in itertools.product((-1, 1), repeat=len(sums))]
        return float(np.mean(extreme)), True
    rng = np.random.default_rng(20240726)
    count = sum(abs(np.dot(rng.integers(0, 2, len(sums)) * 2 - 1, sums)) >= observed for _ in range(N_RESAMPLES))
    return float((1 + count) / (1 + N_RESAMPLES)), False


def limits(row: Row, estimate: float, se: float, groups: Sequence[Sequence[float]], rules: Rules) -> dict[str, Any]:
    """Interval and equivalence of an estimate, from its standard error and the differences (or anything as many) group by group."""
    sizes = [len(inside) for inside in groups]
    alpha, margin, df = rules.analysis["alpha"], rules.analysis["margin"], len(sizes) - 1
    numbers: dict[str, Any] = {"difference": estimate}
    if df < 1:
        return numbers | dict.fromkeys(("ci_low", "ci_high", *MARGIN_NUMBERS))
    half = stats.t.ppf(1 - alpha / 2, df) * se
    numbers |= {"ci_low": estimate - half, "ci_high": estimate + half}
    step, errors = 0.0, [se, se]
    if row["metric"] in RIGHT_OR_WRONG or se == 0:
        # As if a share `margin` of groups of n / n_effective samples differed, all in one direction; half a step for continuity.
        n_effective = sum(sizes) ** 2 / math.fsum(size * size for size in sizes)
        span = abs(rules.worst.get(str(row["metric"]), 0.0) - (row["metric"] not in rules.lower)) or 1.0
        rate = min(margin / span, 1.0)
        floor, step = span * math.sqrt(rate * (1 - rate) / n_effective), span / n_effective / 2
        at_ends = [floor, floor]
        if row["metric"] in RIGHT_OR_WRONG and row["metric"] not in SET_METRICS and rate < 1:
            turned = [[[sign * value / span for value in inside] for inside in groups] for sign in (-1, 1)]
            at_ends = [max(floor, span * at_margin(values, se / span, rate)) for values in turned]
        errors = [max(se, end) for end in at_ends]
    quantile = stats.t.ppf(1 - alpha, df)
    lower, upper = stats.t.sf((estimate + margin - step) / errors[0], df), stats.t.cdf((estimate - margin + step) / errors[1], df)
    low, high = estimate - quantile * errors[0] - step, estimate + quantile * errors[1] + step
    found = (low, high, max(lower, upper), lower, upper)
    return numbers | dict(zip(MARGIN_NUMBERS, found, strict=True))


def at_margin(groups: Sequence[Sequence[float]], se: float, rate: float) -> float:
    """Standard error of the mean if the true difference were `rate`: the likelihood of the three kinds of answers searched for its top."""
    flat = [value for inside in groups for value in inside]
    n, mean = len(flat), math.fsum(flat) / len(flat)
    b, c = math.fsum(max(value, 0) for value in flat), math.fsum(max(-value, 0) for value in flat)

    def slope(q: float) -> float:
        return b / (q + rate) + c / q - 2 * (n - b - c) / (1 - 2 * q - rate)

    low, high = 1e-13, (1 - rate) / 2 - 1e-13
    against = 0.0 if slope(low) <= 0 else high if slope(high) >= 0 else optimize.brentq(slope, low, high, xtol=1e-15, rtol=1e-14)
    alone = math.fsum((value - mean) ** 2 for value in flat) / (n * (n - 1)) if n > 1 else 0.0
    together = math.fsum(len(inside) ** 2 for inside in groups) / n
    effect = min(max(se**2 / alone, 1.0), together) if alone > 0 else 1.0
    return math.sqrt((2 * against + rate * (1 - rate)) * effect / n)


def macro_f1(right: Any, predicted: Any, targets: Any) -> float:
    """Mean of 2 right / (predicted + targets) over the classes that occur; the three are counts per class."""
    parts = [2 * r / (p + t) for r, p, t in zip(right, predicted, targets, strict=True) if p + t > 0]
    return math.fsum(parts) / len(parts) if parts else 0.0


def set_numbers(row: Row, paired: Paired, groups: Mapping[Unit, str], rules: Rules) -> tuple[dict[str, Any], tuple[float, bool]]:
    """Macro-F1 of both sides, jackknife over groups, swaps within groups."""
    names = sorted(set(groups.values()))
    n_classes = 1 + max(int(side[unit][key]) for unit in paired.units for side, key in classes_of(paired, unit))
    # counts[side][kind][group][class]; kinds: right, predicted, targets
    counts = np.zeros((2, 3, len(names), n_classes))
    for unit in paired.units:
        group, target = names.index(groups[unit]), int(paired.left[unit]["target"])
        for number, side in enumerate((paired.left, paired.right)):
            counts[number, 2, group, target] += 1
            if side[unit]["status"] == "scored" and int(side[unit]["answer_index"]) >= 0:
                answer = int(side[unit]["answer_index"])
                counts[number, 1, group, answer] += 1
                counts[number, 0, group, answer] += answer == target
    total = counts.sum(axis=2)
    f = [macro_f1(*total[number]) for number in (0, 1)]
    difference = (f[0] - f[1]) * (-1 if row["metric"] in rules.lower else 1)
    without = [macro_f1(*(total[0] - counts[0, :, g])) - macro_f1(*(total[1] - counts[1, :, g])) for g in range(len(names))]
    n_groups, se = len(names), math.nan
    if n_groups > 1:
        center = math.fsum(without) / n_groups
        se = math.sqrt((n_groups - 1) / n_groups * math.fsum((value - center) ** 2 for value in without))
        se = 0.0 if se < 1e-13 else se
    empty = dict.fromkeys(("p_mcnemar", "p_mcnemar_mid", *LIMITS))
    numbers = {
        "mean_a": f[0],
        "mean_b": f[1],
        **empty,
        **limits(row, difference, se, [[0.0] * n for n in Counter(groups.values()).values()], rules),
    }
    rng = np.random.default_rng(20240726)
    differ = [g for g in range(n_groups) if (counts[0, :, g] != counts[1, :, g]).any()]
    exact = len(differ) <= 12
    masks: Iterable[Any] = (
        itertools.product((0, 1), repeat=len(differ)) if exact else (rng.integers(0, 2, len(differ)) for _ in range(N_RESAMPLES))
    )
    extreme = 0
    for mask in masks:
        swap = [g for g, chosen in zip(differ, mask, strict=True) if chosen]
        moved = (counts[0, :, swap] - counts[1, :, swap]).sum(axis=0)
        extreme += abs(macro_f1(*(total[0] - moved)) - macro_f1(*(total[1] + moved))) >= abs(difference) - 1e-9
    p = extreme / 2 ** len(differ) if exact else (1 + extreme) / (1 + N_RESAMPLES)
    return numbers, (p, exact)


def classes_of(paired: Paired, unit: Unit) -> list[tuple[Mapping[Unit, Row], str]]:
    """Where the classes of one pair of answers stand."""
    scored = [(side, "answer_index") for side in (paired.left, paired.right) if side[unit]["status"] == "scored"]
    return [(paired.left, "target"), *scored]


def verdict(row: Row, unread: str, rules: Rules) -> dict[str, Any]:
    """What the printed p-values lead to; without a difference there is no verdict on a side that nobody could read."""
    alpha, corrected = rules.analysis["alpha"], row["role"] in ("primary", "secondary")
    ending = "_adjusted" if corrected else ""
    p = row["p_adjusted"] if corrected else row["p_value"]
    claims: dict[str, Any] = {"within_margin": bool(row[f"p_equivalence{ending}"] <= alpha) and not unread}
    claims |= {f"{side}_noninferior": bool(row[f"p_{side}_noninferior{ending}"] <= alpha) and side not in unread for side in "ab"}
    if p <= alpha and row["difference"] != 0:
        word = "a_better" if row["difference"] > 0 else "b_better"
    elif unread:
        word, claims = "not_established", dict.fromkeys(CLAIMS)
    else:
        word = "equivalent" if claims["within_margin"] else "inconclusive"
    return {"verdict": word, **claims} | ({} if corrected else dict.fromkeys(ADJUSTED))


def differences(row: Row, expected: Mapping[str, Any]) -> list[str]:
    """Fields whose printed value is not the expected one, to nine digits. p_value is compared elsewhere unless it must be empty."""
    faults = []
    for name, value in expected.items():
        found = row[name]
        if pd.isna(value) or pd.isna(found):
            same = pd.isna(value) and pd.isna(found)
        elif isinstance(value, str | bool):
            same = str(found) == str(value)
        else:
            same = math.isclose(float(found), float(value), rel_tol=1e-9, abs_tol=1e-9)
        if not same:
            faults.append(f"{name} is printed as {found}, recomputed as {value}")
    return faults


def p_differs(row: Row, recomputed: tuple[float, bool], n_resamples: int) -> list[str]:
    """Whether the printed p lies within five standard errors of the recomputed one (both may be Monte Carlo)."""
    p, exact = recomputed
    printed = row["p_value"]
    if pd.isna(printed):
        return [f"p_value is empty, recomputed as {p:.5f}"]
    spread = p * (1 - p) + 1 / N_RESAMPLES
    printed_exact = "exact" in str(row["method"])
    error = math.sqrt(spread * ((0 if printed_exact else 1 / n_resamples) + (0 if exact else 1 / N_RESAMPLES)))
    allowed = 5 * error + (1e-9 if printed_exact and exact else 2 / min(n_resamples, N_RESAMPLES))
    return [] if abs(printed - p) <= allowed else [f"p_value is printed as {printed}, recomputed as {p:.5f} +- {error:.5f}"]


if __name__ == "__main__":
    sys.exit(main())
