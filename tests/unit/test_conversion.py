"""Weights in torch's old format: read without running what they hold, and converted without change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from evalsuite.engines import open_engine
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import UserError
from evalsuite.models.conversion import RECORD, as_safetensors
from evalsuite.types import Prompt, Request, Response
from tests.tiny_checkpoint import save_checkpoint, tiny_config

SETTINGS = EngineSettings(name="transformers", device="cpu", dtype="float32")
ASKED = Request(kind="next", prompt=Prompt(token_ids=(256, 65, 66), text="AB"), candidates=(65, 66, 67))


class Bomb:
    """What an attacker would put beside the tensors: it runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


def as_bin(folder: Path, n_shards: int = 1) -> dict[str, torch.Tensor]:
    """Turn a checkpoint's safetensors into the old format; returns its tensors."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if n_shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return state
    names = sorted(state)
    place = {}
    for number in range(n_shards):
        shard = f"pytorch_model-{number + 1:05}-of-{n_shards:05}.bin"
        torch.save({name: state[name] for name in names[number::n_shards]}, folder / shard)
        place |= dict.fromkeys(names[number::n_shards], shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}), encoding="utf-8")
    return state


def answer(folder: Path) -> tuple[float, ...]:
    with open_engine(str(folder), SETTINGS) as engine:
        ((_, outcome),) = engine.run([ASKED])
    assert isinstance(outcome, Response)
    return outcome.logprobs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "model", tiny_config())


@pytest.mark.parametrize("n_shards", [1, 3])
def test_the_copy_answers_as_the_original(folder: Path, tmp_path: Path, n_shards: int) -> None:
    expected = answer(folder)
    state = as_bin(folder, n_shards)
    assert answer(folder) == pytest.approx(expected, abs=1e-5)  # the engine reads the old format itself
    made = as_safetensors(folder, tmp_path / "converted")
    assert not list(made.glob("*.bin*"))
    assert len(list(made.glob("*.safetensors"))) == n_shards
    assert (made / "model.safetensors.index.json").is_file() == (n_shards > 1)
    found = {}
    for file in made.glob("*.safetensors"):
        with safe_open(file, framework="pt") as stored:
            assert stored.metadata() == {"format": "pt"}
            found |= {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert answer(made) == pytest.approx(expected, abs=1e-5)
    assert (made / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_it_is_made_once_and_anew_if_it_or_the_original_changes(folder: Path, tmp_path: Path) -> None:
    as_bin(folder)
    told: list[str] = []

    def convert() -> Path:
        told.clear()
        return as_safetensors(folder, tmp_path / "converted", lambda what, _, __: told.append(what))

    first = convert()
    assert any("converting" in what for what in told)
    assert convert() == first
    assert not any("converting" in what for what in told)
    (first / "model.safetensors").write_bytes(b"damaged")
    assert convert() == first
    assert "model.embed_tokens.weight" in load_file(first / "model.safetensors")
    (first / RECORD).write_text("{", encoding="utf-8")
    assert convert() == first
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    state["lm_head.weight"] = state["lm_head.weight"] + 1
    torch.save(state, folder / "pytorch_model.bin")
    second = convert()
    assert second != first
    assert torch.equal(load_file(second / "model.safetensors")["lm_head.weight"], state["lm_head.weight"])
    assert {file.name for file in (tmp_path / "converted").iterdir()} == {first.name, second.name}  # nothing half-made is left


def test_safetensors_stay_where_they_are(folder: Path, tmp_path: Path) -> None:
    assert as_safetensors(folder, tmp_path / "converted") == folder
    assert not (tmp_path / "converted").exists()


def test_tied_sliced_and_odd_tensors(folder: Path, tmp_path: Path) -> None:
    state = as_bin(folder)
    wide = torch.arange(64, dtype=torch.float32).reshape(8, 8)
    odd = {"tied": state["lm_head.weight"], "slice": wide[2:4], "turned": wide.T, "half": wide.bfloat16(), "flag": torch.tensor(True)}
    odd["nan"] = torch.tensor([float("nan"), 1.0])
    torch.save({**state, **odd}, folder / "pytorch_model.bin")
    stored = load_file(as_safetensors(folder, tmp_path / "converted") / "model.safetensors")
    assert torch.equal(stored["tied"], stored["lm_head.weight"])
    assert all(torch.equal(stored[name], odd[name]) and stored[name].dtype == odd[name].dtype for name in odd if name != "nan")
    assert stored["nan"].isnan().tolist() == [True, False]


@pytest.mark.parametrize("where", ["beside the tensors", "instead of them"])
def test_code_in_a_pickle_is_never_run(folder: Path, tmp_path: Path, where: str) -> None:
    state = as_bin(folder)
    mark = tmp_path / "ran"
    torch.save({**state, "bomb": Bomb(mark)} if where == "beside the tensors" else Bomb(mark), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: .*never run") as caught:
        as_safetensors(folder, tmp_path / "converted")
    assert len(caught.value.faults) == 1
    with pytest.raises(UserError, match=r"pytorch_model\.bin: cannot be loaded: .*never run"), open_engine(str(folder), SETTINGS):
        pass
    assert not mark.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert mark.exists()  # the bomb is one
    assert list((tmp_path / "converted").iterdir()) == []


def test_what_cannot_be_converted_is_named(folder: Path, tmp_path: Path) -> None:
    state = as_bin(folder)
    for content, expected in (
        ([1, 2], "something else than named tensors"),
        ({"x": 1}, "something else than named tensors"),
        ({"x": torch.eye(2).to_sparse()}, "something else than named tensors"),
    ):
        torch.save(content, folder / "pytorch_model.bin")
        with pytest.raises(UserError, match=expected):
            as_safetensors(folder, tmp_path / "converted")
    torch.save(state, folder / "pytorch_model.bin")
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="is damaged"):
        as_safetensors(folder, tmp_path / "converted")
    torch.save({"lm_head.weight": torch.zeros(1)}, folder / "pytorch_model-2.bin")
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"lm_head\.weight is also in"):
        as_safetensors(folder, tmp_path / "converted")
    (folder / "pytorch_model.bin").unlink()
    (folder / "pytorch_model-2.bin").unlink()
    with pytest.raises(UserError, match="lacks weights"):
        as_safetensors(folder, tmp_path / "converted")


def test_no_room_is_said_before_anything_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_bin(folder)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(UserError, match=r"are needed to convert model, 0\.0 are free"):
        as_safetensors(folder, tmp_path / "converted")
    assert list((tmp_path / "converted").iterdir()) == []
