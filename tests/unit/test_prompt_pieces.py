"""Texts cut at their tokenizer's own seams: the ids of the whole, whatever the tokenizer; and what is kept stays within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from evalsuite.config import Prompting
from evalsuite.errors import UserError
from evalsuite.models import ChatEntry
from evalsuite.prompts import Renderer, open_renderer
from evalsuite.prompts.encoders import CheckpointEncoder
from evalsuite.prompts.pieces import Kept, parts_of, seams_of
from evalsuite.types import Message, Prompt
from tests.families import FAMILIES, LLAMA_3, byte_level_tokenizer, family_template, family_tokenizer, save_family, sentencepiece_tokenizer

QUESTION = "Question: Which organ makes insulin?\nA. Pancreas\nB. Spleen\nAnswer:"


def with_tokens(tokenizer: Tokenizer, *tokens: AddedToken) -> Tokenizer:
    tokenizer.add_special_tokens(list(tokens))
    return tokenizer


def first_only() -> Tokenizer:
    """A space in front of the very start alone, and no split at all."""
    tokenizer = sentencepiece_tokenizer("replace")
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return with_tokens(tokenizer, AddedToken("<s>", normalized=False), AddedToken("<e>", normalized=False))


def greedy_tokens() -> Tokenizer:
    """Tokens that swallow white space, that want to be words, that lie in one another, and that are looked for after normalisation."""
    tokenizer = byte_level_tokenizer()
    tokenizer.normalizer = normalizers.Lowercase()
    return with_tokens(
        tokenizer,
        AddedToken("<s>", normalized=False),
        AddedToken("<s>x", normalized=False),
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("<late>", normalized=True),
    )


def spaced() -> Tokenizer:
    """A space in front of every stretch between two tokens."""
    tokenizer = byte_level_tokenizer()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return with_tokens(tokenizer, AddedToken("<s>", normalized=False), AddedToken("<e>", normalized=False))


BUILDS: dict[str, Callable[[], Tokenizer]] = {
    **{name: (lambda family=family: family_tokenizer(family)) for name, family in FAMILIES.items()},  # type: ignore[misc]
    "first only": first_only,
    "greedy tokens": greedy_tokens,
    "spaced": spaced,
}
WORDS = [
    "Vitamin",
    " word",
    "word",
    "x",
    " ",
    "  ",
    "\n",
    "\n\n",
    "é",
    "A.",
    "▁",
    "45",
    "<",
    "<s>",
    "<e>",
    "<left>",
    "<right>",
    "<late>",
    "<LATE>",
]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: build() for name, build in BUILDS.items()}


@settings(max_examples=150, deadline=None)
@given(drawn=st.lists(st.one_of(st.sampled_from(WORDS), st.integers(0, 5)), max_size=14))
def test_the_parts_give_the_ids_of_the_whole(tokenizers: dict[str, Tokenizer], drawn: list[str | int]) -> None:
    """Whole numbers stand for a family's own special tokens."""
    for name, tokenizer in tokenizers.items():
        own = FAMILIES[name].special if name in FAMILIES else ("<s>",)
        text = "".join(piece if isinstance(piece, str) else own[piece % len(own)] for piece in drawn)
        seams = seams_of(tokenizer.get_added_tokens_decoder().values())
        assert seams is not None
        parts = parts_of(text, seams)
        assert "".join(parts) == text
        ids = [one for part in parts for one in tokenizer.encode(part, add_special_tokens=False).ids]
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids, (name, text)
        assert tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids == ids


def test_a_text_is_cut_in_front_of_plain_tokens_only() -> None:
    seams = seams_of(greedy_tokens().get_added_tokens_decoder().values())
    assert seams is not None
    assert parts_of("a<s>b <left><s>xc<late><s>", seams) == ["a", "<s>b <left>", "<s>xc<late>", "<s>"]
    assert parts_of("", seams) == [""]
    assert parts_of("<s>", seams) == ["<s>"]


def test_without_plain_tokens_nothing_is_cut() -> None:
    assert seams_of([]) is None
    assert seams_of([AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<late>", normalized=True)]) is None


class TestKept:
    def test_a_part_is_encoded_once(self) -> None:
        asked: list[str] = []

        def encode(part: str) -> tuple[int, ...]:
            asked.append(part)
            return tuple(part.encode())

        kept = Kept(encode=encode)
        assert [kept.ids(part) for part in ("a", "b", "a", "a")] == [(97,), (98,), (97,), (97,)]
        assert asked == ["a", "b"]

    def test_what_was_not_used_for_longest_makes_room(self) -> None:
        # 44 bytes each: 16 of them are less than 720, 17 are more.
        kept = Kept(encode=lambda part: tuple(part.encode()), n_bytes=720)
        for part in "abcdefghijklmnop":
            kept.ids(part)
        kept.ids("a")
        kept.ids("q")
        assert list(kept.found) == [*"cdefghijklmnop", "a", "q"]
        assert kept.n_held == 44 * 16

    def test_a_part_that_would_drive_many_out_is_not_kept(self) -> None:
        kept = Kept(encode=lambda part: tuple(part.encode()), n_bytes=720)
        assert kept.ids("ab") == (97, 98)
        assert not kept.found
        assert kept.n_held == 0


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Renderer]:
    """A renderer of each build, with template and plain, that has seen enough prompts to trust their last lines."""
    made = {}
    for name in ("llama-3", "mistral", "gemma"):
        checkpoint = save_family(tmp_path_factory.mktemp("labels") / name, FAMILIES[name], template=family_template(name))
        for form, chat in (("template", ChatEntry()), ("plain", ChatEntry(template="plain"))):
            renderer = made[f"{name} {form}"] = open_renderer(checkpoint, chat, Prompting())
            for number in range(10):
                renderer.label_ids(renderer.render((Message(role="user", text=f"{number}\n{QUESTION}"),)), ("A", "B", "C"))
    return made


class TestLabels:
    @settings(max_examples=60, deadline=None)
    @given(text=st.text(alphabet="AB :\n.x1é", max_size=30), labels=st.permutations(("A", "B", "C")))
    def test_kept_labels_are_those_of_the_whole_prompt(self, everyone: dict[str, Renderer], text: str, labels: list[str]) -> None:
        for name, renderer in everyone.items():
            prompt = renderer.render((Message(role="user", text=f"{text}\n{QUESTION}"),))
            found = renderer.label_ids(prompt, labels)
            assert renderer._labels, name
            gap = renderer._gap(" ")
            assert [renderer._encode(prompt.text + gap + label)[len(prompt.token_ids) :] for label in labels] == [(one,) for one in found]

    def test_a_line_that_the_prompt_reads_otherwise_is_not_taken(self, everyone: dict[str, Renderer]) -> None:
        for renderer in everyone.values():
            prompt = renderer.render((Message(role="user", text=QUESTION),))
            renderer.label_ids(prompt, ("A", "B"))
            other = Prompt(token_ids=(*prompt.token_ids[:-1], 0), text=prompt.text)
            with pytest.raises(UserError, match="merges with the end of the prompt"):
                renderer.label_ids(other, ("A", "B"))

    def test_refusals_are_not_kept(self, everyone: dict[str, Renderer]) -> None:
        for renderer in everyone.values():
            prompt = renderer.render((Message(role="user", text=QUESTION),))
            for _ in range(2):
                with pytest.raises(UserError, match="splits into"):
                    renderer.label_ids(prompt, ("A", "zzqq"))

    def test_what_is_kept_is_bounded(self, tmp_path: Path) -> None:
        checkpoint = save_family(tmp_path / "model", LLAMA_3, template=family_template("llama-3"))
        renderer = open_renderer(checkpoint, ChatEntry(), Prompting())
        for number in range(1_200):
            renderer.label_ids(renderer.render((Message(role="user", text=f"Case\n{number}:"),)), ("A",))
        renderer.label_ids(renderer.render((Message(role="user", text="Case\n" + "long " * 200),)), ("A",))
        assert 0 < len(renderer._labels) <= 1_024
        assert len(renderer._lines) <= 1_024
        assert max(map(len, renderer._lines)) <= 400


def test_shared_turns_are_tokenized_once(tmp_path: Path) -> None:
    checkpoint = save_family(tmp_path / "model", LLAMA_3, template=family_template("llama-3"))
    renderer = open_renderer(checkpoint, ChatEntry(), Prompting())
    assert isinstance(renderer.encoder, CheckpointEncoder)
    turns = [Message(role="user", text="Which sign?"), Message(role="assistant", text="Pallor")]
    renderer.render((*turns, Message(role="user", text="first")))
    before = set(renderer.encoder.kept.found)
    renderer.render((*turns, Message(role="user", text="second")))
    assert len(set(renderer.encoder.kept.found) - before) == 1
