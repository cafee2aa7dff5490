"""Terms and sources of what is measured under perturbations; each only where the report uses it."""

from __future__ import annotations

from evalsuite.report.findings import Findings
from evalsuite.report.words import CORRECTIONS, share

ELAZAR = "Elazar et al. 2021"
RIBEIRO = "Ribeiro et al. 2018"
KENDALL = "Kendall & Babington Smith 1939"
COCHRAN = "Cochran 1977"
ZHENG = "Zheng et al. 2023"

Items = tuple[tuple[str, str], ...]


def robustness_terms(findings: Findings) -> Items:
    """(term, meaning), in the order of the section."""
    analyses = findings.analyses
    analysis = findings.study.analysis
    method = CORRECTIONS[analysis.correction]
    corrected = f"p is {method}-adjusted over all pairs, tasks and perturbations of the study" if method else "p is not corrected"
    found = [
        (
            "perturbation",
            (
                "A rule that puts every question otherwise, and says by itself which choice is right then. Meaning-preserving ones leave "
                "the right choice as it is; target-changing ones change what is right. A sample to which it does not apply is refused."
            ),
            len(analyses.perturbed),
        ),
        (
            "consistency (same choice)",
            (
                "Share of the samples on which a model takes the same original choice as unperturbed, averaged over renditions within a "
                f"sample; only where the meaning is preserved ({ELAZAR})."
            ),
            len(analyses.perturbed),
        ),
        (
            "flip",
            (
                "Right to wrong: of the answers that were right unperturbed, the share that is wrong now; wrong to right likewise. Both "
                f"are ratios, with a linearised interval ({COCHRAN}); a model that answers at random flips as well."
            ),
            len(analyses.perturbed),
        ),
        (
            "holds better",
            (
                "Difference in differences: the pair's difference under the perturbation minus that on the same samples unperturbed. The "
                f"first holds better where it is above 0 and established: {corrected}, and at most {analysis.alpha:g}. Of two models that "
                "know different amounts, the better one has more to lose."
            ),
            len(analyses.robustness),
        ),
    ]
    return (*((term, meaning) for term, meaning, n in found if n), *_further_terms(findings))


def _further_terms(findings: Findings) -> Items:
    """Terms of renditions, places and prompts."""
    analyses = findings.analyses
    found = [
        (
            "worst case",
            (
                "Share of the samples whose answer is right in every rendition of the question, with a "
                f"{share(1 - findings.study.analysis.alpha)} cluster-robust interval ({RIBEIRO}). It falls with the number of renditions "
                "by chance alone."
            ),
            len(analyses.worst),
        ),
        (
            "position bias",
            (
                "Log-odds of taking a place among the choices as shown against the average other place, read off wrong answers only, where "
                f"being right plays no part; 0: no preference ({ZHENG}; this way of reading it is ours)."
            ),
            len(analyses.positions),
        ),
        (
            "Kendall's W",
            f"Agreement of several rankings: 1 where every prompt orders the models alike, 0 where they do not agree at all ({KENDALL}).",
            len(analyses.prompt_ranks),
        ),
    ]
    return tuple((term, meaning) for term, meaning, n in found if n)


def robustness_sources(findings: Findings) -> Items:
    """(name, reference) of what was used."""
    analyses = findings.analyses
    found = [
        (
            ELAZAR,
            "Y. Elazar et al., Measuring and improving consistency in pretrained language models, TACL 9, 1012–1031.",
            len(analyses.perturbed),
        ),
        (COCHRAN, "W. G. Cochran, Sampling Techniques, 3rd ed., Wiley: ratio estimates.", len(analyses.perturbed)),
        (
            RIBEIRO,
            "M. T. Ribeiro, S. Singh, C. Guestrin, Semantically equivalent adversarial rules for debugging NLP models, ACL.",
            len(analyses.worst),
        ),
        (
            ZHENG,
            "C. Zheng et al., Large language models are not robust multiple choice selectors, arXiv 2309.03882.",
            len(analyses.positions),
        ),
        (
            KENDALL,
            "M. G. Kendall, B. Babington Smith, The problem of m rankings, Annals of Mathematical Statistics 10, 275–287.",
            len(analyses.prompt_ranks),
        ),
    ]
    return tuple((name, reference) for name, reference, n in found if n)
