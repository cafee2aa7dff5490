"""Calibration: how far the choices' probabilities can be believed, and what they are good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, DataFile, Figure, Paragraph, Section, Table, slug
from evalsuite.report.figures.canvas import model_style
from evalsuite.report.findings import Findings, data_of, in_order, main_rows, pairs_of, primary_strategy, records
from evalsuite.report.plots.answers import Curve, CurvePanel, CurvePlot, CurvePoint
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, Scale, counted, interval, listed, number, p_number, p_phrase, share

BRIER = Scale(factor=1.0, n_digits=3, unit="", difference_unit="")
"""Brier scores run from 0 to 2 and are shown as they are."""

MAX_PANELS = 9
"""Most tasks in one figure; all of them stand in the table and in the CSV file."""

MAX_CROWDED = 6
"""The same where a panel holds more than `MAX_MODELS` curves and is larger for it."""

MAX_PAIRS = 4
"""Most pairs with a reliability diagram of their own."""

MIN_KEPT = 10
"""Fewest answers whose accuracy is drawn."""

MAX_MODELS = 4
"""Most models in the only reliability diagram of a study without pairs: more intervals in one panel cannot be read."""

CELL = ("strategy", "perturbation")


def calibration_section(findings: Findings) -> Section | None:
    """Reliability diagrams, accuracy by confidence, and the numbers; absent where no answer has probabilities."""
    analyses = findings.analyses
    if not len(analyses.calibration):
        return None
    cell = chosen_cell(findings, analyses.calibration)
    rows, bins, selective, pairs = (
        in_order(findings, _in_cell(frame, cell))
        for frame in (analyses.calibration, analyses.reliability, analyses.selective, analyses.calibration_pairs)
    )
    level = share(float(rows["ci_level"].iloc[0]))
    blocks: list[Block] = [Paragraph(text=_lead(findings, rows, cell))]
    blocks += pair_sentences(findings, pairs)
    blocks += reliability_figures(findings, rows, bins, level)
    blocks += selective_figure(findings, rows, selective)
    blocks.append(_table(rows, level))
    if len(pairs):
        blocks.append(_pair_table(pairs, level))
    everything = "Calibration in every cell of the study, unrounded"
    blocks.append(DataFile(name="calibration_all_cells", text=everything, data=data_of(in_order(findings, analyses.calibration))))
    return Section(anchor="calibration", title="Calibration (exploratory)", blocks=tuple(blocks))


def chosen_cell(findings: Findings, frame: pd.DataFrame) -> tuple[str, str]:
    """The primary cell or, where its answers have no probabilities, the first cell in the order of the study that has them."""
    primary = (primary_strategy(findings.study), findings.study.analysis.primary.perturbation)
    cells = list(in_order(findings, frame[list(CELL)].drop_duplicates()).itertuples(index=False, name=None))
    return primary if primary in cells else cells[0]


def _in_cell(frame: pd.DataFrame, cell: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame[CELL[0]] == cell[0]) & (frame[CELL[1]] == cell[1])] if len(frame) else frame


def _lead(findings: Findings, rows: pd.DataFrame, cell: tuple[str, str]) -> str:
    """What is looked at, and by whom confidence and accuracy are farthest apart."""
    primary = (primary_strategy(findings.study), findings.study.analysis.primary.perturbation)
    where = "in the primary cell" if cell == primary else f"under {' and '.join(cell)}, since the primary cell has no probabilities"
    text = f"Nothing here was pre-stated. Confidence: the probability that a model gives to the choice it takes, of those shown, {where}."
    known = [row for row in records(rows) if row["confidence"] is not None]
    if not known:
        return text
    gaps = [(row["confidence"] - row["accuracy"], row) for row in known]
    sure, modest = sum(gap > 0 for gap, _ in gaps), sum(gap < 0 for gap, _ in gaps)
    gap, far = max(gaps, key=lambda item: abs(item[0]))
    counts = f"Mean confidence lies above accuracy in {sure} of {len(gaps)} cells (model and task) and below it in {modest}"
    size = number(abs(gap), SHARES) + SHARES.difference_unit
    who = f"{far['model']} on {far['task']}, {'too sure' if gap > 0 else 'too modest'} by {size}"
    return f"{text} {counts}; farthest off is {who}."


def pair_sentences(findings: Findings, frame: pd.DataFrame) -> list[Block]:
    """For each pair on how many tasks whose probabilities are closer to the truth."""
    said = []
    for a, b in pairs_of(frame) if len(frame) else ():
        own = [row for row in records(frame) if (row["model_a"], row["model_b"]) == (a, b) and row["brier_difference"] is not None]
        if len(own) == 1:
            said.append(_single(findings, own[0]))
        elif own:
            said.append(_several(findings, own))
    return [Bullets(items=tuple(said))] if said else []


def _closer(findings: Findings, row: Row) -> str:
    """`a`, `b`, or empty where the two cannot be told apart."""
    told = row["p_value"] is not None and row["p_value"] <= findings.study.analysis.alpha
    return "" if not told or not row["brier_difference"] else "a" if row["brier_difference"] < 0 else "b"


def _single(findings: Findings, row: Row) -> str:
    closer = _closer(findings, row)
    what = {"a": "are better than those of", "b": "are worse than those of", "": "cannot be told from those of"}[closer]
    level = f"{share(row['ci_level'])} interval " if row.get("ci_level") is not None else "interval "
    return (
        f"On {row['task']}, the probabilities of {row['model_a']} {what} {row['model_b']}: Brier score "
        f"{number(row['brier_difference'], BRIER, signed=True)} ({level}{interval(row['ci_low'], row['ci_high'], BRIER)}; "
        f"{p_phrase(row['p_value'])}, not corrected)."
    )


def _several(findings: Findings, rows: Sequence[Row]) -> str:
    a, b = rows[0]["model_a"], rows[0]["model_b"]
    tasks: dict[str, list[str]] = {"a": [], "b": [], "": []}
    for row in rows:
        tasks[_closer(findings, row)].append(row["task"])
    words = (("a", "better"), ("b", "worse"))
    said = [f"{word} on {_named(tasks[side])}" for side, word in words if tasks[side]]
    if tasks[""]:
        said.append(f"not told apart on {len(tasks[''])}")
    return f"Probabilities of {a} against {b}, by the Brier score on {counted(len(rows), 'task')}: {'; '.join(said)}."


def _named(tasks: Sequence[str]) -> str:
    return f"{len(tasks)} ({listed(tasks)})" if len(tasks) <= MAX_PAIRS else str(len(tasks))


def reliability_figures(findings: Findings, rows: pd.DataFrame, bins: pd.DataFrame, level: str) -> list[Figure]:
    """One diagram per pair for the first pairs; without pairs one with the first models."""
    if not len(bins):
        return []
    pairs = pairs_of(main_rows(findings, findings.comparisons)) if len(findings.comparisons) else []
    sets: list[tuple[str, ...]] = [*pairs[:MAX_PAIRS]] or [tuple(dict.fromkeys(rows["model"]))[:MAX_MODELS]]
    figures = []
    for models in sets:
        own = bins[bins["model"].isin(list(models))]
        if len(own):
            figures.append(_reliability_figure(findings, own, models, level))
    return figures


def _reliability_figure(findings: Findings, bins: pd.DataFrame, models: Sequence[str], level: str) -> Figure:
    drawn = records(bins[bins["task"].isin(list(dict.fromkeys(bins["task"]))[:MAX_PANELS])])
    plot = CurvePlot(
        x_axis="confidence, percent",
        y_axis=f"right answers, percent, {level} intervals",
        x_limits=(0.0, 100.0),
        y_limits=(0.0, 100.0),
        diagonal="as sure as right",
        panels=_panels(findings, drawn, models, "confidence"),
    )
    alt = "Reliability diagrams, one panel per task. Across: confidence; up: share of right answers; the diagonal is perfect calibration. "
    alt += " ".join(
        f"{panel.label}, {curve.model}: {', '.join(f'{point.x:.0f} to {point.y:.0f}' for point in curve.points)}."
        for panel in plot.panels
        for curve in panel.curves
    )
    left_out = bins["task"].nunique() - len(plot.panels)
    more = f" {counted(left_out, 'further task')}: in the CSV file." if left_out else ""
    caption = f"Confidence and right answers, {listed(models)}: {_reliability_reading(drawn, models)}.{more}"
    return Figure(name=f"reliability_{slug(*models)}", plot=plot, caption=caption, alt=alt, data=data_of(bins))


def _reliability_reading(bins: Sequence[Row], models: Sequence[str]) -> str:
    """How many bins lie clear of the diagonal, that is, whose interval does not reach it."""
    below, above = [], []
    for model in models:
        own = [row for row in bins if row["model"] == model and row["low"] is not None and row["high"] is not None]
        if own:
            below.append(f"{sum(row['high'] < row['confidence'] for row in own)} of {counted(len(own), 'bin')} of {model}")
            above.append(str(sum(row["low"] > row["confidence"] for row in own)))
    return f"clear below the diagonal, more sure than right, {listed(below)}; clear above it {listed(above)}" if below else "no intervals"


def selective_figure(findings: Findings, rows: pd.DataFrame, selective: pd.DataFrame) -> list[Figure]:
    """Accuracy on the answers that each model is most sure of, by how many of them are kept."""
    if not len(selective):
        return []
    n_answers = {(row["task"], row["model"]): row.get("n_answers") or row["n_samples"] for row in records(rows)}
    n_panels = MAX_PANELS if selective["model"].nunique() <= MAX_MODELS else MAX_CROWDED
    drawn = [
        row
        for row in records(selective[selective["task"].isin(list(dict.fromkeys(selective["task"]))[:n_panels])])
        if row["coverage"] * n_answers.get((row["task"], row["model"]), 0) >= MIN_KEPT - 0.5
    ]
    if not drawn:
        return []
    lowest = min(row["accuracy"] for row in drawn)
    models = list(dict.fromkeys(row["model"] for row in drawn))
    plot = CurvePlot(
        x_axis="answers kept, the most confident first, percent",
        y_axis="right among those kept, percent",
        x_limits=(0.0, 100.0),
        y_limits=(max(0.0, 10.0 * int(10 * lowest) - 5.0), 103.0),
        diagonal="",
        panels=_panels(findings, drawn, models, "coverage"),
    )
    alt = "Curves, one panel per task. Across: share of answers kept, the most confident first; up: share of right ones among them. "
    alt += " ".join(
        f"{row['task']}, {row['model']}: {number(row['selective_50'], SHARES)}% at half, {number(row['selective_80'], SHARES)}% at four "
        f"fifths, {number(row['accuracy'], SHARES)}% of all."
        for row in records(rows)
        if row["accuracy"] is not None
    )
    left_out = selective["task"].nunique() - len(plot.panels)
    more = f" {counted(left_out, 'further task')}: in the CSV file." if left_out else ""
    caption = f"Accuracy where models are most sure, from {MIN_KEPT} answers on: {_selective_reading(records(rows))}.{more}"
    return [Figure(name="selective_accuracy", plot=plot, caption=caption, alt=alt, data=data_of(selective))]


def _selective_reading(rows: Sequence[Row]) -> str:
    gains: dict[str, list[float]] = {}
    for row in rows:
        if row["selective_50"] is not None and row["accuracy"] is not None:
            gains.setdefault(row["model"], []).append(row["selective_50"] - row["accuracy"])
    if not gains:
        return "no numbers"
    said = [f"{number(fmean(own), SHARES, signed=True)} ({model})" for model, own in gains.items()]
    tasks = counted(len({row["task"] for row in rows}), "task")
    return f"the more confident half against all answers, in points, on average over {tasks}: {listed(said)}"


def _panels(findings: Findings, rows: Sequence[Row], models: Sequence[str], across: str) -> tuple[CurvePanel, ...]:
    style = model_style(findings.study.models)
    panels = []
    for task in dict.fromkeys(row["task"] for row in rows):
        curves = []
        for model in models:
            own = [row for row in rows if (row["task"], row["model"]) == (task, model)]
            points = tuple(sorted((_point(row, across) for row in own), key=lambda point: point.x))
            if points:
                color, marker = style[model]
                curves.append(Curve(model=model, color=color, marker=marker, points=points))
        panels.append(CurvePanel(label=task, curves=tuple(curves)))
    return tuple(panels)


def _point(row: Mapping[str, float | None], across: str) -> CurvePoint:
    x, y, low, high = (None if row.get(key) is None else 100 * float(row[key] or 0.0) for key in (across, "accuracy", "low", "high"))
    if x is None or y is None:
        raise ValueError(f"a bin without {across} or accuracy")
    return CurvePoint(x=x, y=y, low=low, high=high)


def _table(rows: pd.DataFrame, level: str) -> Table:
    def percent(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], SHARES))

    n_left_out = "n_left_out" in rows and bool(rows["n_left_out"].fillna(0).any())
    rms = "calibration_rms" in rows
    shown: list[Shown] = [
        text_column("Task", lambda row: row["task"]),
        text_column("Model", lambda row: row["model"]),
        percent("Right %", "accuracy"),
        percent("Confidence %", "confidence"),
        percent("ECE", "ece"),
        *([percent("RMS error", "calibration_rms")] if rms else []),
        percent("without bias", "ece_debiased"),
        number_column("Brier", lambda row: number(row["brier"], BRIER)),
        number_column(f"{level} interval", lambda row: interval(row["brier_low"], row["brier_high"], BRIER)),
        percent("Best 80%", "selective_80"),
        percent("Best 50%", "selective_50"),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
        *([number_column("Left out", lambda row: f"{int(row['n_left_out'] or 0):,}")] if n_left_out else []),
    ]
    note = (
        "ECE: mean distance of confidence and accuracy over bins, in points. RMS error: root mean square of it; without bias: what is left "
        "of it without the part that chance alone makes, below zero where chance explains more than all of it. Brier: 0 is perfect, 2 is "
        "certain and wrong. Best 80%, 50%: right answers in percent among the most confident."
    )
    if n_left_out:
        note += " Left out: answers that could not be read, which have no probabilities; “Right” is of the others."
    return table_of(rows, shown, name="calibration", title="Calibration", note=note)


def _pair_table(rows: pd.DataFrame, level: str) -> Table:
    shown: list[Shown] = [
        text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}"),
        text_column("Task", lambda row: row["task"]),
        number_column("Brier difference", lambda row: number(row["brier_difference"], BRIER, signed=True)),
        number_column(f"{level} interval", lambda row: interval(row["ci_low"], row["ci_high"], BRIER)),
        number_column("p, not corrected", lambda row: p_number(row["p_value"])),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
        number_column("Groups", lambda row: f"{int(row['n_groups']):,}"),
    ]
    note = "First model minus second; below zero, the first model's probabilities are closer to the truth. Exploratory."
    return table_of(rows, shown, name="calibration_pairs", title="Paired differences of the Brier score", note=note)
