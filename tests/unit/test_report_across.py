"""Sections across tasks, languages, conditions and sizes: there where their frames are, absent elsewhere, and no bolder than these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalsuite.metrics import METRICS
from evalsuite.report import build
from evalsuite.report.across import methods_blocks
from evalsuite.report.blocks import Bullets, Definitions, Figure, Paragraph, Report, Section, Table, data_files_of, figures_of, tables_of
from evalsuite.report.findings import Findings
from evalsuite.report.plots.differences import ForestPlot, GridPlot, SharePlot
from evalsuite.report.plots.means import PanelPlot, SizePlot
from evalsuite.stats.analyses import Labels, analyse
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import estimate_frame
from tests.unit.report_analyses import LABELS, analyses, contrast_row, contrasts, meta, mixed, pooled, pooled_row, share_row
from tests.unit.report_findings import CLINICAL, GENERALIST, card, comparisons, findings, study


def whole(**frames: pd.DataFrame) -> Findings:
    return findings(analyses=analyses(**frames), labels=LABELS)


def section(report: Report, anchor: str) -> Section | None:
    return next((section for section in report.sections if section.anchor == anchor), None)


def part(found: Findings, anchor: str) -> Section:
    built = section(build(found), anchor)
    assert built is not None
    return built


def texts(built: Section) -> str:
    said = [block.text for block in built.blocks if isinstance(block, Paragraph)]
    return " ".join([*said, *(item for block in built.blocks if isinstance(block, Bullets) for item in block.items)])


def plots(built: Section, kind: type[Any]) -> list[Any]:
    drawn = [block.plot for block in built.blocks if isinstance(block, Figure)]
    return [plot for plot in drawn if isinstance(plot, kind)]


def table(built: Section, name: str) -> list[list[str]]:
    shown = next(block for block in built.blocks if isinstance(block, Table) and block.name == name)
    return [[column.label for column in shown.columns], *([cell.text for cell in row] for row in shown.rows)]


def test_sections_come_with_their_frames_and_only_then() -> None:
    own = ("across", "win_shares", "languages", "prompt", "sizes")
    assert [anchor for anchor in own if section(build(whole()), anchor)] == list(own)
    assert [anchor for anchor in own if section(build(findings()), anchor)] == []


def test_tasks_stand_under_their_families_with_what_these_come_to() -> None:
    (plot,) = plots(part(whole(), "across"), ForestPlot)
    assert [(row.kind, row.label) for row in plot.rows] == [
        ("heading", "exams"), ("single", "pocket_clinical_en"), ("single", "headqa_es"), ("single", "medmcqa"),
        ("subtotal", "all of exams"), ("heading", "other tasks"), ("single", "pubmedqa"), ("single", "restricted_notes"),
        ("heading", "by language"),
        ("subtotal", "all in English"), ("subtotal", "all in Spanish"), ("total", "all tasks"),
    ]  # fmt: skip
    assert plot.rows[4].difference == pytest.approx(9.0)
    assert "What families and languages come to is exploratory" in texts(part(whole(), "across"))


def test_other_methods_stand_beside_the_stated_one() -> None:
    built = part(whole(), "across")
    head, *rows = table(built, "methods")
    assert head == ["Method", "Result", "95% interval", "p", "What it takes for granted"]
    assert [row[:4] for row in rows] == [
        ["mean difference, each distinct question counts the same", "+7.2 points", "5.1 to 9.3", "< 0.0001"],
        ["the same, bootstrap over groups", "+7.2 points", "5.1 to 9.3", "–"],
        ["random-effects meta-analysis of 4 tasks", "+7.0 points", "−11.0 to 24.9", "–"],
        ["mixed-effects logistic model", "1.41 (odds ratio)", "1.22 to 1.63", "–"],
    ]
    assert rows[2][4] == "takes the tasks to be independent; 97% of the variation is between tasks (I²)"
    assert "The methods do not agree on pocket-clinical against pocket-generalist" in texts(built)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ci_low": 0.01}, "on the same side of no difference, all above zero."),
        ({"difference": None, "ci_low": None, "ci_high": None, "i2": None}, "all above zero."),
    ],
)
def test_agreement_is_computed(changes: dict[str, Any], said: str) -> None:
    assert said in texts(part(whole(meta=meta(**changes)), "across"))


def test_an_odds_ratio_below_one_disagrees_with_a_difference_above_zero() -> None:
    found = whole(meta=meta(ci_low=0.01), mixed=mixed(odds_ratio=0.8, ci_low=0.7, ci_high=0.9))
    assert "do not agree" in texts(part(found, "across"))


def test_shares_add_up_and_the_whole_comes_last() -> None:
    third = "a-third"
    rows = [
        share_row("", "", counts=(4, 3, 1)),
        share_row(third, GENERALIST, counts=(3, 1, 0)),
        share_row(CLINICAL, GENERALIST, counts=(1, 2, 1)),
    ]
    pairs = study(models=[CLINICAL, GENERALIST, third], pairs=[[CLINICAL, GENERALIST], [third, GENERALIST]])
    found = findings(study=pairs, analyses=analyses(shares=pd.DataFrame(rows)), labels=LABELS)
    built = part(found, "win_shares")
    (plot,) = plots(built, SharePlot)
    assert [(row.label, row.total) for row in plot.rows] == [(CLINICAL, False), (third, False), ("all pairs", True)]
    assert [row.win + row.tie + row.loss for row in plot.rows] == [100.0] * 3
    assert table(built, "win_shares")[1][:6] == [f"{CLINICAL} − {GENERALIST}", "4", "1", "25.0", "5.0 to 45.0", "2"]
    (figure,) = [block for block in built.blocks if isinstance(block, Figure)]
    assert figure.caption == "Of 8 comparisons, each taken alone and not corrected, the first model of a pair wins 4, ties 3 and loses 1."


def test_a_single_pair_is_not_summed_up_and_pairs_without_numbers_are_left_out() -> None:
    (plot,) = plots(part(whole(), "win_shares"), SharePlot)
    assert [row.label for row in plot.rows] == [CLINICAL]
    none = pd.DataFrame([share_row(CLINICAL, GENERALIST, counts=(1, 0, 0)) | {"win": None, "tie": None, "loss": None}])
    assert section(build(whole(shares=none)), "win_shares") is None


def test_languages_have_a_panel_each() -> None:
    built = part(whole(), "languages")
    (plot,) = plots(built, PanelPlot)
    assert [heading for heading, _ in plot.panels] == ["English: 3 tasks, 1,334 questions", "Spanish: 1 task, 500 questions"]
    assert plot.panels[1][1][0].difference == pytest.approx(-5.0)
    caption = next(block.caption for block in built.blocks if isinstance(block, Figure))
    assert caption == "First model of each pair (the smaller marker) against the second: in English better; in Spanish worse."
    assert [row[0] for row in table(built, "languages")[1:]] == ["English", "Spanish"]
    assert "in English (pocket_clinical_en), compared with Spanish (headqa_es) (+25.0 against −5.0; change +30.0" in texts(built)


def test_one_language_needs_no_section() -> None:
    frame = pooled()
    one = frame[frame["scope"] != "language:es"]
    assert section(build(whole(pooled=one, contrasts=contrasts().query("kind != 'language'"))), "languages") is None


def test_contrasts_that_stand_out_are_said_and_counted_against_chance() -> None:
    built = part(whole(), "prompt")
    said = texts(built)
    assert (
        "2 of 3 changes stand out (p at most 0.05, not corrected), where about 0.2 would by chance alone. 1 more cannot be judged." in said
    )
    assert (
        "On pocket_clinical_en, the advantage of pocket-clinical over pocket-generalist is 4.1 points smaller under few5 than under "
        "zero_shot (+27.1 against +31.2; change −4.1, 95% interval −7.1 to −1.1; p = 0.0030, not corrected)." in said
    )
    assert (
        "On medmcqa, pocket-generalist gains 5.0 points on pocket-clinical under few5, compared with zero_shot (−3.8 against +1.2" in said
    )
    assert "headqa_es" not in said
    (plot,) = plots(built, ForestPlot)
    assert [row.verdict for row in plot.rows] == ["b_better", "inconclusive", "b_better", "not_established"]
    assert plot.margin is None


@pytest.mark.parametrize(("second", "contrast", "said"), [(-0.1, 0.04, "smaller"), (-0.1, -0.04, "larger"), (0.1, 0.04, "larger")])
def test_advantages_and_disadvantages_grow_and_shrink(second: float, contrast: float, said: str) -> None:
    row = contrast_row("strategy", "medmcqa", contrast, difference_second=second, difference_first=second + contrast)
    text = texts(part(whole(contrasts=pd.DataFrame([row])), "prompt"))
    kind = "disadvantage of pocket-clinical against" if second < 0 else "advantage of pocket-clinical over"
    assert f"the {kind} pocket-generalist is 4.0 points {said} under few5" in text


def test_a_contrast_with_a_note_claims_nothing() -> None:
    row = contrast_row("strategy", "medmcqa", -0.1, status_note="9 groups, 10 are needed")
    assert "None of 1 change can be judged" in texts(part(whole(contrasts=pd.DataFrame([row])), "prompt"))


def test_many_contrasts_become_grids_and_a_file() -> None:
    rows = [
        contrast_row("strategy", "medmcqa", 0.05 if at < 3 else 0.001, first=first) | {"task": f"task{at:02d}"}
        for at in range(20) for first in ("few5", "cot")
    ]  # fmt: skip
    report = build(whole(contrasts=pd.DataFrame(rows)))
    built = section(report, "prompt")
    assert built is not None
    assert [(len(plot.rows), len(plot.columns)) for plot in plots(built, GridPlot)] == [(20, 1), (20, 1)]
    assert len(table(built, "contrasts_strategy")) == 7
    assert len(next(file for file in data_files_of(report) if file.name == "contrasts_strategy_all").data.rows) == 40
    assert "6 of 40 changes stand out (p at most 0.05, not corrected), where about 2 would" in texts(built)


def test_sizes_set_specialists_against_generalists() -> None:
    built = part(whole(), "sizes")
    (plot,) = plots(built, SizePlot)
    assert [(point.model, point.special, point.size) for point in plot.points] == [(GENERALIST, False, 1.5), (CLINICAL, True, 8.0)]
    assert plot.lines == ()
    assert table(built, "size_matched")[1] == ["8B", CLINICAL, GENERALIST, "+7.2", "5.1 to 9.3", "< 0.0001", "yes"]
    figure = next(block for block in built.blocks if isinstance(block, Figure) and block.name == "scaling")
    assert figure.caption == (
        "2 models from 1.5 to 8 billion parameters; pocket-clinical has the highest mean (51.2%), and it is among the largest."
    )


def test_a_line_joins_models_that_differ_in_size_only() -> None:
    names = ["llama-8b-it", "llama-70b-it", "med-8b", "med-70b", "med2-70b"]
    rows = [
        {"model": name, "domain": "biomedical" if name.startswith("med") else "generalist", "parameters_b": 70.0 if "70b" in name else 8.0,
         "scope": "all", "mean": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n_questions": 100.0}
        for name in names
    ]  # fmt: skip
    models = [CLINICAL, GENERALIST, *names]
    found = findings(study=study(models=models), analyses=analyses(scaling=pd.DataFrame(rows)), labels=LABELS)
    (plot,) = plots(part(found, "sizes"), SizePlot)
    joined = {tuple(plot.points[at].model for at in line) for line in plot.lines}
    assert joined == {("llama-8b-it", "llama-70b-it"), ("med-8b", "med-70b")}


def test_order_of_rows_of_the_frames_does_not_matter() -> None:
    shuffled = {name: getattr(analyses(), name)[::-1] for name in ("pooled", "shares", "contrasts", "scaling")}
    ours, theirs = build(whole()), build(whole(**shuffled))
    own = ("answer", "across", "win_shares", "languages", "prompt", "sizes")
    for anchor in own:
        one, other = (next(section for section in report.sections if section.anchor == anchor) for report in (ours, theirs))
        assert [block for block in one.blocks if not isinstance(block, Figure | Table)] == [
            block for block in other.blocks if not isinstance(block, Figure | Table)
        ]
        assert [block.plot for block in one.blocks if isinstance(block, Figure)] == [
            block.plot for block in other.blocks if isinstance(block, Figure)
        ]


def test_every_figure_is_read_described_and_has_its_numbers() -> None:
    report = build(whole())
    for figure in figures_of(report):
        assert figure.caption.endswith(".")
        assert len(figure.alt) > 30
        assert figure.data.rows
    names = [*(shown.name for shown in tables_of(report)), *(file.name for file in data_files_of(report))]
    assert len(names) == len(set(names))


def test_terms_are_explained_where_they_are_used() -> None:
    def terms(found: Findings) -> dict[str, str]:
        blocks = [block for section in build(found).sections for block in section.blocks]
        return {term: meaning for block in blocks if isinstance(block, Definitions) for term, meaning in block.items}

    own = {"over all tasks", "meta-analysis", "mixed-effects model", "win, tie, loss", "change of a difference", "Jeong et al. 2024"}
    assert own <= set(terms(whole()))
    assert not own & set(terms(findings()))
    assert "Each distinct question counts the same" in terms(whole())["over all tasks"]
    by_task = findings(analyses=analyses(), labels=LABELS, study=study(analysis={"pooling": "tasks"}))
    assert "Each task counts the same" in terms(by_task)["over all tasks"]


def test_the_real_statistics_fit() -> None:
    """Frames as `evalsuite.stats` makes them, a specialist with an advantage in English only, go through whole."""
    rng = np.random.default_rng(3)
    right = {("exam_en", CLINICAL): 0.9, ("exam_es", CLINICAL): 0.5, ("exam_en", GENERALIST): 0.5, ("exam_es", GENERALIST): 0.5}
    rows = [
        {"task": task, "metric": "accuracy", "strategy": strategy, "perturbation": "none", "model": model, "sample_id": f"q{at}",
         "variant": 0, "replicate": 0, "group": f"exam:{at}", "value": float(rng.random() < share), "status": "scored"}
        for (task, model), share in right.items() for strategy in ("zero_shot", "few5") for at in range(120)
    ]  # fmt: skip
    scores = pd.DataFrame(rows)
    metrics = {"accuracy": METRICS["accuracy"]}
    design = AnalysisDesign(
        study="s", pairs=((CLINICAL, GENERALIST),), primary_strategy="zero_shot", primary_perturbation="none",
        primary_metric={"exam_en": "accuracy", "exam_es": "accuracy"}, metrics=metrics, n_resamples=500,
    )  # fmt: skip
    compared = compare_frames(scores, design)
    labels = Labels(languages={"exam_en": "en", "exam_es": "es"}, families={"exam_en": "exam", "exam_es": "exam"}, models=LABELS.models)
    found = findings(
        study=study(("exam_en", "exam_es"), exclude=[]), scores=scores, metrics=metrics, comparisons=compared, labels=labels,
        cards={name: card(name) for name in ("exam_en", "exam_es")},
        estimates=estimate_frame(scores, metrics, missing="incorrect", exclude=(), level=0.95), prompts={}, prompt_differences={},
        analyses=analyse(scores, compared, design, labels),
    )  # fmt: skip
    report = build(found)
    (lead, *_) = report.sections[0].blocks
    assert "Over the 120 distinct questions of 2 tasks, pocket-clinical answers" in getattr(lead, "sentence", "")
    assert [heading for heading, _ in plots(part(found, "languages"), PanelPlot)[0].panels] == [
        "English: 1 task, 120 questions", "Spanish: 1 task, 120 questions",
    ]  # fmt: skip
    assert "compared with Spanish" in texts(part(found, "languages")) or "in English (exam_en) than in Spanish" in texts(
        part(found, "languages")
    )
    assert len(table(part(found, "prompt"), "contrasts_strategy")) == 3
    assert section(report, "win_shares") is not None


def test_pairs_that_could_not_be_pooled_do_not_break_the_sections() -> None:
    empty = dict.fromkeys(
        ("difference", "ci_low", "ci_high", "mean_a", "mean_b", "n_questions", "p_value", "p_adjusted", "boot_low", "boot_high")
    )
    rows = [
        pooled_row(scope, **empty, verdict="not_established", status_note="no answers left")
        for scope in ("all", "language:en", "language:es")
    ]
    other = [pooled_row(scope, model_a="a-third") for scope in ("all", "language:en", "language:es")]
    third = comparisons().assign(model_a="a-third")
    pairs = study(models=[CLINICAL, GENERALIST, "a-third"], pairs=[[CLINICAL, GENERALIST], ["a-third", GENERALIST]])
    found = findings(
        comparisons=pd.concat([comparisons(), third]), study=pairs, analyses=analyses(pooled=pd.DataFrame([*rows, *other])), labels=LABELS
    )
    assert [row.difference for row in plots(part(found, "answer"), ForestPlot)[0].rows] == [None, pytest.approx(7.2)]
    assert plots(part(found, "languages"), PanelPlot)[0].panels[0][1][0].mean_a is None
    methods = [row[0] for row in table(part(found, "across"), "methods")[1:]]
    assert methods == ["mean difference, each distinct question counts the same", "the same, bootstrap over groups"]


def test_of_a_single_task_there_is_no_mean_to_take_in_another_way() -> None:
    frames = {"pooled": pd.DataFrame([pooled_row(tasks="pubmedqa", n_tasks=1)]), "meta": meta().iloc[:0], "mixed": mixed().iloc[:0]}
    assert methods_blocks(whole(**frames)) == []
    assert methods_blocks(whole(**frames | {"mixed": mixed()})) != []


@pytest.mark.parametrize(
    ("frames", "said", "unsaid"),
    [
        ({"meta": meta().iloc[:0]}, "odds ratio", "meta-analysis"),
        ({"mixed": mixed().iloc[:0]}, "meta-analysis", "odds ratio"),
        ({"meta": meta(ci_low=None, ci_high=None)}, "From fewer than 3 tasks nothing is said about others: no interval is given.", "–"),
        ({"meta": meta()}, "meta-analysis", "fewer than 3 tasks"),
    ],
)
def test_a_note_speaks_of_no_method_that_was_not_used(frames: dict[str, pd.DataFrame], said: str, unsaid: str) -> None:
    built = part(whole(**frames), "across")
    (note,) = [block.note for block in built.blocks if isinstance(block, Table) and block.name == "methods"]
    assert said in note
    assert unsaid not in note


def test_contrasts_of_several_pairs_are_told_apart_without_eyes() -> None:
    third = "a-third"
    rows = [contrast_row("language", "pubmedqa", 0.1, other_task="headqa_es", model_a=model) for model in (CLINICAL, third)]
    pairs = study(models=[CLINICAL, GENERALIST, third], pairs=[[CLINICAL, GENERALIST], [third, GENERALIST]])
    found = findings(study=pairs, analyses=analyses(contrasts=pd.DataFrame(rows)), labels=LABELS)
    (figure,) = [block for block in part(found, "languages").blocks if isinstance(block, Figure) and block.name == "contrasts_language"]
    for model in (CLINICAL, third):
        assert f"{model} minus {GENERALIST}: pubmedqa − headqa_es: +10.0 (7.0 to 13.0)." in figure.alt
