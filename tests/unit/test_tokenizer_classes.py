"""A tokenizer read by the class that is known for it is the one that AutoTokenizer reads, and torch stays out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from evalsuite.prompts import tokenizer_classes as module
from evalsuite.prompts.tokenizer_classes import read_tokenizer

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
TEXTS = ("Aspirin  5 mg?\n\n", "<s><|user|>\nné à Łódź<|end|>", " leading, trailing ", "1234567 \u4e2d\u6587 \U0001f600", "")
DECLARED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "the class of the model's own": ({}, {"tokenizer_class": "LlamaTokenizer"}),
    "a class that the hub has wrong": ({"model_type": "qwen2"}, {"tokenizer_class": "LlamaTokenizerFast"}),
    "another model's class": ({"model_type": "gpt2"}, {"tokenizer_class": "Qwen2TokenizerFast"}),
    "no class": ({"model_type": "gpt2"}, {"tokenizer_class": None}),
    "an unknown model": ({"model_type": "of our own"}, {}),
}
"""What config.json and tokenizer_config.json say otherwise."""


@pytest.fixture
def checkpoint(tmp_path: Path, repository: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in FILES:
        shutil.copy(repository / "evalsuite/pocket/checkpoints/pocket-clinical" / name, folder)
    return folder


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AutoTokenizer counts as not imported, and nothing is known yet."""
    monkeypatch.setattr(module, "_AUTO", "not imported")
    monkeypatch.setenv("EVALSUITE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that AutoTokenizer was asked for."""
    folders: list[str] = []
    ask = AutoTokenizer.from_pretrained

    def noted(path: str, **options: Any) -> Any:
        folders.append(path)
        return ask(path, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", noted)
    return folders


def declare(checkpoint: Path, name: str, values: dict[str, Any]) -> None:
    """Change a file of the checkpoint; None takes the key out."""
    entries = json.loads((checkpoint / name).read_text(encoding="utf-8")) | values
    (checkpoint / name).write_text(json.dumps({key: value for key, value in entries.items() if value is not None}), encoding="utf-8")


@pytest.mark.parametrize("kind", DECLARED)
def test_the_known_class_reads_what_autotokenizer_reads(kind: str, checkpoint: Path, asked: list[str]) -> None:
    for name, values in zip(("config.json", "tokenizer_config.json"), DECLARED[kind], strict=True):
        declare(checkpoint, name, values)
    first = read_tokenizer(str(checkpoint))
    second = read_tokenizer(str(checkpoint))
    assert asked == [str(checkpoint)]
    assert type(first) is type(second)
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
    assert first.special_tokens_map == second.special_tokens_map
    assert first.chat_template == second.chat_template
    assert repr(first.added_tokens_decoder) == repr(second.added_tokens_decoder)
    for text in TEXTS:
        assert first.encode(text) == second.encode(text)
        assert first.encode(text, add_special_tokens=False) == second.encode(text, add_special_tokens=False)


def test_the_kinds_above_have_different_classes(checkpoint: Path) -> None:
    """Else the test above would hold for any class."""
    found = set()
    for configuration, tokenizer in DECLARED.values():
        declare(checkpoint, "config.json", {"model_type": "llama"} | configuration)
        declare(checkpoint, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | tokenizer)
        found.add(type(read_tokenizer(str(checkpoint))).__name__)
    assert len(found) >= 3


@pytest.mark.parametrize(("name", "values"), [("config.json", {"model_type": "qwen2"}), ("tokenizer_config.json", {"bos_token": "<pad>"})])
def test_changed_files_are_asked_for_again(name: str, values: dict[str, Any], checkpoint: Path, asked: list[str]) -> None:
    read_tokenizer(str(checkpoint))
    declare(checkpoint, name, values)
    read_tokenizer(str(checkpoint))
    assert len(asked) == 2


def test_a_file_more_is_asked_for_again(checkpoint: Path, asked: list[str]) -> None:
    read_tokenizer(str(checkpoint))
    (checkpoint / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    assert read_tokenizer(str(checkpoint)).chat_template == "{{ messages }}"
    assert len(asked) == 2


@pytest.mark.parametrize(
    "content", ["subprocess:Popen", "transformers.nowhere:Thing", "transformers.tokenization_utils_base:Nobody", "", "\0:"]
)
def test_what_is_no_class_of_transformers_is_not_used(content: str, checkpoint: Path, tmp_path: Path, asked: list[str]) -> None:
    read_tokenizer(str(checkpoint))
    (note,) = (tmp_path / "cache" / "tokenizer_classes").iterdir()
    note.write_text(content, encoding="utf-8")
    read_tokenizer(str(checkpoint))
    assert len(asked) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(checkpoint: Path, tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    assert read_tokenizer(str(checkpoint)).encode("x") == read_tokenizer(str(checkpoint)).encode("x")
    assert len(asked) == 2


def test_a_process_that_has_autotokenizer_asks_it(checkpoint: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read_tokenizer(str(checkpoint))
    monkeypatch.setattr(module, "_AUTO", AutoTokenizer.__module__)
    read_tokenizer(str(checkpoint))
    assert len(asked) == 2


def test_the_next_process_imports_no_torch(checkpoint: Path) -> None:
    read_tokenizer(str(checkpoint))
    code = f"import sys\nfrom evalsuite.prompts.encoders import open_tokenizer\nopen_tokenizer('m', {str(checkpoint)!r})\n"
    done = subprocess.run([sys.executable, "-c", f"{code}print('torch' in sys.modules)"], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
