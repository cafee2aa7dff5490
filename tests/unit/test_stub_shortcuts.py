"""What the stub finds by a short way is what the plain way finds: questions, labels, ids, and the text that its chance is drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.bytetext import BOS, EOS, N_VOCABULARY, decode, encode
from evalsuite.engines._limits import Limits, refusal
from evalsuite.engines._stub_numbers import _written, chance
from evalsuite.engines._stub_prompts import Endings, endings_of, find_right
from evalsuite.types import Prompt, Request

PIECES = st.sampled_from(
    ["a", "b", "A. ", "B. ", "longlabel. ", "x y. ", "\n", " ", "?", "Which drug?", "drug?", "\u2003", "\x1c", ".", "é"]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
LIMITS = Limits(kinds=frozenset({"next", "continuation"}), n_context_tokens=100, n_vocabulary=1_000)


def plainly(text: str, sheet: Mapping[str, str]) -> tuple[str, str] | None:
    """Every question is looked for, and the label by a pattern."""
    ends = ((text.rfind(question), question) for question in sheet)
    found = max(((start + len(question), len(question), question) for start, question in ends if start >= 0), default=None)
    if found is None:
        return None
    right = sheet[found[2]]
    label = re.search(rf"^(\S{{1,8}})\. {re.escape(right)}$", text[found[0] :], re.MULTILINE)
    return right, label.group(1) if label else ""


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, sheet=st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=6), more=TEXTS)
def test_the_last_question_and_its_label(text: str, sheet: dict[str, str], more: str) -> None:
    asked = [
        text,
        *(f"{text}{question}{more}" for question in sheet),
        *(f"{question}\nA. x\nB. {sheet[question]}\n{text}" for question in sheet),
    ]
    for prompt in asked:
        assert find_right(prompt, sheet) == find_right(prompt, sheet, endings_of(sheet)) == plainly(prompt, sheet)


def test_ends_are_as_long_as_the_shortest_question_allows() -> None:
    assert endings_of(["Which drug is right?", "What drug is right?"]) == Endings(n_characters=12, lengths={"ug is right?": [20, 19]})
    assert endings_of(["ab", "b", "xx"]) == Endings(n_characters=1, lengths={"b": [2, 1], "x": [2]})


@pytest.mark.parametrize(
    "ids", [(), (BOS,), (BOS, *b"abc"), (*b"abc", EOS), (97, BOS, EOS, 98), (BOS, BOS, 97), (BOS, 0xC3), tuple("ñ".encode())]
)
def test_marks_are_left_out_wherever_they_stand(ids: tuple[int, ...]) -> None:
    assert decode(ids) == bytes(token for token in ids if token < BOS).decode("utf-8", errors="replace")


@pytest.mark.parametrize("ids", [(-1,), (BOS, -1), (97, N_VOCABULARY), (BOS, 2**70)])
def test_ids_of_no_byte_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="outside"):
        decode(ids)


@given(ids=st.lists(st.integers(0, N_VOCABULARY - 1), max_size=9).map(tuple))
def test_chance_is_drawn_from_what_repr_writes(ids: tuple[int, ...]) -> None:
    assert _written(ids) == repr(ids)


def test_chance_is_what_it_was() -> None:
    """Whole numbers of a bit generator are the same on every machine."""
    assert chance(3, (BOS, *encode("Which drug?")), [(65,), (66,)]).integers(1_000_000, size=3).tolist() == [821456, 377055, 375772]
    assert chance(0, (97,)).integers(1_000_000) == 320950


@settings(deadline=None)
@given(
    prompt=st.lists(st.integers(0, 999), min_size=1, max_size=5),
    offered=st.lists(st.integers(0, 999), min_size=1, max_size=3),
    bad=st.sampled_from([-1, 1_000, 2**31, 2**32, 2**70, None]),
    place=st.integers(0, 2),
)
def test_every_id_is_looked_at(prompt: list[int], offered: list[int], bad: int | None, place: int) -> None:
    lists = [list(prompt), list(offered), list(offered)]
    if bad is not None:
        lists[place].append(bad)
    asked, candidates, continuation = map(tuple, lists)
    for request in (
        Request(kind="next", prompt=Prompt(token_ids=asked, text=""), candidates=candidates, continuations=(continuation,)),
        Request(kind="continuation", prompt=Prompt(token_ids=asked, text=""), candidates=candidates, continuations=((1,), continuation)),
    ):
        found = refusal(request, LIMITS)
        assert (found is None) == (bad is None)
        assert found is None or "vocabulary of 1000" in found.message
