"""Does a difference depend on the prompt, on the language, on the size? Differences in differences, exploratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, DataFile, Figure, Paragraph, Section, Table
from evalsuite.report.figures.canvas import MUTED, limits, model_style
from evalsuite.report.findings import Findings, Pair, data_of, in_order, records
from evalsuite.report.forests import grid_figures, shown, spoken_rows, verdict_color
from evalsuite.report.plots.differences import ForestPlot, ForestRow, GridCell
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.verdicts import Verdict
from evalsuite.report.words import SHARES, counted, interval, language_name, number, p_number, p_phrase, scale_of, sentence_case, share

MAX_ROWS = 24
"""Most contrasts that are drawn with their intervals; more are shown as a grid of markers."""

MAX_LISTED = 40
"""Most contrasts of a table where only those that stand out are listed."""

MAX_SAID = 6
"""Most contrasts that are put into sentences."""

NAMES: tuple[tuple[Verdict, str], ...] = (
    ("a_better", "first gains"),
    ("b_better", "second gains"),
    ("inconclusive", "cannot tell"),
    ("not_established", "not established"),
)
"""Meaning of each marker of a contrast."""


def strategies_section(findings: Findings) -> Section | None:
    """Contrasts between strategies."""
    blocks = contrast_blocks(findings, "strategy")
    return Section(anchor="prompt", title="Does the difference depend on the prompt?", blocks=tuple(blocks)) if blocks else None


def contrast_blocks(findings: Findings, kind: str) -> list[Block]:
    """How many contrasts of a kind stand out, which they are, a figure and the table; empty where there are none."""
    frame = findings.analyses.contrasts
    frame = frame[frame["kind"] == kind].reset_index(drop=True) if len(frame) else frame
    if not len(frame):
        return []
    frame = in_order(findings, frame)
    rows = records(frame)
    blocks: list[Block] = [Paragraph(text=_summary(findings, kind, rows))]
    standing = [row for row in rows if _verdict(findings, row) in ("a_better", "b_better")]
    standing.sort(key=lambda row: float(row["p_value"]))
    if standing:
        blocks.append(Bullets(items=tuple(contrast_sentence(findings, row) for row in standing[:MAX_SAID])))
    if len(standing) > MAX_SAID:
        text = f"These are the clearest {MAX_SAID} of {len(standing)}."
        blocks.append(Paragraph(text=text, small=True))
    blocks += _figures(findings, kind, frame)
    if len(rows) <= MAX_ROWS:
        return [*blocks, _table(findings, kind, frame)]
    shown_ones = [_verdict(findings, row) in ("a_better", "b_better") for row in rows]
    if 0 < sum(shown_ones) <= MAX_LISTED:
        blocks.append(_table(findings, kind, frame[shown_ones], which=", those that stand out"))
    what = f"All {len(rows):,} changes with every number, unrounded"
    return [*blocks, DataFile(name=f"contrasts_{kind}_all", text=what, data=data_of(frame))]


def contrast_sentence(findings: Findings, row: Row) -> str:
    """One contrast that stands out, in one sentence."""
    scale = scale_of(findings, row["metric"])
    size = f"{number(abs(row['contrast']), scale)}{scale.difference_unit}"
    first, second = row["difference_first"], row["difference_second"]
    a, b = row["model_a"], row["model_b"]
    evidence = (
        f"{number(first, scale, signed=True)} against {number(second, scale, signed=True)}; change "
        f"{number(row['contrast'], scale, signed=True)}, {share(row['ci_level'])} interval "
        f"{interval(row['ci_low'], row['ci_high'], scale)}; {p_phrase(row['p_value'])}, not corrected"
    )
    under, than = _conditions(row)
    if first > 0 and second > 0:
        said = f"the advantage of {a} over {b} is {size} {'larger' if first > second else 'smaller'} {under} than {than}"
    elif first < 0 and second < 0:
        said = f"the disadvantage of {a} against {b} is {size} {'larger' if first < second else 'smaller'} {under} than {than}"
    else:
        gains, on = (a, b) if row["contrast"] > 0 else (b, a)
        said = f"{gains} gains {size} on {on} {under}, compared with {than.removeprefix('under ').removeprefix('in ')}"
    return sentence_case(f"{_where(row)}, {said} ({evidence}).")


def _conditions(row: Row) -> tuple[str, str]:
    """The two conditions of a contrast as they stand in a sentence."""
    first, second = str(row["first"]), str(row["second"])
    if row["kind"] == "language":
        return f"in {language_name(first)} ({row['task']})", f"in {language_name(second)} ({row['other_task']})"
    if row["kind"] == "size":
        return f"at {first}", f"at {second} ({row['other_a']} and {row['other_b']})"
    return f"under {first}", f"under {second}"


def _label(row: Row) -> str:
    """The two conditions of a contrast as a label."""
    if row["kind"] == "language":
        return f"{language_name(row['first'])} minus {language_name(row['second'])}"
    return f"{row['first']} minus {row['second']}"


def _where(row: Row) -> str:
    return "on the same questions" if row["kind"] == "language" else f"on {row['task']}"


def _verdict(findings: Findings, row: Row) -> Verdict:
    """Read off the plain p-value, like every exploratory verdict."""
    if row["contrast"] is None or row["p_value"] is None or row["status_note"]:
        return "not_established"
    if row["p_value"] > findings.study.analysis.alpha:
        return "inconclusive"
    return "a_better" if row["contrast"] > 0 else "b_better"


def _summary(findings: Findings, kind: str, rows: Sequence[Row]) -> str:
    alpha = findings.study.analysis.alpha
    known = [row for row in rows if _verdict(findings, row) != "not_established"]
    n = sum(_verdict(findings, row) != "inconclusive" for row in known)
    pairs = len({(row["model_a"], row["model_b"]) for row in rows})
    what = {
        "strategy": "another strategy is used",
        "language": "the same questions are asked in another language",
        "size": "a pair of another size is compared",
    }[kind]
    whose = "the pair" if pairs == 1 else "a pair"
    lead = f"Does the difference of {whose} change when {what}?"
    if not known:
        return f"{lead} None of {counted(len(rows), 'change')} can be judged."
    chance = f"{alpha * len(known):.1f}".removesuffix(".0")
    unknown = f" {len(rows) - len(known):,} more cannot be judged." if len(rows) > len(known) else ""
    return (
        f"{lead} {n} of {counted(len(known), 'change')} {_stand(n)} out (p at most {alpha:g}, not corrected), where about {chance} would "
        f"by chance alone.{unknown} Exploratory: none of this belongs to the pre-stated family."
    )


def _figures(findings: Findings, kind: str, frame: pd.DataFrame) -> tuple[Figure, ...]:
    """A forest plot or, for many contrasts, one grid per condition."""
    rows = [row for row in records(frame) if scale_of(findings, row["metric"]) == SHARES]
    if not rows:
        return ()
    if len(rows) <= MAX_ROWS:
        return (_forest(findings, kind, rows, frame),)
    style = model_style(findings.study.models)
    found: list[Figure] = []
    conditions = list(dict.fromkeys((row["first"], row["second"]) for row in rows))
    for at, condition in enumerate(conditions, 1):
        cells = {}
        for row in rows:
            if (row["first"], row["second"]) == condition:
                verdict = _verdict(findings, row)
                color = verdict_color(verdict, style[row["model_a"]][0], style[row["model_b"]][0])
                text = "" if row["contrast"] is None else number(row["contrast"], SHARES, signed=True)
                cells[(row["model_a"], row["model_b"]), _place(row)] = GridCell(verdict=verdict, color=color, text=text)
        n = sum(cell.verdict in ("a_better", "b_better") for cell in cells.values())
        label = _label(next(row for row in rows if (row["first"], row["second"]) == condition))
        caption = f"Change of the difference, {label}: {n} of {counted(len(cells), 'change')} {_stand(n)} out."
        name = f"contrasts_{kind}" + (f"_{at}" if len(conditions) > 1 else "")
        own = frame[(frame["first"] == condition[0]) & (frame["second"] == condition[1])]
        found += grid_figures(cells, NAMES, name=name, caption=caption, data=data_of(own))
    return tuple(found)


def _forest(findings: Findings, kind: str, rows: Sequence[Row], frame: pd.DataFrame) -> Figure:
    style = model_style(findings.study.models)
    pairs: list[Pair] = list(dict.fromkeys((row["model_a"], row["model_b"]) for row in rows))
    conditions = {(row["first"], row["second"]) for row in rows}
    several = len(conditions) > 1
    of_pair = {
        pair: [_forest_row(findings, row, style, several=several) for row in rows if (row["model_a"], row["model_b"]) == pair]
        for pair in pairs
    }
    forest: list[ForestRow] = []
    for (a, b), own in of_pair.items():
        forest += [*([ForestRow(label=f"{a} − {b}", kind="heading")] if len(pairs) > 1 else []), *own]
    one = pairs[0] if len(pairs) == 1 else None
    ends = [end for row in forest for end in (row.difference, row.low, row.high)]
    plot = ForestPlot(
        left=one[1] if one else "second gains",
        right=one[0] if one else "first gains",
        color_left=style[one[1]][0] if one else MUTED,
        color_right=style[one[0]][0] if one else MUTED,
        axis=f"change of the difference in points, {share(rows[0]['ci_level'])} interval",
        margin=None,
        limits=limits(ends, around=(-1.0, 1.0)),
        rows=tuple(forest),
        names=NAMES,
    )
    n = sum(row.verdict in ("a_better", "b_better") for row in forest)
    under = _label(rows[0]) if len(conditions) == 1 else f"one {kind} minus the other"
    whose = f"of {one[0]} minus {one[1]}" if one else "of each pair"
    total = counted(sum(row.kind == "single" for row in forest), "change")
    caption = f"Change of the difference {whose}, {under}: {n} of {total} {_stand(n)} out."
    alt = f"Forest plot of differences in differences, {under}; to the right of zero the first model of the pair gains. "
    # With several pairs the same labels come once per pair.
    alt += spoken_rows(forest) if one else " ".join(f"{a} minus {b}: {spoken_rows(own)}" for (a, b), own in of_pair.items())
    return Figure(name=f"contrasts_{kind}", plot=plot, caption=caption, alt=alt, data=data_of(frame))


def _forest_row(findings: Findings, row: Row, style: Mapping[str, tuple[str, int]], *, several: bool) -> ForestRow:
    """One contrast; with several conditions its label names its own."""
    verdict = _verdict(findings, row)
    detail = f"{number(row['contrast'], SHARES, signed=True)} ({interval(row['ci_low'], row['ci_high'], SHARES)})"
    return ForestRow(
        label=row["task"],
        second=f"− {row['other_task']}" if row["kind"] == "language" else row["first"] if several else "",
        detail="not established" if row["contrast"] is None else detail,
        verdict=verdict,
        difference=shown(row["contrast"], 100),
        low=shown(row["ci_low"], 100),
        high=shown(row["ci_high"], 100),
        color=verdict_color(verdict, style[row["model_a"]][0], style[row["model_b"]][0]),
    )


def _stand(n: int) -> str:
    return "stands" if n == 1 else "stand"


def _place(row: Row) -> str:
    """Task, or the two tasks, or the pair that the first one is set against."""
    return f"{row['task']} − {row['other_task']}" if row["kind"] == "language" else str(row["task"])


def _table(findings: Findings, kind: str, frame: pd.DataFrame, *, which: str = "") -> Table:
    pairs = len(frame[["model_a", "model_b"]].drop_duplicates())

    def valued(head: str, key: str) -> Shown:
        return number_column(head, lambda row: number(row[key], scale_of(findings, row["metric"]), signed=True))

    columns: list[Shown] = [text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}")] if pairs > 1 or kind == "size" else []
    columns += [text_column("Other pair", lambda row: f"{row['other_a']} − {row['other_b']}")] if kind == "size" else []
    columns += [text_column("Task", lambda row: str(row["task"]))]
    columns += [text_column("Other task", lambda row: str(row["other_task"]))] if kind == "language" else []
    columns += [
        text_column("First", lambda row: str(row["first"])),
        text_column("Second", lambda row: str(row["second"])),
        valued("Difference, first", "difference_first"),
        valued("Difference, second", "difference_second"),
        valued("Change", "contrast"),
        number_column(
            f"{share(frame['ci_level'].dropna().iloc[0]) if frame['ci_level'].notna().any() else ''} interval".strip(),
            lambda row: interval(row["ci_low"], row["ci_high"], scale_of(findings, row["metric"])),
        ),
        number_column("p, not corrected", lambda row: p_number(row["p_value"])),
        number_column("Samples", lambda row: "–" if row["n_samples"] is None else f"{int(row['n_samples']):,}"),
    ]
    columns += [text_column("Note", lambda row: str(row["status_note"] or ""))] if frame["status_note"].fillna("").any() else []
    titles = {
        "strategy": "Differences under two strategies",
        "language": "Differences in two languages",
        "size": "Differences at two sizes",
    }
    note = "Change: difference under the first condition minus difference under the second; positive: the first model gains. Exploratory."
    return table_of(frame, columns, name=f"contrasts_{kind}", title=titles[kind] + which, note=note)
