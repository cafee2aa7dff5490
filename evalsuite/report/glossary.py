"""The last section: what the words mean and how each number is computed, with sources."""

from __future__ import annotations

from evalsuite.report.blocks import Definitions, Paragraph, Section
from evalsuite.report.findings import Findings
from evalsuite.report.words import share

HOLM = "Holm 1979"


def glossary_section(findings: Findings) -> Section | None:
    """Statuses, verdicts, numbers, sources; the study's own levels filled in."""
    return Section(
        anchor="glossary",
        title="What the words and numbers mean",
        blocks=(
            Paragraph(text="Status of an answer"),
            Definitions(items=_STATUSES),
            Paragraph(text="Verdict of a comparison, read from the first model of the pair"),
            Definitions(items=_verdicts(findings)),
            Paragraph(text="Numbers"),
            Definitions(items=_numbers(findings)),
            Paragraph(text="Sources"),
            Definitions(items=_sources(findings)),
        ),
    )


_STATUSES = (
    ("scored", "An answer was given and read; only these have a value of their own."),
    ("unparsed", "An answer was given, but none could be read from it. Follows the study's rule for missing answers."),
    ("truncated", "The token limit was reached and no answer could be read. Follows the rule for missing answers."),
    ("too long", "The prompt does not fit this model's context; it is never cropped. Follows the rule for missing answers."),
    ("refused", "The perturbation does not apply to this sample; it leaves the comparison on both sides."),
    ("failed", "Our fault, not the model's: an engine error or a missing log-probability. No verdict until it is repaired."),
)

_SOURCES = (
    ("Miller 2024", "E. Miller, Adding Error Bars to Evals, arXiv 2411.00640: paired differences, clustered standard errors."),
    (HOLM, "S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65–70."),
    (
        "Schuirmann 1987",
        (
            "D. J. Schuirmann, A comparison of the two one-sided tests procedure and the power approach, "
            "Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680: equivalence (TOST)."
        ),
    ),
    ("McNemar 1947", "Q. McNemar, Psychometrika 12, 153–157: paired proportions; shown as sensitivity."),
)


def _sources(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Sources of what this study uses."""
    holm = findings.study.analysis.correction == "holm"
    return tuple(item for item in _SOURCES if holm or item[0] != HOLM)


def _verdicts(findings: Findings) -> tuple[tuple[str, str], ...]:
    analysis = findings.study.analysis
    adjusted = "adjusted " if analysis.correction == "holm" else ""
    return (
        (
            "better, worse",
            f"The {adjusted}p-value is at most {analysis.alpha:g}. “Within margin”: the difference is real and smaller than the margin.",
        ),
        (
            "same within margin",
            (
                f"No difference is established, and the {share(1 - 2 * analysis.alpha)} interval lies inside "
                f"±{100 * analysis.margin:g} points (TOST), with its own {adjusted}p-value at most {analysis.alpha:g}."
            ),
        ),
        ("cannot tell", "Neither a difference nor equality within the margin is established. This is not evidence of equality."),
        (
            "not established",
            "Fewer than 10 groups, no answers left, answers that failed, or an audit that forbids the comparison. No claim is made.",
        ),
    )


def _numbers(findings: Findings) -> tuple[tuple[str, str], ...]:
    analysis = findings.study.analysis
    missing = (
        "counts as the worst value of the metric (set metrics: as no class)"
        if analysis.missing == "incorrect"
        else "leaves the sample out on both sides"
    )
    own_family = ", adjusted within a family of their own" if analysis.correction == "holm" else ""
    return (
        (
            "difference",
            (
                "First model minus second on the same samples, oriented so that positive favours the first; replicates and variants are "
                "averaged within a sample (but see set metrics)."
            ),
        ),
        ("group", "The unit of resampling: samples that share a passage, a case or a question stand in one group, also across tasks."),
        (
            "interval",
            (
                f"Cluster-robust t interval over G groups with G − 1 degrees of freedom, level {share(1 - analysis.alpha)} (Miller 2024). "
                "Intervals are not corrected for the family and use another method than p, so that the two can disagree at the edge; "
                "the verdict follows p. An interval of width zero means that all answers (or differences) were alike, not that the "
                "value is certain."
            ),
        ),
        ("p", f"Two-sided sign-flip randomisation over groups, {analysis.n_resamples:,} resamples, study seed {findings.study.seed}."),
        (
            "set metrics",
            (
                "Metrics of a whole cell (macro F1) pool every variant and replicate as an entry of its own. A missing answer that counts "
                "is no class (−1): a false negative of its class. Jackknife over groups for the interval, answers swapped within groups "
                "for p."
            ),
        ),
        ("adjusted p", _correction(analysis.correction)),
        (
            "equivalence",
            (
                f"Two one-sided tests against ±{100 * analysis.margin:g} points (Schuirmann 1987){own_family}. "
                "Where right-or-wrong answers hardly differ, the interval is no narrower than a true difference of the margin would allow."
            ),
        ),
        ("missing answers", f"Under the study's rule “{analysis.missing}”, an unparsed, truncated or too long answer {missing}."),
        ("family", "All pairs and tasks of the study in the primary cell, whatever part of it was run. Everything else is exploratory."),
        ("chance", "Expected value of a uniform guess."),
        ("points", "Percentage points. CSV files hold shares between 0 and 1, unrounded."),
    )


def _correction(correction: str) -> str:
    if correction == "holm":
        return "Holm's step-down procedure over the family (Holm 1979); a comparison that was not run or cannot be tested counts as p = 1."
    return "The study asks for no correction over the family; p-values stand alone."
