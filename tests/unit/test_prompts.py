"""Rendering: conversations, exactly one BOS, label ids, continuations, and the traps around them."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from evalsuite import bytetext
from evalsuite.config import Prompting
from evalsuite.errors import UserError
from evalsuite.formats import Layout
from evalsuite.models import ChatEntry, Checkpoint
from evalsuite.prompts import Renderer, check_letters, conversation, open_renderer, pair_difference
from evalsuite.prompts.templates import format_date
from evalsuite.types import Message, Prompt
from tests.families import FAMILIES, LLAMA_3, family_template, family_tokenizer, save_family

PLAIN = ChatEntry(template="plain")
QUESTION = "Question: Which organ makes insulin?\nA. Pancreas\nB. Spleen\nAnswer:"
TURNS = "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>' + m['content'] + '<|eot_id|>' }}{% endfor %}"
OPENED = "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>' }}{% endif %}"


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", text=text),)


def layout(text: str, joint: str = " ") -> Layout:
    return Layout(user=text, joint=joint, answers=())


def byte_pieces(*merges: tuple[str, str]) -> Tokenizer:
    """Byte-level BPE without any split, with just these merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: index for index, piece in enumerate([*alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(LLAMA_3.special))
    return tokenizer


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return save_family(tmp_path_factory.mktemp("prompts") / "llama", LLAMA_3, template=family_template("llama-3"))


@pytest.fixture(scope="session")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Renderer]:
    """A renderer of each family, with template and plain."""
    made = {}
    for name, family in FAMILIES.items():
        checkpoint = save_family(tmp_path_factory.mktemp("everyone") / name, family, template=family_template(name))
        made[name] = open_renderer(checkpoint, ChatEntry(), Prompting())
        made[f"{name} plain"] = open_renderer(checkpoint, PLAIN, Prompting())
    return made


def renderer_of(folder: Path, template: str | None, chat: ChatEntry | None = None, tokenizer: Tokenizer | None = None) -> Renderer:
    checkpoint = save_family(folder / "model", LLAMA_3, template=template, tokenizer=tokenizer)
    return open_renderer(checkpoint, chat or ChatEntry(), Prompting())


class TestConversation:
    def test_turns_hold_the_instruction_once(self) -> None:
        shots = [(layout("q1"), "A"), (layout("q2"), "B")]
        messages = conversation("Do it.", shots, layout("q3"), "S", "turns")
        assert [(message.role, message.text) for message in messages] == [
            ("system", "S"),
            ("user", "Do it.\n\nq1"),
            ("assistant", "A"),
            ("user", "q2"),
            ("assistant", "B"),
            ("user", "q3"),
        ]

    def test_text_is_one_user_turn(self) -> None:
        shots = [(layout("q1"), "A"), (layout("q2", "\n"), "Answer: B")]
        messages = conversation("Do it.", shots, layout("q3"), None, "text")
        assert messages == (Message(role="user", text="Do it.\n\nq1 A\n\nq2\nAnswer: B\n\nq3"),)

    def test_nothing_is_added_to_a_bare_question(self) -> None:
        assert conversation("", [], layout("q")) == user("q")

    def test_empty_system_text_is_a_turn_and_none_is_not(self) -> None:
        assert conversation("", [], layout("q"), "")[0] == Message(role="system", text="")
        assert len(conversation("", [], layout("q"), None)) == 1

    def test_other_words_are_refused(self) -> None:
        with pytest.raises(ValueError, match="turns or text"):
            conversation("", [], layout("q"), None, "both")


class TestBos:
    def test_template_and_tokenizer_that_both_bring_one_give_one(self, llama: Checkpoint) -> None:
        renderer = open_renderer(llama, ChatEntry(), Prompting())
        assert renderer.encoder.adds_bos
        assert renderer.bos == "template"
        assert renderer.render(user(QUESTION)).token_ids.count(renderer.encoder.bos_id) == 1

    def test_template_without_bos_gets_the_tokenizers(self, tmp_path: Path) -> None:
        prompt = renderer_of(tmp_path, TURNS + OPENED).render(user(QUESTION))
        assert prompt.text.startswith("<|begin_of_text|><|start_header_id|>user")
        assert prompt.token_ids[0] != prompt.token_ids[1]

    def test_plain_gets_one_where_the_tokenizer_adds_it(self, llama: Checkpoint) -> None:
        renderer = open_renderer(llama, PLAIN, Prompting())
        prompt = renderer.render(user(QUESTION))
        assert prompt.token_ids == tuple(renderer.encoder.tokenizer(QUESTION)["input_ids"])
        assert prompt.text == "<|begin_of_text|>" + QUESTION

    def test_plain_gets_one_where_only_the_own_template_shows_it(self, tmp_path: Path) -> None:
        tokenizer = byte_pieces()
        renderer = renderer_of(tmp_path, "{{ bos_token }}" + TURNS + OPENED, PLAIN, tokenizer)
        assert not renderer.encoder.adds_bos
        assert renderer.render(user(QUESTION)).token_ids[0] == tokenizer.token_to_id("<|begin_of_text|>")

    def test_model_without_bos_gets_none(self, everyone: dict[str, Renderer]) -> None:
        for name in ("chatml", "chatml plain"):
            assert everyone[name].bos == "none"
            assert not everyone[name].render(user("x")).text.startswith("<|endoftext|>")

    def test_two_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"with 2 <\|begin_of_text\|>, exactly one"):
            renderer_of(tmp_path, "{{ bos_token }}{{ bos_token }}" + TURNS + OPENED)

    def test_one_that_does_not_come_first_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"with 2 <\|begin_of_text\|>, exactly one"):
            renderer_of(tmp_path, "{{ '\\n' + bos_token }}" + TURNS + OPENED)

    def test_one_per_turn_is_refused_where_there_are_turns(self, tmp_path: Path) -> None:
        template = "{% for m in messages %}{{ (bos_token if m['role'] == 'user' else '') + m['content'] }}{% endfor %}"
        renderer = renderer_of(tmp_path, template)
        assert renderer.render(user("x")).text == "<|begin_of_text|>x"
        with pytest.raises(UserError, match="shots_as: text"):
            renderer.render((*user("x"), Message(role="assistant", text="y"), *user("z")))

    def test_bos_spelled_by_a_question_stays_text(self, everyone: dict[str, Renderer]) -> None:
        for renderer in everyone.values():
            bos, eos = renderer.encoder.bos_text or "<|im_start|>", str(renderer.encoder.tokenizer.eos_token)
            prompt = renderer.render(user(f"a {bos} b{eos}c {bos}{eos}"))
            clean = renderer.render(user("a b c"))
            for token in (renderer.encoder.bos_id, renderer.encoder.eos_id):
                assert prompt.token_ids.count(token) == clean.token_ids.count(token)
            assert f"a {bos} b{eos}c {bos}{eos}" in prompt.text
            spelled = str(renderer.encoder.tokenizer.decode(list(prompt.token_ids)))
            assert spelled.replace(" ", "") == prompt.text.replace(" ", "")
            assert len(renderer.label_ids(prompt, ("A", "B"))) == 2


class TestTemplates:
    def test_a_missing_template_says_what_to_set(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"chat\.template = own: the checkpoint has no chat template: set chat\.template to plain"):
            renderer_of(tmp_path, None)

    def test_a_file_replaces_the_own_one(self, tmp_path: Path, llama: Checkpoint) -> None:
        file = tmp_path / "other.jinja"
        file.write_text("{{ bos_token }}Q {{ messages[-1]['content'] }}{% if add_generation_prompt %} R{% endif %}", encoding="utf-8")
        renderer = open_renderer(llama, ChatEntry(template=str(file)), Prompting())
        assert renderer.render(user("x")).text == "<|begin_of_text|>Q x R"

    def test_a_broken_template_is_the_users_fault(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="not valid Jinja"):
            renderer_of(tmp_path, "{% for m in %}")

    def test_a_template_that_opens_no_turn_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="ignores add_generation_prompt"):
            renderer_of(tmp_path, "{{ bos_token }}" + TURNS)

    def test_a_template_that_drops_the_system_text_gets_it_folded(self, tmp_path: Path) -> None:
        turns = TURNS.replace("messages %}", "messages if m['role'] != 'system' %}")
        renderer = renderer_of(tmp_path, "{{ bos_token }}" + turns + OPENED)
        assert renderer.folds_system
        assert "<|end_header_id|>S\n\nx<|eot_id|>" in renderer.render((Message(role="system", text="S"), *user("x"))).text

    def test_fold_is_obeyed_where_the_role_exists(self, llama: Checkpoint) -> None:
        renderer = open_renderer(llama, ChatEntry(system="fold"), Prompting())
        text = renderer.render((Message(role="system", text="S"), *user("x"))).text
        assert "<|start_header_id|>system" not in text
        assert "S\n\nx<|eot_id|>" in text

    def test_generation_marks_are_read(self, tmp_path: Path) -> None:
        template = "{{ bos_token }}{% for m in messages %}{% generation %}{{ m['content'] }}\n{% endgeneration %}{% endfor %}"
        assert renderer_of(tmp_path, template).render(user("x")).text == "<|begin_of_text|>x\n"

    def test_lines_of_marks_leave_no_space(self, tmp_path: Path) -> None:
        """As transformers renders: a line that holds only a block vanishes."""
        template = (
            "{{ bos_token }}{% for m in messages %}\n  {% if m['role'] == 'user' %}\n<{{ m['content'] }}>\n  {% endif %}\n{% endfor %}\n"
        )
        opened = template + "{% if add_generation_prompt %}\nA:\n{% endif %}"
        assert renderer_of(tmp_path, opened).render(user("x")).text == "<|begin_of_text|><x>\nA:\n"

    def test_refusals_hold_no_text_of_the_sample(self, tmp_path: Path) -> None:
        template = "{{ bos_token }}{% if 'secret' in messages[0]['content'] %}{{ messages[0]['content'] + 1 }}{% endif %}" + TURNS + OPENED
        renderer = renderer_of(tmp_path, template)
        with pytest.raises(UserError) as caught:
            renderer.render(user("a secret of a patient"))
        assert "patient" not in str(caught.value)

    def test_a_conversation_ends_with_the_user(self, llama: Checkpoint) -> None:
        renderer = open_renderer(llama, ChatEntry(), Prompting())
        for messages in ((), (Message(role="assistant", text="x"),)):
            with pytest.raises(ValueError, match="ends with a user turn"):
                renderer.render(messages)

    def test_truncation_of_the_tokenizer_file_is_switched_off(self, tmp_path: Path) -> None:
        tokenizer = family_tokenizer(LLAMA_3)
        tokenizer.enable_truncation(8)
        tokenizer.enable_padding(length=5000, pad_token="<|end_of_text|>", pad_id=tokenizer.token_to_id("<|end_of_text|>"))
        renderer = renderer_of(tmp_path, None, PLAIN, tokenizer)
        prompt = renderer.render(user(QUESTION))
        assert renderer.encoder.tokenizer.decode(list(prompt.token_ids)) == "<|begin_of_text|>" + QUESTION

    def test_dates_are_english_whatever_the_locale(self) -> None:
        day = datetime.date(2024, 3, 4)
        assert format_date(day, "%d %b %Y") == "04 Mar 2024"
        assert format_date(day, "%A, %B %d, %Y %H:%M") == "Monday, March 04, 2024 00:00"


class TestLabels:
    def test_one_id_per_label_with_the_prompt_left_as_it_is(self, everyone: dict[str, Renderer]) -> None:
        for name, renderer in everyone.items():
            prompt = renderer.render(user(QUESTION))
            ids = renderer.label_ids(prompt, ("A", "B", "C", "D"))
            joint = " " if "plain" in name or name == "mistral" else ""
            for label, token in zip("ABCD", ids, strict=True):
                assert renderer.encoder.tokenizer.decode([token]).strip() == label
                behind = renderer.encoder.tokenizer.decode([*prompt.token_ids, token])[
                    len(renderer.encoder.tokenizer.decode(list(prompt.token_ids))) :
                ]
                assert behind == joint + label

    def test_the_letter_alone_is_another_token(self, llama: Checkpoint) -> None:
        plain = open_renderer(llama, PLAIN, Prompting())
        chat = open_renderer(llama, ChatEntry(), Prompting())
        behind_cue = plain.label_ids(plain.render(user(QUESTION)), ("A",))
        in_turn = chat.label_ids(chat.render(user(QUESTION)), ("A",))
        assert in_turn == chat.encoder.encode("A")
        assert behind_cue == plain.encoder.encode(" A")
        assert behind_cue != in_turn

    def test_a_label_that_merges_with_the_prompt_is_refused(self, tmp_path: Path) -> None:
        renderer = renderer_of(tmp_path, None, PLAIN, byte_pieces((":", "Ġ"), (":Ġ", "A")))
        with pytest.raises(UserError, match="model model: label = 'A': merges with the end of the prompt"):
            renderer.label_ids(renderer.render(user(QUESTION)), ("A", "B"))

    def test_a_label_that_splits_is_refused(self, tmp_path: Path) -> None:
        renderer = renderer_of(tmp_path, None, PLAIN, byte_pieces(("Ġ", "A")))
        prompt = renderer.render(user(QUESTION))
        assert len(renderer.label_ids(prompt, ("A",))) == 1
        with pytest.raises(UserError, match="label = 'B': splits into 2 tokens"):
            renderer.label_ids(prompt, ("A", "B"))

    def test_labels_that_share_a_token_or_are_unknown_are_refused(self, tmp_path: Path) -> None:
        words = {"[UNK]": 0, "Answer": 1, ":": 2, "A": 3}
        tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        checkpoint = save_family(tmp_path / "words", LLAMA_3, tokenizer=tokenizer, unk_token="[UNK]")
        renderer = open_renderer(checkpoint, PLAIN, Prompting())
        prompt = renderer.render(user("Answer:"))
        with pytest.raises(UserError, match="has the same token as 'A'"):
            renderer.label_ids(prompt, ("A", "A"))
        with pytest.raises(UserError, match="not in the model's vocabulary"):
            renderer.label_ids(prompt, ("A", "B"))

    def test_thinking_models_are_refused(self, llama: Checkpoint) -> None:
        chat = ChatEntry(thinking=("<think>", "</think>"))
        renderer = open_renderer(llama, chat, Prompting())
        with pytest.raises(UserError, match=r"models\.llama\.chat\.thinking"):
            renderer.label_ids(renderer.render(user(QUESTION)), ("A",))
        assert check_letters(ChatEntry()) is None
        assert "letters are refused" in str(check_letters(chat))

    @pytest.mark.parametrize(("prefix", "asked", "ids"), [("The answer is", "", " A"), ("Answer:\n", "", "A")])
    def test_an_answer_prefix_stands_before_the_label(self, llama: Checkpoint, prefix: str, asked: str, ids: str) -> None:
        renderer = open_renderer(llama, ChatEntry(answer_prefix=prefix), Prompting())
        prompt = renderer.render(user(QUESTION))
        assert prompt.text.endswith(f"assistant<|end_header_id|>\n\n{prefix}")
        assert renderer.label_ids(prompt, ("A",)) == renderer.encoder.encode(ids)


class TestContinuations:
    def test_they_are_the_rest_of_the_whole(self, everyone: dict[str, Renderer]) -> None:
        texts = ("Vitamin C", "yes", "a man of 45 years", "ñandú; 3")
        for name, renderer in everyone.items():
            prompt = renderer.render(user(QUESTION))
            joint = " " if "plain" in name or name == "mistral" else ""
            body = prompt.text.removeprefix(renderer.encoder.bos_text) if renderer.bos == "prefixed" else prompt.text
            for text, ids in zip(texts, renderer.continuation_ids(prompt, texts), strict=True):
                whole = renderer.encoder.tokenizer(body + joint + text, add_special_tokens=renderer.bos == "prefixed")["input_ids"]
                assert [*prompt.token_ids, *ids] == whole
            assert not renderer.counts.get("boundary")

    def test_a_merge_at_the_joint_is_counted_and_spells_the_same(self, tmp_path: Path) -> None:
        renderer = renderer_of(tmp_path, None, PLAIN, byte_pieces((":", "Ġ"), (":Ġ", "A")))
        prompt = renderer.render(user(QUESTION))
        both = renderer.continuation_ids(prompt, ("A b", "c"))
        assert renderer.counts["boundary"] == 2
        assert [renderer.encoder.tokenizer.decode([*prompt.token_ids, *ids]) for ids in both] == [prompt.text + " A b", prompt.text + " c"]

    @pytest.mark.parametrize("text", ["", " ", "\n"])
    def test_an_empty_choice_is_a_fault(self, llama: Checkpoint, text: str) -> None:
        renderer = open_renderer(llama, PLAIN, Prompting())
        with pytest.raises(UserError, match="continuation 2 of 2: is empty"):
            renderer.continuation_ids(renderer.render(user(QUESTION)), ("x", text))

    def test_control_tokens_spelled_by_a_choice_stay_text(self, llama: Checkpoint) -> None:
        renderer = open_renderer(llama, ChatEntry(), Prompting())
        (ids,) = renderer.continuation_ids(renderer.render(user(QUESTION)), ("a<|eot_id|>b",))
        assert renderer.encoder.eos_id not in ids
        assert renderer.encoder.tokenizer.decode(list(ids)) == "a<|eot_id|>b"

    @settings(max_examples=60, deadline=None)
    @given(text=st.text(alphabet="AB :\n.,x1é", max_size=40), suffix=st.sampled_from([" A", "A", " yes no", "1", " ", "\nA", ": B", "é"]))
    def test_the_short_way_is_the_long_way(self, everyone: dict[str, Renderer], text: str, suffix: str) -> None:
        """What follows a prompt, found from its last line, is what tokenizing the whole again gives."""
        for renderer in everyone.values():
            prompt = renderer.render(user(f"Question: {text}\nAnswer:{text}"))
            short = renderer._short_following(prompt, suffix)
            if short is not None:
                assert renderer._encode(prompt.text + suffix) == prompt.token_ids + short

    def test_the_short_way_is_taken(self, everyone: dict[str, Renderer]) -> None:
        for renderer in everyone.values():
            prompt = renderer.render(user(QUESTION))
            assert renderer._short_following(prompt, " A") is not None
            for _ in range(30):
                renderer.label_ids(prompt, ("A", "B"))
            assert renderer.counts["checked"] >= 16
            assert not renderer.counts.get("distrusted")

    def test_the_short_way_is_given_up_once_it_differs(self, llama: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        renderer = open_renderer(llama, PLAIN, Prompting())
        prompt = renderer.render(user(QUESTION))
        right = renderer.label_ids(prompt, ("A", "B"))
        monkeypatch.setattr(Renderer, "_short_following", lambda *_: (0,))
        for _ in range(30):
            assert renderer.label_ids(prompt, ("A", "B")) == right
        assert renderer.counts["distrusted"] == 1


class TestStub:
    CHECKPOINT = Checkpoint(name="stub", path="stub:right", fingerprint="0" * 64)

    def test_it_reads_bytes_with_marks_in_plain_text(self) -> None:
        renderer = open_renderer(self.CHECKPOINT, ChatEntry(), Prompting())
        prompt = renderer.render((Message(role="system", text="S"), *user("ñ")))
        assert bytetext.decode(prompt.token_ids) == "<|system|>\nS\n<|user|>\nñ\n<|assistant|>\n"
        assert prompt.token_ids[0] == bytetext.BOS
        assert prompt.token_ids.count(bytetext.BOS) == 1

    @pytest.mark.parametrize("template", ["own", "plain"])
    def test_its_labels_are_bytes(self, template: str) -> None:
        renderer = open_renderer(self.CHECKPOINT, ChatEntry(template=template), Prompting())
        prompt = renderer.render(user(QUESTION))
        assert renderer.label_ids(prompt, ("A", "B")) == (65, 66)

    def test_its_continuations_are_bytes(self) -> None:
        renderer = open_renderer(self.CHECKPOINT, PLAIN, Prompting())
        assert renderer.continuation_ids(renderer.render(user(QUESTION)), ("yes",)) == (tuple(b" yes"),)


def test_an_unreadable_tokenizer_is_the_users_fault(tmp_path: Path) -> None:
    checkpoint = save_family(tmp_path / "model", LLAMA_3)
    (tmp_path / "model" / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"model model: tokenizer = .*cannot be read"):
        open_renderer(checkpoint, PLAIN, Prompting())


def test_pair_difference_shows_what_differs_only() -> None:
    a = Prompt(token_ids=(1,), text="<s>one\ntwo\nthree")
    b = Prompt(token_ids=(2,), text="<s>one\n2\nthree")
    assert pair_difference(a, a) == ""
    assert pair_difference(a, b, names=("m", "n")).splitlines() == ["--- m", "+++ n", "@@ -2 +2 @@", "-two", "+2"]
    long = Prompt(token_ids=(3,), text="\n".join(map(str, range(100))))
    assert pair_difference(a, long, n_lines=5).splitlines()[5:] == ["(101 more lines)"]
