"""The registry, checkpoints and their fingerprints, and memory."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import huggingface_hub
import pytest
import yaml

from evalsuite.errors import UserError
from evalsuite.models import (
    ModelEntry,
    default_pairs,
    find_checkpoint,
    fingerprint,
    fingerprints,
    fit,
    load_registry,
    memory_gib,
    registry_files,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LLAMA_3_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and cache; files count as settled at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALSUITE_MODELS", raising=False)
    monkeypatch.setenv("EVALSUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprints, "_FRESH_S", -1.0)
    return tmp_path


def write_models(file: Path, **models: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    return file


def faults_from(**models: object) -> str:
    write_models(Path("models.yaml"), **models)
    with pytest.raises(UserError) as caught:
        load_registry()
    return str(caught.value)


def save_weights(folder: Path, weights: bytes = b"w" * 64) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def entry_at(path: object, **changes: object) -> ModelEntry:
    return ModelEntry.model_validate({"domain": "generalist", "path": str(path), **changes})


class TestRegistry:
    def test_the_bundled_one_is_whole(self, work: Path) -> None:
        registry = load_registry()
        assert {"llama-3-8b", "llama-3-8b-instruct", "openbiollm-8b", "llama-3.1-8b", "llama-3.1-8b-instruct", "med42-v2-8b"} <= set(
            registry
        )
        assert {"marmoka-8b", "pocket-generalist", "pocket-clinical", "pocket-clinical-es", "pocket-control"} <= set(registry)
        assert registry["openbiollm-8b"].repo == "aaditya/Llama3-OpenBioLLM-8B"
        assert all(entry.revision is None for entry in registry.values())
        assert {"llama-3.1-8b", "llama-3.1-8b-instruct", "llama-3-70b"} <= {name for name, entry in registry.items() if not entry.verified}
        assert registry["llama-3-8b"].chat.template == "plain"
        assert registry["llama-3-8b"].knowledge_cutoff == "2023-03"

    def test_what_the_bundled_one_states_was_seen(self, work: Path, shared: Path) -> None:
        """Nothing is claimed that the retrieved sources do not state: ids, domains, sizes and bases."""
        registry = load_registry()
        seen = {model["hf_id"]: model for model in yaml.safe_load((shared / "papers/models_seen.yaml").read_text(encoding="utf-8"))}
        ours = {entry.repo: entry for name, entry in registry.items() if entry.repo}
        assert {repo for repo, entry in ours.items() if entry.verified} == {
            repo for repo, model in seen.items() if repo and model["hf_id_seen"] and "VLM" not in model.get("note", "")
        }
        # named as a base, or beside their kin in the task; never printed as ids
        assert ours.keys() - seen.keys() == {
            "meta-llama/Meta-Llama-3-70B", "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B", "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-72B"
        }  # fmt: skip
        for repo in ours.keys() & seen.keys():
            entry, stated = ours[repo], seen[repo]
            assert entry.domain == stated["domain"], repo
            assert entry.parameters_b == pytest.approx(stated["params_b"], abs=0.05), repo
            base = registry[entry.base].repo if entry.base else None
            assert base is None or base.removeprefix("meta-llama/").removeprefix("Qwen/") in str(stated["base_model"]), repo
            assert entry.trained_on is None

    def test_the_contracts_example_is_accepted(self, work: Path) -> None:
        text = """
            models:
              openbiollm-8b:
                repo: aaditya/Llama3-OpenBioLLM-8B
                revision: null
                domain: biomedical
                base: llama-3-8b
                comparators: [llama-3-8b-instruct]
                parameters_b: 8.03
                languages: [en]
                licence: llama3
                gated: false
                knowledge_cutoff: null
                trained_on: [medqa/train, pubmedqa]
                chat: {template: own, system: fold, stop: ["</s>"], thinking: ["<think>", "</think>"], answer_prefix: "The answer is"}
                serving: {dtype: bfloat16, tensor_parallel: 1, max_model_len: 8192, trust_remote_code: true, quantisation: awq}
        """
        Path("models.yaml").write_text(text, encoding="utf-8")
        entry = load_registry()["openbiollm-8b"]
        assert entry.trained_on == ("medqa/train", "pubmedqa")
        assert entry.chat.thinking == ("<think>", "</think>")
        assert entry.serving.quantisation == "awq"
        assert entry.file == "models.yaml"

    def test_earlier_files_win_by_name(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        one = {"domain": "generalist"}
        write_models(Path("models.yaml"), m={**one, "note": "working directory"}, n={**one, "note": "working directory"})
        named = write_models(work / "named.yaml", m={**one, "note": "named"}, o={**one, "note": "named"})
        extra = write_models(work / "extra.yaml", n={**one, "note": "extra"})
        monkeypatch.setenv("EVALSUITE_MODELS", str(named))
        registry = load_registry(extra)
        assert [registry[name].note for name in "mno"] == ["working directory", "extra", "named"]
        assert "llama-3-8b" in registry
        assert [file.name for file in registry_files(extra)] == ["extra.yaml", "models.yaml", "named.yaml", "models.yaml"]

    def test_the_repository_as_working_directory_counts_once(self, work: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
        monkeypatch.chdir(repository)
        assert registry_files() == (Path("models.yaml"),)

    def test_a_named_file_must_exist(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EVALSUITE_MODELS", str(work / "gone.yaml"))
        with pytest.raises(UserError, match=r"EVALSUITE_MODELS = .*gone\.yaml: no such file"):
            load_registry()

    def test_every_mistake_is_one_line_with_its_key(self, work: Path) -> None:
        said = faults_from(
            m={"domain": "medical", "repo": "no-slash", "revision": "main", "colour": 1},
            n={"domain": "generalist", "base": "lama-3-8b"},
            o={"domain": "generalist", "chat": {"template": "own", "thinking": ["<think>"]}},
        )
        for expected in (
            "models.yaml: models.m.domain = 'medical': input should be 'generalist' or 'biomedical'",
            "models.yaml: models.m.repo = 'no-slash'",
            "models.yaml: models.m.revision = 'main'",
            "models.yaml: models.m.colour = 1: unknown key",
            "models.yaml: models.n.base = lama-3-8b: no such model; did you mean llama-3-8b?",
            "models.yaml: models.o.chat.thinking",
        ):
            assert expected in said
        assert len(said.splitlines()) == 6

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"repo": "a/b", "path": "c"}, "keep one"),
            ({"path": "c", "revision": COMMIT}, "revision belongs to a repo"),
            ({"base": "m"}, "another model than itself"),
            ({"comparators": ["nobody"]}, "models.m.comparators = nobody: no such model"),
            ({"chat": {"template": "mine.jinja"}}, "mine.jinja: no such file; one of own, plain, or a Jinja file"),
            ({"knowledge_cutoff": "spring"}, "models.m.knowledge_cutoff = 'spring'"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, work: Path, entry: dict[str, object], expected: str) -> None:
        assert expected in faults_from(m={"domain": "generalist", **entry})

    def test_other_shapes_are_refused(self, work: Path) -> None:
        Path("models.yaml").write_text("models: [a]\nmore: 1\n", encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_registry()
        assert "models = list: must be a mapping" in str(caught.value)
        assert "more: unknown key" in str(caught.value)
        assert "letters, digits" in faults_from(**{"a b": {"domain": "generalist"}})

    def test_paths_are_relative_to_the_file(self, work: Path) -> None:
        (work / "far").mkdir()
        (work / "far" / "mine.jinja").write_text("x", encoding="utf-8")
        write_models(
            work / "far" / "models.yaml",
            m={"domain": "generalist", "path": "weights", "chat": {"template": "mine.jinja"}},
            n={"domain": "generalist", "path": "stub:right?p=0.5"},
        )
        registry = load_registry(work / "far" / "models.yaml")
        assert registry["m"].path == str(work / "far" / "weights")
        assert registry["m"].chat.template == str(work / "far" / "mine.jinja")
        assert registry["n"].path == "stub:right?p=0.5"

    @pytest.mark.parametrize(("written", "read"), [(2023, "2023"), ("2023-03", "2023-03"), (None, None)])
    def test_cutoffs_that_yaml_reads_as_something_else(self, work: Path, written: object, read: object) -> None:
        write_models(Path("models.yaml"), m={"domain": "generalist", "knowledge_cutoff": written})
        assert load_registry()["m"].knowledge_cutoff == read

    def test_default_pairs_put_the_specialist_first(self, work: Path) -> None:
        registry = load_registry()
        chosen = ["llama-3-8b-instruct", "llama-3-8b", "openbiollm-8b", "pocket-generalist"]
        assert default_pairs(registry, chosen) == (("openbiollm-8b", "llama-3-8b"), ("openbiollm-8b", "llama-3-8b-instruct"))
        assert default_pairs(registry, ["openbiollm-8b"]) == ()


class TestCheckpoints:
    def test_a_folder_is_found(self, work: Path) -> None:
        found = find_checkpoint("m", entry_at(save_weights(work / "m")))
        assert found.path == str(work / "m")
        assert found.files == ("config.json", "model.safetensors", "tokenizer.json")
        assert found.config == {"model_type": "llama"}
        assert found.pinned
        assert len(found.fingerprint) == 64

    def test_a_wrong_path_is_called_that(self, work: Path) -> None:
        with pytest.raises(UserError) as caught:
            find_checkpoint("m", entry_at(work / "gone"))
        assert str(caught.value) == f"models.yaml: models.m.path = {work / 'gone'}: path does not exist"

    @pytest.mark.parametrize(
        ("lost", "expected"),
        [
            ("config.json", "lacks config.json"),
            ("model.safetensors", "lacks weights"),
            ("tokenizer.json", "lacks a tokenizer"),
        ],
    )
    def test_what_is_missing_is_named(self, work: Path, lost: str, expected: str) -> None:
        (save_weights(work / "m") / lost).unlink()
        with pytest.raises(UserError, match=expected):
            find_checkpoint("m", entry_at(work / "m"))

    def test_missing_shards_pointers_and_damage_are_named(self, work: Path) -> None:
        folder = save_weights(work / "m")
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"x": "model.safetensors", "y": "model-2.safetensors"}}), encoding="utf-8")
        with pytest.raises(UserError, match=r"lacks model-2\.safetensors"):
            find_checkpoint("m", entry_at(folder))
        index.write_text("{", encoding="utf-8")
        with pytest.raises(UserError, match=r"lacks a readable model\.safetensors\.index\.json"):
            find_checkpoint("m", entry_at(folder))
        index.unlink()
        (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
        with pytest.raises(UserError, match="Git LFS pointer"):
            find_checkpoint("m", entry_at(folder))
        save_weights(folder)
        (folder / "config.json").write_text("[", encoding="utf-8")
        with pytest.raises(UserError, match="no JSON object"):
            find_checkpoint("m", entry_at(folder))

    def test_nothing_named_says_what_to_supply(self, work: Path) -> None:
        with pytest.raises(UserError, match=r"marmoka-8b: names no weights: give `path:`.*No hub id is known"):
            find_checkpoint("marmoka-8b", load_registry()["marmoka-8b"])

    def test_the_stub_has_no_weights(self) -> None:
        found = find_checkpoint("s", entry_at("stub:right?p=0.5"))
        assert found.path == "stub:right?p=0.5"
        assert found.fingerprint == hashlib.sha256(b"stub:right?p=0.5").hexdigest()

    def test_package_paths_stay_inside(self, work: Path) -> None:
        with pytest.raises(UserError, match="inside the package"):
            find_checkpoint("m", entry_at("package:../tests"))
        with pytest.raises(UserError, match="package:nowhere: path does not exist"):
            find_checkpoint("m", entry_at("package:nowhere"))


class TestHub:
    ENTRY = ModelEntry.model_validate({"domain": "generalist", "repo": "org/name"})
    PINNED = ModelEntry.model_validate({"domain": "generalist", "repo": "org/name", "revision": COMMIT})

    @pytest.fixture
    def hub_cache(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(work / "hub"))
        return work / "hub" / "models--org--name"

    def test_the_local_cache_serves_without_network(self, hub_cache: Path) -> None:
        save_weights(hub_cache / "snapshots" / COMMIT)
        (hub_cache / "refs").mkdir()
        (hub_cache / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        for entry, pinned in ((self.ENTRY, False), (self.PINNED, True)):
            found = find_checkpoint("m", entry)
            assert (found.repo, found.revision, found.pinned) == ("org/name", COMMIT, pinned)
            assert found.path == str(hub_cache / "snapshots" / COMMIT)

    @pytest.mark.parametrize("lost", [None, "config.json", "chat_template.jinja", "model.safetensors"])
    def test_one_format_of_the_weights_is_enough_and_any_other_loss_is_seen(self, hub_cache: Path, lost: str | None) -> None:
        """The hub's client keeps a list of all files: that the `.bin` ones were never fetched must not look like a loss."""
        folder = save_weights(hub_cache / "snapshots" / COMMIT)
        (folder / "chat_template.jinja").write_text("x", encoding="utf-8")
        names = [*(file.name for file in folder.iterdir()), "pytorch_model.bin", "original/consolidated.00.pth", "original/tokenizer.model"]
        listing = {"format_version": 1, "files": {name: {"size": 1, "blob_id": "0" * 40} for name in names}}
        (hub_cache / "trees").mkdir()
        (hub_cache / "trees" / f"{COMMIT}.json").write_text(json.dumps(listing), encoding="utf-8")
        if lost is None:
            assert find_checkpoint("m", self.PINNED).revision == COMMIT
            return
        (folder / lost).unlink()
        with pytest.raises(UserError, match="not in the local hub cache"):
            find_checkpoint("m", self.PINNED)

    @pytest.mark.parametrize("is_partial", [False, True])
    def test_offline_says_how_to_get_it(self, hub_cache: Path, is_partial: bool) -> None:
        if is_partial:
            (save_weights(hub_cache / "snapshots" / COMMIT) / "model.safetensors").unlink()
        with pytest.raises(
            UserError, match=f"not in the local hub cache, and this machine is offline; .*hf download org/name --revision {COMMIT}"
        ):
            find_checkpoint("m", self.PINNED)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("GatedRepoError", r"is gated: accept .*at https://huggingface\.co/org/name, then .*HF_TOKEN"),
            ("RepositoryNotFoundError", "no such repository, or it is private"),
            ("RevisionNotFoundError", f"models.m.revision = {COMMIT}: org/name has no such commit"),
            ("HfHubHTTPError", "the hub refused; .*hf download org/name"),
            ("LocalEntryNotFoundError", "the hub cannot be reached; .*hf download org/name"),
        ],
    )
    def test_what_the_hub_says_becomes_one_line(self, hub_cache: Path, monkeypatch: pytest.MonkeyPatch, error: str, expected: str) -> None:
        kind = getattr(huggingface_hub.errors, error)

        def refuse(*_: object, local_files_only: bool, **__: object) -> str:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here") if local_files_only else kind.__new__(kind)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
        with pytest.raises(UserError, match=expected):
            find_checkpoint("m", self.PINNED, offline=False)

    def test_weights_in_the_old_format_are_fetched_only_where_there_are_no_others(
        self, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def serve(_: str, *, allow_patterns: list[str], local_files_only: bool, **__: object) -> str:
            if local_files_only:
                raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
            asked.append("*.safetensors" in allow_patterns)
            folder = save_weights(hub_cache / "snapshots" / COMMIT)
            (folder / "model.safetensors").unlink()
            if not asked[-1]:
                (folder / "pytorch_model.bin").write_bytes(b"old")
            return str(folder)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", serve)
        assert "pytorch_model.bin" in find_checkpoint("m", self.ENTRY, offline=False).files
        assert asked == [True, False]


class TestFingerprints:
    def test_weights_of_the_same_size_swapped_at_one_path_change_it(self, work: Path) -> None:
        folder = save_weights(work / "m", b"a" * 64)
        before = find_checkpoint("m", entry_at(folder)).fingerprint
        status = (folder / "model.safetensors").stat()
        (folder / "model.safetensors").write_bytes(b"b" * 64)
        os.utime(folder / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
        assert find_checkpoint("m", entry_at(folder)).fingerprint != before
        save_weights(folder, b"a" * 64)
        assert find_checkpoint("m", entry_at(folder)).fingerprint == before

    def test_contents_count_and_places_do_not(self, work: Path) -> None:
        one = find_checkpoint("m", entry_at(save_weights(work / "one")))
        two = find_checkpoint("n", entry_at(save_weights(work / "two")))
        assert one.fingerprint == two.fingerprint
        (work / "two" / "README.md").write_text("not read by any engine", encoding="utf-8")
        (work / "two" / "training_args.bin").write_bytes(b"x")
        assert find_checkpoint("n", entry_at(work / "two")).fingerprint == one.fingerprint

    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", "chat_template.jinja", "modeling_own.py"])
    def test_every_file_that_matters_counts(self, work: Path, name: str) -> None:
        folder = save_weights(work / "m")
        before = find_checkpoint("m", entry_at(folder)).fingerprint
        (folder / name).write_text('{"changed": 1}', encoding="utf-8")
        assert find_checkpoint("m", entry_at(folder)).fingerprint != before

    def test_names_and_contents_are_kept_apart(self, work: Path) -> None:
        (work / "a").write_bytes(b"1")
        (work / "b").write_bytes(b"2")
        before = fingerprint(work, ["a", "b"])
        assert fingerprint(work, ["b", "a"]) == before
        (work / "a").write_bytes(b"2")
        (work / "b").write_bytes(b"1")
        assert fingerprint(work, ["a", "b"]) != before
        (work / "a").write_bytes(b"1")
        (work / "b").rename(work / "c")
        (work / "c").write_bytes(b"2")
        assert fingerprint(work, ["a", "c"]) != before

    def test_unchanged_files_are_read_once(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = save_weights(work / "m")
        read = []
        digest = fingerprints._digest
        monkeypatch.setattr(fingerprints, "_digest", lambda file: read.append(file.name) or digest(file))
        first = fingerprint(folder, ["config.json", "model.safetensors"])
        assert fingerprint(folder, ["config.json", "model.safetensors"]) == first
        assert read == ["config.json", "model.safetensors"]
        assert [file.name for file in (work / "cache").iterdir()] == ["fingerprints.json"]

    def test_a_file_just_written_is_not_trusted(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fingerprints, "_FRESH_S", 3600.0)
        folder = save_weights(work / "m")
        fingerprint(folder, ["config.json"])
        assert not (work / "cache").exists()

    @pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"x": 1}'])
    def test_a_damaged_cache_is_made_anew(self, work: Path, damage: bytes) -> None:
        folder = save_weights(work / "m")
        right = fingerprint(folder, ["config.json"])
        cache = work / "cache" / "fingerprints.json"
        cache.write_bytes(damage)
        assert fingerprint(folder, ["config.json"]) == right
        assert len(json.loads(cache.read_bytes())) == 1

    def test_a_cache_that_cannot_be_written_does_not_matter(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (work / "file").write_bytes(b"")
        monkeypatch.setenv("EVALSUITE_CACHE", str(work / "file"))
        assert len(fingerprint(save_weights(work / "m"), ["config.json"])) == 64


class TestMemory:
    def test_llama_3_8b_by_hand(self) -> None:
        memory = memory_gib(LLAMA_3_8B, "bfloat16")
        # embeddings and output 2 x 128256 x 4096; a layer 4096 x (4096 + 2 x 1024 + 4096 + 3 x 14336) + 2 x 4096; a last norm
        assert memory.n_parameters == 8_030_261_248
        assert memory.weights == pytest.approx(14.958, abs=0.001)
        assert memory.kv_per_token_bytes == 128 * 1024

    def test_dtypes(self) -> None:
        assert memory_gib(LLAMA_3_8B) == memory_gib(LLAMA_3_8B, "bfloat16")
        assert memory_gib(LLAMA_3_8B, "float32").weights == 2 * memory_gib(LLAMA_3_8B, "float16").weights
        assert memory_gib(LLAMA_3_8B, "float32").kv_per_token_bytes == 256 * 1024
        assert memory_gib(LLAMA_3_8B, "int4").kv_per_token_bytes == 128 * 1024
        with pytest.raises(ValueError, match="dtype bits"):
            memory_gib(LLAMA_3_8B, "bits")

    def test_experts_ties_and_nested_configurations(self) -> None:
        mixtral = {**LLAMA_3_8B, "vocab_size": 32000, "num_local_experts": 8}
        assert memory_gib(mixtral).n_parameters == 46_702_792_704
        tied = memory_gib({**LLAMA_3_8B, "tie_word_embeddings": True})
        assert tied.n_parameters == 8_030_261_248 - 128256 * 4096
        assert memory_gib({"text_config": LLAMA_3_8B, "dtype": "bfloat16"}) == memory_gib(LLAMA_3_8B)

    def test_declared_parameters_win_and_missing_fields_are_named(self) -> None:
        assert memory_gib(LLAMA_3_8B, parameters_b=7).n_parameters == 7_000_000_000
        with pytest.raises(ValueError, match="lacks hidden_size"):
            memory_gib({"vocab_size": 10})

    def test_fit(self) -> None:
        memory = memory_gib(LLAMA_3_8B)
        whole = fit(memory, n_gpus=1, gpu_gib=24, n_context_tokens=8192)
        assert whole.fits
        assert whole.needed_gib == pytest.approx(memory.weights + 1.0)
        assert whole.n_cache_tokens == int((24 * 0.9 - memory.weights) * 8192)
        assert not fit(memory, n_gpus=1, gpu_gib=16, n_context_tokens=8192).fits
        assert fit(memory, n_gpus=2, gpu_gib=16, n_context_tokens=8192).fits
        assert fit(memory, n_gpus=1, gpu_gib=8, n_context_tokens=1).n_cache_tokens == 0
        with pytest.raises(ValueError, match="share"):
            fit(memory, n_gpus=1, gpu_gib=24, n_context_tokens=1, share=0)
