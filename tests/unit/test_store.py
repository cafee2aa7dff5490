"""The store: keys, journals, torn and damaged lines, several writers."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import UserError
from evalsuite.store import (
    Identity,
    Store,
    analysis_statements,
    engine_notes,
    note_engine,
    outcome_as_json,
    outcome_from_json,
    request_key,
    state_analysis,
)
from evalsuite.types import Failure, Prompt, Request, Response, Sampling

IDENTITY = Identity(fingerprint="f" * 64, engine="stub", dtype="none", quantisation=None)
REQUEST = Request(kind="generate", prompt=Prompt(token_ids=(1, 2, 3), text="abc"), sampling=Sampling(max_tokens=8))
RESPONSE = Response(text="B", token_ids=(66,), finish_reason="stop", n_prompt_tokens=3, n_output_tokens=1)
LOST = Failure(reason="engine_error", message="it broke", transient=True)
TOO_LONG = Failure(reason="too_long", message="9000 tokens, 4096 fit", transient=False)

floats = st.floats(allow_nan=False, allow_infinity=False)
responses = st.builds(
    Response,
    text=st.text(),
    token_ids=st.lists(st.integers(0, 2**31)).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "none"]),
    logprobs=st.lists(floats).map(tuple),
    continuation_logprobs=st.lists(st.lists(floats, min_size=1).map(tuple)).map(tuple),
    vector=st.lists(st.floats(width=32)).map(lambda values: struct.pack(f"<{len(values)}f", *values)),
    n_prompt_tokens=st.integers(0, 10**6),
)


@given(responses)
def test_a_response_survives_the_journal_to_the_bit(response: Response) -> None:
    assert outcome_from_json(outcome_as_json(response)) == response


def test_a_vector_of_an_old_journal_was_a_list_of_numbers() -> None:
    values = [0.1, -2.5, 3e-39]
    assert outcome_from_json({"vector": values, "n_prompt_tokens": 3}) == Response(vector=struct.pack("<3f", *values), n_prompt_tokens=3)


def test_a_vector_takes_little_more_than_its_bytes(tmp_path: Path) -> None:
    vector = np.random.default_rng(0).standard_normal(4096).astype("<f4")
    with Store(tmp_path) as store:
        store.put("k", Response(vector=vector.tobytes(), n_prompt_tokens=9))
    with Store(tmp_path) as other:
        found = other.get("k")
    assert isinstance(found, Response)
    np.testing.assert_array_equal(np.frombuffer(found.vector, dtype="<f4"), vector)
    assert next(tmp_path.glob("journal-*")).stat().st_size < 1.4 * vector.nbytes


def test_a_failure_survives_the_journal() -> None:
    assert outcome_from_json(outcome_as_json(LOST)) == LOST


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "next", "sampling": None, "candidates": (5,)},
        {"prompt": Prompt(token_ids=(1, 2, 4), text="abc")},
        {"sampling": Sampling(max_tokens=9)},
        {"sampling": Sampling(max_tokens=8, stop=("\n",))},
        {"sampling": Sampling(max_tokens=8, temperature=0.5, seed=1)},
        {"candidates": (3,)},
        {"continuations": ((3,),)},
        {"moments": True},
    ],
)
def test_every_part_of_what_is_sent_is_part_of_the_key(change: dict[str, object]) -> None:
    assert request_key(IDENTITY, REQUEST) != request_key(IDENTITY, dataclasses.replace(REQUEST, **change))


@pytest.mark.parametrize("field", ["fingerprint", "engine", "dtype", "quantisation"])
def test_every_part_of_who_answers_is_part_of_the_key(field: str) -> None:
    other = dataclasses.replace(IDENTITY, **{field: "other"})
    assert request_key(IDENTITY, REQUEST) != request_key(other, REQUEST)


def test_the_prompts_text_is_not_part_of_the_key() -> None:
    same = dataclasses.replace(REQUEST, prompt=Prompt(token_ids=(1, 2, 3), text="for people only"))
    assert request_key(IDENTITY, REQUEST) == request_key(IDENTITY, same)


def test_ids_cannot_slide_between_prompt_candidates_and_continuations() -> None:
    def key(prompt: tuple[int, ...], candidates: tuple[int, ...], continuations: tuple[tuple[int, ...], ...]) -> str:
        request = Request(kind="continuation", prompt=Prompt(token_ids=prompt, text=""), candidates=candidates, continuations=continuations)
        return request_key(IDENTITY, request)

    keys = {
        key((1, 2), (3,), ()),
        key((1,), (2, 3), ()),
        key((1,), (), ((2,), (3,))),
        key((1,), (), ((2, 3),)),
        key((1, 2), (), ((3,),)),
    }
    assert len(keys) == 5


def test_what_is_put_can_be_got_here_and_by_another_reader(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        assert store.get("k") is None
        store.put("k", RESPONSE)
        assert store.get("k") == RESPONSE
        with Store(tmp_path / "s") as other:
            assert other.get("k") == RESPONSE


def test_the_journal_holds_no_prompt(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(request_key(IDENTITY, REQUEST), RESPONSE)
    text = next(tmp_path.glob("journal-*")).read_text()
    assert "abc" not in text
    assert "[1,2,3]" not in text


def test_transient_failures_are_asked_again_and_permanent_ones_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("lost", LOST)
        store.put("long", TOO_LONG)
        assert store.get("lost") is None
        assert store.last_failure("lost") == LOST
        assert store.get("long") == TOO_LONG
        store.put("lost", RESPONSE)
        assert store.get("lost") == RESPONSE
        assert store.stats().n_transient == 0


def test_a_torn_last_line_is_ignored_and_the_rest_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put("a", RESPONSE)
        store.put("b", RESPONSE)
    journal = next(tmp_path.glob("journal-*"))
    whole = journal.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        journal.write_bytes(whole[:cut])
        with Store(tmp_path) as store:
            assert store.get("a") == RESPONSE
            assert store.get("b") is None
            assert store.stats().damaged == ()


def test_a_damaged_line_in_the_middle_is_reported_and_only_it_is_lost(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for key in "abc":
            store.put(key, RESPONSE)
    journal = next(tmp_path.glob("journal-*"))
    lines = journal.read_bytes().splitlines(keepends=True)
    for damaged in (lines[1][:20] + b"#" + lines[1][21:], b"\n", lines[1].replace(b'"B"', b'"C"'), b"not json\n"):
        journal.write_bytes(lines[0] + damaged + lines[2])
        with Store(tmp_path) as store:
            assert (store.get("a"), store.get("b"), store.get("c")) == (RESPONSE, None, RESPONSE)
            assert store.stats().damaged == (f"{journal.name}:2",)


def test_of_equal_keys_the_earliest_wins_and_conflicts_are_counted(tmp_path: Path) -> None:
    other = dataclasses.replace(RESPONSE, text="C")
    with Store(tmp_path) as first, Store(tmp_path) as second:
        second.put("k", other)
        first.put("k", RESPONSE)
        first.put("same", RESPONSE)
        second.put("same", RESPONSE)
    with Store(tmp_path) as store:
        assert store.get("k") == other
        assert (store.stats().n_repeated, store.stats().n_conflicts) == (2, 1)


def test_a_reader_sees_what_another_process_adds_after_a_refresh(tmp_path: Path) -> None:
    with Store(tmp_path) as reader, Store(tmp_path) as writer:
        writer.put("a", RESPONSE)
        assert reader.get("a") is None
        reader.refresh()
        assert reader.get("a") == RESPONSE
        writer.put("b", RESPONSE)
        reader.refresh()
        assert reader.get("b") == RESPONSE
        assert reader.stats().n_repeated == 0


WRITER = """
import sys
from pathlib import Path
from evalsuite.store import Store
from evalsuite.types import Response
with Store(Path(sys.argv[1])) as store:
    for number in range(300):
        store.put(f"{sys.argv[2]}-{number}", Response(text=sys.argv[2] * 50))
        store.put(f"both-{number}", Response(text="same"))
"""


def test_two_processes_write_one_store_at_the_same_time(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in ("x", "y")]
    assert [writer.wait() for writer in writers] == [0, 0]
    with Store(tmp_path) as store:
        stats = store.stats()
        assert (stats.n_files, stats.n_answers, stats.n_conflicts, stats.damaged) == (2, 900, 0, ())
        assert stats.n_repeated == 300
        assert store.get("x-299") == Response(text="x" * 50)


def test_the_first_stated_analysis_stays_the_stated_one(tmp_path: Path) -> None:
    assert state_analysis(tmp_path, "s", {"margin": 0.03}).analysis == {"margin": 0.03}
    assert state_analysis(tmp_path, "s", {"margin": 0.05}).analysis == {"margin": 0.03}
    assert state_analysis(tmp_path, "s", {"margin": 0.05}).analysis == {"margin": 0.03}
    assert [statement.analysis["margin"] for statement in analysis_statements(tmp_path, "s")] == [0.03, 0.05]
    assert analysis_statements(tmp_path, "another") == []


def test_engine_notes_are_kept_by_identity(tmp_path: Path) -> None:
    note_engine(tmp_path, IDENTITY, {"device": "cpu"})
    note_engine(tmp_path, IDENTITY, {"device": "cpu"})
    note_engine(tmp_path, dataclasses.replace(IDENTITY, dtype="float32"), {"device": "gpu"})
    assert engine_notes(tmp_path, IDENTITY) == [{"device": "cpu"}]


def test_a_store_of_many_journals_holds_few_files_open(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(200):
        with Store(tmp_path) as store:
            store.put(f"k{number}", dataclasses.replace(RESPONSE, text=str(number)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (150, hard))
    try:
        with Store(tmp_path) as store:
            assert all(store.get(f"k{number}") == dataclasses.replace(RESPONSE, text=str(number)) for number in range(200))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match="the store is a folder"):
        Store(tmp_path / "x")


@pytest.mark.parametrize("key", ["ab" * 32, "AB" * 32, "a" * 63, "not a digest", "", "ab cd"])
def test_every_key_comes_back_as_it_was_given(tmp_path: Path, key: str) -> None:
    """Digests are kept as bytes; no other text may be taken for one."""
    with Store(tmp_path) as store:
        store.put(key, Response(text="mine"))
        store.put("ab" * 31, Response(text="other"))
        assert set(store.keys()) == {key, "ab" * 31}
    with Store(tmp_path) as again:
        assert set(again.keys()) == {key, "ab" * 31}
        assert again.get(key) == Response(text="mine")
        assert again.get(key.swapcase()) == (Response(text="mine") if key == key.swapcase() else None)
