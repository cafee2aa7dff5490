"""The explorer's tables as compressed parts of report.html: an index that is read at once, and pages of texts that are read on demand.

Index: a JSON header, then one column of numbers after the other. Pages: JSON, cut between questions, every text once. Both are gzip
(RFC 1952, no time stamp) in base64 (RFC 4648): the same bytes for the same tables and the same zlib, and nothing that a data set or a
model wrote stands in the page as text. Where the file would grow over its limit, prompts go first, those of rows on which the models
agree before all others; then outputs; the page says how many.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from evalsuite.formats import labels_of
from evalsuite.report.explorer_tables import ALL_STATUSES, NO_NUMBER, OUTCOMES, ExplorerData, Ints, Question, first_of
from evalsuite.stats.votes_cast import MISSING, SAME
from evalsuite.types import Sample

N_PAGE = 256_000
"""Characters of a page before compression; a page may be longer by one question."""

N_ROWS = 50_000
"""Most rows; what is beyond is left out from the end of the reading order, and counted. Numbers alone take about 75 characters a row: of
200,000 rows they fill two thirds of the file, and not one prompt has room beside them; of 50,000 a quarter."""

N_SNIPPET = 120
"""Characters of a question that its line in the list shows."""

NOTHING, LEFT_OUT = -1, -2
"""Instead of the number of a text: there is none; it is left out so that the file stays small."""

LEVEL = 6
"""Of compression: 9 takes several times as long for a few percent."""

N_TAG = 90
"""Characters of the element that holds a page."""

N_ENTRY = 30
"""Characters of an answer or a question beside its texts, roughly."""

Bools = npt.NDArray[np.bool_]
Entry = tuple[Any, ...]
"""Prompt, output, text read, probabilities in 1/10,000, finish reason, calls, share on the labels in 1/10,000, counted votes."""


def pack(data: ExplorerData, budget: int) -> Packed:
    """Compress the tables into at most `budget` characters.

    Args:
        data: the tables; not changed.
        budget: most characters of index and pages together.

    Raises:
        ValueError: not even an index without a row fits.
    """
    n_all = len(data.rows) + data.n_beyond
    capped = first_rows(data, N_ROWS)
    while True:
        spare = budget - len(_index(capped, (), _everything(capped), n_all)) - 2_000
        if spare > 0 or not len(capped.rows):
            break
        capped = first_rows(capped, len(capped.rows) // 2)
    if spare <= 0:
        raise ValueError(f"the explorer does not fit into {budget} characters")
    kept, entries = _everything(capped), entries_of(capped)
    size = expected_size(capped, entries, kept)
    pages = make_pages(capped, entries, kept, spare) if size < 1.1 * spare else None
    if pages is None:
        kept, pages = _shortened(capped, entries, spare, size)
    index = _index(capped, tuple(page.first for page in pages), kept, n_all)
    return Packed(
        index=index, pages=tuple(page.content for page in pages), n_rows=len(capped.rows), n_rows_left_out=n_all - len(capped.rows)
    )


def _shortened(data: ExplorerData, entries: Sequence[Entry], budget: int, size: float) -> tuple[Kept, list[Page]]:
    """What is kept where not everything fits: as much as the size of some pages lets hope for (`size`: of all), then less until it fits."""
    order = by_importance(data)
    costs = np.cumsum(_costs(data, order))
    n_allowed = min(costs[-1] * 0.98 * budget / size, costs[-1])
    for _ in range(3):
        size = expected_size(data, entries, _within(data, order, costs, n_allowed))
        n_allowed = min(n_allowed * 0.98 * budget / size, costs[-1])
    while True:
        kept = _within(data, order, costs, n_allowed)
        pages = make_pages(data, entries, kept, budget)
        if pages is not None:
            return kept, pages
        n_allowed = n_allowed * 0.97 if n_allowed > N_PAGE else 0.0


def _within(data: ExplorerData, order: Ints, costs: npt.NDArray[np.float64], n_allowed: float) -> Kept:
    """The first texts whose costs together stay within a number of characters."""
    texts = order[: int(np.searchsorted(costs, n_allowed, side="right"))]
    masks = [np.zeros(len(data.answers), dtype=bool) for _ in range(2)]
    for parity, mask in enumerate(masks):
        mask[texts[texts % 2 == parity] // 2] = True
    return Kept(outputs=masks[0], prompts=masks[1])


def by_importance(data: ExplorerData) -> Ints:
    """Texts in the order in which they are kept: outputs (2 x answer) and prompts (2 x answer + 1).

    Outputs of rows on which the models disagree, their prompts, outputs of all others, their prompts. Within each, the primary cell
    first, and the questions of all tasks in turn, so that a limit cuts every task alike.
    """
    rows = data.rows
    turn = rows["question"] - rows.groupby("task")["question"].transform("min")
    agrees = (rows["outcome"] > 1).to_numpy()
    at = np.lexsort((np.arange(len(rows)), turn.to_numpy(), ~rows["primary"].to_numpy(), agrees))
    answers = rows[["a", "b"]].to_numpy()[at].ravel()
    tier = np.repeat(agrees[at], 2)
    present = answers != NO_NUMBER
    number, first = np.unique(answers[present], return_index=True)
    rank, low = first, tier[present][first]
    texts = np.concatenate([2 * number, 2 * number + 1])
    keys = (np.concatenate([rank, rank]), np.repeat([0, 1], len(number)), np.concatenate([low, low]))
    ordered: Ints = texts[np.lexsort(keys)]
    return ordered


def make_pages(data: ExplorerData, entries: Sequence[Entry], kept: Kept, limit: float) -> list[Page] | None:
    """Compress the texts that are kept; None as soon as the pages are longer than `limit` characters."""
    pages: list[Page] = []
    n_made = 0
    for first, content in _cut(data, entries, kept):
        pages.append(Page(first=first, content=_packed(_json(content))))
        n_made += len(pages[-1].content) + N_TAG
        if n_made > limit:
            return None
    return pages


def expected_size(data: ExplorerData, entries: Sequence[Entry], kept: Kept) -> float:
    """Characters that `make_pages` would make, from every eighth page."""
    n_pages = n_seen = n_made = 0
    for _, content in _cut(data, entries, kept):
        if n_pages % 8 == 0:
            n_seen += 1
            n_made += len(_packed(_json(content))) + N_TAG
        n_pages += 1
    return n_made * n_pages / max(n_seen, 1)


def first_rows(data: ExplorerData, n_rows: int) -> ExplorerData:
    """The first rows in reading order, with the answers and questions that they need."""
    if len(data.rows) <= n_rows:
        return data
    rows, used, asked = first_of(data.rows, n_rows)
    answers = data.answers.iloc[used].reset_index(drop=True)
    return replace(
        data,
        rows=rows,
        answers=answers.assign(question=np.searchsorted(asked, answers["question"].to_numpy())),
        questions=tuple(data.questions[number] for number in asked.tolist()),
        n_beyond=data.n_beyond + len(data.rows) - n_rows,
        n_apart_beyond=data.n_apart_beyond + int((data.rows["outcome"].iloc[n_rows:] < 2).sum()),
    )


def entries_of(data: ExplorerData) -> list[Entry]:
    """What each answer tells if all of it is kept, its votes counted: made once, since pages are cut several times until they fit."""
    told = data.answers
    samples = [question.sample for question in data.questions]
    shown = [samples[number] for number in told["question"].tolist()]
    votes = [None if cast is None else counted_votes(cast, sample) for cast, sample in zip(told["votes"].tolist(), shown, strict=True)]
    columns = (
        *(told[name].tolist() for name in ("prompt", "output", "answer")),
        _shares(told["p_choices"].tolist()),
        (reason if reason == "length" else 0 for reason in told["finish_reason"].tolist()),
        told["n_calls"].to_numpy().astype(np.int64).tolist(),
        (share for shares in _shares([told["label_mass"].to_numpy(dtype=float)]) for share in shares or ()),
        votes,
    )
    return list(zip(*columns, strict=True))


def _cut(data: ExplorerData, entries: Sequence[Entry], kept: Kept) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the first question, content) of every page."""
    outputs, prompts = kept.outputs.tolist(), kept.prompts.tolist()
    ends = np.searchsorted(data.answers["question"].to_numpy(), np.arange(len(data.questions)), side="right").tolist()
    texts = Texts()
    asked: list[Any] = []
    said: list[Any] = []
    begun, at = 0, 0
    for number, question in enumerate(data.questions):
        own = range(at, ends[number])
        at = ends[number]
        asked.append(_question(question, texts, any(outputs[own.start : own.stop]), any(prompts[own.start : own.stop])))
        said.extend(_answer(entries[answer], texts, outputs[answer], prompts[answer]) for answer in own)
        n_characters = texts.n_characters + N_ENTRY * (len(asked) + len(said))
        if n_characters >= N_PAGE or number == len(data.questions) - 1:
            yield begun, {"texts": list(texts.numbers), "questions": asked, "answers": said}
            texts, asked, said = Texts(), [], []
            begun = number + 1


def _question(question: Question, texts: Texts, with_choices: bool, with_stem: bool) -> list[Any]:
    """labels, choices, right positions, reference, stem."""
    sample = question.sample
    if sample is None or not with_choices:
        return []
    labels = [texts.number(label) for label in labels_of(sample)] if sample.choices else []
    choices = [texts.number(choice) for choice in sample.choices]
    reference = texts.number(sample.references[0]) if sample.references else NOTHING
    return [labels, choices, list(sample.targets), reference, texts.number(sample.question) if with_stem else LEFT_OUT]


def _answer(entry: Entry, texts: Texts, with_output: bool, with_prompt: bool) -> list[Any]:
    """prompt, output, text read, probabilities in 1/10,000, finish reason, calls, share on the labels in 1/10,000; votes of an ensemble."""
    prompt, output, answer, *told, votes = entry
    sent = NOTHING if prompt is None else texts.number(prompt) if with_prompt else LEFT_OUT
    if not with_output:
        return [sent, NOTHING if output is None else LEFT_OUT]
    written = NOTHING if output is None else texts.number(output)
    read = NOTHING if answer is None else texts.number(answer)
    return [sent, written, read, *told] if votes is None else [sent, written, read, *told, votes]


def counted_votes(votes: str, sample: Sample | None) -> list[int]:
    """Members, members without a vote, then the votes for each choice as shown; without choices the votes that agree with the answer.

    Args:
        votes: as `Answer.votes` writes them; one for several right choices counts for each of them.
        sample: as shown; None, or two choices with one original index: the votes for each are not known and left out.
    """
    cast = votes.split(",")
    made = [len(cast), cast.count(MISSING)]
    if sample is not None and not sample.choices:
        return [*made, cast.count(SAME)]
    originals = [] if sample is None else [str(sample.original_index(place)) for place in range(len(sample.choices))]
    if len(set(originals)) < len(originals):
        return made
    return [*made, *(sum(original in vote.split("+") for vote in cast) for original in originals)]


def _shares(rows: Sequence[Any]) -> Iterator[list[int | None] | None]:
    """Shares of each row in 1/10,000, all rounded at once; None for a row that is missing, and for what is not finite."""
    lengths = [0 if row is None else len(row) for row in rows]
    flat = np.concatenate([np.zeros(0), *(np.asarray(row, dtype=float) for row in rows if row is not None)])
    finite = np.isfinite(flat)
    # As int(): towards 0.
    whole: list[int | None] = np.trunc(np.where(finite, 10_000 * flat + 0.5, 0)).astype(np.int64).tolist()
    for place in np.flatnonzero(~finite).tolist():
        whole[place] = None
    begin = 0
    for row, length in zip(rows, lengths, strict=True):
        yield None if row is None else whole[begin : begin + length]
        begin += length


def _costs(data: ExplorerData, order: Ints) -> npt.NDArray[np.float64]:
    """Characters that each text adds; one that an earlier answer to the same question has adds next to nothing."""
    question = data.answers["question"].tolist()
    columns = data.answers["output"].tolist(), data.answers["prompt"].tolist()
    seen: set[tuple[int, str]] = set()
    costs = np.empty(len(order))
    for at, text_number in enumerate(order.tolist()):
        text = columns[text_number % 2][text_number // 2]
        costs[at] = N_ENTRY
        if text is not None:
            key = (question[text_number // 2], text)
            costs[at] += 0 if key in seen else len(text)
            seen.add(key)
    return costs


def _everything(data: ExplorerData) -> Kept:
    return Kept(outputs=np.ones(len(data.answers), dtype=bool), prompts=np.ones(len(data.answers), dtype=bool))


def _index(data: ExplorerData, pages: Sequence[int], kept: Kept, n_all: int) -> str:
    """Header and columns of numbers, each column at a multiple of eight bytes, little-endian."""
    rows, answers = data.rows, data.answers
    columns: dict[str, npt.NDArray[Any]] = {
        **{name: rows[name].to_numpy(dtype="<u2") for name in ("pair", "task", "strategy", "perturbation", "replicate")},
        "outcome": rows["outcome"].to_numpy(dtype="u1"),
        # Differences, since what grows by small steps is compressed better so.
        **{name: np.diff(rows[name].to_numpy(dtype=np.int64), prepend=0).astype("<i4") for name in ("question", "a", "b")},
        "status": answers["status"].to_numpy(dtype="u1"),
        "position": answers["shown_position"].to_numpy(dtype="<i2"),
        "value": answers["value"].to_numpy(dtype="<f4"),
        "of": answers["question"].to_numpy(dtype="<i4"),
    }
    layout, place = {}, 0
    for name, column in columns.items():
        layout[name] = [f"{column.dtype.kind}{column.dtype.itemsize}", place, len(column)]
        place += -(-column.nbytes // 8) * 8
    header = _json({**_header(data, kept, n_all), "pages": list(pages), "columns": layout})
    header += b" " * (-(len(header) + 8) % 8)
    body = b"".join(column.tobytes() + b"\0" * (-column.nbytes % 8) for column in columns.values())
    return _packed(len(header).to_bytes(8, "little") + header + body)


def _header(data: ExplorerData, kept: Kept, n_all: int) -> dict[str, Any]:
    """Names, and what is left out."""
    lacks = {}
    for name, mask, column in (("outputs", kept.outputs, "output"), ("prompts", kept.prompts, "prompt")):
        gone = np.append(~mask & data.answers[column].notna().to_numpy(), False)
        lacks[name] = int((gone[data.rows["a"].to_numpy()] | gone[data.rows["b"].to_numpy()]).sum())
    return {
        "pairs": [list(pair) for pair in data.pairs],
        "places": list(data.places),
        "models": list(data.models),
        "tasks": [[task.name, task.metric, task.right, task.restricted] for task in data.tasks],
        "strategies": list(data.strategies),
        "perturbations": list(data.perturbations),
        "statuses": list(ALL_STATUSES),
        "outcomes": list(OUTCOMES),
        "missing": data.missing,
        "names": [question.name for question in data.questions],
        "groups": [question.group for question in data.questions],
        "languages": [question.language for question in data.questions],
        "variants": [question.variant for question in data.questions],
        "snippets": [_snippet(question) for question in data.questions],
        "n_rows_left_out": n_all - len(data.rows),
        "n_rows_without": lacks,
    }


def _snippet(question: Question) -> str:
    if question.sample is None:
        return ""
    words = " ".join(question.sample.question[: 4 * N_SNIPPET].split())
    return words if len(words) <= N_SNIPPET else f"{words[: N_SNIPPET - 1]}…"


def _json(content: Any) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:  # a lone surrogate: only an escape carries it
        return json.dumps(content, separators=(",", ":")).encode()


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, LEVEL, mtime=0)).decode("ascii")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Which answers keep what."""

    outputs: Bools
    """Per answer: output, text read, probabilities."""
    prompts: Bools
    """Per answer: the prompt."""


@dataclass(kw_only=True, slots=True)
class Texts:
    """The distinct texts of a page, numbered as they come."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Text to number."""
    n_characters: int = 0
    """Of all of them."""

    def number(self, text: str) -> int:
        """The number of a text, a new one if it was not there."""
        if text not in self.numbers:
            self.numbers[text] = len(self.numbers)
            self.n_characters += len(text)
        return self.numbers[text]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The texts of some neighbouring questions."""

    first: int
    """Number of its first question."""
    content: str
    """gzip in base64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """The explorer's data as they stand in the page."""

    index: str
    """gzip in base64."""
    pages: tuple[str, ...]
    """gzip in base64, one after the other."""
    n_rows: int
    """Rows that are in."""
    n_rows_left_out: int
    """Rows that are not."""
