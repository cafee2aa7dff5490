"""`models check`: where a model fits, what it would need, what is found in its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalsuite.cli import main
from evalsuite.listings import gpus as gpus_module
from evalsuite.models.memory import Memory
from evalsuite.models.placement import Need, need_of, place
from tests.tiny_checkpoint import save_checkpoint, tiny_config

LLAMA_3_70B = {
    "vocab_size": 128256,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 8192,
}
QWEN_25_7B = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def need(config: dict[str, object], dtype: str = "bfloat16") -> Need:
    found = need_of(config, dtype, parameters_b=None)
    assert found is not None
    return found


def check(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["models", "check", *arguments])
    return done.exit_code, done.output


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALSUITE_MODELS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    return tmp_path


class TestPlacement:
    def test_llama_3_70b_by_hand(self) -> None:
        found = need(LLAMA_3_70B)
        # 70.55e9 parameters of two bytes; 2 x 80 layers x 8 heads x 128 x 2 bytes = 320 KiB a token
        assert found.memory.weights == pytest.approx(70_553_706_496 * 2 / 2**30)
        assert found.memory.kv_per_token_bytes == 320 * 1024
        at_80 = place(found, n_gpus=8, gpu_gib=80, n_context_tokens=8192)
        assert at_80.smallest == 2
        assert at_80.n_cache_tokens == int((72 - found.memory.weights / 2) * 2**30 // (160 * 1024))
        assert place(found, n_gpus=8, gpu_gib=40, n_context_tokens=8192).smallest == 4
        assert place(found, n_gpus=8, gpu_gib=24, n_context_tokens=8192).smallest == 8
        # more GPUs than key-value heads hold them twice: no cache is gained
        assert found.gib_per_gpu(16, 8192) == pytest.approx(found.memory.weights / 16 + 8192 * 40 * 1024 / 2**30)

    def test_only_degrees_that_cut_the_model_evenly(self) -> None:
        found = need(QWEN_25_7B)
        assert [degree for degree in range(1, 9) if found.allows(degree)] == [1, 2, 4]
        odd = need({**QWEN_25_7B, "num_attention_heads": 30, "num_key_value_heads": 6, "intermediate_size": 6000})
        assert [degree for degree in range(1, 9) if odd.allows(degree)] == [1, 2, 3, 6]
        assert place(odd, n_gpus=3, gpu_gib=7, n_context_tokens=1024).smallest == 2

    def test_what_would_help(self) -> None:
        found = need(LLAMA_3_70B)
        alone = place(found, n_gpus=1, gpu_gib=80, n_context_tokens=8192)
        assert alone.smallest is None
        assert alone.would_help == ("2 GPUs of 80 GiB", "a checkpoint quantised to 8 bits (66 GiB)", "GPUs of 192 GiB")
        long = place(found, n_gpus=2, gpu_gib=80, n_context_tokens=131072)
        assert long.would_help[0] == f"serving.max_model_len: {int((144 - found.memory.weights) * 2**30 // (320 * 1024)) // 1024 * 1024}"
        shorter = int(long.would_help[0].split(": ")[1])
        assert place(found, n_gpus=2, gpu_gib=80, n_context_tokens=shorter).smallest == 2
        hopeless = place(found, n_gpus=1, gpu_gib=8, n_context_tokens=8192)
        assert "quantised" not in " ".join(hopeless.would_help)
        for wrong in ({"n_gpus": 0}, {"gpu_gib": 0}, {"n_context_tokens": 0}):
            with pytest.raises(ValueError, match="at least 1"):
                place(found, **{"n_gpus": 1, "gpu_gib": 1, "n_context_tokens": 1, **wrong})

    def test_without_a_configuration_the_size_is_estimated_and_says_so(self) -> None:
        for parameters_b, weights, kib in ((70.55, 131.4, 320), (8.03, 14.96, 128)):
            found = need_of({}, "bfloat16", parameters_b=parameters_b)
            assert found is not None
            assert found.estimated
            assert found.memory.weights == pytest.approx(weights, abs=0.1)
            assert found.memory.kv_per_token_bytes / 1024 == pytest.approx(kib, rel=0.15)
            assert [degree for degree in range(1, 9) if found.allows(degree)] == [1, 2, 4, 8]
        assert need_of({}, "bfloat16", parameters_b=None) is None

    def test_a_quantised_checkpoint_takes_what_its_files_take(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(b"x" * 4096)
        (tmp_path / "tokenizer.json").write_bytes(b"x" * 999)
        config = {**LLAMA_3_70B, "quantization_config": {"quant_method": "awq"}}
        found = need_of(config, "float16", parameters_b=70, folder=tmp_path, files=("model.safetensors", "tokenizer.json"))
        assert found is not None
        assert found.memory == Memory(weights=4096 / 2**30, kv_per_token_bytes=320 * 1024, n_parameters=70_553_706_496)


class TestCommand:
    def test_a_model_that_is_here(self, work: Path) -> None:
        code, said = check("pocket-clinical")
        assert code == 0
        assert said.splitlines()[0] == "pocket-clinical: usable"
        assert "package:pocket/checkpoints/pocket-clinical, pinned by its contents; fingerprint" in said
        assert "LlamaForCausalLM: known to transformers" in said
        assert "its own template; no thinking marks found" in said
        assert "GPUs         none here (no nvidia-smi)" in said
        assert "tensor_parallel 1 as declared fits" in check("pocket-clinical", "--gpus", "1", "--memory-gib", "8")[1]

    def test_marmoka_says_what_to_supply_and_that_works(self, work: Path) -> None:
        code, said = check("marmoka-8b")
        assert code == 2
        assert "No hub id is known" in said
        lines = said.splitlines()
        block = next(line for line in lines if "models: {marmoka-8b:" in line).strip()
        save_checkpoint(work / "weights", tiny_config())
        (work / "models.yaml").write_text(block.replace("FOLDER", "weights"), encoding="utf-8")
        (work / "weights" / "chat_template.jinja").write_text("{{ messages[0].content }}<think>{{ '' }}", encoding="utf-8")
        code, said = check("marmoka-8b")
        assert "chat         its own template; thinking marks found: <think> … </think>; chat.thinking is null" in said
        assert f"{work}/weights, pinned by its contents" in said

    def test_what_is_not_here_is_still_placed(self, work: Path) -> None:
        code, said = check("openbiollm-70b", "--gpus", "1", "--memory-gib", "80")
        assert code == 2
        assert "aaditya/Llama3-OpenBioLLM-70B: not pinned (evalsuite models pin openbiollm-70b), not here" in said
        assert "estimated from parameters_b" in said
        assert "does not fit; would fit with 2 GPUs of 80 GiB or a checkpoint quantised to 8 bits" in said
        assert "hf download aaditya/Llama3-OpenBioLLM-70B" in said

    @pytest.mark.parametrize(
        ("declared", "n_gpus", "expected"),
        [
            (1, 2, "tensor_parallel 1 as declared needs 0.2 of 0.2 GiB on each; serving.tensor_parallel: 2 fits"),
            (4, 2, "tensor_parallel 4 as declared needs more GPUs; serving.tensor_parallel: 2 fits"),
            (3, 4, "tensor_parallel 3 does not divide the model; serving.tensor_parallel: 2 fits"),
            (2, 4, "tensor_parallel 2 as declared (engine vllm) fits;"),
            (4, 4, "tensor_parallel 4 as declared (engine vllm) fits, 2 would do;"),
        ],
    )
    def test_the_declared_degree_is_judged(self, work: Path, declared: int, n_gpus: int, expected: str) -> None:
        folder = save_checkpoint(work / "weights", tiny_config())
        config = json.loads((folder / "config.json").read_text())
        # 0.21 GiB of keys and values at 2000 tokens; weights of next to nothing
        config |= {
            "num_hidden_layers": 220,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "max_position_embeddings": 2000,
        }
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        entry = {"path": "weights", "domain": "generalist", "chat": {"template": "plain"}}
        entry["serving"] = {"dtype": "float16", "tensor_parallel": declared}
        (work / "models.yaml").write_text(json.dumps({"models": {"m": entry}}), encoding="utf-8")
        code, said = check("m", "--gpus", str(n_gpus), "--memory-gib", "0.22")
        assert expected in said
        assert code == (0 if "fits;" in expected or "would do" in expected else 2)

    def test_own_code_is_named_and_not_run(self, work: Path) -> None:
        folder = save_checkpoint(work / "weights", tiny_config())
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "ours", "architectures": ["OursForCausalLM"], "auto_map": {"AutoConfig": "ours.Config"}}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "ours.py").write_text(f"open({str(work / 'ran')!r}, 'w')", encoding="utf-8")
        (work / "models.yaml").write_text("models: {m: {path: weights, domain: generalist, chat: {template: plain}}}", encoding="utf-8")
        code, said = check("m")
        assert code == 2
        assert "unknown to transformers" in said
        assert "it brings code of its own, which is not run, unless serving.trust_remote_code says so" in said
        assert "no engine here knows the architecture OursForCausalLM" in said
        assert not (work / "ran").exists()

    def test_without_names_everything_is_listed_and_nothing_fails(self, work: Path) -> None:
        (work / "models.yaml").write_text("models: {gone: {path: nowhere, domain: generalist}}", encoding="utf-8")
        code, said = check()
        assert code == 0
        assert "gone: not here (evalsuite models check gone)" in said
        assert "pocket-control: usable" in said

    def test_unknown_names_and_sizes_are_refused(self, work: Path) -> None:
        assert check("llama-3-8") == (2, check("llama-3-8")[1])
        assert "no such model; did you mean llama-3-8b" in check("llama-3-8")[1]
        code, said = check("pocket-clinical", "--gpus", "2")
        assert code == 2
        assert "--memory-gib: the memory of one GPU" in said


class TestGpus:
    @pytest.fixture
    def driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """An nvidia-smi that lists two GPUs."""
        program = tmp_path / "nvidia-smi"
        lines = "if [ \"$1\" = -L ]; then echo 'GPU 0: NVIDIA H100'; echo 'GPU 1: NVIDIA A100'; exit; fi\n"
        lines += "echo 'NVIDIA H100, 81559, 550.54'; echo 'NVIDIA A100, 40960, 550.54'\n"
        program.write_text(f"#!/bin/sh\n{lines}", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        from evalsuite.engines import _cuda

        _cuda._n_listed.cache_clear()
        yield program
        _cuda._n_listed.cache_clear()

    def test_the_smallest_counts_and_only_those_that_are_visible(self, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = gpus_module.found()
        assert (found.names, found.n_visible, found.gib, found.driver) == (("NVIDIA H100", "NVIDIA A100"), 2, 40.0, "550.54")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert gpus_module.found().n_visible == 1
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert gpus_module.found().why_none == "$CUDA_VISIBLE_DEVICES leaves none of them"
        assert gpus_module.asked_gpus(4, None).gib == 40.0
        assert gpus_module.asked_gpus(None, 80).n_visible == 1

    def test_a_driver_that_does_not_answer_is_none(self, driver: Path) -> None:
        driver.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
        assert gpus_module.found().why_none == "nvidia-smi finds no driver"
        driver.write_text("#!/bin/sh\necho '[N/A], [N/A], 1'\n", encoding="utf-8")
        assert gpus_module.found().n_visible == 0
