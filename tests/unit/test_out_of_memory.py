"""Memory that runs out in the middle of a wave loses nothing: every request is answered once, and as if nothing had happened.

On a CPU memory does not run out by itself: forward passes and single allocations are made to fail here as CUDA's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from evalsuite import runner
from evalsuite.bytetext import BOS, EOS
from evalsuite.engines import open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.study import run_study
from evalsuite.types import Failure, Outcome, Request, Response, Sampling
from tests.contract.mixed_requests import STOP_STRINGS, ask, differences, five_shots, mixed_requests, prompt_of, some_ids
from tests.planted import make_project
from tests.tiny_checkpoint import save_checkpoint, tiny_config

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5
MARK = EOS
"""An id of no prompt but those that a test puts it into; a model may write it, but never reads what it ends with."""

Fails = Callable[[int, torch.Tensor], bool]
"""(number of the forward pass from 0 on, ids that it reads) -> whether memory runs out in it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config())


@pytest.fixture(params=[True, False], ids=["shared", "plain"])
def share(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@contextmanager
def opened(folder: Path, *, share: bool) -> Iterator[Engine]:
    """An engine that has not yet met a lack of memory."""
    settings = EngineSettings(name="transformers", dtype="float32", device="cpu", options={"share_prefixes": share})
    with open_engine(str(folder), settings) as engine:
        yield engine


def model_of(engine: Engine) -> Any:
    return engine._checkpoint.model  # type: ignore[attr-defined]


@contextmanager
def short_of_memory(engine: Engine, fails: Fails, *, at: str = "begin") -> Iterator[list[int]]:
    """Let memory run out in forward passes: before anything is computed, or when the layers' keys and values are.

    Gives how many ids each pass was to read.
    """
    model = model_of(engine)
    passes: list[int] = []
    doomed = [False]

    def begin(_module: Any, given: tuple[Any, ...]) -> None:
        doomed[0] = fails(len(passes), given[0])
        passes.append(given[0].numel())
        if at == "begin":
            late(_module, given)

    def late(_module: Any, _given: tuple[Any, ...]) -> None:
        if doomed[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hooks = [model.get_input_embeddings().register_forward_pre_hook(begin)]
    if at == "end":
        hooks.append(model.model.layers[-1].mlp.register_forward_pre_hook(late))
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def next_of(ids: Sequence[int]) -> Request:
    return Request(kind="next", prompt=prompt_of(ids), candidates=(65, 66, 67, 68))


def written(ids: Sequence[int], n: int, **sampling: Any) -> Request:
    return Request(kind="generate", prompt=prompt_of(ids), sampling=Sampling(max_tokens=n, **sampling))


def small_wave(*kinds: str) -> list[Request]:
    """A tree of twelve prompts, asked about in each of the kinds."""
    rng = np.random.default_rng(0)
    requests = []
    for number, ids in enumerate(five_shots(rng)):
        continuations = ((1, 2, 3), (1, 2, 4), (5,))
        of_kind = {
            "next": next_of(ids),
            "continuation": Request(kind="continuation", prompt=prompt_of(ids), continuations=continuations, greedy=True),
            "prompt": Request(kind="prompt", prompt=prompt_of(ids), moments=True),
            "embed": Request(kind="embed", prompt=prompt_of(ids)),
            "greedy": written(ids, 4 + number % 5, stop=STOP_STRINGS[:2]),
            "drawn": written(ids, 4 + number % 5, temperature=1.0, seed=number),
        }
        requests += [of_kind[kind] for kind in kinds]
    return requests


SCORING = ("next", "continuation", "prompt", "embed")
GENERATING = ("greedy", "drawn")


def failed(outcomes: Sequence[Outcome]) -> list[int]:
    """Which failed for want of memory; no other failure is among them."""
    for outcome in outcomes:
        assert isinstance(outcome, Response) or (outcome.reason, outcome.transient) == ("out_of_memory", True)
    return [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]


# ---------------------------------------------------------------------------------------------------- too many tokens at once


def test_passes_over_too_many_tokens_are_made_smaller(folder: Path, share: bool) -> None:
    """Every single request fits; no answer is lost, none changes, and not one pass more than needed is tried in vain."""
    requests = mixed_requests(200, seed=3)
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
        with short_of_memory(engine, lambda _, ids: ids.numel() > 160) as passes:
            found = ask(engine, requests)
    assert differences(requests, expected, found, TOLERANCE) == []
    in_vain = [n for n in passes if n > 160]
    assert 0 < len(in_vain) < 12


def test_only_what_does_not_fit_alone_fails(folder: Path, share: bool) -> None:
    requests = [request for request in mixed_requests(150, seed=4) if len(request.prompt.token_ids) < 100]
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
    scarce: Fails = lambda _, ids: ids.numel() > 75  # noqa: E731
    with opened(folder, share=share) as engine, short_of_memory(engine, scarce):
        alone = [ask(engine, [request])[0] for request in requests]
    with opened(folder, share=share) as engine, short_of_memory(engine, scarce):
        together = ask(engine, requests)

    def lost(outcomes: Sequence[Outcome]) -> list[int]:
        return [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Failure) and outcome.reason == "out_of_memory"]

    assert lost(together) == lost(alone)
    assert len(lost(together)) < len(requests) / 2
    # paths are cut into several packs: there a long prompt is no reason to fail
    assert (len(lost(together)) == 0) == share
    kept = [number for number in range(len(requests)) if number not in lost(together)]
    assert differences(*([column[n] for n in kept] for column in (requests, expected, together)), TOLERANCE) == []


# ----------------------------------------------------------------------------------------------------------- at any moment


@pytest.mark.parametrize("at", ["begin", "end"])
@pytest.mark.parametrize("kinds", [SCORING, GENERATING], ids=["scoring", "generation"])
def test_memory_may_run_out_in_any_pass(folder: Path, share: bool, kinds: Sequence[str], at: str) -> None:
    """In each forward pass of a wave in turn, once: decoding steps too, and when keys and values are already stored."""
    requests = small_wave(*kinds)
    with opened(folder, share=share) as engine:
        with short_of_memory(engine, lambda *_: False) as passes:
            expected = ask(engine, requests)
        n_passes = len(passes)
        assert failed(expected) == []
    assert n_passes >= (8 if kinds == GENERATING else 2)
    for number in range(n_passes):
        with opened(folder, share=share) as engine:
            with short_of_memory(engine, lambda n, _, number=number: n == number, at=at) as passes:  # type: ignore[misc]
                assert differences(requests, expected, ask(engine, requests), TOLERANCE) == []
            assert len(passes) > n_passes


@pytest.mark.parametrize("kinds", [SCORING, GENERATING], ids=["scoring", "generation"])
def test_memory_may_become_scarce_in_the_middle(folder: Path, share: bool, kinds: Sequence[str]) -> None:
    """From each pass on there is less of it, for good."""
    requests = small_wave(*kinds)
    with opened(folder, share=share) as engine:
        with short_of_memory(engine, lambda *_: False) as passes:
            expected = ask(engine, requests)
        n_passes = len(passes)
    for number in range(n_passes):
        scarce: Fails = lambda n, ids, number=number: n >= number and ids.numel() > 130  # type: ignore[misc]  # noqa: E731
        with opened(folder, share=share) as engine, short_of_memory(engine, scarce):
            assert differences(requests, expected, ask(engine, requests), TOLERANCE) == []


class Allocations(TorchDispatchMode):
    """Counts operations that take memory, and lets it run out in one of them."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.n = 0
        self.fails_at = fails_at

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        held = {
            one.untyped_storage().data_ptr() for one in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)
        }
        made = [one for one in torch.utils._pytree.tree_leaves(out) if isinstance(one, torch.Tensor)]
        # small ones come out of what the allocator holds anyway
        if any(one.numel() >= 512 and one.untyped_storage().data_ptr() not in held for one in made):
            self.n += 1
            if self.n - 1 == self.fails_at:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return out


@pytest.mark.parametrize("kinds", [SCORING, GENERATING], ids=["scoring", "generation"])
def test_memory_may_run_out_in_any_allocation(folder: Path, share: bool, kinds: Sequence[str]) -> None:
    """Not only inside the model: also where keys and values are kept, and where log-probabilities are read."""
    requests = small_wave(*kinds)
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
    with opened(folder, share=share) as engine, Allocations() as counted:
        ask(engine, requests)
    assert counted.n > 50
    places = np.unique(np.linspace(0, counted.n - 1, 24).astype(int))
    for place in places.tolist():
        with opened(folder, share=share) as engine:
            with Allocations(place) as allocations:
                found = ask(engine, requests)
            assert allocations.n > place
        assert differences(requests, expected, found, TOLERANCE) == [], f"allocation {place} of {counted.n}"


def test_an_engine_goes_on_when_there_was_no_memory_at_all(folder: Path, share: bool) -> None:
    requests = small_wave(*SCORING, *GENERATING)
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
        with short_of_memory(engine, lambda *_: True):
            assert failed(ask(engine, requests)) == list(range(len(requests)))
        assert differences(requests, expected, ask(engine, requests), TOLERANCE) == []


# -------------------------------------------------------------------------------------------- one request that never fits


@pytest.mark.parametrize("kinds", [SCORING, GENERATING], ids=["scoring", "generation"])
def test_a_request_that_never_fits_fails_alone(folder: Path, share: bool, kinds: Sequence[str]) -> None:
    """Wherever it stands among the others: at the end of a path that they share."""
    requests = small_wave(*kinds)
    rng = np.random.default_rng(1)
    trunk = requests[0].prompt.token_ids
    for cut in (1, len(trunk) // 2, len(trunk)):
        ids = (*trunk[:cut], *some_ids(rng, 10, 10), MARK, 1)
        heavy = written(ids, 5) if kinds == GENERATING else next_of(ids)
        place = len(requests) // 2
        wave = [*requests[:place], heavy, *requests[place:]]
        with opened(folder, share=share) as engine:
            expected = ask(engine, wave)
            with short_of_memory(engine, lambda _, ids: bool((ids == MARK).any())):
                found = ask(engine, wave)
        assert failed(found) == [place]
        assert differences(requests, expected[:place] + expected[place + 1 :], found[:place] + found[place + 1 :], TOLERANCE) == []


def test_after_a_request_that_never_fits_the_others_go_on_in_large_packs_and_many_slots(folder: Path) -> None:
    rng = np.random.default_rng(2)
    for make in (next_of, lambda ids: written(ids, 5)):
        short = [make((BOS, *some_ids(rng, 12, 12))) for _ in range(24)]
        with opened(folder, share=True) as engine:
            n_passes = count_passes(engine, lambda engine=engine, short=short: ask(engine, short))
            with short_of_memory(engine, lambda _, ids: bool((ids == MARK).any())):
                assert failed(ask(engine, [*short, make((BOS, *some_ids(rng, 60, 60), MARK))])) == [len(short)]
            assert count_passes(engine, lambda engine=engine, short=short: ask(engine, short)) == n_passes


def count_passes(engine: Engine, call: Callable[[], Any]) -> int:
    """Forward passes while something is asked."""
    passes: list[int] = []
    hook = model_of(engine).get_input_embeddings().register_forward_hook(lambda *_: passes.append(1))
    try:
        call()
    finally:
        hook.remove()
    return len(passes)


def test_a_beginning_that_never_fits_fails_all_that_share_it(folder: Path, share: bool) -> None:
    requests = small_wave("next", "greedy")
    trunk = (BOS, *range(1, 20), MARK, *range(30, 50))
    heavy = [next_of((*trunk, number)) for number in range(5)] + [written((*trunk, number), 3) for number in range(3)]
    wave = [*requests[:9], *heavy, *requests[9:]]
    with opened(folder, share=share) as engine:
        expected = ask(engine, wave)
        with short_of_memory(engine, lambda _, ids: bool((ids == MARK).any())):
            found = ask(engine, wave)
    assert failed(found) == list(range(9, 9 + len(heavy)))
    assert differences(requests, expected[:9] + expected[9 + len(heavy) :], found[:9] + found[9 + len(heavy) :], TOLERANCE) == []


def test_one_continuation_that_never_fits_fails_its_request(folder: Path, share: bool) -> None:
    requests = small_wave("continuation")
    requests[4] = Request(kind="continuation", prompt=requests[4].prompt, continuations=((1, 2), (MARK, 3), (4,)), greedy=True)
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
        with short_of_memory(engine, lambda _, ids: bool((ids == MARK).any())):
            found = ask(engine, requests)
    assert failed(found) == [4]
    assert differences(requests[:4] + requests[5:], expected[:4] + expected[5:], found[:4] + found[5:], TOLERANCE) == []


def test_a_generation_for_which_memory_always_runs_out_on_the_way_fails_alone(folder: Path, share: bool) -> None:
    """In a decoding step: when the token that only it generates is read."""
    requests = [request for request in small_wave(*GENERATING) if request.sampling and not request.sampling.stop]
    read: set[int] = {token for request in requests for token in request.prompt.token_ids}
    with opened(folder, share=share) as engine:
        expected = ask(engine, requests)
        texts = [outcome.token_ids[:-1] for outcome in expected if isinstance(outcome, Response)]
        own = [
            (n, token) for n, text in enumerate(texts) for token in text if token not in read and sum(token in one for one in texts) == 1
        ]
        assert len(own) > 2
        for number, token in own[:3]:
            with short_of_memory(engine, lambda _, ids, token=token: bool((ids == token).any())):  # type: ignore[misc]
                found = ask(engine, requests)
            assert failed(found) == [number]
            others = [n for n in range(len(requests)) if n != number]
            assert differences(*([column[n] for n in others] for column in (requests, expected, found)), TOLERANCE) == []


# ---------------------------------------------------------------------------------------------------------------- a study


def test_a_study_asks_again_only_for_what_found_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: bool) -> None:
    """The store keeps what was answered before and after; the next run asks for the rest, and ends as if there had been enough."""
    project = make_project(tmp_path)
    task = tmp_path / "tasks" / "planted"
    lines = (task / "planted.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    # two questions bear a sign, and what reads its byte never finds memory in the first run
    lines = [line.replace("number 0003?", "number 0003§?").replace("number 0012?", "number 0012§?") for line in lines]
    (task / "planted.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    plugin = (task / "task.py").read_text(encoding="utf-8")
    (task / "task.py").write_text(plugin.replace("n_rows=200", "n_rows=20"), encoding="utf-8")
    save_checkpoint(tmp_path / "model", tiny_config(max_position_embeddings=512))
    project.models(first=str(tmp_path / "model"))
    with (tmp_path / "models.yaml").open("a", encoding="utf-8") as file:
        file.write("    chat: {template: plain}\n")
    scarce = [True]

    @contextmanager
    def watched(path: str, settings: EngineSettings) -> Iterator[Engine]:
        def fails(_: int, ids: torch.Tensor) -> bool:
            return scarce[0] and bool((ids == "§".encode()[-1]).any())

        with open_engine(path, settings) as engine, short_of_memory(engine, fails):
            yield engine

    monkeypatch.setattr(runner, "open_engine", watched)
    monkeypatch.chdir(tmp_path)
    engine = f"{{name: transformers, dtype: float32, device: cpu, share_prefixes: {str(share).lower()}}}"
    study = project.study(models="[first]", strategies="[{name: zero_shot, format: cloze}]", engine=engine, analysis="{n_resamples: 1000}")

    def ran(store: str) -> tuple[int, int, Any]:
        result = run_study(study, store=tmp_path / store, out=tmp_path / "out" / store)
        (run,) = result.runs
        assert result.scores is not None
        return run.n_asked, run.n_failed, result.scores.sort_values(["sample_id", "metric"]).reset_index(drop=True)

    assert ran("store")[:2] == (20, 2)
    scarce[0] = False
    n_asked, n_failed, scores = ran("store")
    assert (n_asked, n_failed) == (2, 0)
    n_asked, n_failed, calm = ran("calm")
    assert (n_asked, n_failed) == (20, 0)
    pd.testing.assert_frame_equal(scores, calm, rtol=0, atol=TOLERANCE)
