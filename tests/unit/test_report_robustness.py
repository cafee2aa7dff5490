"""The section on robustness: every sentence, figure and table from its frames, with the numbers of the frames, and none without them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from evalsuite.report import build, write_report
from evalsuite.report.answer import answers
from evalsuite.report.blocks import Bullets, DataFile, Figure, Paragraph, Section, Table
from evalsuite.report.drops import at_judged_strategy, parts_of
from evalsuite.report.figures import DRAWN_BY, draw
from evalsuite.report.figures.canvas import DEFAULTS, STYLE, WIDTH_IN
from evalsuite.report.figures.heat import bands_of
from evalsuite.report.figures.matrix import GAIN, LOSS
from evalsuite.report.findings import Findings
from evalsuite.report.glossary import glossary_section
from evalsuite.report.plots.differences import ForestPlot, GridPlot
from evalsuite.report.plots.heat import HeatCell, HeatGroup, HeatPlot
from evalsuite.report.plots.means import DotPlot
from evalsuite.report.robustness import robustness_section
from evalsuite.stats.analyses import Analyses
from tests.unit import report_findings
from tests.unit.report_findings import CLINICAL, GENERALIST, models
from tests.unit.robustness_findings import (
    CHANGES,
    TASKS,
    findings,
    frames,
    labels,
    perturbed,
    perturbed_row,
    robustness,
    robustness_row,
    study,
)

LONG = "clinical-continued-pretrained-on-very-many-notes-of-one-hospital-70b-instruct"
HOSTILE = "<script>$\\frac{a}{</script>&_b"
FAMILIES = {
    "meaning-preserving": ("shuffle_choices", "cyclic_shift", "typos", "ocr_noise", "reformat", "irrelevant_sentence", "sentence_order"),
    "target-changing": ("none_of_the_others", "none_added", "drop_distractor", "true_false", "negated", "choices_only"),
    "two-step": ("compose", "ask_again"),
    "multi-prompt": ("prompts",),
    "instruction-guided": ("contract (written)",),
    "adversarial": ("planted_instruction", "authority_claim", "unicode"),
}  # fmt: skip
"""Twenty perturbations."""


def section(found: Findings) -> Section:
    made = robustness_section(found)
    assert made is not None
    return made


def said(made: Section) -> str:
    texts = [block.text for block in made.blocks if isinstance(block, Paragraph)]
    return "\n".join([*texts, *(item for block in made.blocks if isinstance(block, Bullets) for item in block.items)])


def figures(made: Section) -> dict[str, Figure]:
    return {block.name: block for block in made.blocks if isinstance(block, Figure)}


def tables(made: Section) -> dict[str, Table]:
    return {block.name: block for block in made.blocks if isinstance(block, Table)}


def column(table: Table, label: str) -> list[str]:
    place = [head.label for head in table.columns].index(label)
    return [row[place].text for row in table.rows]


@pytest.fixture(scope="module")
def made() -> Section:
    return section(findings())


def test_without_perturbations_there_is_no_section() -> None:
    assert robustness_section(report_findings.findings()) is None
    assert "robustness" in [part.anchor for part in build(findings()).sections]


def test_the_opening_counts_what_was_changed(made: Section) -> None:
    text = said(made)
    assert "6 perturbations on 2 models and 2 tasks, each set against the unperturbed questions under the same strategy" in text
    assert "zero_shot, or written where it says so" in text


def test_the_question_is_answered_by_counts_of_adjusted_verdicts(made: Section) -> None:
    text = said(made)
    verdicts = robustness()["verdict"].value_counts()
    assert "Does the specialist lose more than its base?" in text
    assert f"Of {verdicts.sum()} changes of a difference" in text
    assert f"{CLINICAL} holds better in {verdicts['a_holds_better']} and {GENERALIST} in {verdicts['b_holds_better']}" in text
    assert f"{verdicts['inconclusive']} cannot be told from no change, {verdicts['not_established']} is not established." in text
    assert "where its Holm-adjusted p is at most 0.05; the family is all 12 changes of the study" in text
    assert "does not show that both lose alike" in text


def test_the_first_screen_says_who_holds_better() -> None:
    verdicts = robustness()["verdict"].value_counts()
    told = [detail for answer in answers(findings()) for detail in answer.details if detail.startswith("Put otherwise")]
    holds = f"{CLINICAL} holds better in {verdicts['a_holds_better']} and {GENERALIST} holds better in {verdicts['b_holds_better']}."
    holds = f"{holds.removesuffix('.')}; {verdicts['not_established']} is not established."
    assert told == [f"Put otherwise, under 6 perturbations (12 changes of the difference, corrected over them all), {holds}"]
    unsure = robustness().assign(verdict="inconclusive")
    assert "neither is shown to hold better." in str(answers(findings(analyses=frames(robustness=unsure))))
    # The correction runs over the whole family, of which a pair's changes may be a part.
    of_two_pairs = robustness().assign(verdict="inconclusive", n_family=24)
    partly = answers(findings(analyses=frames(robustness=of_two_pairs)))
    assert "(12 changes of the difference, corrected over all 24 of the study)" in str(partly)
    # Where nothing could be tested, nothing is said of who holds better.
    untested = str(answers(findings(analyses=frames(robustness=robustness().assign(verdict="not_established")))))
    assert "corrected over them all), no verdict is established." in untested
    assert "hold better" not in untested
    assert "Put otherwise" not in str(answers(report_findings.findings()))


def test_the_clearest_changes_are_sentences_with_what_they_rest_on(made: Section) -> None:
    clearest = next(block.items for block in made.blocks if isinstance(block, Bullets))
    assert len(clearest) == 4
    assert clearest[0] == (
        f"On medqa under negated, {CLINICAL} holds 15.5 points better than {GENERALIST}: {CLINICAL} minus {GENERALIST} goes from +7.0 to "
        "+22.5 (95% interval of the change 11.5 to 19.5; p = 0.0012, Holm-adjusted)."
    )
    assert clearest[2].startswith(f"On medqa under json (written), {GENERALIST} holds 12.0 points better than {CLINICAL}:")
    assert "from +7.0 to −5.0" in clearest[2]


def test_without_a_correction_chance_is_named_instead() -> None:
    own = study(analysis={"correction": "none"})
    text = said(section(findings(study=own)))
    assert "p-values are not corrected, as the study asks: about 0.6 would be at most 0.05 by chance alone" in text
    assert "adjusted" not in text
    assert "p = 0.0001, not corrected" in text


def test_benjamini_hochberg_is_named() -> None:
    text = said(section(findings(study=study(analysis={"correction": "benjamini_hochberg"}))))
    assert "Benjamini-Hochberg-adjusted p" in text
    assert "Holm" not in text


def test_a_pair_of_generalists_is_not_called_a_specialist() -> None:
    facts = {name: {**own, "domain": "generalist", "base": None} for name, own in models().items()}
    assert "Does one model of a pair lose more than the other?" in said(section(findings(models=facts)))


def test_several_pairs_are_counted_each() -> None:
    third = "third-clinical"
    frame = pd.concat([robustness(), robustness().assign(model_a=third, verdict="inconclusive")])
    own = study(names=(CLINICAL, third, GENERALIST), pairs=[[CLINICAL, GENERALIST], [third, GENERALIST]])
    facts = models() | {third: models()[CLINICAL]}
    made = section(findings(study=own, models=facts, analyses=Analyses(robustness=frame)))
    assert (
        "Does a specialist lose more than its base? Of 24 changes of a difference (2 pairs, each task and perturbation), the first"
        in said(made)
    )
    tally = next(block.items for block in made.blocks if isinstance(block, Bullets))
    counts = f"{CLINICAL} holds better in 3, {GENERALIST} holds better in 1, cannot tell in 7, not established in 1"
    assert tally[0] == f"{CLINICAL} against {GENERALIST}, 12 changes: {counts}."
    assert tally[1:] == (f"{third} against {GENERALIST}, 12 changes: cannot tell in 12.",)
    plots = [figure.plot for figure in figures(made).values()]
    assert [(plot.right, plot.left) for plot in plots if isinstance(plot, ForestPlot)] == [(CLINICAL, GENERALIST), (third, GENERALIST)]
    assert len({plot.limits for plot in plots if isinstance(plot, ForestPlot)}) == 1


def test_the_forest_has_every_change_under_its_task_with_its_verdict(made: Section) -> None:
    plot = figures(made)["robustness"].plot
    assert isinstance(plot, ForestPlot)
    assert [row.label for row in plot.rows if row.kind == "heading"] == list(TASKS)
    rows = [row for row in plot.rows if row.kind == "single"]
    assert len(rows) == 12
    marked = {row.label: row.verdict for row in rows[:6]}
    assert (marked["json (written)"], marked["negated"], marked["authority"]) == ("b_better", "a_better", "not_established")
    drawn = {row.label: row.difference for row in rows[:6]}
    assert drawn.pop("authority") is None
    assert [drawn[name] for name in ("json (written)", "negated", "typos")] == pytest.approx([-12.0, 15.5, 3.0])
    assert plot.margin is None


def many(n_tasks: int = 2, n: int = 34, n_pairs: int = 1) -> Findings:
    """More changes than one forest plot holds, in two families."""
    names = [f"p{at:02d}" for at in range(n)]
    kinds = {"none": ("none", "meaning-preserving", True)} | {
        name: ("typos", "meaning-preserving" if at < 20 else "adversarial", at < 20) for at, name in enumerate(names)
    }
    tasks = tuple(f"task{at}" for at in range(n_tasks))
    firsts = [CLINICAL, *(f"clinical-{at}" for at in range(1, n_pairs))]
    rows = [robustness_row(task, name, "inconclusive", 0.01, model_a=first) for first in firsts for task in tasks for name in names]
    drops = [perturbed_row(task, name, model, -0.01) for task in tasks for name in names for model in (CLINICAL, GENERALIST)]
    own = study(
        tasks, (*firsts, GENERALIST), pairs=[[first, GENERALIST] for first in firsts],
        perturbations=["none", *({"id": name, "name": "typos"} for name in names)],
    )  # fmt: skip
    facts = dict.fromkeys(firsts, models()[CLINICAL]) | {GENERALIST: models()[GENERALIST]}
    frames_of = Analyses(robustness=pd.DataFrame(rows), perturbed=pd.DataFrame(drops))
    return findings(tasks, study=own, models=facts, labels=labels(kinds), analyses=frames_of)


def test_many_changes_are_drawn_by_task_with_families_together() -> None:
    made = section(many())
    forests = {name: figure.plot for name, figure in figures(made).items() if isinstance(figure.plot, ForestPlot)}
    assert list(forests) == [f"robustness_{at}" for at in (1, 2, 3, 4)]
    assert [len(plot.rows) for plot in forests.values()] == [20, 14, 20, 14]
    assert len({plot.limits for plot in forests.values()}) == 1
    heats = {name: figure.plot for name, figure in figures(made).items() if isinstance(figure.plot, HeatPlot)}
    assert list(heats) == [f"heat_task{at}_part{part}" for at in (0, 1) for part in (1, 2)]
    assert [[len(group.names) for group in plot.rows] for plot in heats.values()] == [[20], [14], [20], [14]]


def test_very_many_changes_become_grids() -> None:
    grids = {name: figure.plot for name, figure in figures(section(many(n_pairs=3))).items() if isinstance(figure.plot, GridPlot)}
    assert list(grids) == [f"robustness_task{at}_part{part}" for at in (1, 2) for part in (1, 2)]
    assert [(len(plot.rows), len(plot.columns)) for plot in grids.values()] == [(20, 3), (14, 3), (20, 3), (14, 3)]


def test_tasks_beyond_those_drawn_are_said_to_stand_in_the_table() -> None:
    made = section(many(n_tasks=8, n=2))
    assert len([name for name in figures(made) if name.startswith("heat_")]) == 6
    assert any("2 further tasks: in the table." in figure.caption for figure in figures(made).values())


def test_a_family_that_is_too_long_is_cut() -> None:
    found = many()
    assert [len(part) for part in parts_of(found, [f"q{at}" for at in range(50)])] == [24, 24, 2]


def test_the_heat_map_has_every_change_by_family_in_the_order_of_families(made: Section) -> None:
    figure = figures(made)["heat_medqa"]
    plot = figure.plot
    assert isinstance(plot, HeatPlot)
    assert [(group.label, group.names) for group in plot.rows] == [
        ("meaning-preserving", ("shuffle_choices", "typos")), ("target-changing", ("negated",)), ("multi-prompt", ("prompts",)),
        ("instruction-guided", ("json (written)",)), ("adversarial", ("authority",)),
    ]  # fmt: skip
    assert plot.columns == (HeatGroup(label="", names=(CLINICAL, GENERALIST)),)
    assert [cell.text for row in plot.cells for cell in row if cell] == [
        "−1.0", "−2.0", "−3.0", "−6.0", "−15.5", "−31.0", "0.0", "0.0", "+0.6", "+1.2", "a", "−20.0",
    ]  # fmt: skip
    assert [cell.clear for row in plot.cells for cell in row if cell] == [
        False, False, False, True, True, True, False, False, False, False, False, True,
    ]  # fmt: skip
    assert plot.largest == pytest.approx(31.0)
    assert "4 of 11 have an interval without 0 (bold)" in figure.caption
    assert "Hatched, no number: a, authority: 4 failed answers." in figure.caption
    assert len(figure.data.rows) == 12


def test_few_perturbations_stand_beside_each_other() -> None:
    whole = perturbed()
    kept = whole[whole["perturbation"].isin(["typos", "negated"])]
    plot = figures(section(findings(analyses=Analyses(perturbed=kept))))["heat_medqa"].plot
    assert isinstance(plot, HeatPlot)
    assert plot.rows == (HeatGroup(label="", names=(CLINICAL, GENERALIST)),)
    assert [group.names for group in plot.columns] == [("typos",), ("negated",)]


def test_what_was_not_asked_of_a_model_is_a_dot() -> None:
    whole = perturbed()
    gone = whole[(whole["perturbation"] != "negated") | (whole["model"] != CLINICAL)]
    figure = figures(section(findings(analyses=Analyses(perturbed=gone))))["heat_medqa"]
    assert isinstance(figure.plot, HeatPlot)
    assert [cell is None for row in figure.plot.cells for cell in row].count(True) == 1
    assert "A dot: not asked of this model." in figure.caption


def test_models_are_summed_up_by_what_their_intervals_exclude(made: Section) -> None:
    text = said(made)
    assert (
        f"{GENERALIST}: of 12 changes, 6 lie below 0 with the whole interval and 0 above it; it loses most under negated on medqa, "
        "31.0 points (95% interval of the change −34.0 to −28.0); where the meaning is preserved it keeps its choice least under typos on "
        "medqa, in 84.0% (as in 1 more row)."
    ) in text
    assert f"{CLINICAL}: of 11 changes" in text
    assert "1 more has no number, or fewer than 10 groups" in text
    assert "of 23 changes about 1.2 would leave 0 out by chance alone" in text
    assert "negated (24 refused)" in text


def test_changes_over_few_groups_are_neither_counted_nor_bold() -> None:
    own = frames()
    few = section(findings(analyses=replace(own, perturbed=own.perturbed.assign(n_groups=9))))
    assert f"{GENERALIST}: none of 12 changes has a number and an interval from 10 groups or more." in said(few)
    figure = figures(few)["heat_medqa"]
    assert isinstance(figure.plot, HeatPlot)
    assert not any(cell.clear for row in figure.plot.cells for cell in row if cell)
    assert "A change over fewer than 10 groups is never bold." in figure.caption
    enough = section(findings(analyses=replace(own, perturbed=own.perturbed.assign(n_groups=10))))
    assert f"{GENERALIST}: of 12 changes, 6 lie below 0" in said(enough)
    assert "never bold" not in figures(enough)["heat_medqa"].caption


def test_another_reference_is_not_called_unperturbed() -> None:
    own = study(analysis={"primary": {"perturbation": "shuffle_choices"}})
    keep = {
        name: frame[frame["perturbation"] != "shuffle_choices"]
        for name, frame in (("perturbed", perturbed()), ("robustness", robustness()))
    }
    made = section(findings(study=own, analyses=replace(frames(), **keep)))
    assert "Change against the perturbation shuffle_choices on medqa" in figures(made)["heat_medqa"].caption
    assert "Before: the same samples under shuffle_choices, under the same strategy." in str(tables(made)["perturbed"].note)
    assert f"{GENERALIST}, under shuffle_choices: 8 of 8 places" in said(made)
    assert "all meaning-preserving renditions and shuffle_choices together" in said(made)
    assert "unperturbed" not in f"{said(made)} {tables(made)['perturbed'].note} {tables(made)['robustness'].note}"


def test_the_note_on_unread_answers_follows_the_missing_rule() -> None:
    rule = {"incorrect": "an answer that could not be read is another one.", "drop": "an answer that could not be read is left out."}
    for missing, words in rule.items():
        own = section(findings(study=study(analysis={"missing": missing})))
        assert words in str(tables(own)["perturbed"].note)


def test_whoever_holds_better_may_have_had_less_to_lose(made: Section) -> None:
    caution = "Of two models that know different amounts, the better one has more to lose."
    assert caution in said(made)
    unsure = robustness().assign(verdict="inconclusive")
    assert caution not in said(section(findings(analyses=frames(robustness=unsure))))


def test_the_table_has_counts_flips_and_consistency_at_the_judged_strategy(made: Section) -> None:
    table = tables(made)["perturbed"]
    assert len(table.rows) == len(table.data.rows) == 2 * 2 * len(CHANGES)
    assert set(column(table, "Refused")) == {"0", "12"}
    first = [row for row in table.rows if row[1].text == "typos"][1]
    assert [cell.text for cell in first] == [
        "medqa", "typos", GENERALIST, "55.0", "49.0", "−6.0", "−9.0 to −3.0", "84.0", "16.0 of 302", "8.0 of 186", "488", "0", "",
    ]  # fmt: skip
    assert all(
        value == "–" for name, value in zip(column(table, "Perturbation"), column(table, "Same choice %"), strict=True) if name == "negated"
    )
    everything = next(block for block in made.blocks if isinstance(block, DataFile) and block.name == "perturbed_all")
    assert len(everything.data.rows) == len(perturbed())


def test_a_perturbation_is_judged_where_the_comparison_of_pairs_says() -> None:
    frame = perturbed()
    elsewhere = robustness().assign(strategy="written")
    kept = at_judged_strategy(findings(analyses=frames(robustness=elsewhere)), frame)
    assert set(kept["strategy"]) == {"written"}
    alone = at_judged_strategy(findings(analyses=frames(robustness=robustness().iloc[:0])), frame)
    assert dict(zip(alone["perturbation"], alone["strategy"], strict=True)) == {
        name: "written" if name == "json" else "zero_shot" for name in CHANGES
    }
    # Without a reference under the primary strategy, the other one is the first under which both ran.
    lost = frame.assign(mean_before=frame["mean_before"].where(frame["strategy"] == "written"))
    alone = at_judged_strategy(findings(analyses=frames(robustness=robustness().iloc[:0])), lost)
    assert set(alone["strategy"]) == {"written"}


def test_the_worst_case_is_said_for_all_renditions_and_tabled_for_each(made: Section) -> None:
    assert (
        f"{CLINICAL} on medqa: 60.0% right on average over 5 renditions, 45.0% (interval 30.0 to 50.0) of 497 questions right in every "
        "one, 81.0% in at least one."
    ) in said(made)
    table = tables(made)["worst"]
    assert (
        column(table, "Renditions of")
        == ["all meaning-preserving"] * 2 + ["shuffle_choices"] * 2 + ["all meaning-preserving"] * 2 + ["shuffle_choices"] * 2
    )
    assert column(table, "Lowest mean") == ["55.0"] * 8


def test_places_are_said_where_they_are_clear_and_shown_for_reorderings_only(made: Section) -> None:
    text = said(made)
    assert f"{CLINICAL}, on unperturbed questions: none of 6 places has an interval of the log-odds without 0." in text
    assert f"{GENERALIST}, on unperturbed questions: 8 of 8 places have an interval of the log-odds without 0; furthest off is" in text
    assert "furthest off is place 1 on medqa, +0.69" in text
    assert "with 40.0% of the answers and 25.0% of the right choices" in text
    plot = figures(made)["positions_medqa"].plot
    assert isinstance(plot, HeatPlot)
    # `typos` moves no choice, and under `gold_first` every right choice stands in one place.
    assert [(group.label, group.names) for group in plot.columns] == [
        ("unperturbed", ("1", "2", "3", "4")), ("shuffle_choices", ("1", "2", "3", "4"))
    ]  # fmt: skip
    assert [cell.text for cell in plot.cells[1] if cell] == ["+0.69", "−0.29", "−0.29", "−0.29"] * 2
    assert [cell.text for cell in plot.cells[0] if cell][3] == "a"
    table = tables(made)["positions"]
    assert table.folded
    assert set(column(table, "Perturbation")) == {"none", "shuffle_choices"}
    assert column(table, "Place")[:4] == ["1", "2", "3", "4"]


def test_the_order_of_a_pair_over_prompts_is_counted_and_not_tested(made: Section) -> None:
    text = said(made)
    assert (
        f"{CLINICAL} is ahead of {GENERALIST} on medqa in 5 of 6 prompts, tied in 1; {CLINICAL} minus {GENERALIST} runs from "
        "0.0 to +13.0 points, +7.0 on average."
    ) in text
    # Of two models Kendall's W says no more than the count.
    assert "Kendall" not in text
    assert column(tables(made)["prompt_ranks"], "Kendall's W") == ["0.84", "0.84"]
    spread = frames().prompt_spread
    third = spread[spread["model"] == CLINICAL].assign(model="third")
    own = study(names=(CLINICAL, GENERALIST, "third"))
    three = findings(study=own, analyses=replace(frames(), prompt_spread=pd.concat([spread, third])))
    assert "Prompts agree on the order of all models with Kendall's W = 0.84." in said(section(three))
    assert "nothing is tested here" in text
    plot = figures(made)["prompt_spread_shown"].plot
    assert isinstance(plot, DotPlot)
    row = plot.panels[0].rows[1]
    assert [row.mean, row.low, row.high] == pytest.approx([55.0, 46.0, 58.0])
    twice = pd.concat([spread, spread.assign(strategy="written", mean=0.1, worst=0.1, best=0.1)])
    of_both = figures(section(findings(analyses=replace(frames(), prompt_spread=twice))))["prompt_spread_shown"]
    assert f"medqa, zero_shot, {GENERALIST}: 55.0, 46.0 to 58.0. medqa, written, " in of_both.alt
    assert column(tables(made)["prompt_ranks"], "First ahead %") == ["91.7", "91.7"]
    assert column(tables(made)["prompt_spread"], "Range") == ["5.0", "12.0", "5.0", "12.0"]


@pytest.mark.parametrize(
    ("wins", "ties", "words"),
    [
        (6, 0, f"{CLINICAL} is ahead of {GENERALIST} on medqa in 6 of 6 prompts;"),
        (0, 0, f"{GENERALIST} is ahead of {CLINICAL} on medqa in 6 of 6 prompts;"),
        (3, 0, f"{CLINICAL} and {GENERALIST} are each ahead of the other on medqa in 3 of 6 prompts;"),
        (2, 0, f"{GENERALIST} is ahead of {CLINICAL} on medqa in 4 of 6 prompts, behind in 2;"),
        # Ties are no prompts in which either is ahead, however many halves they make.
        (3, 2, f"{CLINICAL} is ahead of {GENERALIST} on medqa in 3 of 6 prompts, behind in 1, tied in 2;"),
        (4, 2, f"{CLINICAL} is ahead of {GENERALIST} on medqa in 4 of 6 prompts, tied in 2;"),
        (1, 4, f"{CLINICAL} and {GENERALIST} are each ahead of the other on medqa in 1 of 6 prompts, tied in 4;"),
        (0, 6, f"{CLINICAL} and {GENERALIST} are level on medqa, tied in 6 of 6 prompts;"),
    ],
)
def test_whoever_is_ahead_more_often_is_named_first(wins: int, ties: int, words: str) -> None:
    made = frames(("medqa",))
    share = (wins + ties / 2) / 6
    ranks = made.prompt_ranks.assign(p_a_ahead=share, p_b_ahead=1 - share, p_tied=ties / 6)
    assert words in said(section(findings(("medqa",), analyses=replace(made, prompt_ranks=ranks))))


def test_the_order_of_rows_of_the_frames_does_not_matter(made: Section) -> None:
    own = frames()
    names = ("perturbed", "robustness", "worst", "positions", "prompt_spread", "prompt_ranks")
    other = section(findings(analyses=Analyses(**{name: getattr(own, name)[::-1].reset_index(drop=True) for name in names})))
    assert said(other) == said(made)
    assert [figure.plot for figure in figures(other).values()] == [figure.plot for figure in figures(made).values()]
    assert [table.rows for table in tables(other).values()] == [table.rows for table in tables(made).values()]


def test_each_part_stands_without_the_others() -> None:
    for name in ("perturbed", "robustness", "worst", "positions", "prompt_spread"):
        own = section(findings(analyses=Analyses(**{name: getattr(frames(), name)})))
        assert [block for block in own.blocks if isinstance(block, Table)]
    nothing = frames().perturbed.assign(change=None, ci_low=None, ci_high=None, mean=None, mean_before=None, note="no answers left")
    assert "none of 12 changes has a number and an interval" in said(section(findings(analyses=Analyses(perturbed=nothing))))


def test_terms_are_explained_where_they_are_used() -> None:
    terms = {"perturbation", "consistency (same choice)", "flip", "holds better", "worst case", "position bias", "Kendall's W"}

    def explained(found: Findings) -> set[str]:
        made = glossary_section(found)
        assert made is not None
        return {term for block in made.blocks for term, _ in getattr(block, "items", ())}

    assert terms <= explained(findings())
    assert not terms & explained(report_findings.findings())


def test_the_report_is_written_with_hostile_names(tmp_path: Path) -> None:
    hostile = {CLINICAL: HOSTILE}
    own = frames()
    names = ("perturbed", "robustness", "worst", "positions", "prompt_spread", "prompt_ranks")
    renamed = Analyses(**{name: getattr(own, name).replace(hostile).replace("typos", "t|_$x$<b>") for name in names})
    facts = {hostile.get(name, name): fact for name, fact in models().items()}
    changed = study(names=(HOSTILE, GENERALIST), pairs=[[HOSTILE, GENERALIST]])
    write_report(build(replace(findings(), study=changed, models=facts, analyses=renamed), sections=(robustness_section,)), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>$" not in page
    assert "t|_$x$<b>" not in page
    assert "t|_$x$&lt;b&gt;" in page
    for stem in ("robustness", "heat_medqa", "positions_medqa", "prompt_spread_shown"):
        assert {path.suffix for path in (tmp_path / "figures").glob(f"{stem}.*")} == {".svg", ".png", ".pdf", ".csv"}
    for stem in ("perturbed", "perturbed_all", "robustness", "worst", "positions", "prompt_spread", "prompt_ranks"):
        assert (tmp_path / "tables" / f"{stem}.csv").exists()


def heat(name: str = "model", n_models: int = 4, *, upright: bool = True) -> HeatPlot:
    """Twenty perturbations in six families, every kind of cell."""
    changed = tuple(HeatGroup(label=family, names=own) for family, own in FAMILIES.items())
    n = sum(len(own) for own in FAMILIES.values())
    kinds = (
        HeatCell(value=-12.3, text="−12.3", clear=True), HeatCell(value=None, text="a"), None, HeatCell(value=0.0, text="0.0"),
        HeatCell(value=4.5, text="+4.5"),
    )  # fmt: skip
    answered = (HeatGroup(label="", names=tuple(f"{name}{at}" for at in range(n_models))),)
    grid = tuple(tuple(kinds[(row + column) % 5] for column in range(n)) for row in range(n_models))
    cells = tuple(zip(*grid, strict=True)) if upright else grid
    return HeatPlot(
        rows=changed if upright else answered, columns=answered if upright else changed, cells=cells, largest=31.0, gain="more right",
        loss="fewer right",
    )  # fmt: skip


def boxes(plot: HeatPlot) -> tuple[list[tuple[str, Any]], float, float]:
    """Texts of a drawn heat map with where they stand, and the size of the canvas, in pixels."""
    with mpl.rc_context({**DEFAULTS, **STYLE}):
        canvas = DRAWN_BY[HeatPlot](plot)
        renderer: Any = FigureCanvasAgg(canvas).get_renderer()
        canvas.draw(renderer)
        found = [(text.get_text(), text.get_window_extent(renderer)) for text in canvas.findobj(Text) if text.get_text()]
        assert canvas.get_figwidth() == WIDTH_IN
        return found, canvas.bbox.width, canvas.bbox.height


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize(("name", "n_models"), [("a", 4), (LONG, 4), ("m", 1), ("model", 9)])
def test_texts_of_a_heat_map_stay_inside_and_do_not_overlap(name: str, n_models: int, upright: bool) -> None:
    found, width, height = boxes(heat(name, n_models, upright=upright))
    outside = [text for text, box in found if box.x0 < -1 or box.x1 > width + 1 or box.y0 < -1 or box.y1 > height + 1]
    assert outside == []
    overlapping = [
        (one, other)
        for at, (one, box) in enumerate(found)
        for other, near in found[at + 1 :]
        if min(box.x1, near.x1) - max(box.x0, near.x0) > 0.5 and min(box.y1, near.y1) - max(box.y0, near.y0) > 0.5
    ]
    assert overlapping == []


@pytest.mark.parametrize("upright", [True, False])
def test_a_heat_map_is_the_same_bytes_and_names_are_text(upright: bool) -> None:
    one, other = draw(heat(HOSTILE, 2, upright=upright)), draw(heat(HOSTILE, 2, upright=upright))
    assert (one.svg, one.png, one.pdf) == (other.svg, other.png, other.pdf)
    assert b"<script" not in one.svg
    assert b"&lt;script&gt;" in one.svg


def test_a_heat_map_holds_without_colour() -> None:
    plot = heat("m", 2)
    svg = draw(plot).svg.decode()
    # The sign stands in the number, what has no number is hatched, and a clear one is bold.
    assert "−12.3</text>" in svg
    assert "+4.5</text>" in svg
    assert svg.count("<pattern") >= 1
    bold = re.findall(r"<text[^>]*?font: 700[^>]*>([^<]*)</text>|<text[^>]*?font-weight: (?:bold|700)[^>]*>([^<]*)</text>", svg)
    assert {one or other for one, other in bold} == {"−12.3"}
    assert ("fewer right" in svg, "more right" in svg, "no number" in svg) == (True, True, True)


def test_colour_says_sign_and_size() -> None:
    values = (-31.0, -2.0, 2.0, 31.0)
    plot = HeatPlot(
        rows=(HeatGroup(label="", names=("m",)),), columns=(HeatGroup(label="", names=("a", "b", "c", "d")),),
        cells=(tuple(HeatCell(value=value, text=f"{value:+.1f}") for value in values),), largest=31.0, gain="more", loss="fewer",
    )  # fmt: skip
    with mpl.rc_context({**DEFAULTS, **STYLE}):
        patches: list[Any] = [patch for patch in DRAWN_BY[HeatPlot](plot).axes[0].patches if isinstance(patch, Rectangle)]
    colors = [patch.get_facecolor() for patch in patches]
    assert [color[:3] for color in colors] == [pytest.approx(to_rgb(color)) for color in (LOSS, LOSS, GAIN, GAIN)]
    assert colors[0][3] == colors[3][3] > colors[1][3] == colors[2][3] > 0


def test_columns_break_into_bands_without_losing_or_moving_any() -> None:
    groups = tuple(HeatGroup(label=family, names=own) for family, own in FAMILIES.items())
    for pitch, room in ((0.4, 3.0), (0.6, 2.0), (0.3, 9.0), (1.0, 0.5)):
        bands = bands_of(groups, pitch, room)
        runs = [run for band in bands for run in band]
        assert [name for run in runs for name in run.names] == [name for group in groups for name in group.names]
        assert [run.first for run in runs] == [sum(len(run.names) for run in runs[:at]) for at in range(len(runs))]
        for band in bands:
            ends = [run.left + pitch * len(run.names) for run in band]
            assert all(right.left >= end for end, right in zip(ends, band[1:], strict=False))
            assert ends[-1] <= max(room, pitch) + 1e-6
    assert len(bands_of(groups, 0.3, 9.0)) == 1


def test_intervals_without_width_are_marked_and_explained() -> None:
    own = frames(("medqa",))
    flat = own.perturbed.assign(change=0.0, ci_low=0.0, ci_high=0.0)
    alike = own.worst.assign(worst=0.0, worst_low=0.0, worst_high=0.0)
    made = section(findings(("medqa",), analyses=replace(own, perturbed=flat, worst=alike)))
    assert set(column(tables(made)["perturbed"], "95% interval")) == {"0.0 to 0.0 *"}
    assert "* An interval of width zero: all changes alike" in tables(made)["perturbed"].note
    assert set(column(tables(made)["worst"], "95% interval")) == {"0.0 to 0.0 *"}
    assert "0.0% of 497 questions right in every one" in said(made)
    assert "*" not in tables(made)["robustness"].note
