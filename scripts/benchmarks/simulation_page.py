"""The tables of docs/simulation.md from what was simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from benchmarks.error_rates import Rate
from benchmarks.exact_sums import ExactRate
from benchmarks.paired_answers import Setting
from benchmarks.simulation_cases import ACCURACIES, CLUSTERS, DIFFERENCES, EVEN, MARGIN, SKEWED, UNEVEN, Simulation

BEGIN, END = "<!-- written by scripts/simulate.py -->", "<!-- end of what was written -->"
SIZES = {"single": "1", "five": "5", "unequal": "1 to 10", "dominant": "2, one with a third of all"}


def with_results(page: str, results: str) -> str:
    """The page with everything between the two marks replaced.

    Raises:
        ValueError: the marks do not stand there once each, in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError("the page needs the two marks, once each")
    return f"{page[: page.index(BEGIN)]}{BEGIN}\n\n{results}\n{page[page.index(END) :]}"


def results_of(found: Simulation, seed: int, date: str) -> str:
    """All tables, with what they are of."""
    error = 100 * (0.05 * 0.95 / found.n_repeats) ** 0.5
    head = (
        f"Seed {seed}, {found.n_repeats:,} repeats of each case (beside the bootstrap a fifth), {date}. The Monte-Carlo standard error of"
        f" a share near 5 or 95 % is {error:.2f} points.\n"
    )
    parts = [head, *coverage_parts(found.coverage), *bootstrap_part(found.bootstrap), *null_part(found.null)]
    parts += [
        *family_part(found.families),
        *equivalence_part(found.equivalence),
        *exact_part(found.exact_equivalence),
        *pooled_part(found.pooled),
    ]
    return "\n".join(parts)


def coverage_parts(rates: Sequence[Rate]) -> Iterator[str]:
    """Coverage of the t interval: a summary, and one table per true difference."""
    large = [rate for rate in rates if rate.setting.n_groups >= 20]
    if not large:
        return
    sound = [rate for rate in large if all(rate.rules)]
    yield "### The 95 % interval of the difference\n"
    yield "| cases | number | within 94 to 96 % | lowest | highest |\n|---|---:|---:|---:|---:|"
    groups = [
        ("20 groups and more", large),
        ("that keep the three rules", sound),
        ("that break one", [rate for rate in large if not all(rate.rules)]),
    ]
    groups += [(f"that break rule {number + 1}", [rate for rate in large if not rate.rules[number]]) for number in range(3)]
    yield from (summary_line(name, part) for name, part in groups)
    yield ""
    for difference in DIFFERENCES:
        part = [rate for rate in rates if rate.setting.true_difference == difference]
        yield f"Coverage in % at a true difference of {100 * difference:g} points, by accuracy. *: breaks a rule.\n"
        yield "| samples per group | icc | groups | " + " | ".join(f"{accuracy:g}" for accuracy in ACCURACIES) + " |"
        yield "|---|---:|---:|" + "---:|" * len(ACCURACIES)
        for sizes, icc in CLUSTERS:
            of_kind = [rate for rate in part if (rate.setting.sizes, rate.setting.icc) == (sizes, icc)]
            for n_groups in sorted({rate.setting.n_groups for rate in of_kind}):
                row = sorted((rate for rate in of_kind if rate.setting.n_groups == n_groups), key=lambda rate: rate.setting.accuracy)
                yield line(SIZES[sizes], f"{icc:g}", str(n_groups), *(f"{percent(rate)}{'' if all(rate.rules) else ' *'}" for rate in row))
        yield ""


def summary_line(name: str, rates: Sequence[Rate]) -> str:
    """How many of some cases are where they should be."""
    if not rates:
        return line(name, "0", "", "", "")
    shares = [rate.share for rate in rates]
    kept = sum(0.94 <= share <= 0.96 for share in shares)
    return line(name, str(len(shares)), str(kept), f"{100 * min(shares):.1f}", f"{100 * max(shares):.1f}")


def bootstrap_part(rates: Sequence[Rate]) -> Iterator[str]:
    """Coverage of three intervals side by side."""
    yield "### Beside the bootstrap\n"
    yield "Coverage in % at a true difference of 5 points.\n"
    yield from by_groups(rates, ("t", "percentile", "BCa"), accuracy_of)


def null_part(rates: Sequence[Rate]) -> Iterator[str]:
    """False positives."""
    yield "### False positives\n"
    yield "Share in % of p at most 0.05 where there is no true difference; t: intervals that leave out 0.\n"
    yield from by_groups(rates, ("sign flips", "t", "McNemar"), lambda setting: f"{KINDS[setting.kinds]}, {accuracy_of(setting)}")


KINDS = {EVEN: "groups alike", UNEVEN: "half of the groups hardly differ", SKEWED: "better on most, much worse on a fifth"}


def family_part(rates: Sequence[Rate]) -> Iterator[str]:
    """Errors of Holm's correction."""
    yield "### Ten tasks at once\n"
    yield "50 groups of 5, icc 0.3, the same groups in every task; share in % of repeats.\n"
    names = ("uncorrected, any false", "Holm, any false", "Holm, true ones found")
    yield "| tasks with a true difference of 15 points | " + " | ".join(names) + " |\n|---:|" + "---:|" * len(names)
    for number in sorted({rate.family.n_true for rate in rates if rate.family}):
        found = {rate.method: rate for rate in rates if rate.family and rate.family.n_true == number}
        yield line(str(number), *(percent(found[name]) if name in found else "" for name in names))
    yield ""


def equivalence_part(rates: Sequence[Rate]) -> Iterator[str]:
    """False verdicts of equivalence."""
    yield "### Equivalence\n"
    yield f"Share in % of p at most 0.05 where the true difference is the margin, {100 * MARGIN:g} points, by the share of samples on which"
    yield "only b is right.\n"
    shares = sorted({only_b(rate) for rate in rates})
    yield "| samples per group | icc | groups | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |"
    yield "|---|---:|---:|" + "---:|" * len(shares)
    cases = list(dict.fromkeys((rate.setting.sizes, rate.setting.icc, rate.setting.n_groups) for rate in rates))
    for case in cases:
        row = [rate for rate in rates if (rate.setting.sizes, rate.setting.icc, rate.setting.n_groups) == case]
        yield line(SIZES[case[0]], f"{case[1]:g}", str(case[2]), *(percent(rate) for rate in sorted(row, key=only_b)))
    yield ""


def exact_part(rates: Sequence[ExactRate]) -> Iterator[str]:
    """The same without draws."""
    yield "By exact sums over the counts of discordant answers, single samples:\n"
    shares = sorted({rate.only_b for rate in rates})
    yield "| margin | samples | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |"
    yield "|---:|---:|" + "---:|" * len(shares)
    for margin, n in dict.fromkeys((rate.margin, rate.n_samples) for rate in rates):
        row = sorted((rate for rate in rates if (rate.margin, rate.n_samples) == (margin, n)), key=lambda rate: rate.only_b)
        yield line(f"{100 * margin:g}", str(n), *(f"{100 * rate.share:.2f}" for rate in row))
    yield ""


def only_b(rate: Rate) -> float:
    """Probability that only b is right."""
    return round(rate.setting.kinds[0].table(rate.setting.accuracy)[2], 6)


def pooled_part(rates: Sequence[Rate]) -> Iterator[str]:
    """Means over tasks."""
    yield "### Means over tasks\n"
    yield "Three tasks, two of which ask the same questions (answers to one question correlate by 0.5) and have the true difference; the"
    yield "third has questions of its own, half as many again, and none. In %.\n"
    yield "| counted alike | true difference | linked questions | accuracy | coverage | without links | false positives |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for case in dict.fromkeys(rate.pooled for rate in rates if rate.pooled):
        found = {rate.method: percent(rate) for rate in rates if rate.pooled == case}
        setting = case.setting
        yield line(
            case.rule, f"{100 * setting.true_difference:g}", str(setting.n_groups), f"{setting.accuracy:g}", found["linked"],
            found["unlinked"], found.get("sign flips", ""),
        )  # fmt: skip
    yield ""


def by_groups(rates: Sequence[Rate], methods: Sequence[str], described: Callable[[Setting], str]) -> Iterator[str]:
    """A table with one row per case and method, and one column per number of groups."""
    counts = sorted({rate.setting.n_groups for rate in rates})
    yield "| case | samples per group | icc | of | " + " | ".join(f"{n} groups" for n in counts) + " |"
    yield "|---|---|---:|---|" + "---:|" * len(counts)
    found = {(rate.setting, rate.method): rate for rate in rates}
    for setting in dict.fromkeys(replace(rate.setting, n_groups=counts[0]) for rate in rates):
        for method in methods:
            row = [found.get((replace(setting, n_groups=n), method)) for n in counts]
            if any(row):
                shares = [percent(rate) if rate else "" for rate in row]
                yield line(described(setting), SIZES[setting.sizes], f"{setting.icc:g}", method, *shares)
    yield ""


def accuracy_of(setting: Setting) -> str:
    """The accuracy of a case in words."""
    return f"accuracy {setting.accuracy:g}"


def percent(rate: Rate) -> str:
    """A share as percent, one decimal."""
    return f"{100 * rate.share:.1f}"


def line(*cells: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
