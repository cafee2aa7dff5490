"""Size: means against the number of parameters, specialists set against generalists of their own size."""

from __future__ import annotations

from collections.abc import Sequence

from evalsuite.report.blocks import Block, Figure, Section
from evalsuite.report.contrasts import contrast_blocks
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, in_order, pooled_name, records
from evalsuite.report.forests import shown
from evalsuite.report.plots.means import SizePlot, SizePoint
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, interval, language_name, number, p_number
from evalsuite.stats.contrasts import without_size

MAX_POINTS = 24
"""Most models of one plot; more stand in the table only."""


def sizes_section(findings: Findings) -> Section | None:
    """Scaling, comparisons at one size, and contrasts between sizes."""
    blocks: list[Block] = [*_scaling(findings), *_matched(findings), *contrast_blocks(findings, "size")]
    return Section(anchor="sizes", title="Does size explain it?", blocks=tuple(blocks)) if blocks else None


def _scaling(findings: Findings) -> list[Block]:
    """Means over all tasks against size, and the table of every scope."""
    frame = findings.analyses.scaling
    frame = frame[frame["parameters_b"].notna() & frame["mean"].notna()].reset_index(drop=True) if len(frame) else frame
    if not len(frame):
        return []
    frame = in_order(findings, frame).sort_values(["scope", "parameters_b"], kind="stable")
    overall = [row for row in records(frame) if row["scope"] == "all" and row["parameters_b"] > 0]
    blocks: list[Block] = []
    if len({row["parameters_b"] for row in overall}) > 1 and len(overall) <= MAX_POINTS:
        blocks.append(_figure(findings, overall))
    several = frame["scope"].nunique() > 1
    columns: list[Shown] = [
        text_column("Model", lambda row: str(row["model"])),
        text_column("Domain", lambda row: str(row["domain"])),
        number_column("Parameters, 10⁹", lambda row: f"{row['parameters_b']:g}"),
        *([text_column("Over", lambda row: scope_name(findings, row["scope"]))] if several else []),
        number_column("Mean %", lambda row: number(row["mean"], SHARES)),
        number_column("Interval", lambda row: interval(row["ci_low"], row["ci_high"], SHARES)),
        number_column("Questions", lambda row: "–" if row["n_questions"] is None else f"{round(row['n_questions']):,}"),
    ]
    note = (
        f"Means over the distinct questions of {pooled_name(findings)}. Models differ in more than size, so this is no experiment on size."
    )
    blocks.append(table_of(frame, columns, name="scaling", title="Means by number of parameters", note=note))
    return blocks


def _figure(findings: Findings, rows: Sequence[Row]) -> Figure:
    style = model_style(findings.study.models)
    points = tuple(
        SizePoint(
            model=row["model"],
            color=style[row["model"]][0],
            special=row["domain"] == "biomedical",
            size=row["parameters_b"],
            mean=100 * row["mean"],
            low=shown(row["ci_low"], 100),
            high=shown(row["ci_high"], 100),
        )
        for row in rows
    )
    ends = limits([end for point in points for end in (point.mean, point.low, point.high)])
    plot = SizePlot(
        axis=f"mean over {pooled_name(findings)}, percent",
        points=points,
        lines=_lines(rows),
        limits=(max(ends[0], 0.0), min(ends[1], 102.0)),
    )
    alt = "Plot of means against the number of parameters on a logarithmic axis. " + " ".join(
        f"{row['model']} ({row['domain']}, {row['parameters_b']:g} billion): {number(row['mean'], SHARES)}%." for row in rows
    )
    return Figure(name="scaling", plot=plot, caption=_reading(rows), alt=alt, data=data_of(findings.analyses.scaling))


def _lines(rows: Sequence[Row]) -> tuple[tuple[int, ...], ...]:
    """Places of models of one domain whose names differ in the size only, where there are several sizes of them."""
    series: dict[tuple[str, str], list[int]] = {}
    for at, row in enumerate(rows):
        series.setdefault((str(row["domain"]), without_size(str(row["model"]))), []).append(at)
    return tuple(tuple(places) for places in series.values() if len({rows[at]["parameters_b"] for at in places}) > 1)


def _reading(rows: Sequence[Row]) -> str:
    best = max(rows, key=lambda row: row["mean"])
    by_size = sorted(rows, key=lambda row: row["parameters_b"])
    largest = [row for row in rows if row["parameters_b"] == by_size[-1]["parameters_b"]]
    text = f"{counted(len(rows), 'model')} from {by_size[0]['parameters_b']:g} to {by_size[-1]['parameters_b']:g} billion parameters; "
    text += f"{best['model']} has the highest mean ({number(best['mean'], SHARES)}%)"
    return f"{text}, and it is {'' if best in largest else 'not '}among the largest."


def _matched(findings: Findings) -> list[Block]:
    """Specialists against generalists of about their size, whether or not one was made from the other."""
    frame = findings.analyses.size_matched
    frame = frame[frame["difference"].notna()].reset_index(drop=True) if len(frame) else frame
    if not len(frame):
        return []
    columns: list[Shown] = [
        text_column("Size", lambda row: str(row["size"])),
        text_column("Specialist", lambda row: str(row["model_a"])),
        text_column("Generalist", lambda row: str(row["model_b"])),
        *([text_column("Over", lambda row: scope_name(findings, row["scope"]))] if frame["scope"].nunique() > 1 else []),
        number_column("Difference", lambda row: number(row["difference"], SHARES, signed=True)),
        number_column("Interval", lambda row: interval(row["ci_low"], row["ci_high"], SHARES)),
        number_column("p, not corrected", lambda row: p_number(row["p_value"])),
        text_column("Stated pair", lambda row: "yes" if row["declared_pair"] else "no"),
    ]
    note = "Specialist minus generalist in points, on the same questions. Exploratory: p-values are not corrected."
    title = "Specialists against generalists of about the same size"
    return [table_of(frame, columns, name="size_matched", title=title, note=note)]


def scope_name(findings: Findings, scope: str) -> str:
    """A scope of pooled numbers in words: `language:en` as `English`."""
    kind, _, name = str(scope).partition(":")
    return pooled_name(findings) if kind == "all" else language_name(name) if kind == "language" else name
