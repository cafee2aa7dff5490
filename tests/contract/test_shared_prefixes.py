"""Computing shared prefixes once gives the answers of plain padded batches, whatever the model, the requests and their order.

Reference: the same engine with `share_prefixes: false`, which is itself held to the library's own forward passes elsewhere.
In float32 the two differ by rounding. Generated tokens and greedy flags are compared as they are: they could differ only where
the two best logits are closer than that rounding, which the fixed weights and requests of this file never are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.bytetext import BOS
from evalsuite.engines import _packed_attention, check_settings, open_engine
from evalsuite.engines.base import Engine, EngineSettings
from evalsuite.types import Failure, Outcome, Request, Response, Sampling
from tests.contract.mixed_requests import (
    STOP_STRINGS,
    ask,
    difference,
    differences,
    five_shots,
    greedy_continuations,
    mixed_requests,
    n_fewest_tokens,
    numbers,
    prompt_of,
    shape,
    some_ids,
    sorted_requests,
)
from tests.contract.tiny_checkpoints import N_LONG_ROPE_TOKENS, TINY, save_tiny
from tests.tiny_checkpoint import N_CONTEXT_TOKENS

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-4
"""Between the two ways, in float32."""

IN_ANY_COMPANY = 1e-5
"""Between answers to one request in different waves, in float32."""

N_REQUESTS = {"llama": 2000, "mistral": 2000}
N_OTHER_REQUESTS = 120

SMALL = {"batch_tokens": 64}
"""Less than half of the longest path: paths are cut into several packs."""

STREAMS = {**SMALL, "streams": 2}

WHOLE = os.environ.get("EVALSUITE_WHOLE") == "1"
"""All architectures with small packs in streams too: some minutes."""

PROMISED = ("llama", "mistral", "qwen2", "qwen2 of two layer types", "gemma", "phi")


def settings_of(*, share: bool, dtype: str = "float32", **options: Any) -> EngineSettings:
    # the context is that of the prompts also where the configuration says none
    chosen = {**options, "share_prefixes": share}
    return EngineSettings(name="transformers", dtype=dtype, device="cpu", max_model_len=N_CONTEXT_TOKENS, options=chosen)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one checkpoint is asked, and what plain batches answer."""

    folder: Path
    requests: list[Request]
    plain: list[Outcome]

    @contextmanager
    def opened(self, **options: Any) -> Iterator[Engine]:
        with open_engine(str(self.folder), settings_of(share=True, **options)) as engine:
            yield engine


@dataclass(kw_only=True)
class Desk:
    """Makes the work of a checkpoint once, when it is first wanted."""

    root: Path
    made: dict[str, Work] = field(default_factory=dict)

    def work(self, name: str) -> Work:
        if name not in self.made:
            folder = save_tiny(self.root / name.replace(" ", "_"), name)
            requests = mixed_requests(N_REQUESTS.get(name, N_OTHER_REQUESTS))
            requests = [request for request in requests if request.kind != "embed" or TINY[name].embeds]
            with open_engine(str(folder), settings_of(share=False)) as engine:
                plain = ask(engine, requests)
                greedy = greedy_continuations(requests, plain)
                # those at the end take the place of the last: the number stays what it is
                requests, plain = requests[: -len(greedy)] + greedy, plain[: -len(greedy)] + ask(engine, greedy)
            self.made[name] = Work(folder=folder, requests=requests, plain=plain)
        return self.made[name]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(root=tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def llama(desk: Desk) -> Iterator[Engine]:
    """A sharing engine that several tests ask."""
    with desk.work("llama").opened() as engine:
        yield engine


def model_of(engine: Engine) -> Any:
    return engine._checkpoint.model  # type: ignore[attr-defined]


@contextmanager
def fed_tokens(engine: Engine) -> Iterator[list[int]]:
    """How many ids each forward pass reads, padding included."""
    counts: list[int] = []
    hook = model_of(engine).get_input_embeddings().register_forward_hook(lambda _module, given, _out: counts.append(given[0].numel()))
    try:
        yield counts
    finally:
        hook.remove()


def next_of(ids: Sequence[int], candidates: Sequence[int] = (65, 66, 67, 68)) -> Request:
    return Request(kind="next", prompt=prompt_of(ids), candidates=tuple(candidates))


def written(ids: Sequence[int], n: int, **sampling: Any) -> Request:
    return Request(kind="generate", prompt=prompt_of(ids), sampling=Sampling(max_tokens=n, **sampling))


# --------------------------------------------------------------------------------------------- the requests and the weights


def test_the_requests_hold_what_they_should() -> None:
    """Or the comparisons below would compare little."""
    requests = mixed_requests(2000)
    assert len(requests) == 2000
    kinds = [(request.kind, request.moments, request.greedy) for request in requests]
    for kind in (("next", False, False), ("continuation", False, True), ("continuation", False, False), ("embed", False, False)):
        assert kinds.count(kind) > 60
    assert min(kinds.count(("prompt", False, False)), kinds.count(("prompt", True, False))) > 60
    sampled = [request.sampling for request in requests if request.sampling is not None]
    assert min(sum(one.temperature == 0 for one in sampled), sum(one.temperature > 0 for one in sampled)) > 100
    assert {bool(one.stop) for one in sampled} == {True, False}
    lengths = [len(request.prompt.token_ids) for request in requests]
    assert min(lengths) == 1
    assert max(lengths) == N_CONTEXT_TOKENS + 1
    assert lengths.count(N_CONTEXT_TOKENS) > 10
    fed = sum(sum(len(request.prompt.token_ids) + len(tokens) - 1 for tokens in request.continuations or [(0,)]) for request in requests)
    assert n_fewest_tokens(requests) < fed / 4
    continuations = [set(request.continuations) for request in requests if len(request.continuations) > 1]
    assert any(len(request.continuations) > len(set(request.continuations)) for request in requests)
    assert any(one != other and one == other[: len(one)] for some in continuations for one in some for other in some)
    prompts = {request.prompt.token_ids for request in requests}
    assert any(ids[:end] in prompts for ids in prompts for end in range(3, len(ids)))


@pytest.mark.parametrize("name", TINY)
def test_answers_depend_on_far_tokens_unless_a_window_hides_them(desk: Desk, name: str) -> None:
    """A model that does not look back would agree whatever is shared; a window that hides nothing would not be tested."""
    rng = np.random.default_rng(1)
    ids = some_ids(rng, 60, 60)
    near = (*ids[:-10], ids[-10] ^ 1, *ids[-9:])
    with open_engine(str(desk.work(name).folder), settings_of(share=False)) as engine:
        here, far, close = (
            numbers(outcome)
            for outcome in ask(engine, [next_of(one, range(256)) for one in (ids, (ids[0] ^ 1, *ids[1:]), near)])
            if isinstance(outcome, Response)
        )
    assert np.std(here) > 0.3
    assert np.abs(here - close).max() > 1e-2
    change = np.abs(here - far).max()
    assert change > 1e-2 if TINY[name].sees == "all" else change < 1e-6


def test_every_kind_was_answered_by_plain_batches(desk: Desk) -> None:
    work = desk.work("llama")
    reasons = [outcome.reason for outcome in work.plain if isinstance(outcome, Failure)]
    assert set(reasons) == {"too_long", "unsupported"}
    assert len(reasons) < 200
    flags = [flag for outcome in work.plain if isinstance(outcome, Response) for flag in outcome.continuation_greedy]
    assert min(flags.count(True), flags.count(False)) > 100
    ends = [outcome.finish_reason for outcome in work.plain if isinstance(outcome, Response)]
    assert min(ends.count("stop"), ends.count("length")) > 20


# ---------------------------------------------------------------------------------------------------------- the same answers


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in TINY), *((name, STREAMS) for name in (TINY if WHOLE else PROMISED))],
    ids=[*(f"{name}-whole" for name in TINY), *(f"{name}-streams of small packs" for name in (TINY if WHOLE else PROMISED))],
)
def test_sharing_changes_no_answer(desk: Desk, name: str, options: Mapping[str, Any]) -> None:
    work = desk.work(name)
    with work.opened(**options) as engine:
        assert differences(work.requests, work.plain, ask(engine, work.requests), TOLERANCE) == []


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_queries_are_attended_to_in_blocks_where_masks_would_be_large(desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packed_attention, "N_MASK_PAIRS", 500)
    monkeypatch.setattr(_packed_attention, "N_KEPT_PAIRS", 2000)
    work = desk.work(name)
    with work.opened() as engine:
        assert differences(work.requests[-200:], work.plain[-200:], ask(engine, work.requests[-200:]), TOLERANCE) == []


@pytest.mark.parametrize("name", PROMISED)
def test_the_order_of_requests_does_not_matter(desk: Desk, name: str) -> None:
    work = desk.work(name)
    some, expected = work.requests[-120:], work.plain[-120:]
    places = sorted(range(len(some)), key=lambda place: some[place].prompt.token_ids)
    with work.opened() as engine:
        found = ask(engine, some)
        assert differences(some, expected, found, TOLERANCE) == []
        for order in (places, places[::-1], range(len(some))[::-1]):
            again = ask(engine, [some[place] for place in order])
            assert differences([some[place] for place in order], [found[place] for place in order], again, IN_ANY_COMPANY) == []


@pytest.mark.parametrize("name", PROMISED)
def test_the_company_of_a_request_does_not_matter(desk: Desk, name: str) -> None:
    work = desk.work(name)
    some = work.requests[-60:]
    with work.opened() as engine:
        together = ask(engine, work.requests[-400:])[-60:]
        alone = [ask(engine, [request])[0] for request in some]
    assert differences(some, together, alone, IN_ANY_COMPANY) == []


def test_eager_attention_gives_the_same(desk: Desk) -> None:
    """However it is computed then."""
    for name in ("llama", "mistral"):
        work = desk.work(name)
        some = work.requests[-200:]
        with work.opened(attention="eager") as engine:
            assert differences(some, work.plain[-200:], ask(engine, some), TOLERANCE) == []


def test_batches_of_one_token_still_answer(desk: Desk) -> None:
    """A budget that nothing fits into: everything goes through one by one."""
    work = desk.work("mistral")
    some, expected = work.requests[-25:], work.plain[-25:]
    with work.opened(batch_tokens=1) as engine:
        assert differences(some, expected, ask(engine, some), TOLERANCE) == []


@pytest.mark.parametrize("share", [True, False])
def test_lower_precision_is_no_worse_than_in_plain_batches(desk: Desk, share: bool) -> None:
    """bfloat16: both ways are about as far from float32, so that neither keeps less of a number than the other."""
    work = desk.work("llama")
    chosen = [(request, outcome) for request, outcome in zip(work.requests, work.plain, strict=True) if request.kind == "next"][:300]
    some = [request for request, _ in chosen]
    exact = [outcome for _, outcome in chosen]

    def error(*, share: bool) -> float:
        with open_engine(str(work.folder), settings_of(share=share, dtype="bfloat16")) as engine:
            pairs = zip(exact, ask(engine, some), strict=True)
            off = [numbers(one) - numbers(other) for one, other in pairs if isinstance(one, Response) and isinstance(other, Response)]
        return float(np.sqrt(np.mean(np.concatenate(off) ** 2)))

    assert 1e-4 < error(share=share) < 1.5 * error(share=not share)


def test_long_rope_across_its_limit(desk: Desk) -> None:
    """The same beginning has other keys in a longer prompt: it must not be taken over from a shorter one."""
    rng = np.random.default_rng(3)
    trunk = (BOS, *some_ids(rng, 30, 30))
    requests = [next_of(trunk + some_ids(rng, n, n)) for n in (1, 5, 8, 9, 10, 20, 60) for _ in range(3)]
    assert {len(request.prompt.token_ids) > N_LONG_ROPE_TOKENS for request in requests} == {True, False}
    work = desk.work("longrope")
    with open_engine(str(work.folder), settings_of(share=False)) as plain, work.opened() as engine:
        assert differences(requests, ask(plain, requests), ask(engine, requests), TOLERANCE) == []


def test_one_path_that_is_not_finite_leaves_the_others(desk: Desk) -> None:
    """Nothing times zero is nothing only for finite numbers: a key that a token must not see may be NaN."""
    bad = 200
    rng = np.random.default_rng(4)
    trunk = tuple(token for token in (BOS, *some_ids(rng, 30, 30)) if token != bad)
    tails = [tuple(token for token in some_ids(rng, 4, 12) if token != bad) for _ in range(12)]
    good = [next_of(trunk + tail) for tail in tails] + [written(trunk + tail, 6) for tail in tails[:4]]
    good += [Request(kind="embed", prompt=prompt_of(trunk + tail)) for tail in tails[:4]]
    spoilt = [next_of((*trunk, bad, *tail)) for tail in tails[:4]] + [written((*trunk, bad), 4), written((bad, 1), 4)]
    order = rng.permutation(len(good) + len(spoilt))
    requests = [(good + spoilt)[place] for place in order]
    work = desk.work("llama")
    with work.opened() as engine:
        expected = dict(zip(map(id, good), ask(engine, good), strict=True))
        model_of(engine).get_input_embeddings().weight[bad] = torch.nan
        for request, outcome in zip(requests, ask(engine, requests), strict=True):
            if id(request) in expected:
                assert difference(expected[id(request)], outcome, IN_ANY_COMPANY) == ""
            else:
                assert isinstance(outcome, Failure)
                assert (outcome.reason, outcome.transient) == ("invalid_logprob", False)


def test_a_wave_that_is_abandoned_leaves_nothing_behind(desk: Desk, llama: Engine) -> None:
    work = desk.work("llama")
    some, expected = work.requests[-200:], work.plain[-200:]
    for n in (1, 3, 120):
        answers = llama.run(some)
        for _ in range(n):
            next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert differences(some, expected, ask(llama, some), TOLERANCE) == []


def test_equal_requests_of_one_wave_get_equal_answers(llama: Engine) -> None:
    """To the bit: they are one path."""
    rng = np.random.default_rng(5)
    ids = (BOS, *some_ids(rng, 40, 40))
    asked = [
        next_of(ids),
        Request(kind="continuation", prompt=prompt_of(ids), continuations=((1, 2, 3), (1, 2, 3), (1,)), greedy=True),
        Request(kind="prompt", prompt=prompt_of(ids), moments=True),
        written(ids, 8, temperature=1.0, seed=5),
    ]
    outcomes = ask(llama, [*asked, *(next_of(ids[:n]) for n in range(1, 41, 5)), *asked])
    for one, other in zip(outcomes[: len(asked)], outcomes[-len(asked) :], strict=True):
        assert difference(one, other, 1e-6) == ""
    assert isinstance(outcomes[1], Response)
    first, second, part = outcomes[1].continuation_logprobs
    assert first == pytest.approx(second, abs=1e-6)
    assert first[:1] == pytest.approx(part, abs=1e-6)


def test_a_seed_gives_the_same_draw_in_any_company(desk: Desk, llama: Engine) -> None:
    rng = np.random.default_rng(6)
    trunk = (BOS, *some_ids(rng, 30, 30))
    request = written(trunk, 12, temperature=1.0, seed=7)
    (alone,) = ask(llama, [request])
    assert isinstance(alone, Response)
    company = [written(trunk[:n], 3 + n % 9, temperature=1.3, seed=n, stop=STOP_STRINGS[: n % 3]) for n in range(1, 31)]
    for place in (0, 7, len(company)):
        found = ask(llama, [*company[:place], request, *company[place:]])[place]
        assert isinstance(found, Response)
        assert shape(found) == shape(alone)


# ------------------------------------------------------------------------------------------------------------ random trees

FEW = st.integers(1, 3)
PATHS = st.lists(FEW, min_size=1, max_size=9).map(tuple)
"""Of three ids: most begin like others."""


@st.composite
def small_requests(draw: Callable[[Any], Any]) -> Request:
    ids = prompt_of(draw(PATHS))
    kind = draw(st.sampled_from(["next", "continuation", "prompt", "generate", "embed"]))
    if kind == "next":
        return Request(kind="next", prompt=ids, candidates=draw(st.lists(FEW, min_size=1, max_size=3).map(tuple)))
    if kind == "continuation":
        continuations = draw(st.lists(st.lists(FEW, min_size=1, max_size=5).map(tuple), min_size=1, max_size=4).map(tuple))
        return Request(kind="continuation", prompt=ids, continuations=continuations, greedy=draw(st.booleans()))
    if kind == "generate":
        heat = draw(st.sampled_from([0.0, 1.0]))
        sampling = Sampling(max_tokens=draw(st.integers(1, 5)), temperature=heat, seed=draw(st.integers(0, 9)) if heat else None)
        return Request(kind="generate", prompt=ids, sampling=sampling)
    return Request(kind=kind, prompt=ids, moments=kind == "prompt" and draw(st.booleans()))


@pytest.fixture(scope="module")
def pair(desk: Desk) -> Iterator[tuple[Engine, Engine]]:
    """Plain batches, and sharing in packs of so few tokens that paths are cut."""
    folder = str(desk.work("mistral").folder)
    with open_engine(folder, settings_of(share=False)) as plain, open_engine(folder, settings_of(share=True, batch_tokens=7)) as sharing:
        yield plain, sharing


@given(requests=st.lists(small_requests(), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_random_trees(pair: tuple[Engine, Engine], requests: list[Request]) -> None:
    plain, sharing = pair
    assert differences(requests, ask(plain, requests), ask(sharing, requests), TOLERANCE) == []


# ------------------------------------------------------------------------------------------------------ which way, and how much


def five_shot_wave() -> list[Request]:
    """Several trunks, each under many questions, in no order."""
    rng = np.random.default_rng(8)
    requests = [next_of(ids) for _ in range(12) for ids in five_shots(rng)]
    return [requests[place] for place in rng.permutation(len(requests))]


def n_fed(engine: Engine, requests: Sequence[Request]) -> int:
    with fed_tokens(engine) as counts:
        outcomes = ask(engine, requests)
    assert all(isinstance(outcome, Response) for outcome in outcomes)
    return sum(counts)


@pytest.mark.parametrize("name", TINY)
def test_notes_say_which_way_is_taken_and_why(desk: Desk, name: str) -> None:
    """And say the truth, by the tokens that the model is fed."""
    requests = five_shot_wave()
    fewest = n_fewest_tokens(requests)
    with desk.work(name).opened() as engine:
        (note,) = engine.info.notes
        shares = n_fed(engine, requests) <= 1.02 * fewest
    assert "\n" not in note
    expected = TINY[name].shares
    assert expected is None or shares == expected, note
    with open_engine(str(desk.work(name).folder), settings_of(share=False)) as plain:
        (off,) = plain.info.notes
        assert n_fed(plain, requests) > 3 * fewest
    assert off != note
    with desk.work("llama").opened() as engine:
        (on,) = engine.info.notes
    assert (note == on) == shares, note


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("options", [{}, SMALL], ids=["whole", "small"])
def test_no_token_is_computed_twice(desk: Desk, name: str, options: Mapping[str, Any]) -> None:
    """Of a five-shot wave, of continuations and of whole prompts: the fewest possible, but for 2%.

    Stretches of a few tokens that some prompts have in common may be computed twice: to branch there costs more. There are none here.
    """
    rng = np.random.default_rng(9)
    shots = five_shot_wave()
    trunks = [(BOS, *some_ids(rng, 50, 80)) for _ in range(12)]
    several = [
        Request(kind="continuation", prompt=prompt_of(trunk), continuations=tuple((first, *some_ids(rng, 1, 5)) for first in range(4)))
        for trunk in trunks
    ]
    along = [Request(kind="prompt", prompt=prompt_of(trunk[:n])) for trunk in trunks for n in (22, 43, len(trunk))]
    with desk.work(name).opened(**options) as engine:
        for requests in (shots, several, along):
            fewest = n_fewest_tokens(requests)
            assert fewest <= n_fed(engine, requests) <= 1.02 * fewest


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_the_last_layer_is_computed_for_wanted_tokens_alone(desk: Desk, name: str) -> None:
    """Keys and values of all tokens, everything else of those whose logits are asked for; the layers before in full."""
    requests = five_shot_wave()
    with desk.work(name).opened() as engine:
        layers = model_of(engine).base_model.layers
        counts: dict[int, int] = dict.fromkeys((0, len(layers) - 1), 0)

        def count(number: int) -> Callable[..., None]:
            def counted(_module: Any, given: tuple[torch.Tensor], _out: Any) -> None:
                counts[number] += given[0].shape[1]

            return counted

        hooks = [layers[number].mlp.register_forward_hook(count(number)) for number in counts]
        n_all = n_fed(engine, requests)
        for hook in hooks:
            hook.remove()
    n_wanted = len({request.prompt.token_ids for request in requests})
    assert n_wanted * 8 < n_all
    assert list(counts.values()) == [n_all, n_wanted]


@pytest.mark.parametrize("name", PROMISED)
def test_prompts_of_generations_are_computed_once(desk: Desk, name: str) -> None:
    rng = np.random.default_rng(10)
    ids = five_shots(rng)
    drawn = [written(one, 6, temperature=1.0, seed=seed) for one in ids for seed in range(5)]
    fewest = n_fewest_tokens(drawn)
    with desk.work(name).opened() as engine:
        assert n_fed(engine, [written(one, 1) for one in ids * 5]) <= 1.02 * fewest
        with fed_tokens(engine) as counts:
            outcomes = ask(engine, drawn)
    n_written = sum(len(outcome.token_ids) - 1 for outcome in outcomes if isinstance(outcome, Response))
    # slots whose generation has ended are fed until the batch is done, at worst
    assert fewest + n_written <= sum(counts) <= 1.02 * fewest + 5 * len(drawn)


def test_the_option_is_checked_before_loading(desk: Desk) -> None:
    folder = str(desk.work("llama").folder)
    assert check_settings(folder, settings_of(share=False)) == ()
    for wrong in ("yes", 1, 0, 2.5):
        (fault,) = check_settings(folder, EngineSettings(name="transformers", options={"share_prefixes": wrong}))
        assert fault.key == "share_prefixes"


def test_sharing_is_what_is_done_unless_told_otherwise(desk: Desk) -> None:
    folder = str(desk.work("llama").folder)
    with open_engine(folder, EngineSettings(name="transformers", dtype="float32", device="cpu")) as engine:
        requests = five_shot_wave()
        assert n_fed(engine, requests) <= 1.02 * n_fewest_tokens(requests)


def test_sorted_and_shuffled_waves_are_fed_alike(desk: Desk, llama: Engine) -> None:
    requests = five_shot_wave()
    assert n_fed(llama, requests) == n_fed(llama, sorted_requests(requests))
