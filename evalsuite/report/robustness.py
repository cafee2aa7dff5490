"""Robustness: what models lose when questions are put otherwise, and whether the first of a pair loses more than the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.drops import (
    MAX_TASKS,
    drop_blocks,
    flat_note,
    in_families,
    judged_frame,
    limits_of,
    parts_of,
    perturbation_label,
)
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, Pair, data_of, pairs_of, primary_strategy, records
from evalsuite.report.forests import grid_figures, shown, spoken_rows, verdict_color
from evalsuite.report.plots.differences import ForestPlot, ForestRow, GridCell
from evalsuite.report.positions import position_blocks
from evalsuite.report.prompt_spread import prompt_blocks
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.verdicts import Verdict
from evalsuite.report.words import CORRECTIONS, SHARES, counted, interval, listed, number, p_number, p_phrase, scale_of, share
from evalsuite.report.worst_cases import worst_blocks

MAX_ROWS = 30
"""Most changes of one pair in one forest plot; where there are more, tasks and families stand in plots of their own."""

MAX_FORESTS = 8
"""Most forest plots; where more were needed, grids of markers stand in their place."""

MAX_SAID = 6
"""Most changes that are put into sentences."""

MAX_PAIRS = 12
"""Most pairs that have a sentence each where nothing is established."""

VERDICTS_OF: Mapping[str, Verdict] = {
    "a_holds_better": "a_better",
    "b_holds_better": "b_better",
    "inconclusive": "inconclusive",
    "not_established": "not_established",
}
"""Verdict of a change to the marker that stands for it."""

NAMES: tuple[tuple[Verdict, str], ...] = (
    ("a_better", "first holds better"),
    ("b_better", "second holds better"),
    ("inconclusive", "cannot tell"),
    ("not_established", "not established"),
)
"""Meaning of each marker."""


def robustness_section(findings: Findings) -> Section | None:
    """What perturbations change, for whom more, in the worst case, by position and over prompts; absent without any of these."""
    changed = judged_frame(findings)
    frame = findings.analyses.robustness
    rest = [*worst_blocks(findings), *position_blocks(findings), *prompt_blocks(findings)]
    if not len(changed) and not len(frame) and not rest:
        return None
    blocks: list[Block] = [Paragraph(text=_lead(findings, changed))] if len(changed) else []
    ordered = in_families(findings, frame) if len(frame) else frame
    blocks += pair_sentences(findings, ordered) if len(frame) else []
    blocks += drop_blocks(findings, changed) if len(changed) else []
    blocks += [*_figures(findings, ordered), _table(findings, ordered)] if len(frame) else []
    return Section(anchor="robustness", title="Robustness: what changes when questions are put otherwise", blocks=(*blocks, *rest))


def pair_sentences(findings: Findings, frame: pd.DataFrame) -> list[Block]:
    """Does the first of a pair lose more than the second? In sentences.

    Args:
        findings: for names, scales and levels.
        frame: the frame `robustness` in the order of the report, at least one row.
    """
    rows: list[Row] = list(records(frame))
    standing = sorted((row for row in rows if _marker(row) in ("a_better", "b_better")), key=_evidence)
    blocks: list[Block] = [Paragraph(text=_question(findings, rows))]
    pairs = pairs_of(frame)
    if len(pairs) > 1 and (standing or len(pairs) <= MAX_PAIRS):
        named = pairs if len(pairs) <= MAX_PAIRS else pairs_of(pd.DataFrame(standing))[:MAX_PAIRS]
        blocks.append(Bullets(items=tuple(_tally(pair, [row for row in rows if _pair(row) == pair]) for pair in named)))
    if standing:
        blocks.append(Bullets(items=tuple(change_sentence(findings, row) for row in standing[:MAX_SAID])))
    if len(standing) > MAX_SAID:
        blocks.append(Paragraph(text=f"These are the clearest {MAX_SAID} of {len(standing)}.", small=True))
    return blocks


def change_sentence(findings: Findings, row: Row) -> str:
    """One established change in one sentence."""
    scale = scale_of(findings, row["metric"])
    holds, other = (row["model_a"], row["model_b"]) if _marker(row) == "a_better" else (row["model_b"], row["model_a"])
    size = f"{number(abs(row['contrast']), scale)}{scale.difference_unit}"
    method = CORRECTIONS[findings.study.analysis.correction]
    p = f"{p_phrase(row['p_adjusted'])}, {method}-adjusted" if method else f"{p_phrase(row['p_value'])}, not corrected"
    return (
        f"On {row['task']} under {perturbation_label(findings, row)}, {holds} holds {size} better than {other}: {row['model_a']} minus "
        f"{row['model_b']} goes from {number(row['difference_before'], scale, signed=True)} to "
        f"{number(row['difference'], scale, signed=True)} ({share(row['ci_level'])} interval of the change "
        f"{interval(row['ci_low'], row['ci_high'], scale)}; {p})."
    )


def _lead(findings: Findings, frame: pd.DataFrame) -> str:
    """How much was changed, on whom."""
    n = {name: int(frame[name].nunique()) for name in ("perturbation", "model", "task")}
    reference = findings.study.analysis.primary.perturbation
    against = "the unperturbed questions" if reference == "none" else f"the perturbation {reference}"
    under = sorted({str(name) for name in frame["strategy"]} - {primary_strategy(findings.study)})
    text = (
        f"{counted(n['perturbation'], 'perturbation')} on {counted(n['model'], 'model')} and {counted(n['task'], 'task')}, each set "
        f"against {against} under the same strategy"
    )
    return f"{text}: {primary_strategy(findings.study)}{f', or {listed(under)} where it says so' if under else ''}."


def _pair(row: Row) -> Pair:
    return row["model_a"], row["model_b"]


def _marker(row: Row) -> Verdict:
    return VERDICTS_OF[str(row["verdict"])]


def _evidence(row: Row) -> tuple[float, float, float]:
    """Order of clearness: adjusted p, plain p, then size."""
    ps = [2.0 if row[key] is None else float(row[key]) for key in ("p_adjusted", "p_value")]
    return ps[0], ps[1], -abs(row["contrast"] or 0.0)


def _question(findings: Findings, rows: Sequence[Row]) -> str:
    """The question, how many changes answer it, and what the verdicts rest on."""
    alpha, method = findings.study.analysis.alpha, CORRECTIONS[findings.study.analysis.correction]
    n = {verdict: sum(_marker(row) == verdict for row in rows) for verdict in VERDICTS_OF.values()}
    pairs = list(dict.fromkeys(_pair(row) for row in rows))
    first, second = pairs[0] if len(pairs) == 1 else ("the first model of the pair", "the second")
    text = f"{_asked(findings, pairs)} "
    text += f"Of {counted(len(rows), 'change')} of a difference ({counted(len(pairs), 'pair')}, each task and perturbation), "
    none = "none shows that either model holds better"
    text += f"{first} holds better in {n['a_better']} and {second} in {n['b_better']}" if n["a_better"] + n["b_better"] else none
    text += f"; {n['inconclusive']} cannot be told from no change"
    text += f", {n['not_established']} {_is(n['not_established'])} not established." if n["not_established"] else "."
    size = max((int(row["n_family"]) for row in rows if row["n_family"] is not None), default=len(rows))
    judged = n["a_better"] + n["b_better"] + n["inconclusive"]
    if method:
        text += (
            f" A change is established where its {method}-adjusted p is at most {alpha:g}; the family is all {size:,} changes of the study "
            "(pairs, tasks and perturbations), apart from the family of the first screen."
        )
    else:
        chance = f"{alpha * judged:.1f}".removesuffix(".0")
        text += f" p-values are not corrected, as the study asks: about {chance} would be at most {alpha:g} by chance alone."
    text += " That a change cannot be told from no change does not show that both lose alike." if n["inconclusive"] else ""
    # A model that guesses has nothing to lose, so that the size of a loss says little about what a model is worth.
    more = " Of two models that know different amounts, the better one has more to lose."
    return text + (more if n["a_better"] + n["b_better"] else "")


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _asked(findings: Findings, pairs: Sequence[Pair]) -> str:
    """The question as it fits these pairs."""

    def fact(name: str, key: str) -> object:
        return findings.models.get(name, {}).get(key)

    whose = "the" if len(pairs) == 1 else "a"
    if all(fact(a, "domain") == "biomedical" and fact(a, "base") == b for a, b in pairs):
        return f"Does {whose} specialist lose more than its base?"
    if all((fact(a, "domain"), fact(b, "domain")) == ("biomedical", "generalist") for a, b in pairs):
        return f"Does {whose} specialist lose more than the generalist?"
    return "Does one model of a pair lose more than the other?"


def held_sentence(findings: Findings, pair: Pair) -> str | None:
    """Which model of a pair holds better when questions are put otherwise, for the first screen; None without perturbations."""
    rows = [row for row in records(findings.analyses.robustness) if _pair(row) == pair]
    if not rows:
        return None
    n = [sum(_marker(row) == verdict for row in rows) for verdict in ("a_better", "b_better")]
    n_not, n_kinds = sum(_marker(row) == "not_established" for row in rows), len({row["perturbation"] for row in rows})
    size = max((int(row["n_family"]) for row in rows if row["n_family"] is not None), default=len(rows))
    corrected = f"corrected over all {size:,} of the study" if size > len(rows) else "corrected over them all"
    corrected = "not corrected" if findings.study.analysis.correction == "none" else corrected
    over = f"under {counted(n_kinds, 'perturbation')} ({counted(len(rows), 'change')} of the difference, {corrected})"
    if n_not == len(rows):
        return f"Put otherwise, {over}, no verdict is established."
    missing = f"; {n_not:,} {_is(n_not)} not established" if n_not else ""
    if not any(n):
        return f"Put otherwise, {over}, neither is shown to hold better{missing}."
    first, second = (f"{name} holds better in {count:,}" for name, count in zip(pair, n, strict=True))
    return f"Put otherwise, {over}, {first} and {second}{missing}."


def _tally(pair: Pair, rows: Sequence[Row]) -> str:
    n = {verdict: sum(_marker(row) == verdict for row in rows) for verdict, _ in NAMES}
    sides: tuple[Verdict, Verdict] = ("a_better", "b_better")
    text = f"{pair[0]} against {pair[1]}, {counted(len(rows), 'change')}: "
    said = [f"{name} holds better in {n[verdict]}" for name, verdict in zip(pair, sides, strict=True) if n[verdict]]
    said += [f"cannot tell in {n['inconclusive']}"] if n["inconclusive"] else []
    said += [f"not established in {n['not_established']}"] if n["not_established"] else []
    return f"{text}{', '.join(said)}."


def _figures(findings: Findings, frame: pd.DataFrame) -> list[Figure]:
    """A forest plot per pair or, for many changes, a grid of markers per task."""
    drawn = frame[[scale_of(findings, metric) == SHARES for metric in frame["metric"]]]
    rows: list[Row] = list(records(drawn))
    if not rows:
        return []
    planned = [part for pair in pairs_of(drawn) for part in _forest_parts(findings, [row for row in rows if _pair(row) == pair])]
    if len(planned) > MAX_FORESTS:
        return _grids(findings, drawn)
    ends = limits([shown(row[key], 100) for row in rows for key in ("contrast", "ci_low", "ci_high")], around=(-1.0, 1.0))
    names = ["robustness"] if len(planned) == 1 else [f"robustness_{at}" for at in range(1, len(planned) + 1)]
    return [_forest(findings, part, ends, name=name) for part, name in zip(planned, names, strict=True)]


def _forest_parts(findings: Findings, rows: Sequence[Row]) -> list[list[Row]]:
    """The changes of one pair in as many forest plots as they need: all in one, or by task and, within it, by families."""
    if len(rows) <= MAX_ROWS:
        return [list(rows)]
    found = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        for part in parts_of(findings, list(dict.fromkeys(row["perturbation"] for row in own))):
            found.append([row for row in own if row["perturbation"] in part])
    return found


def _grids(findings: Findings, frame: pd.DataFrame) -> list[Figure]:
    """Verdicts of pairs and perturbations, in as many grids per task as families need."""
    tasks = list(dict.fromkeys(frame["task"]))
    found: list[Figure] = []
    for at, task in enumerate(tasks[:MAX_TASKS], 1):
        own = frame[frame["task"] == task]
        parts = parts_of(findings, list(dict.fromkeys(own["perturbation"])))
        for place, part in enumerate(parts, 1):
            name = "robustness" + (f"_task{at}" if len(tasks) > 1 else "") + (f"_part{place}" if len(parts) > 1 else "")
            found += _grid(findings, own[own["perturbation"].isin(part)], name=name)
    if len(tasks) > MAX_TASKS:
        more = f" {counted(len(tasks) - MAX_TASKS, 'further task')}: in the table."
        found[-1] = replace(found[-1], caption=found[-1].caption + more)
    return found


def _grid(findings: Findings, frame: pd.DataFrame, *, name: str) -> tuple[Figure, ...]:
    style = model_style(findings.study.models)
    cells = {}
    for row in records(frame):
        verdict = _marker(row)
        text = "" if row["contrast"] is None else number(row["contrast"], SHARES, signed=True)
        color = verdict_color(verdict, style[row["model_a"]][0], style[row["model_b"]][0])
        cells[_pair(row), perturbation_label(findings, row)] = GridCell(verdict=verdict, color=color, text=text)
    n = sum(cell.verdict in ("a_better", "b_better") for cell in cells.values())
    caption = f"Change of the difference on {frame['task'].iloc[0]}, in points; positive: the first model holds better. {n} of "
    caption += f"{counted(len(cells), 'change')} {_is(n)} established."
    return grid_figures(cells, NAMES, name=name, caption=caption, data=data_of(frame))


def _forest(findings: Findings, rows: Sequence[Row], ends: tuple[float, float], *, name: str) -> Figure:
    """Changes of one pair; tasks are headings where there are several."""
    style, pair = model_style(findings.study.models), _pair(rows[0])
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    forest: list[ForestRow] = []
    spoken = []
    for task in tasks:
        own = [_forest_row(findings, row, style) for row in rows if row["task"] == task]
        forest += [*([ForestRow(label=str(task), kind="heading")] if len(tasks) > 1 else []), *own]
        spoken.append(f"{task}: {spoken_rows(own)}")
    plot = ForestPlot(
        left=pair[1],
        right=pair[0],
        color_left=style[pair[1]][0],
        color_right=style[pair[0]][0],
        axis=f"change of the difference in points, {share(rows[0]['ci_level'])} interval" if rows[0]["ci_level"] else "change in points",
        margin=None,
        limits=ends,
        rows=tuple(forest),
        names=NAMES,
    )
    n = sum(row.verdict in ("a_better", "b_better") for row in forest)
    total = counted(len(rows), "change")
    where = f" on {tasks[0]}" if len(tasks) == 1 else ""
    caption = f"Change of {pair[0]} minus {pair[1]}{where}; to the right {pair[0]} holds better: {n} of {total} {_is(n)} established."
    caption += (
        " The markers follow the adjusted p, the intervals are not corrected." if CORRECTIONS[findings.study.analysis.correction] else ""
    )
    alt = f"Forest plot of differences in differences; to the right of zero {pair[0]} holds better than {pair[1]}. {' '.join(spoken)}"
    kept = pd.DataFrame(list(rows))
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(kept))


def _forest_row(findings: Findings, row: Row, style: Mapping[str, tuple[str, int]]) -> ForestRow:
    verdict = _marker(row)
    detail = f"{number(row['contrast'], SHARES, signed=True)} ({interval(row['ci_low'], row['ci_high'], SHARES)})"
    return ForestRow(
        label=perturbation_label(findings, row),
        detail="not established" if row["contrast"] is None else detail,
        verdict=verdict,
        difference=shown(row["contrast"], 100),
        low=shown(row["ci_low"], 100),
        high=shown(row["ci_high"], 100),
        color=verdict_color(verdict, style[row["model_a"]][0], style[row["model_b"]][0]),
    )


def _table(findings: Findings, frame: pd.DataFrame) -> Table:
    """Every change of a difference with what its verdict rests on."""
    pairs = pairs_of(frame)
    words = dict(NAMES)
    levels = frame["ci_level"].dropna()
    corrected = CORRECTIONS[findings.study.analysis.correction]

    def valued(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], scale_of(findings, row["metric"]), signed=True))

    columns: list[Shown] = [text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}")] if len(pairs) > 1 else []
    columns += [text_column("Task", lambda row: str(row["task"]))] if frame["task"].nunique() > 1 else []
    columns += [text_column("Perturbation", lambda row: perturbation_label(findings, row))]
    columns += [
        text_column("Verdict", lambda row: words[_marker(row)]),
        valued("Before", "difference_before"),
        valued("After", "difference"),
        valued("Change", "contrast"),
        number_column(f"{share(levels.iloc[0])} interval" if len(levels) else "Interval", lambda row: limits_of(findings, row)),
        number_column("p", lambda row: p_number(row["p_value"])),
        *([number_column(f"p, {corrected}", lambda row: p_number(row["p_adjusted"]))] if corrected else []),
        number_column("Samples", lambda row: "–" if row["n_samples"] is None else f"{int(row['n_samples']):,}"),
    ]
    columns += [text_column("Note", lambda row: str(row["status_note"] or ""))] if frame["status_note"].fillna("").any() else []
    title = "Differences in differences" + ("" if len(pairs) > 1 else f", {pairs[0][0]} − {pairs[0][1]}")
    note = (
        "Before and after: first model minus second, over the samples that both models have both ways. Change: "
        "after minus before; positive: the first holds better. Intervals are not corrected."
    )
    note += flat_note(frame)
    note += " The verdict follows the adjusted p." if corrected else ""
    return table_of(frame, columns, name="robustness", title=title, note=note)
