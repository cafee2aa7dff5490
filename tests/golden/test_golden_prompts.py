"""Rendered prompts against texts written by hand from the families' published chat templates."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from evalsuite.config import Prompting
from evalsuite.formats import WORDINGS, Layout, lay_out, right_answer
from evalsuite.models import ChatEntry
from evalsuite.prompts import Renderer, conversation, open_renderer
from evalsuite.types import Message, Sample
from tests.families import FAMILIES, family_template, save_family

PROMPTS = Path(__file__).parent / "prompts"
BUILD = {name: name for name in FAMILIES} | {"llama-3.2-clock": "llama-3.2", "mistral-v0.1": "mistral", "plain": "llama-3"}
"""Golden family to tokenizer family."""
CASES = ("zero_shot", "turns", "text")
N_BOS = {name: 0 if FAMILIES[build].bos is None else 1 for name, build in BUILD.items()}


def sample(question: str, choices: tuple[str, ...], target: int) -> Sample:
    return Sample(id=question[:8], group="g", question=question, choices=choices, targets=(target,))


SHOTS = (
    sample("Which sign points to a lack of iron?", ("Pallor", "Jaundice"), 0),
    sample("Which vitamin prevents scurvy?", ("Vitamin K", "Vitamin C"), 1),
)
ASKED = sample("Which organ makes insulin?", ("Pancreas", "Spleen", "Thyroid"), 0)


def letters(one: Sample) -> Layout:
    return lay_out(one, "letters", WORDINGS["en"])


def messages_of(case: str) -> tuple[Message, ...]:
    shots = [(letters(shot), right_answer(shot, "letters", WORDINGS["en"])) for shot in SHOTS]
    if case == "zero_shot":
        return conversation("", [], letters(ASKED), None, "turns")
    if case == "turns":
        return conversation("Answer the question.", shots, letters(ASKED), "You are a careful clinician.", "turns")
    return conversation("Answer the question.", shots, letters(ASKED), None, "text")


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Renderer]:
    made = {}
    for name, build in BUILD.items():
        template = None if name == "plain" else family_template(name)
        checkpoint = save_family(tmp_path_factory.mktemp("family") / name, FAMILIES[build], template=template)
        made[name] = open_renderer(checkpoint, ChatEntry(template="plain" if name == "plain" else "own"), Prompting())
    return made


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", BUILD)
def test_text_is_the_published_one(renderers: dict[str, Renderer], name: str, case: str) -> None:
    expected = (PROMPTS / f"{name}_{case}.txt").read_text(encoding="utf-8").removesuffix("\n")
    assert renderers[name].render(messages_of(case)).text == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", BUILD)
def test_ids_spell_the_text_with_one_bos(renderers: dict[str, Renderer], name: str, case: str) -> None:
    renderer = renderers[name]
    prompt = renderer.render(messages_of(case))
    bos = renderer.encoder.bos_id
    assert (bos is None) == (N_BOS[name] == 0)
    if bos is not None:
        assert prompt.token_ids[0] == bos
        assert prompt.token_ids.count(bos) == 1
    spelled = renderer.encoder.tokenizer.decode(list(prompt.token_ids))
    # SentencePiece builds of the Llama 2 kind put a space in front of each stretch of text
    assert spelled.replace(" ", "") == prompt.text.replace(" ", "")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", [name for name in BUILD if name not in ("plain", "llama-3.2-clock")])
def test_ids_are_those_of_transformers(renderers: dict[str, Renderer], name: str, case: str) -> None:
    renderer = renderers[name]
    messages = messages_of(case)
    if renderer.folds_system and messages[0].role == "system":
        first = Message(role="user", text=f"{messages[0].text}\n\n{messages[1].text}")
        messages = (first, *messages[2:])
    turns = [{"role": message.role, "content": message.text} for message in messages]
    tokenizer = renderer.encoder.tokenizer
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, date_string="26 Jul 2024", return_dict=False)
    assert renderer.render(messages_of(case)).token_ids == tuple(ids)


def test_plain_ids_are_those_of_the_tokenizer_alone(renderers: dict[str, Renderer]) -> None:
    renderer = renderers["plain"]
    text = (PROMPTS / "plain_turns.txt").read_text(encoding="utf-8").removesuffix("\n").removeprefix("<|begin_of_text|>")
    assert renderer.render(messages_of("turns")).token_ids == tuple(renderer.encoder.tokenizer(text)["input_ids"])


@pytest.mark.parametrize(("name", "folds"), [("llama-3.1", False), ("mistral", False), ("mistral-v0.1", True), ("gemma", True)])
def test_system_role_is_found_out(renderers: dict[str, Renderer], name: str, folds: bool) -> None:
    assert renderers[name].folds_system is folds


@pytest.mark.parametrize(("name", "lead"), [("llama-3", ""), ("mistral", " "), ("mistral-v0.1", ""), ("gemma", ""), ("chatml", "")])
def test_lead_is_what_the_template_writes_before_an_answer(renderers: dict[str, Renderer], name: str, lead: str) -> None:
    assert renderers[name].lead == lead


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", BUILD)
def test_letter_ids_are_what_follows_in_the_finished_turn(renderers: dict[str, Renderer], name: str, case: str) -> None:
    """Independent of `label_ids`: the finished turn is written out, tokenized whole, and the token behind the prompt read off."""
    renderer = renderers[name]
    prompt = renderer.render(messages_of(case))
    ids = renderer.label_ids(prompt, ("A", "B", "C"))
    joint = " " if name in ("plain", "mistral") else ""
    for label, token in zip(("A", "B", "C"), ids, strict=True):
        whole = renderer.encoder.tokenizer(prompt.text + joint + label, add_special_tokens=False)["input_ids"]
        assert whole[:-1] == list(prompt.token_ids)
        assert whole[-1] == token
        assert renderer.encoder.tokenizer.decode([token]).strip() == label


@pytest.mark.parametrize("name", ["llama-3.1", "llama-3.2", "llama-3.2-clock"])
def test_the_study_fixes_the_date(tmp_path: Path, name: str) -> None:
    checkpoint = save_family(tmp_path / name, FAMILIES[BUILD[name]], template=family_template(name))
    renderer = open_renderer(checkpoint, ChatEntry(), Prompting(date=datetime.date(2025, 3, 1)))
    text = renderer.render(messages_of("zero_shot")).text
    assert "Today Date: 01 Mar 2025\n" in text
    assert "26 Jul 2024" not in text
