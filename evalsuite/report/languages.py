"""Languages: the same models and pairs in each language, and whether a difference depends on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evalsuite.report.blocks import Block, Figure, Section
from evalsuite.report.contrasts import contrast_blocks
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, pooled_rows, records
from evalsuite.report.forests import NAMES, shown, verdict_color
from evalsuite.report.plots.means import PanelPlot, PanelRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.verdicts import VERDICTS
from evalsuite.report.words import SHARES, VERDICT_NAMES, counted, interval, language_name, listed, number, p_number, share


def languages_section(findings: Findings) -> Section | None:
    """One panel per language, their numbers, and the contrasts between languages; absent where there is one language."""
    frame = pooled_rows(findings, "language:")
    blocks: list[Block] = []
    if len(frame) and frame["scope"].nunique() > 1:
        rows = records(frame)
        blocks.append(_figure(findings, rows))
        several = len({(row["model_a"], row["model_b"]) for row in rows}) > 1
        level = share(rows[0]["ci_level"])
        columns: list[Shown] = [text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}")] if several else []
        columns += [
            text_column("Language", lambda row: language_name(_code(row))),
            number_column("Tasks", lambda row: f"{int(row['n_tasks']):,}"),
            number_column("Questions", lambda row: "–" if row["n_questions"] is None else f"{round(row['n_questions']):,}"),
            number_column("First %", lambda row: number(row["mean_a"], SHARES)),
            number_column("Second %", lambda row: number(row["mean_b"], SHARES)),
            number_column("Difference", lambda row: number(row["difference"], SHARES, signed=True)),
            number_column(f"{level} interval", lambda row: interval(row["ci_low"], row["ci_high"], SHARES)),
            number_column("p, not corrected", lambda row: p_number(row["p_value"])),
        ]
        title = "Means by language" + ("" if several else f", {rows[0]['model_a']} − {rows[0]['model_b']}")
        note = "Means over the distinct questions of all right-or-wrong tasks in that language. Exploratory: p-values are not corrected."
        blocks.append(table_of(frame, columns, name="languages", title=title, note=note))
    blocks += contrast_blocks(findings, "language")
    return Section(anchor="languages", title="By language", blocks=tuple(blocks)) if blocks else None


def _figure(findings: Findings, rows: Sequence[Row]) -> Figure:
    codes = list(dict.fromkeys(_code(row) for row in rows))
    order = list(dict.fromkeys(findings.labels.languages.values()))
    codes.sort(key=lambda code: order.index(code) if code in order else len(order))
    style = model_style(findings.study.models)
    panels = []
    for code in codes:
        own = [row for row in rows if _code(row) == code]
        n = max(round(row["n_questions"] or 0) for row in own)
        n_tasks = max(int(row["n_tasks"]) for row in own)
        heading = f"{language_name(code)}: {counted(n_tasks, 'task')}, {counted(n, 'question')}"
        panels.append((heading, tuple(_panel_row(row, style) for row in own)))
    margins = [row["margin"] if row["margin"] is not None else findings.study.analysis.margin for row in rows]
    margin = float(round(max(margins) * 100, 10))
    means = limits([shown(row[key], 100) for row in rows for key in ("mean_a", "mean_b")])
    ends = [shown(row[key], 100) for row in rows for key in ("difference", "ci_low", "ci_high")]
    plot = PanelPlot(
        panels=tuple(panels),
        axis="mean, percent",
        difference_axis=f"difference, {share(rows[0]['ci_level'])} interval",
        limits=(max(means[0], 0.0), min(means[1], 102.0)),
        difference_limits=limits(ends, around=(-1.2 * margin, 1.2 * margin)),
        margin=margin,
        names=NAMES,
    )
    alt = "One panel per language; per pair the two means and their difference. " + " ".join(
        f"{language_name(_code(row))}: {row['model_a']} {number(row['mean_a'], SHARES)}%, "
        f"{row['model_b']} {number(row['mean_b'], SHARES)}%, "
        f"difference {number(row['difference'], SHARES, signed=True)} ({interval(row['ci_low'], row['ci_high'], SHARES)})."
        for row in rows
    )
    return Figure(name="languages", plot=plot, caption=_reading(rows, codes), alt=alt, data=data_of(pooled_rows(findings, "language:")))


def _panel_row(row: Row, style: Mapping[str, tuple[str, int]]) -> PanelRow:
    (color_a, marker_a), (color_b, marker_b) = style[row["model_a"]], style[row["model_b"]]
    return PanelRow(
        model_a=row["model_a"],
        model_b=row["model_b"],
        color_a=color_a,
        color_b=color_b,
        marker_a=marker_a,
        marker_b=marker_b,
        mean_a=shown(row["mean_a"], 100),
        mean_b=shown(row["mean_b"], 100),
        difference=shown(row["difference"], 100),
        low=shown(row["ci_low"], 100),
        high=shown(row["ci_high"], 100),
        verdict=row["verdict"],
        color=verdict_color(row["verdict"], color_a, color_b),
    )


def _reading(rows: Sequence[Row], codes: Sequence[str]) -> str:
    """Verdicts by language."""
    parts = []
    for code in codes:
        own = [row["verdict"] for row in rows if _code(row) == code]
        said = [f"{own.count(verdict)} {VERDICT_NAMES[verdict]}" for verdict in VERDICTS if verdict in own]
        words = VERDICT_NAMES[own[0]] if len(own) == 1 else listed(said)
        parts.append(f"in {language_name(code)} {words}")
    return f"First model of each pair (the smaller marker) against the second: {'; '.join(parts)}."


def _code(row: Row) -> str:
    return str(row["scope"]).partition(":")[2]
