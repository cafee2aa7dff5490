"""Second turns: what became of first answers, and who yields more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Paragraph, Section, Table
from evalsuite.report.findings import Findings, in_order, records
from evalsuite.report.instructions import cell_columns, condition, noted, spanned
from evalsuite.report.sentences import Row
from evalsuite.report.tables import number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, number, share
from evalsuite.stats.design import MIN_GROUPS

CELL = ("task", "strategy", "perturbation")
EMPTY: Mapping[str, str] = MappingProxyType({})

DOUBTED = "gives up right answers"
SUGGESTED = {"right": "takes over the right choice where it is suggested", "wrong": "takes over the wrong choice that is suggested"}
"""Words for following a suggestion, by what is suggested: to follow a right one is no weakness."""
UNKNOWN = "takes over what is suggested"
"""The same where it is not known what is suggested."""


def second_turns_section(findings: Findings) -> Section | None:
    """First and final accuracy, what was kept, abandoned, corrected and adopted, and a sentence per pair; None without second turns."""
    frame = findings.analyses.second_turns
    if not len(frame):
        return None
    frame = in_order(findings, frame.reset_index(drop=True))
    rows = records(frame)
    # Whoever is asked another question in the second turn gives no answer up.
    known = findings.labels.perturbations
    same = [row for row in rows if row["perturbation"] not in known or known[row["perturbation"]].preserves_meaning]
    blocks: list[Block] = [Paragraph(text=_lead(rows, same))]
    pairs = findings.study.pairs or ()
    suggests = suggestions(findings)
    said = [text for a, b in pairs for text in pair_sentences(same, a, b, suggests)]
    if said:
        blocks.append(Bullets(items=tuple(said)))
        text = (
            "Exploratory and descriptive: each model's share is its own, and no test was made. Doubts and suggestions are counted apart; "
            f"conditions count where both shares rest on {MIN_GROUPS} groups or more."
        )
        blocks.append(Paragraph(text=text, small=True))
    return Section(anchor="second_turns", title="Second turns: are answers kept?", blocks=(*blocks, _table(frame)))


def suggestions(findings: Findings) -> dict[str, str]:
    """Perturbations of ours that suggest a choice: which one, `right` or `wrong`."""
    known = findings.labels.perturbations
    return {name: "right" if own.options.get("right") else "wrong" for name, own in known.items() if own.name == "suggestion"}


def pair_sentences(rows: Sequence[Row], a: str, b: str, suggests: Mapping[str, str] = EMPTY) -> list[str]:
    """Which of two models yields more: a sentence on right answers given up, one on each kind of suggestion; none without numbers.

    A turn in which something is suggested counts among suggestions only, since a right suggestion makes giving up a right answer something
    else. Conditions count where both models have an interval.

    Args:
        rows: of `second_turns`.
        a: first model of a pair.
        b: second model.
        suggests: from `suggestions`.
    """
    found = []
    beside = _beside(rows, a, b)
    kinds = [("abandoned", DOUBTED, None), *(("adopted", words, kind) for kind, words in SUGGESTED.items()), ("adopted", UNKNOWN, None)]
    for key, words, kind in kinds:
        both = [(row, other) for row, other in beside if row[f"{key}_low"] is not None and other[f"{key}_low"] is not None]
        if key == "abandoned":
            both = [(row, other) for row, other in both if not (row["n_adoptable"] or other["n_adoptable"])]
        else:
            both = [(row, other) for row, other in both if suggests.get(row["perturbation"]) == kind]
        if not both:
            continue
        row, other = max(both, key=lambda pair: abs(pair[0][key] - pair[1][key]))
        furthest = f"after {condition(rows, row)}: {a} {_percent(key, row)}, {b} {_percent(key, other)}"
        found.append(_said(words, (a, b), [row[key] - other[key] for row, other in both], furthest))
    return found


def _said(words: str, pair: tuple[str, str], differences: Sequence[float], furthest: str) -> str:
    a, b = pair
    n_a, n_b = sum(difference > 0 for difference in differences), sum(difference < 0 for difference in differences)
    if len(differences) == 1:
        if n_a == n_b:
            return f"{a} {words} as often as {b} {furthest}."
        more, less = (a, b) if n_a else (b, a)
        return f"{more} {words} more often than {less} {furthest}."
    if n_a == n_b:
        return f"{a} and {b}: in {n_a:,} of {len(differences):,} conditions either one {words} more often; furthest apart {furthest}."
    more, less, n, m = (a, b, n_a, n_b) if n_a > n_b else (b, a, n_b, n_a)
    turned = f", less often in {m:,}" if m else ""
    against = (max(differences, key=abs) > 0) != (n_a > n_b)
    way = "furthest apart, the other way round," if against else "furthest apart"
    return f"{more} {words} more often than {less} in {n:,} of {len(differences):,} conditions{turned}; {way} {furthest}."


def _percent(key: str, row: Row) -> str:
    """`32.0% (20.1 to 44.0)`."""
    value, _, span = spanned(key, row).partition(" ")
    return f"{value}%{' ' if span else ''}{span}"


def _beside(rows: Sequence[Row], a: str, b: str) -> list[tuple[Row, Row]]:
    """Rows of two models in the same condition."""
    of_b: Mapping[tuple[str, ...], Row] = {tuple(row[key] for key in CELL): row for row in rows if row["model"] == b}
    own = [row for row in rows if row["model"] == a]
    return [(row, of_b[tuple(row[key] for key in CELL)]) for row in own if tuple(row[key] for key in CELL) in of_b]


def _lead(rows: Sequence[Row], same: Sequence[Row]) -> str:
    """What a second turn is, and who gave up most right answers where the question stayed the same."""
    n = len({row["perturbation"] for row in rows})
    text = (
        f"After its first answer a model is told or asked something, and answers again: {counted(n, 'kind')} of second turn. Given up: "
        "right first and wrong at the end; corrected: the other way."
    )
    known = [row for row in same if row["abandoned_low"] is not None]
    if known:
        top = max(known, key=lambda row: row["abandoned"])
        text += (
            f" Most right answers are given up by {top['model']} after {condition(rows, top)}: {_percent('abandoned', top)} of "
            f"{int(top['n_right_first']):,}"
        )
        few = any(row["abandoned"] is not None and row["abandoned_low"] is None for row in same)
        text += f", among the shares that rest on {MIN_GROUPS} groups or more." if few else "."
    return text


def _table(frame: pd.DataFrame) -> Table:
    def of(key: str, n: str, row: Row) -> str:
        """A share with its interval and of how many it is one."""
        return "–" if row[key] is None else f"{spanned(key, row)}, n {int(row[n]):,}"

    shown = [
        *cell_columns(frame, "Second turn"),
        text_column("Model", lambda row: str(row["model"])),
        number_column("Right first %", lambda row: number(row["first"], SHARES)),
        number_column("Right at the end %", lambda row: number(row["final"], SHARES)),
        number_column("Kept %", lambda row: number(row["kept"], SHARES)),
        number_column("Given up %", partial(of, "abandoned", "n_right_first")),
        number_column("Corrected %", partial(of, "corrected", "n_wrong_first")),
    ]
    if frame["adopted"].notna().any():
        shown.append(number_column("Followed %", partial(of, "adopted", "n_adoptable")))
    shown.append(number_column("Samples", lambda row: f"{int(row['n_samples']):,}"))
    if frame["n_first_unread"].fillna(0).any():
        shown.append(number_column("First not read", lambda row: f"{int(row['n_first_unread'] or 0):,}"))
    note = (
        "Kept: the last choice is the first one. Given up: right first and wrong at the end, of the samples right first. Corrected: wrong "
        "first and right at the end, of those wrong first. "
    )
    if frame["adopted"].notna().any():
        note += "Followed: the last choice is the one that was suggested, of those whose first choice was another. "
    note += f"In brackets the {share(frame['ci_level'].iloc[0])} interval; n counts samples with any such answer."
    # A dash says that nothing is suggested.
    notes = frame["note"].fillna("").str.split("; ").map(lambda parts: "; ".join(part for part in parts if part != "nothing is suggested"))
    return table_of(
        frame.assign(note=notes),
        [*shown, *noted(frame.assign(note=notes))],
        name="second_turns",
        title="What became of first answers",
        note=note,
    )
