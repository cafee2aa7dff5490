"""Terms and sources of what is computed across tasks, languages, conditions and sizes; each only where the report uses it."""

from __future__ import annotations

from evalsuite.report.findings import Findings

JEONG = "Jeong et al. 2024"
META = "Paule & Mandel 1982; Hartung & Knapp 2001"

Items = tuple[tuple[str, str], ...]


def across_terms(findings: Findings) -> Items:
    """(term, meaning), in the order of the sections."""
    analyses = findings.analyses
    weighed = (
        "Each task counts the same; questions that stand in several tasks count once"
        if findings.study.analysis.pooling == "tasks"
        else "Each distinct question counts the same, however many tasks hold it (a question in two tasks counts half in each)"
    )
    found = [
        (
            "over all tasks",
            (
                f"Mean paired difference of the tasks whose answers are right or wrong. {weighed}. All that hangs together, in whatever "
                "task, is one group; interval and p as for a single task, with these weights. One such difference per pair: the pairs are "
                "a family of their own. It speaks of these tasks, not of tasks in general."
            ),
            len(analyses.pooled) > 0,
        ),
        (
            "meta-analysis",
            (f"Random effects over tasks, as if they were drawn from many tasks and independent of each other; sensitivity only ({META})."),
            len(analyses.meta) > 0,
        ),
        (
            "mixed-effects model",
            "Logistic model of every answer with random intercepts of questions and tasks; its odds ratio holds for a given question.",
            len(analyses.mixed) > 0,
        ),
        (
            "win, tie, loss",
            f"A comparison whose interval lies above zero, reaches zero, or lies below; not corrected, in the sense of {JEONG}.",
            len(analyses.shares) > 0,
        ),
        (
            "change of a difference",
            (
                "Difference in differences: the pair's difference under one condition minus that under another, on the samples that both "
                "have. Positive: the first model gains. It “stands out” where p, by sign flips over groups and not corrected, is at most "
                f"{findings.study.analysis.alpha:g}. Exploratory."
            ),
            len(analyses.contrasts) > 0,
        ),
    ]
    return tuple((term, meaning) for term, meaning, used in found if used)


def across_sources(findings: Findings) -> Items:
    """(name, reference) of what was used."""
    found = [
        (
            META,
            (
                "R. C. Paule, J. Mandel, Consensus values and weighting factors, Journal of Research of the NBS 87, 377–385; J. Hartung, "
                "G. Knapp, A refined method for the meta-analysis of controlled clinical trials with binary outcome, Statistics in "
                "Medicine 20, 3875–3889."
            ),
            len(findings.analyses.meta) > 0,
        ),
        (
            JEONG,
            (
                "D. P. Jeong, S. Garg, Z. C. Lipton, M. Oberst, Medical Adaptation of Large Language and Vision-Language Models: Are We "
                "Making Progress?, EMNLP, arXiv 2411.04118."
            ),
            len(findings.analyses.shares) > 0,
        ),
    ]
    return tuple((name, reference) for name, reference, used in found if used)
