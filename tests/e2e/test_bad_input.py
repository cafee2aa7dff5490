"""What cannot be scored is told in one line or has a status; through the real command line, with real small checkpoints."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from evalsuite.bytetext import BOS, EOS, N_VOCABULARY
from evalsuite.cli import main
from tests.planted import Project, make_project
from tests.tiny_checkpoint import save_checkpoint, tiny_config

HAS_VLLM = importlib.util.find_spec("vllm") is not None
VLLM = pytest.param("vllm", marks=[pytest.mark.xdist_group("vllm"), pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed")])
BOTH = ["transformers", VLLM]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


def checkpoint(project: Project, name: str, *, template: str = "plain", n_context_tokens: int = 512) -> Path:
    """A tiny random checkpoint in the project (heads as wide as vLLM wants them on a CPU), and its entry in models.yaml."""
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    folder = save_checkpoint(project.folder / name, tiny_config(max_position_embeddings=n_context_tokens, **sizes))
    entry = f"models:\n  {name}:\n    path: {folder}\n    domain: generalist\n    licence: MIT\n    chat: {{template: {template}}}\n"
    (project.folder / "models.yaml").write_text(entry, encoding="utf-8")
    return folder


def run(project: Project, model: str, engine: str = "transformers", **changes: str) -> Result:
    """The real command line, in this process: libraries are imported once for all these tests."""
    more = ", device: cpu, enforce_eager: true" if engine == "vllm" else ""
    study = project.study("bad", models=f"[{model}]", pairs="[]", engine=f"{{name: {engine}, dtype: float32{more}}}", **changes)
    return CliRunner().invoke(main, ["run", study.name, "--store", "store", "--out", "out"])


def assert_told(result: Result, *words: str) -> None:
    """Exit 2, lines of faults alone, before anything was asked."""
    assert result.exit_code == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    faults = [line for line in lines if line.startswith("error: ")]
    assert faults and not any("Traceback" in line for line in lines), result.stderr
    assert any(all(word in line for word in words) for line in faults), result.stderr


def scores(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "out" / "scores.parquet")


def tokenizer_with(folder: Path, merges: list[tuple[str, str]], normalizer: object | None = None) -> None:
    """Give a checkpoint a byte tokenizer that also merges, or that changes what it reads."""
    vocabulary = {character: byte for byte, character in bytes_to_unicode().items()} | {"<s>": BOS, "</s>": EOS}
    for left, right in merges:
        # The places of rare bytes are taken, so that the vocabulary stays as large as the model's.
        rare = next(character for character, number in vocabulary.items() if 128 <= number < N_VOCABULARY - 2 and len(character) == 1)
        vocabulary[left + right] = vocabulary.pop(rare)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=None))
    if normalizer is not None:
        tokenizer.normalizer = normalizer  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)


def test_a_tokenizer_that_splits_letters(project: Project) -> None:
    checkpoint(project, "splits")
    assert_told(run(project, "splits"), "label", "splits into 2 tokens")


def test_a_tokenizer_that_merges_letters_with_the_prompt(project: Project) -> None:
    folder = checkpoint(project, "merges")
    tokenizer_with(folder, [(":", "Ġ"), *((":Ġ", letter) for letter in "ABCD")])
    assert_told(run(project, "merges"), "label", "merges with the end of the prompt")


def test_labels_that_are_one_token(project: Project) -> None:
    folder = checkpoint(project, "same")
    alike = normalizers.Sequence([normalizers.Replace(f" {letter}", " X") for letter in "ABCD"])
    tokenizer_with(folder, [("Ġ", "X")], alike)
    assert_told(run(project, "same"), "label", "has the same token as")


@pytest.mark.parametrize("engine", BOTH)
def test_choices_with_a_common_start_are_scored_to_their_ends(project: Project, engine: str) -> None:
    """Every choice begins with the same tokens: what decides comes after them."""
    checkpoint(project, "common")
    result = run(project, "common", engine, strategies="[{name: zero_shot, format: cloze, normalisation: raw}]")
    assert result.exit_code == 0, result.stderr
    frame = scores(project)
    assert set(frame.status) == {"scored"}
    assert all(len({round(p, 6) for p in row}) > 1 for row in frame.p_choices)


def test_an_empty_choice(project: Project) -> None:
    checkpoint(project, "empty")
    file = next((project.folder / "tasks").rglob("*.jsonl"))
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[3])
    key = next(name for name, value in row.items() if isinstance(value, list))
    row[key] = ["", *row[key][1:]]
    file.write_text("\n".join([*lines[:3], json.dumps(row), *lines[4:]]) + "\n", encoding="utf-8")
    assert_told(run(project, "empty", strategies="[{name: zero_shot, format: cloze}]"), f"{file.name}:4", "choice is empty")


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_prompt_over_the_context_is_never_cut(project: Project, engine: str) -> None:
    if engine == "vllm" and not HAS_VLLM:
        pytest.skip("vllm is not installed")
    checkpoint(project, "short", n_context_tokens=16)
    result = run(project, "short", engine, strategies="[{name: zero_shot, format: cloze}]")
    frame = scores(project)
    assert set(frame.status) == {"too_long"}
    assert frame.value.isna().all()
    assert "200 of 200 answers have no score (200 too_long)" in result.stdout


@pytest.mark.parametrize("engine", BOTH)
def test_log_probabilities_that_are_no_numbers_fail(project: Project, engine: str) -> None:
    from safetensors.torch import load_file, save_file

    folder = checkpoint(project, "nan")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    result = run(project, "nan", engine, strategies="[{name: zero_shot, format: cloze}]")
    if result.exit_code == 2:
        assert_told(result, "finite")
        return
    assert result.exit_code == 3, result.stderr
    frame = scores(project)
    assert set(frame.status) == {"failed"}
    assert frame.value.isna().all()


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_checkpoint_that_is_cut_off(project: Project, engine: str) -> None:
    if engine == "vllm" and not HAS_VLLM:
        pytest.skip("vllm is not installed")
    folder = checkpoint(project, "cut")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    assert_told(run(project, "cut", engine, strategies="[{name: zero_shot, format: cloze}]"), "model.safetensors")


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_checkpoint_of_another_kind(project: Project, engine: str) -> None:
    if engine == "vllm" and not HAS_VLLM:
        pytest.skip("vllm is not installed")
    folder = checkpoint(project, "encoder")
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (folder / name).unlink(missing_ok=True)
    sizes = {"vocab_size": N_VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(folder)
    assert_told(run(project, "encoder", engine, strategies="[{name: zero_shot, format: cloze}]"), "encoder")


def test_no_chat_template(project: Project) -> None:
    checkpoint(project, "bare", template="own")
    assert_told(run(project, "bare"), "chat.template", "has no chat template")


def test_no_tokenizer(project: Project) -> None:
    folder = checkpoint(project, "mute")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert_told(run(project, "mute"), "tokenizer")


def test_nothing_computed_is_lost_by_a_later_mistake(project: Project) -> None:
    checkpoint(project, "kept")
    strategies = {"strategies": "[{name: zero_shot, format: cloze}]"}
    assert run(project, "kept", **strategies).exit_code == 0
    shutil.move(project.folder / "kept" / "tokenizer.json", project.folder / "aside.json")
    assert run(project, "kept", **strategies).exit_code == 2
    shutil.move(project.folder / "aside.json", project.folder / "kept" / "tokenizer.json")
    again = run(project, "kept", **strategies)
    assert again.exit_code == 0
    assert "0 requests asked" in again.stdout
