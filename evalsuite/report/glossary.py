"""The last section: what the words mean and how each number is computed, with sources."""

from __future__ import annotations

from evalsuite.report.across_terms import across_sources, across_terms
from evalsuite.report.answers_read import both_readings
from evalsuite.report.blocks import Definitions, Paragraph, Section
from evalsuite.report.findings import Findings
from evalsuite.report.instruction_terms import instruction_sources, instruction_terms
from evalsuite.report.robustness_terms import robustness_sources, robustness_terms
from evalsuite.report.words import share

HOLM = "Holm 1979"
BENJAMINI_HOCHBERG = "Benjamini & Hochberg 1995"
GATE = "Westfall & Krishen 2001"
CALIBRATED, DEBIASED, BRIER = "Roelofs et al. 2022", "Kumar et al. 2019", "Brier 1950"
PARTS = "Brennan 2001"


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
            Definitions(items=(*_numbers(findings), *across_terms(findings), *robustness_terms(findings), *instruction_terms(findings))),
            Paragraph(text="Sources"),
            Definitions(
                items=(*_sources(findings), *across_sources(findings), *robustness_sources(findings), *instruction_sources(findings))
            ),
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
        BENJAMINI_HOCHBERG,
        ("Y. Benjamini, Y. Hochberg, Controlling the false discovery rate, Journal of the Royal Statistical Society B 57, 289–300."),
    ),
    (
        GATE,
        (
            "P. H. Westfall, A. Krishen, Optimally weighted, fixed sequence and gatekeeper multiple testing procedures, Journal of "
            "Statistical Planning and Inference 99, 25–40."
        ),
    ),
    (
        "Schuirmann 1987",
        (
            "D. J. Schuirmann, A comparison of the two one-sided tests procedure and the power approach, "
            "Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680: equivalence (TOST)."
        ),
    ),
    ("McNemar 1947", "Q. McNemar, Psychometrika 12, 153–157: paired proportions; shown as sensitivity."),
    (
        "Efron 1987",
        "B. Efron, Better bootstrap confidence intervals, Journal of the American Statistical Association 82, 171–185: BCa limits.",
    ),
    (BRIER, "G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1–3."),
    (CALIBRATED, "R. Roelofs et al., Mitigating bias in calibration error estimation, AISTATS, arXiv 2012.08668: bins of equal mass."),
    (DEBIASED, "A. Kumar, P. Liang, T. Ma, Verified uncertainty calibration, NeurIPS, arXiv 1909.10155."),
    (PARTS, "R. L. Brennan, Generalizability Theory, Springer."),
)


def _sources(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Sources of what this study uses."""
    analysis = findings.study.analysis
    used = {HOLM: analysis.correction == "holm", BENJAMINI_HOCHBERG: analysis.correction == "benjamini_hochberg"}
    used[GATE] = analysis.secondary is not None
    used |= dict.fromkeys((CALIBRATED, DEBIASED, BRIER), bool(len(findings.analyses.calibration)))
    used[PARTS] = bool(len(findings.analyses.variance))
    return tuple(item for item in _SOURCES if used.get(item[0], True))


def _verdicts(findings: Findings) -> tuple[tuple[str, str], ...]:
    analysis = findings.study.analysis
    adjusted = "" if analysis.correction == "none" else "adjusted "
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
    own_family = "" if analysis.correction == "none" else ", adjusted within a family of their own"
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
        (
            "not worse",
            (
                "One of the two tests of equivalence alone: the difference lies above (or below) the margin on one side, at the same level"
                f"{own_family}. It adds to a “cannot tell”; it is no verdict."
            ),
        ),
        ("missing answers", f"Under the study's rule “{analysis.missing}”, an unparsed, truncated or too long answer {missing}."),
        ("family", _family(analysis.secondary is not None)),
        ("chance", "Expected value of a uniform guess."),
        *_further_numbers(findings),
        ("points", "Percentage points. CSV files hold shares between 0 and 1, unrounded."),
    )


def _further_numbers(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Terms of sections that not every report has."""
    analyses = findings.analyses
    entries = (
        (
            len(analyses.calibration),
            "confidence",
            f"Probability of the choice taken, among the choices shown. Bins hold about equal numbers of answers ({CALIBRATED}).",
        ),
        (
            len(analyses.calibration),
            "ECE, RMS error",
            (
                "Mean and root mean square distance of confidence and accuracy over bins. Both are above zero by chance alone; “without "
                f"bias” takes the variance of the bins off ({DEBIASED}), and keeps its sign."
            ),
        ),
        (
            len(analyses.calibration),
            "Brier score",
            f"Squared distance of the choices' probabilities from certainty in the right one, 0 to 2 ({BRIER}).",
        ),
        (
            len(both_readings(findings)),
            "format penalty",
            "Right by the lenient reading minus right by the strict one, on the same answers; unread answers count as wrong in both.",
        ),
        (
            len(analyses.ladder),
            "ladder, rung",
            (
                "Strategies of which each has one part more than the one before it. What a rung adds is the paired difference within one "
                "model, on the same questions; interval and p as for a difference of two models, not corrected."
            ),
        ),
        (
            len(analyses.votes),
            "agreement",
            "Share of an ensemble's readable votes that its answer got, averaged over answers (Wang et al. 2023, arXiv 2203.11171).",
        ),
        (
            len(analyses.variance),
            "variance parts",
            f"Parts of the variance of the mean difference by the method of moments ({PARTS}).",
        ),
    )
    return tuple((term, meaning) for present, term, meaning in entries if present)


def _family(secondary: bool) -> str:
    text = "All pairs and tasks of the study in the primary cell, whatever part of it was run."
    if secondary:
        text += (
            " The secondary family are the same in the further cells that the study names; it is tested only where every primary "
            f"difference is significant ({GATE})."
        )
    return f"{text} Everything else is exploratory."


def _correction(correction: str) -> str:
    absent = "a comparison that was not run or cannot be tested counts as p = 1"
    if correction == "holm":
        return f"Holm's step-down procedure over the family ({HOLM}); {absent}."
    if correction == "benjamini_hochberg":
        return (
            f"Benjamini and Hochberg's step-up procedure over the family ({BENJAMINI_HOCHBERG}): it bounds the expected share of false "
            f"claims among the claims, not the chance of any; {absent}."
        )
    return "The study asks for no correction over the family; p-values stand alone."
