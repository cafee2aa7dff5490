"""The transformers engine: which folders it refuses, other architectures, memory, seeds, stop ids. Contract: tests/contract."""

from __future__ import annotations

import gc
import json
import math
import socket
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from evalsuite.bytetext import BOS, EOS, encode
from evalsuite.collection import KEPT, KEPT_BY_DEFAULT
from evalsuite.engines import _logits, check_settings, open_engine
from evalsuite.engines._decoding import draw
from evalsuite.engines.base import EngineSettings
from evalsuite.engines.transformers import TransformersEngine, load
from evalsuite.errors import UserError
from evalsuite.types import Failure, Outcome, Prompt, Request, Response, Sampling
from tests.tiny_checkpoint import N_CONTEXT_TOKENS, byte_tokenizer, save_checkpoint, tiny_config

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ("hello", "a longer prompt " * 3, "x", "and one in between")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "model", tiny_config())


def settings(**changes: Any) -> EngineSettings:
    return EngineSettings(**{"name": "transformers", "device": "cpu", **changes})


PADDED = settings(options={"share_prefixes": False})
"""Plain batches; `test_out_of_memory` has both ways."""


def prompt(text: str) -> Prompt:
    return Prompt(token_ids=(BOS, *encode(text)), text=text)


def next_token(text: str) -> Request:
    return Request(kind="next", prompt=prompt(text), candidates=encode("ABCD"))


def generate(text: str, n: int = 20, **sampling: Any) -> Request:
    return Request(kind="generate", prompt=prompt(text), sampling=Sampling(max_tokens=n, **sampling))


def ask(engine: TransformersEngine, *requests: Request) -> list[Outcome]:
    return [outcome for _, outcome in sorted(engine.run(requests), key=lambda pair: pair[0])]


def answer(engine: TransformersEngine, request: Request) -> Response:
    (outcome,) = ask(engine, request)
    assert isinstance(outcome, Response), outcome
    return outcome


def refused(path: Path | str, **changes: Any) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(UserError) as caught:
        load(str(path), settings(**changes))
    assert len(caught.value.faults) == 1
    line = str(caught.value)
    assert "\n" not in line
    assert "hub" not in line.lower()
    assert "huggingface" not in line.lower()
    return line


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


# ------------------------------------------------------------------------------------------------ folders that are refused


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nowhere")
    assert "no such folder" in refused("some-owner/some-model")


@pytest.mark.parametrize(("name", "said"), [("config.json", "no checkpoint"), ("model.safetensors", "no weights")])
def test_a_file_that_is_not_there(folder: Path, name: str, said: str) -> None:
    (folder / name).unlink()
    assert said in refused(folder)


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert "tokenizer: cannot be loaded" in refused(folder)


def test_a_shard_that_is_not_there(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "2 of 2 weight files are missing, first model-00001-of-00002.safetensors" in refused(folder)


@pytest.mark.parametrize("n_bytes", [0, 4, 3000, -10])
def test_weights_that_are_cut_off(folder: Path, n_bytes: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert "model.safetensors: cannot be loaded" in refused(folder)


def test_a_weight_that_is_missing(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    assert "1 weights of the model are not in the file and would be random, first model.layers.1.mlp.up_proj.weight" in refused(folder)


def test_an_output_layer_that_is_missing_though_nothing_is_tied(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    assert "lm_head.weight" in refused(folder)


def test_more_weights_than_the_model_has(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=1)
    assert "9 weights of the file have no place in the model" in refused(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    edit_config(folder, intermediate_size=64)
    assert "model.safetensors: cannot be loaded" in refused(folder)


@pytest.mark.parametrize("changes", [{"hidden_size": "abc"}, {"model_type": "nope"}, {"num_attention_heads": 5}])
def test_a_config_that_makes_no_sense(folder: Path, changes: dict[str, Any]) -> None:
    edit_config(folder, **changes)
    assert "config.json: cannot be loaded" in refused(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert "config.json: cannot be loaded" in refused(folder)


def test_code_of_the_checkpoint_is_not_run_unless_allowed(folder: Path, tmp_path: Path) -> None:
    edit_config(folder, model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"})
    mark = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w').close()")
    assert "config.json: cannot be loaded" in refused(folder)
    assert not mark.exists()


def test_an_encoder_is_no_language_model(tmp_path: Path) -> None:
    config = tiny_config(transformers.BertConfig)
    with torch.random.fork_rng():
        transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    assert "not a causal language model" in refused(tmp_path)


def test_adapters_are_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert "adapter" in refused(folder)


def test_no_context_length(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, tiny_config(transformers.BloomConfig, hidden_size=32, n_head=4, n_layer=2))
    edit_config(folder, max_position_embeddings=None)
    assert "max_model_len" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "float31"}, "did you mean float32"),
        ({"device": "tpu"}, "auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:x"}, "auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:99"}, "CUDA devices"),
        ({"tensor_parallel": 2}, "one device"),
        ({"max_model_len": 0}, "1 or more"),
        ({"quantisation": "gptq"}, "the checkpoint's own scheme is none"),
        ({"options": {"batch_token": 1}}, "did you mean batch_tokens"),
        ({"options": {"batch_tokens": 0}}, "1 or more"),
        ({"options": {"streams": 0}}, "1 or more"),
        ({"options": {"attention": "flash"}}, "sdpa or eager"),
    ],
)
def test_settings_that_cannot_be_obeyed(folder: Path, changes: dict[str, Any], said: str) -> None:
    assert said in refused(folder, **changes)
    # All but the quantisation, which stands in a file that transformers reads, is seen before anything is loaded.
    before = check_settings(str(folder), settings(**changes))
    assert [said in str(fault) for fault in before] == ([] if "quantisation" in changes else [True])


def test_all_wrong_settings_are_told_at_once(folder: Path) -> None:
    wrong = settings(dtype="float31", tensor_parallel=2, options={"batchtokens": 5, "batch_tokens": "none"})
    assert [fault.key for fault in check_settings(str(folder), wrong)] == ["batchtokens", "batch_tokens", "tensor_parallel", "dtype"]
    with pytest.raises(UserError) as caught:
        load(str(folder), wrong)
    assert caught.value.faults == check_settings(str(folder), wrong)


def test_loading_says_nothing_and_calls_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the engine called somebody")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.delenv(variable, raising=False)
    with open_engine(str(folder), settings()) as engine:
        list(engine.run([next_token("hello"), generate("hello")]))
    refused(folder / "nowhere")
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------- what is loaded, and what it costs


def test_weights_in_torch_files_give_the_same(folder: Path, tmp_path: Path) -> None:
    expected = answer(load(str(folder), settings()), next_token("hello"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = answer(load(str(folder), settings()), next_token("hello"))
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def test_dtype_and_context(folder: Path) -> None:
    assert load(str(folder), settings()).info.dtype == "float32"
    engine = load(str(folder), settings(dtype="bfloat16", max_model_len=16))
    assert (engine.info.dtype, engine.info.n_context_tokens) == ("bfloat16", 16)
    (outcome,) = ask(engine, next_token("x" * 16))
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.transient) == ("too_long", True)
    assert load(str(folder), settings(max_model_len=10_000)).info.n_context_tokens == N_CONTEXT_TOKENS


def test_models_one_after_another_leave_no_memory(tmp_path: Path) -> None:
    answers = set()
    for seed in range(3):
        folder = save_checkpoint(tmp_path / str(seed), tiny_config(), seed=seed)
        with open_engine(str(folder), settings()) as engine:
            assert isinstance(engine, TransformersEngine)
            answers.add(answer(engine, next_token("hello")).logprobs)
            answer(engine, generate("hello"))
            model = weakref.ref(engine._loaded().model)
            weight = weakref.ref(engine._loaded().model.get_output_embeddings().weight)
        gc.collect()
        assert model() is None
        assert weight() is None
    assert len(answers) == 3
    with pytest.raises(RuntimeError, match="closed"):
        list(engine.run([next_token("hello")]))


def test_chance_of_the_process_is_left_alone(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    ask(load(str(folder), settings()), generate("hello", temperature=1.0, seed=1), next_token("hello"))
    assert torch.equal(before, torch.get_rng_state())


def test_answers_come_batch_by_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(str(folder), settings(options={"batch_tokens": 30, "share_prefixes": False}))
    n_calls = count_calls(engine, monkeypatch)
    answers = engine.run([next_token("x" * 12) for _ in range(10)])
    assert n_calls() == 0
    next(answers)
    assert n_calls() == 1
    assert len(list(answers)) == 9
    assert n_calls() == 5


def count_calls(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch, fits: Callable[[int, int], bool] = lambda *_: True
) -> Callable[[], int]:
    """Count forward passes of padded batches; those that do not fit run out of memory."""
    model = engine._loaded().model
    forward = model.forward
    calls: list[int] = []

    def counted(**arguments: Any) -> Any:
        rows, width = arguments["attention_mask"].shape
        if not fits(rows, width):
            raise torch.OutOfMemoryError("CUDA out of memory")
        calls.append(rows)
        return forward(**arguments)

    monkeypatch.setattr(model, "forward", counted)
    return lambda: len(calls)


def test_out_of_memory_halves_the_batch_and_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [request for text in TEXTS for request in (next_token(text), generate(text), generate(text, temperature=1.0, seed=2))]
    continuations = Request(kind="continuation", prompt=prompt("hello"), continuations=tuple(encode(text) for text in TEXTS))
    engine = load(str(folder), PADDED)
    expected = ask(engine, *requests, continuations)
    count_calls(engine, monkeypatch, fits=lambda rows, width: rows * width <= 75)
    for left, right in zip(expected, ask(engine, *requests, continuations), strict=True):
        assert isinstance(left, Response)
        assert isinstance(right, Response)
        assert right.token_ids == left.token_ids
        assert right.logprobs == pytest.approx(left.logprobs, abs=1e-5)
    assert isinstance(right, Response)
    assert [len(values) for values in right.continuation_logprobs] == [len(encode(text)) for text in TEXTS]


def test_a_request_that_fits_no_memory_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(str(folder), PADDED)
    count_calls(engine, monkeypatch, fits=lambda rows, width: rows * width <= 30)
    short, long, other = ask(engine, next_token("short"), next_token("x" * 40), generate("other", 5))
    assert isinstance(short, Response)
    assert isinstance(other, Response)
    assert isinstance(long, Failure)
    assert (long.reason, long.transient) == ("out_of_memory", True)


def test_other_errors_of_the_model_are_not_hidden(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(str(folder), settings())

    def broken(**_: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(engine._loaded().model, "forward", broken)
    with pytest.raises(RuntimeError, match="device-side assert"):
        ask(engine, next_token("hello"))


def test_numbers_do_not_depend_on_the_size_of_the_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(str(folder), settings())
    requests = [Request(kind="prompt", prompt=prompt(text), moments=True) for text in TEXTS] + [next_token(text) for text in TEXTS]
    whole = ask(engine, *requests)
    monkeypatch.setattr(_logits, "N_LOGITS_AT_ONCE", 258 * 7)
    assert ask(engine, *requests) == whole


def test_a_token_of_probability_zero_adds_nothing_to_the_moments() -> None:
    logits = torch.tensor([[0.0, -math.inf, 1.0], [0.0, math.nan, 1.0]])
    found = _logits.read_logits(logits, np.arange(2), np.zeros(2, dtype=np.int64), moments=True, tops=False)
    values, means, variances = found.values, found.means, found.variances
    p = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    mean = (p * np.log(p)).sum()
    assert (values[0], means[0], variances[0]) == pytest.approx((np.log(p[0]), mean, (p * (np.log(p) - mean) ** 2).sum()), abs=1e-6)
    assert np.isnan([values[1], means[1], variances[1]]).all()


# ------------------------------------------------------------------------------------------------- numbers that are no numbers


def test_weights_that_are_not_finite(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights["model.norm.weight"].fill_(math.nan))
    engine = load(str(folder), settings())
    continuation = Request(kind="continuation", prompt=prompt("a"), continuations=(encode("b"), encode("cd")))
    requests = (next_token("a"), continuation, Request(kind="prompt", prompt=prompt("a")), generate("a"))
    for outcome in (*ask(engine, *requests), *ask(engine, generate("a", temperature=1.0, seed=1))):
        assert isinstance(outcome, Failure)
        assert (outcome.reason, outcome.transient) == ("invalid_logprob", False)
    (outcome,) = ask(engine, Request(kind="embed", prompt=prompt("a")))
    assert isinstance(outcome, Failure)


def test_one_row_that_is_not_finite_leaves_its_neighbours(folder: Path) -> None:
    engine = load(str(folder), settings())
    good = [next_token(text) for text in TEXTS] + [generate(text) for text in TEXTS]
    expected = ask(engine, *good)
    engine._loaded().model.get_input_embeddings().weight[ord("!")] = math.nan
    found = ask(engine, next_token("bad!"), *good, generate("!"))
    bad = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert [outcome.reason for outcome in bad] == ["invalid_logprob", "invalid_logprob"]
    for left, right in zip(expected, found[1:-1], strict=True):
        assert isinstance(left, Response)
        assert isinstance(right, Response)
        assert (left.text, left.token_ids) == (right.text, right.token_ids)
        assert left.logprobs == pytest.approx(right.logprobs, abs=1e-5)


# --------------------------------------------------------------------------------------------------- decoding and its end


def test_sampling_defaults_of_the_checkpoint_are_not_used(folder: Path) -> None:
    requests = (*(generate(text) for text in TEXTS), generate("hello", temperature=1.0, seed=3))
    expected = ask(load(str(folder), settings()), *requests)
    own = {"do_sample": True, "temperature": 0.01, "top_k": 1, "top_p": 0.1, "repetition_penalty": 9.0, "max_new_tokens": 3}
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **own}))
    assert ask(load(str(folder), settings()), *requests) == expected


def test_stop_ids_of_the_checkpoint_are_used(folder: Path) -> None:
    whole = answer(load(str(folder), settings()), generate("hello"))
    end = whole.token_ids[4]
    first = whole.token_ids.index(end)
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [EOS, end]}))
    ended = answer(load(str(folder), settings()), generate("hello"))
    assert (ended.token_ids, ended.finish_reason) == (whole.token_ids[: first + 1], "stop")


def test_the_tokenizers_end_is_used_too(folder: Path) -> None:
    # A long EOS direction makes it a frequent answer; config and generation_config know no end.
    edit_weights(folder, lambda weights: weights["lm_head.weight"][EOS].copy_(weights["lm_head.weight"][EOS] * 40))
    edit_config(folder, eos_token_id=None)
    (folder / "generation_config.json").unlink()
    engine = load(str(folder), settings())
    ended = [outcome for outcome in ask(engine, *(generate(f"{n}", 40) for n in range(20))) if isinstance(outcome, Response)]
    stopped = [outcome for outcome in ended if outcome.finish_reason == "stop"]
    assert stopped
    assert all(outcome.token_ids[-1] == EOS and EOS not in outcome.token_ids[:-1] for outcome in stopped)
    assert all("</s>" not in outcome.text for outcome in stopped)


def test_a_stop_string_that_is_a_special_token(folder: Path) -> None:
    # BOS stands for any special token that a chat template ends a turn with and that generation_config.json forgot.
    edit_weights(folder, lambda weights: weights["lm_head.weight"][BOS].copy_(weights["lm_head.weight"][BOS] * 40))
    engine = load(str(folder), settings())
    wholes = [answer(engine, generate(f"{n}", 40)) for n in range(20)]
    number, whole = next((n, whole) for n, whole in enumerate(wholes) if BOS in whole.token_ids[:-1])
    stopped = answer(engine, generate(f"{number}", 40, stop=("<s>",)))
    assert stopped.finish_reason == "stop"
    assert stopped.token_ids == whole.token_ids[: whole.token_ids.index(BOS) + 1]


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, -math.inf, 2.0, -1.0])
    sampling = Sampling(max_tokens=1, temperature=0.7, seed=0)
    chances = (np.arange(10_000) + 0.5) / 10_000
    counts = np.bincount([draw(logits, sampling, chance) for chance in chances], minlength=5) / 10_000
    assert counts == pytest.approx(torch.softmax(logits / 0.7, -1).numpy(), abs=2e-4)


def test_draws_stay_inside_the_nucleus() -> None:
    p = torch.tensor([0.05, 0.5, 0.15, 0.3])
    sampling = Sampling(max_tokens=1, temperature=1.0, top_p=0.8, seed=0)
    chances = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([draw(p.log(), sampling, chance) for chance in chances], minlength=4) / 1000
    # The smallest set of the most probable tokens that holds 0.8: 0.5 and 0.3.
    assert counts == pytest.approx([0, 0.625, 0, 0.375], abs=2e-3)
    tiny = Sampling(max_tokens=1, temperature=1.0, top_p=1e-6, seed=0)
    assert {draw(p.log(), tiny, chance) for chance in (0.0, 0.5, 1 - 2**-53)} == {1}


def test_the_ends_of_chance_are_tokens_of_some_probability() -> None:
    logits = torch.tensor([-math.inf, 0.0, 0.3, -math.inf])
    sampling = Sampling(max_tokens=1, temperature=1.0, seed=0)
    assert (draw(logits, sampling, 0.0), draw(logits, sampling, 1 - 2**-53)) == (1, 2)


# ------------------------------------------------------------------------------------------------------ other architectures

T = transformers
ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "tied": lambda: tiny_config(tie_word_embeddings=True),
    "llama 3 rope": lambda: tiny_config(
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    ),
    "sliding window": lambda: tiny_config(T.MistralConfig, sliding_window=8),
    "qwen2": lambda: tiny_config(T.Qwen2Config),
    "qwen3": lambda: tiny_config(T.Qwen3Config, head_dim=8),
    "soft caps": lambda: tiny_config(
        T.Gemma2Config, head_dim=8, sliding_window=8, final_logit_softcapping=2.0, attn_logit_softcapping=1.0, query_pre_attn_scalar=8
    ),
    "gemma3 text": lambda: tiny_config(T.Gemma3TextConfig, head_dim=8, sliding_window=8, query_pre_attn_scalar=8),
    "logit scale": lambda: tiny_config(T.CohereConfig, logit_scale=0.3),
    "logits scaling": lambda: tiny_config(T.GraniteConfig, logits_scaling=3.0),
    "learned positions": lambda: tiny_config(T.GPT2Config, n_embd=32, n_layer=2, n_head=4, n_positions=N_CONTEXT_TOKENS),
    "alibi": lambda: tiny_config(T.BloomConfig, n_head=4, n_layer=2),
    "opt": lambda: tiny_config(T.OPTConfig, ffn_dim=48, word_embed_proj_dim=32),
    "experts": lambda: tiny_config(T.MixtralConfig, num_local_experts=4, num_experts_per_tok=2, sliding_window=None),
    "long rope": lambda: tiny_config(
        T.Phi3Config,
        original_max_position_embeddings=40,
        rope_scaling={"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [6.0] * 4},
    ),
}


@pytest.mark.parametrize("make", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_architectures_against_plain_forward_passes(make: Callable[[], Any], tmp_path: Path) -> None:
    """Batches of mixed lengths equal the library's own answer to each prompt alone: caps, scales, windows, positions, cache."""
    folder = save_checkpoint(tmp_path, make())
    max_model_len = N_CONTEXT_TOKENS if "bloom" in (folder / "config.json").read_text() else None
    engine = load(str(folder), settings(max_model_len=max_model_len))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    plain = transformers.GenerationConfig(do_sample=False, max_new_tokens=12, eos_token_id=EOS, pad_token_id=EOS, bos_token_id=BOS)
    texts = (*TEXTS, "y" * 60)
    scored = ask(engine, *(Request(kind="prompt", prompt=prompt(text)) for text in texts))
    written = ask(engine, *(generate(text, 12) for text in texts))
    for text, along, greedy in zip(texts, scored, written, strict=True):
        assert isinstance(along, Response)
        assert isinstance(greedy, Response)
        ids = torch.tensor([prompt(text).token_ids])
        with torch.no_grad():
            logp = model(ids[:, :-1]).logits[0].double().log_softmax(-1)
        expected = logp.gather(1, ids[0, 1:, None])[:, 0]
        assert along.logprobs == pytest.approx(expected.tolist(), abs=2e-5)
        new = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)[0, ids.shape[1] :]
        assert list(greedy.token_ids) == new.tolist()
    assert np.std(along.logprobs) > 0.01  # flat distributions would agree whatever happens


def test_a_generation_across_the_change_of_rotary_factors_is_refused(tmp_path: Path) -> None:
    engine = load(str(save_checkpoint(tmp_path, ARCHITECTURES["long rope"]())), settings())
    below, across, beyond = ask(engine, generate("x" * 19, 20), generate("x" * 20, 20), generate("x" * 40, 20))
    assert isinstance(below, Response)
    assert isinstance(across, Failure)
    assert (across.reason, across.transient) == ("unsupported", True)
    assert isinstance(beyond, Response)


def test_freed_memory_is_kept_while_a_network_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("evalsuite.engines.transformers.keep_freed_memory", asked.append)
    with open_engine(str(folder), settings()):
        assert asked == [KEPT]
    assert asked == [KEPT, KEPT_BY_DEFAULT]
