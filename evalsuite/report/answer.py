"""The first screen: one sentence per pair with its verdict, what must be known before believing it, and one figure."""

from __future__ import annotations

from collections.abc import Sequence

from evalsuite.report.blocks import Answer, Block, Figure, Finding, Paragraph, Section
from evalsuite.report.findings import Findings, Pair, main_rows, of_pair, pairs_of, pooled_name, pooled_rows, records
from evalsuite.report.forests import MAX_FORESTS, forest_figure, overview_figures, pairs_figure, pooled_of, pools
from evalsuite.report.notices import notices
from evalsuite.report.robustness import held_sentence
from evalsuite.report.sentences import Row, pooled_sentence, sentence, summary, tally, why_not_established

MAX_UNFOLDED = 6
"""Most comparisons that the first screen lists one by one; with more pairs than this the figure stands above the sentences."""


def answer_section(findings: Findings) -> Section | None:
    """The answer for each pair, the notices, and one figure."""
    said = answers(findings)
    if not said:
        none = Paragraph(text="No pair of models is compared in this study; it reports scores only.")
        return Section(anchor="answer", title="Answer", blocks=(none, *notices(findings)))
    figures = first_figures(findings)
    blocks: tuple[Block, ...] = (*said, *notices(findings), *figures)
    if len(said) > MAX_UNFOLDED:
        blocks = (*notices(findings), *figures, *said)
    return Section(anchor="answer", title="Answer", blocks=blocks)


def answers(findings: Findings) -> tuple[Answer, ...]:
    """What the study says about each pair.

    The sentence is the pooled one over all tasks, with how many tasks say what below it; that of the task, where there is only one;
    or, where nothing can be pooled, how many tasks have which verdict. Findings are the sentences of the single tasks.
    """
    rows = main_rows(findings, findings.comparisons)
    return tuple(_answer(findings, pair, of_pair(rows, pair), folded=len(rows) > MAX_UNFOLDED) for pair in pairs_of(rows))


def _answer(findings: Findings, pair: Pair, rows: Sequence[Row], *, folded: bool) -> Answer:
    sentences = tuple(Finding(verdict=row["verdict"], text=sentence(findings, row)) for row in rows)
    held = held_sentence(findings, pair)
    otherwise = (held,) if held else ()
    if len(rows) == 1:
        return Answer(sentence=sentences[0].text, details=otherwise, findings=())
    pooled = pooled_of(findings, pair, "all")
    if pooled is None or pooled["difference"] is None:
        why = () if pooled is None else (f"No mean over {pooled_name(findings)} is given: {why_not_established(findings, pooled)}.",)
        return Answer(sentence=summary(findings, pair, rows), details=(*why, *otherwise), findings=sentences, folded=folded)
    left_out = (f"Not in this mean: {str(pooled['left_out']).rstrip('.')}.",) if pooled["left_out"] else ()
    lead, by_task = pooled_sentence(findings, pooled), tally(findings, rows)
    return Answer(sentence=lead, details=(*left_out, *otherwise), tally=by_task, findings=sentences, folded=True)


def first_figures(findings: Findings) -> tuple[Figure, ...]:
    """One figure: pairs below each other or, for a single pair, its tasks; where several pairs cannot be pooled, what comes nearest."""
    rows = main_rows(findings, findings.comparisons)
    pairs = pairs_of(rows)
    if shows_tasks(findings):
        return tuple(forest_figure(findings, pair) for pair in pairs)
    if pools(findings):
        return (pairs_figure(findings, records(pooled_rows(findings)), over=pooled_name(findings)),)
    if rows["task"].nunique() == 1:
        return (pairs_figure(findings, records(rows), over=str(rows["task"].iloc[0])),)
    return overview_figures(findings)


def shows_tasks(findings: Findings) -> bool:
    """True where the first screen has the forest plots by task, so that no other section needs them."""
    rows = main_rows(findings, findings.comparisons)
    pairs: list[Pair] = pairs_of(rows)
    several = rows["task"].nunique() > 1
    return len(pairs) == 1 or (several and len(pairs) <= MAX_FORESTS and not pools(findings))
