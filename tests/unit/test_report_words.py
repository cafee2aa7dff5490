"""Numbers and verdicts in words: each sentence says its verdict, and no more."""

from __future__ import annotations

import pandas as pd
import pytest

from evalsuite.metrics.base import Metric
from evalsuite.report import answers
from evalsuite.report.sentences import sentence
from evalsuite.report.words import Scale, interval, listed, number, p_number, p_phrase
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, comparison_row, comparisons, estimates, findings, study

SHARE = Scale(factor=100.0, n_digits=1, unit="%", difference_unit=" points")


def sentences() -> dict[str, str]:
    (answer,) = answers(findings())
    return dict(zip(TASKS, (found.text for found in answer.findings), strict=True))


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [(0.312, False, "31.2"), (0.312, True, "+31.2"), (-0.05, True, "−5.0"), (-0.0004, True, "0.0"), (0.0, True, "0.0"), (None, False, "–")],
)
def test_numbers_have_a_true_minus_and_no_negative_zero(value: float | None, signed: bool, expected: str) -> None:
    assert number(value, SHARE, signed=signed) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0001, "0.0001"), (0.00001, "< 0.0001"), (0.0496, "0.0496"), (0.0504, "0.0504"), (0.12, "0.12"), (1.0, "1.00"), (None, "–")],
)
def test_p_values_keep_their_side_of_alpha(p: float | None, expected: str) -> None:
    assert p_number(p) == expected


def test_p_phrase_and_lists() -> None:
    assert [p_phrase(p) for p in (0.00001, 0.02, None)] == ["p < 0.0001", "p = 0.0200", "no p-value"]
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert interval(None, 0.3, SHARE) == "–"


def test_single_task_is_answered_in_one_sentence() -> None:
    (answer,) = answers(findings(tasks=("pocket_clinical_en",)))
    assert answer.findings == ()
    assert answer.sentence == (
        "On pocket_clinical_en, pocket-clinical answers 31.2 points more questions right than pocket-generalist "
        "(95% interval 27.1 to 35.3; p = 0.0001)."
    )


def test_several_tasks_are_summarised_by_verdict() -> None:
    (answer,) = answers(findings())
    assert answer.sentence == (
        "pocket-clinical is better than pocket-generalist on 1 of 5 tasks, worse on 1, the same within the margin of ±3.0 points on 1; "
        "this study cannot tell on 1; no verdict is established on 1."
    )
    assert [found.verdict for found in answer.findings] == ["a_better", "b_better", "equivalent", "inconclusive", "not_established"]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("headqa_es", "On headqa_es, this study cannot tell"),
        ("pocket_clinical_en", "On pocket_clinical_en, no verdict"),
    ],
)
def test_summary_without_any_established_verdict_starts_with_a_capital(task: str, expected: str) -> None:
    verdict = "inconclusive" if task == "headqa_es" else "not_established"
    frame = comparisons(TASKS[:2]).assign(verdict=verdict, status_note="9 groups, 10 are needed" if verdict == "not_established" else "")
    (answer,) = answers(findings(tasks=TASKS[:2], comparisons=frame))
    assert answer.sentence[0].isupper()
    assert "of 2 tasks" in answer.sentence
    assert expected in " ".join(found.text for found in answer.findings)
    assert "better" not in answer.sentence


def test_each_verdict_has_its_own_wording() -> None:
    said = sentences()
    assert said["pocket_clinical_en"].endswith("(95% interval 27.1 to 35.3; p = 0.0001 after Holm over 5 comparisons).")
    assert "answers 5.0 points fewer questions right than" in said["headqa_es"]
    assert "difference −5.0; 95% interval −7.9 to −2.1; p = 0.0024" in said["headqa_es"]
    assert "are the same within the margin of ±3.0 points" in said["pubmedqa"]
    assert "90% interval −1.2 to 2.0; p = 0.0020 for equivalence" in said["pubmedqa"]
    assert "this study cannot tell" in said["medmcqa"]
    assert "better" not in said["medmcqa"]
    assert "same within" not in said["medmcqa"]
    assert (
        said["restricted_notes"]
        == "On restricted_notes, no verdict on pocket-clinical against pocket-generalist is established: 12 failed answers."
    )


def test_without_correction_the_sentence_says_so() -> None:
    (answer,) = answers(findings(study=study(analysis={"correction": "none"})))
    assert "p = 0.0001, not corrected for 5 comparisons" in answer.findings[0].text


def test_better_within_the_margin_is_qualified() -> None:
    row = comparison_row("pocket_clinical_en", difference=0.01, ci_low=0.004, ci_high=0.016, within_margin=True)
    assert sentence(findings(), row).endswith("; the difference is real but smaller than the margin of ±3.0 points.")


def test_changed_analysis_makes_the_answer_exploratory() -> None:
    frame = comparisons().assign(role="exploratory", p_adjusted=None, p_equivalence_adjusted=None)
    (answer,) = answers(findings(comparisons=frame))
    assert len(answer.findings) == 5
    assert answer.sentence.startswith("Exploratory: ")
    assert all(found.text.startswith("Exploratory: ") for found in answer.findings)
    assert "p < 0.0001, not corrected" in answer.findings[0].text


def test_reasons_for_no_verdict() -> None:
    def reason(**changes: object) -> str:
        row = comparison_row("pubmedqa", verdict="not_established", **({"status_note": ""} | changes))
        return sentence(findings(), row).partition("is established: ")[2]

    assert reason(status_note="no scores of a and b") == "no scores of pocket-clinical and pocket-generalist."
    assert reason(status_note="no scores of b") == "no scores of pocket-generalist."
    assert reason(n_groups=9) == "9 independent groups of samples, and at least 10 are needed."
    assert reason() == "an audit forbids it."
    counts = estimates().assign(n_failed=3)
    row = comparison_row("pubmedqa", verdict="not_established", status_note="")
    assert "6 answers failed" in sentence(findings(estimates=counts), row)


def metric(**changes: object) -> Metric:
    content = {
        "name": "m", "summary": "", "source": "", "higher_is_better": True, "worst": 0.0, "best": 1.0, "binary": False,
        "reading": "lenient",
        "applies": "choice", "value": lambda *_: 0.0,
    }  # fmt: skip
    return Metric(**(content | changes))  # type: ignore[arg-type]


def test_metrics_that_are_no_count_of_questions_are_named() -> None:
    row = comparison_row("pocket_clinical_en", metric="macro_f1")
    assert "scores 31.2 points higher than pocket-generalist on macro_f1" in sentence(findings(metrics={"macro_f1": metric()}), row)
    lower = {"macro_f1": metric(higher_is_better=False, worst=1.0, best=0.0)}
    assert "does 31.2 points better than pocket-generalist on macro_f1 (lower is better)" in sentence(findings(metrics=lower), row)


def test_metrics_beyond_shares_are_not_shown_as_percent() -> None:
    metrics = {"bits": metric(higher_is_better=False, worst=40.0, best=0.0)}
    row = comparison_row("pocket_clinical_en", metric="bits")
    text = sentence(findings(metrics=metrics), row)
    assert "does 0.312 better" in text
    assert "points" not in text


def test_every_pair_has_its_own_answer_in_the_order_of_the_study() -> None:
    other = comparisons().assign(model_a="a-third", model_b=CLINICAL)
    both = pd.concat([other, comparisons()])
    models = [CLINICAL, GENERALIST, "a-third"]
    swapped = findings(comparisons=both, study=study(models=models, pairs=[[CLINICAL, GENERALIST], ["a-third", CLINICAL]]))
    assert [answer.sentence.split(" is ")[0] for answer in answers(swapped)] == [CLINICAL, "a-third"]


def missing_estimates(n_unparsed: int) -> pd.DataFrame:
    """500 answers of each model, so many of them unparsed."""
    none = dict.fromkeys(("n_truncated", "n_too_long", "n_refused", "n_failed"), 0)
    return estimates().assign(n_scored=500 - n_unparsed, n_unparsed=n_unparsed, **none)


@pytest.mark.parametrize(("n_missing", "said"), [(24, ""), (25, "; 25 of pocket-generalist's 500 answers were missing")])
def test_many_missing_answers_stand_in_the_sentence(n_missing: int, said: str) -> None:
    row = comparison_row("pocket_clinical_en", n_a_missing=0, n_b_missing=n_missing)
    text = sentence(findings(estimates=missing_estimates(n_missing)), row)
    assert text.endswith(f"{said} (unparsed, truncated or too long) and count as wrong." if said else "comparisons).")


def test_missing_answers_are_counted_among_answers_not_samples() -> None:
    # Four variants: 40 missing of 2,000 answers are few, however they compare with 500 samples.
    row = comparison_row("pocket_clinical_en", n_a_missing=40, n_b_missing=200)
    text = sentence(findings(estimates=missing_estimates(0).assign(n_scored=1800, n_unparsed=200)), row)
    assert "; 200 of pocket-generalist's 2,000 answers were missing" in text
    assert "pocket-clinical's" not in text


def test_the_rule_decides_what_becomes_of_missing_answers() -> None:
    row = comparison_row("pocket_clinical_en", metric="m", n_a_missing=50, n_b_missing=100)
    few = estimates().assign(metric="m", n_scored=400, n_unparsed=100)
    for record, ending in (
        (metric(binary=True), "count as wrong"),
        (metric(), "count as the worst value"),
        (metric(of_set=lambda *_: 0.0), "count as no class"),
    ):
        assert sentence(findings(estimates=few, metrics={"m": record}), row).endswith(f"{ending}.")
    dropped = sentence(findings(estimates=few, study=study(analysis={"missing": "drop"})), row)
    assert dropped.endswith("answers were missing (unparsed, truncated or too long) and are left out on both sides.")


@pytest.mark.parametrize(
    ("n_a_missing", "n_b_missing", "reason"),
    [
        (0, 500, "no answers left: all 500 of pocket-generalist were missing."),
        (30, 500, "no answers left: all 500 of pocket-generalist were missing."),
        (500, 500, "no answers left: all 500 of pocket-clinical and all 500 of pocket-generalist were missing."),
        (300, 200, "no answers left: 300 of the 500 of pocket-clinical and 200 of the 500 of pocket-generalist were missing."),
    ],
)
def test_a_comparison_without_any_answer_left_says_whose_are_missing(n_a_missing: int, n_b_missing: int, reason: str) -> None:
    row = comparison_row("restricted_notes", n_samples=0, n_groups=0, status_note="0 groups, 10 are needed", n_failed=0)
    row |= {"n_a_missing": n_a_missing, "n_b_missing": n_b_missing}
    found = findings(estimates=missing_estimates(500), study=study(analysis={"missing": "drop"}))
    assert sentence(found, row).partition("is established: ")[2] == reason
    row["status_note"] = f"no answers left: {n_a_missing} of a and {n_b_missing} of b were missing"
    assert sentence(found, row).partition("is established: ")[2] == reason
    row["status_note"] = "3 renditions that differ between the sides; 0 groups, 10 are needed"
    assert sentence(found, row).endswith(f"{reason[:-1]}; 3 renditions that differ between the sides.")


def test_the_strict_reading_is_never_worded_as_the_lenient_one() -> None:
    row = comparison_row("pocket_clinical_en", metric="accuracy_strict")
    claim = "answers 31.2 points more questions right in exactly the asked form than pocket-generalist"
    assert claim in sentence(findings(), row)
    strict = metric(name="other", reading="strict", binary=True)
    assert claim in sentence(findings(metrics={"other": strict}), row | {"metric": "other"})
    assert "right than pocket-generalist" in sentence(findings(metrics={"other": metric(binary=True)}), row | {"metric": "other"})


@pytest.mark.parametrize(
    ("selection", "said"),
    [({}, "Holm over 5 comparisons"), ({"tasks": TASKS[:2]}, "Holm over 5 comparisons"), ({"n_family": 20}, "Holm over 20 comparisons")],
)
def test_the_correction_runs_over_the_whole_family(selection: dict[str, object], said: str) -> None:
    # The study has five tasks; two were run, and what was not run or cannot be tested counts as p = 1.
    (answer,) = answers(findings(tasks=TASKS[:2], study=study(), selection=selection))
    assert said in answer.findings[0].text
