"""Words and sources of the sections on output contracts and second turns; none where a report has no such section."""

from __future__ import annotations

from evalsuite.report.findings import Findings
from evalsuite.report.instructions import contract_rows

IFEVAL, FLIPFLOP, SYCOPHANCY = "Zhou et al. 2023", "Laban et al. 2023", "Sharma et al. 2023"


def instruction_terms(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Terms of the sections that the report has."""
    contracts, turns = _present(findings)
    entries = (
        (
            contracts,
            "as asked",
            (
                "The whole output keeps its output contract, by a parser and without repair. Right as asked (strict): it does, and the "
                f"answer is right. Leniently read: the answer is right as a careful reader would read the output ({IFEVAL})."
            ),
        ),
        (
            contracts,
            "penalty of a contract",
            "Right leniently read minus right as asked, on the same answers; unread answers are wrong in both.",
        ),
        (
            contracts,
            "knowledge, format",
            (
                "Parts of a difference as asked: knowledge is the difference leniently read, format the second model's penalty minus the "
                "first's. They add up sample by sample; intervals as for any difference."
            ),
        ),
        (
            turns,
            "given up, corrected, followed",
            (
                "Of the samples right in the first turn the share wrong at the end; of those wrong first the share right at the end; of "
                f"those answered otherwise first the share that ends with the choice suggested ({FLIPFLOP}; {SYCOPHANCY}). Intervals of "
                "such shares are cluster-robust intervals of a ratio."
            ),
        ),
    )
    return tuple((term, meaning) for present, term, meaning in entries if present)


def instruction_sources(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Sources of the sections that the report has."""
    contracts, turns = _present(findings)
    entries = (
        (
            contracts,
            IFEVAL,
            "J. Zhou et al., Instruction-following evaluation for large language models, arXiv 2311.07911: strict and loose.",
        ),
        (
            turns,
            FLIPFLOP,
            "P. Laban et al., Are you sure? Challenging LLMs leads to performance drops in the FlipFlop experiment, arXiv 2311.08596.",
        ),
        (turns, SYCOPHANCY, "M. Sharma et al., Towards understanding sycophancy in language models, arXiv 2310.13548."),
    )
    return tuple((name, text) for present, name, text in entries if present)


def _present(findings: Findings) -> tuple[bool, bool]:
    """Whether the report has the sections on contracts and on second turns."""
    analyses = findings.analyses
    return bool(len(contract_rows(findings, analyses.contracts_kept))), bool(len(analyses.second_turns))
