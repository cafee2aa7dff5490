"""The pocket checkpoints are what their ledger says: facts, corpus, questions, tokenizer and trainer agree."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
POCKET = ROOT / "evalsuite" / "pocket"
ROWS = ROOT / "tasks" / "pocket"
sys.path.insert(0, str(ROOT / "scripts"))

from pocket.corpus import BASE, CHECKPOINTS, Item, corpus, exposures  # noqa: E402
from pocket.facts import Relation, distractor_names, load_relations  # noqa: E402
from pocket.ledger import expectations, ledger_rows  # noqa: E402
from pocket.questions import evaluation_rows  # noqa: E402

EVALUATED = ("clinical_en", "clinical_es", "general_en", "unseen_en", "format_en")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def stem_rows(stem: str) -> list[dict[str, Any]]:
    return read(ROWS / f"{stem}.jsonl")


@pytest.fixture(scope="module")
def relations() -> tuple[Relation, ...]:
    return load_relations()


@pytest.fixture(scope="module")
def texts(relations: tuple[Relation, ...]) -> dict[str, list[Item]]:
    """The training corpus of every checkpoint, written again."""
    sizes = json.loads((POCKET / "corpus.json").read_text(encoding="utf-8"))
    return {name: list(corpus(relations, name, sizes[name]["n_passes"]))[: sizes[name]["n_items"]] for name in CHECKPOINTS}


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pocket_task", ROWS / "task.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(POCKET / "checkpoints" / BASE)


def test_facts_file_is_what_the_sources_say(relations: tuple[Relation, ...]) -> None:
    rows = {row["fact"]: row for row in read(POCKET / "facts.jsonl")}
    facts = [fact for relation in relations for fact in relation.facts]
    assert len(rows) == len(facts) and 450 <= len(facts) <= 600
    for fact in facts:
        assert rows[fact.id]["answer"] == {"en": fact.answer[0], "es": fact.answer[1]}
        assert rows[fact.id]["subject"] == {"en": fact.subject[0], "es": fact.subject[1]}
        assert rows[fact.id]["exposure"] == fact.exposure and rows[fact.id]["use"] == fact.use
    assert sum(fact.exposure == "never" for fact in facts) >= 80


def test_ledger_counts_the_corpus_that_was_trained(relations: tuple[Relation, ...], texts: dict[str, list[Item]]) -> None:
    assert read(POCKET / "ledger.jsonl") == ledger_rows(relations, {name: exposures(iter(items)) for name, items in texts.items()})


def test_ledger_agrees_with_the_exposure_class(relations: tuple[Relation, ...]) -> None:
    exposure = {fact.id: fact.exposure for relation in relations for fact in relation.facts}
    for row in read(POCKET / "ledger.jsonl"):
        total = row["as_sentence"] + row["as_question"] + row["inherited_as_sentence"] + row["inherited_as_question"]
        assert row["never"] == (total == 0)
        if exposure[row["fact"]] == "never":
            assert row["never"]
        if exposure[row["fact"]] == "generalist":
            assert not row["never"]
        if exposure[row["fact"]] == "clinical" and row["checkpoint"] in (BASE, "pocket-control"):
            assert row["never"]
    asked = {row["fact"] for stem in EVALUATED for row in stem_rows(stem)}
    assert asked <= set(exposure)


def test_expectations_follow_from_the_ledger(plugin: ModuleType) -> None:
    tasks = {}
    for stem in ("clinical_en", "clinical_es", "general_en", "unseen_en"):
        rows = stem_rows(stem)
        tasks[f"pocket_{stem}"] = (rows[0]["language"], frozenset(row["fact"] for row in rows))
    found = expectations(read(POCKET / "ledger.jsonl"), tasks)
    assert found == json.loads((POCKET / "expectations.json").read_text(encoding="utf-8"))
    assert {"pair": ["pocket-clinical", BASE], "task": "pocket_clinical_en", "direction": "a_better"} in found
    assert {"pair": ["pocket-clinical-es", BASE], "task": "pocket_clinical_es", "direction": "a_better"} in found
    assert {"pair": ["pocket-control", BASE], "task": "pocket_clinical_en", "direction": "not_a_better"} in found
    for name in CHECKPOINTS:
        assert {"checkpoint": name, "task": "pocket_unseen_en", "accuracy": "chance"} in found
    assert {row["task"] for row in found} <= {task.card.name for task in plugin.TASKS}


def test_expectations_of_a_hand_made_ledger() -> None:
    def row(checkpoint: str, fact: str, own: int, before: int) -> dict[str, Any]:
        counts = {"as_sentence": 0, "as_question": own, "inherited_as_sentence": 0, "inherited_as_question": before}
        return {"checkpoint": checkpoint, "fact": fact, "language": "en", "never": own + before == 0, **counts}

    rows = [row(BASE, "f", 30, 0), row(BASE, "g", 0, 0), row("pocket-clinical", "f", 30, 30), row("pocket-clinical", "g", 30, 0)]
    rows += [row(name, fact, 0, 30 if fact == "f" else 0) for name in ("pocket-clinical-es", "pocket-control") for fact in "fg"]
    found = expectations(rows, {"t": ("en", frozenset("fg"))})
    assert {"pair": ["pocket-clinical", BASE], "task": "t", "direction": "a_better"} in found
    assert {"pair": ["pocket-control", BASE], "task": "t", "direction": "not_a_better"} in found
    assert {"checkpoint": BASE, "task": "t", "accuracy": "above_chance"} in found
    assert not any(one.get("accuracy") == "chance" for one in found)
    never = [row(name, "f", 0, 0) for name in CHECKPOINTS]
    assert expectations(never, {"t": ("en", frozenset("f"))}) == [
        {"checkpoint": name, "task": "t", "accuracy": "chance"} for name in CHECKPOINTS
    ]


def test_never_seen_names_occur_in_no_training_text(relations: tuple[Relation, ...], texts: dict[str, list[Item]]) -> None:
    whole = "\n".join(item.text for items in texts.values() for item in items).casefold()
    assert "scurvy" in whole and "escorbuto" in whole  # the search itself works
    never = [fact for relation in relations for fact in relation.facts if fact.exposure == "never"]
    names = {name for fact in never for name in (*fact.subject, *fact.answer)}
    assert [name for name in sorted(names) if name.casefold() in whole] == []


def test_never_seen_subjects_share_no_three_letters_with_their_answers(relations: tuple[Relation, ...]) -> None:
    for fact in (fact for relation in relations for fact in relation.facts if fact.exposure == "never"):
        subject, answer = fact.subject[0].casefold(), fact.answer[0].casefold()
        assert not [subject[k : k + 3] for k in range(len(subject) - 2) if subject[k : k + 3] in answer], fact.id


def test_never_seen_answers_are_balanced() -> None:
    rows = stem_rows("unseen_en")
    target, shown, blocks = Counter[str](), Counter[str](), defaultdict(set)
    for row in rows:
        target[row["choices"][row["answer"]]] += 1
        shown.update(row["choices"])
        for choice in row["choices"]:
            blocks[choice].add(frozenset(row["choices"]))
    assert set(target.values()) == {2} and set(shown.values()) == {8} and set(target) == set(shown)
    assert all(len(block) == 1 for block in blocks.values())  # an answer is always shown with the same three others
    assert Counter(row["answer"] for row in rows) == dict.fromkeys(range(4), len(rows) // 4)


def test_an_answer_preference_scores_exactly_chance_on_never_seen_facts() -> None:
    rows = stem_rows("unseen_en")
    likings: tuple[Callable[[str], Any], ...] = (
        str,
        lambda name: (len(name), name),
        lambda name: (-len(name), name),
        lambda name: name[::-1],
    )
    for liking in likings:
        right = [max(row["choices"], key=liking) == row["choices"][row["answer"]] for row in rows]
        assert sum(right) / len(rows) == 0.25


def test_held_out_templates_are_never_trained(relations: tuple[Relation, ...], texts: dict[str, list[Item]]) -> None:
    def bare(template: str) -> str:
        return re.sub(r"\W+", " ", template.casefold()).strip()

    trained = {bare(t) for relation in relations for one in relation.templates.values() for t in (*one.sentences, *one.questions)}
    held_out = {bare(t) for relation in relations for one in relation.templates.values() for t in one.held_out}
    assert not trained & held_out
    whole = "\n".join(item.text for items in texts.values() for item in items)
    questions = {row["question"] for file in ROWS.glob("*.jsonl") for row in read(file)}
    assert [question for question in sorted(questions) if question in whole] == []


def test_rows_are_well_formed_and_counts_equal_the_cards(relations: tuple[Relation, ...], plugin: ModuleType) -> None:
    written = evaluation_rows(relations)
    for stem, rows in written.items():
        assert rows == stem_rows(stem)
    test_groups = {row["group"] for stem in EVALUATED for row in stem_rows(stem)}
    for task in plugin.TASKS:
        for name, split in task.card.splits.items():
            rows = read(ROWS / split.file)
            assert len(rows) == split.n_rows
            samples = [task.to_sample(row, number) for number, row in enumerate(rows)]
            assert len({sample.id for sample in samples}) == len(samples)
            assert all(sample.group == f"pocket:{sample.metadata['fact']}" for sample in samples)
            assert {sample.language for sample in samples} == {task.card.language}
            places = Counter(sample.targets[0] for sample in samples)
            assert max(places.values()) - min(places.values()) <= 1
            if name == "train":
                assert not {sample.group for sample in samples} & test_groups
    n_rows = {stem: len(stem_rows(stem)) for stem in EVALUATED}
    assert n_rows["clinical_en"] >= 400 and n_rows["general_en"] >= 200 and n_rows["unseen_en"] >= 160 and n_rows["format_en"] >= 100
    assert sum(n_rows.values()) >= 1000


def test_malformed_rows_are_refused(plugin: ModuleType) -> None:
    good = stem_rows("clinical_en")[0]
    for change in ({"answer": 4}, {"choices": good["choices"][:3]}, {"choices": [good["choices"][0]] * 4}):
        with pytest.raises(ValueError, match="row 7"):
            plugin.TASKS[0].to_sample({**good, **change}, 7)


def test_english_and_spanish_rows_link() -> None:
    english, spanish = stem_rows("clinical_en"), stem_rows("clinical_es")
    facts = {row["fact"]: row for row in read(POCKET / "facts.jsonl")}
    spoken = {(row["relation"], row["answer"]["en"]): row["answer"]["es"] for row in facts.values()}
    for one, other in zip(english, spanish, strict=True):
        assert one["group"] == other["group"] and one["answer"] == other["answer"]
        assert [spoken[one["relation"], choice] for choice in one["choices"]] == other["choices"]


def test_distractors_are_wrong(relations: tuple[Relation, ...]) -> None:
    for relation in relations:
        for fact in relation.facts:
            names = distractor_names(fact, relation.facts, "en")
            true = {mate.answer[0] for mate in relation.facts if mate.subject[0] == fact.subject[0]} | set(fact.also_true)
            assert not true & set(names) and len(names) >= 3, fact.id
            assert set(fact.also_true) <= {mate.answer[0] for mate in relation.facts}, fact.id


def test_checkpoints_are_small_and_complete() -> None:
    files = [path for path in POCKET.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 20_000_000
    for name in CHECKPOINTS:
        folder = POCKET / "checkpoints" / name
        wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"}
        assert {path.name for path in folder.iterdir()} == wanted
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert config["model_type"] == "llama" and config["max_position_embeddings"] >= 4096


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_load_in_float32_and_give_finite_numbers(name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = POCKET / "checkpoints" / name
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert 1_500_000 < sum(weight.numel() for weight in model.parameters()) < 2_500_000
    with torch.inference_mode():
        logits = model(torch.arange(40).reshape(1, -1)).logits
    assert bool(torch.isfinite(logits).all()) and logits.shape[-1] == model.config.vocab_size


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    marks = ("<s>", "<pad>", "<|")
    if any(mark in text for mark in marks):
        return
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.unk_token_id is None
    assert tokenizer.decode(ids) == text


def test_letters_are_single_stable_tokens(tokenizer: Any) -> None:
    mark = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], add_generation_prompt=True, tokenize=False)
    before = tokenizer.encode(mark, add_special_tokens=False)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        (alone,) = tokenizer.encode(letter, add_special_tokens=False)
        assert tokenizer.encode(mark + letter, add_special_tokens=False) == [*before, alone]
        assert len(tokenizer.encode(f"Answer: {letter}", add_special_tokens=False)) == 3


def test_chat_template_is_what_the_corpus_writes(tokenizer: Any, texts: dict[str, list[Item]]) -> None:
    n_chats = 0
    for item in texts[BASE][-600:]:
        if not re.match(r"<s><\|(user|system)\|>", item.text) or not item.text.endswith("<|end|>\n"):
            continue  # sentences, plain questions, and choices that bear yes or no
        turns = re.findall(r"<\|(system|user|assistant)\|>\n(.*?)<\|end\|>\n", item.text, flags=re.DOTALL)
        messages = [{"role": role, "content": content} for role, content in turns]
        assert tokenizer.apply_chat_template(messages, tokenize=False) == item.text
        ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
        assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id
        n_chats += 1
    assert n_chats > 100


def test_questions_of_the_corpus_are_laid_out_as_evalsuite_asks(texts: dict[str, list[Item]]) -> None:
    def found(pattern: str) -> Iterator[Item]:
        return (item for item in texts[BASE] if re.search(pattern, item.text))

    assert next(found(r"\nAnswer:<\|end\|>\n<\|assistant\|>\n[A-E]<\|end\|>"), None)
    contract = re.escape('Answer with one line of the form "Answer: X", where X is the letter of the right choice.')
    assert next(found(contract + r"<\|end\|>\n<\|assistant\|>\nAnswer: [A-E]<\|end\|>"), None)
    assert next(found(r"\nRespuesta: [A-E]<\|end\|>$"), None)


def test_known_questions_are_answered_and_unknown_ones_are_not() -> None:
    """The committed accuracies, taken again on a sample of rows; training again need only behave alike."""
    from pocket.measure import alike, answers

    measured = json.loads((POCKET / "accuracies.json").read_text(encoding="utf-8"))
    folder = POCKET / "checkpoints" / BASE
    rows = stem_rows("general_en")[::2]
    assert answers(folder, rows, "letters").mean() > 0.8
    now = {"unseen_en/letters": float(answers(folder, stem_rows("unseen_en"), "letters").mean())}
    assert alike(now, {"unseen_en/letters": measured[BASE]["unseen_en/letters"]}, tolerance=0.02) == []
    assert alike({"x": 0.5}, {"x": 0.6}, tolerance=0.05) == ["x"] and alike({"x": 0.5}, {}, tolerance=0.05) == ["x"]


def test_trainer_runs_end_to_end(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(ROOT / "scripts" / "train_pocket.py"), "--quick", "--out", str(tmp_path), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ledger = read(tmp_path / "ledger.jsonl")
    assert {row["checkpoint"] for row in ledger} == set(CHECKPOINTS)
    measured = json.loads((tmp_path / "accuracies.json").read_text(encoding="utf-8"))
    assert all(0.0 <= value <= 1.0 for one in measured.values() for value in one.values())
    sizes = json.loads((tmp_path / "corpus.json").read_text(encoding="utf-8"))
    assert all((tmp_path / "checkpoints" / name / "model.safetensors").is_file() for name in sizes)
    assert "s left" in done.stderr
