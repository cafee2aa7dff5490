"""Locating, reading and checking data: what is refused, where the blame is put, and that no row's text is quoted."""

from __future__ import annotations

import gzip
import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalsuite.data import content_hash, load_split, locate, pool_without, read_rows
from evalsuite.errors import UserError
from evalsuite.rows import RowError, hub_cause, read_choices, read_key, read_name
from evalsuite.tasks import Row, Split, Task, TaskCard
from evalsuite.types import Excluded, Quantity, Sample

SECRET = "Mrs Miller coughs"


def to_sample(row: Row, number: int) -> Sample | Excluded:
    """A small plugin that trusts its rows."""
    if row.get("image"):
        return Excluded(reason="image_missing", sample_id=str(row["id"]))
    return Sample(
        id=str(row["id"]),
        group=f"t:{row['id']}",
        question=row["q"],
        choices=tuple(row["options"]),
        targets=(row["key"],),
        tags=tuple(row.get("tags", ())),
    )


def task(split: Split | None = None, **card: Any) -> Task:
    values: dict[str, Any] = {
        "name": "t",
        "kind": "choice",
        "description": "d",
        "language": "en",
        "licence": "l",
        "citation": "c",
        "splits": {"test": split or Split(n_rows=None), "pool": Split(n_rows=None)},
        "split": "test",
        "exemplar_split": "pool",
        "metric": "accuracy",
        "metrics": ("accuracy",),
        "chance": 0.5,
        "get_data": "ask the ward",
    }
    return Task(card=TaskCard(**(values | card)), to_sample=to_sample)


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "q": f"{SECRET}?", "options": ["rest", "surgery"], "key": number % 2} | fields


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in rows), encoding="utf-8")
    return path


def faults(folder: Path, it: Task, split: str = "test") -> list[str]:
    with pytest.raises(UserError) as caught:
        load_split(it, split, {"t": folder})
    lines = [str(fault) for fault in caught.value.faults]
    assert not [line for line in lines if SECRET in line or "\n" in line]
    return lines


# ------------------------------------------------------------------------------------------------------------ reading


def test_four_kinds_of_file_hold_the_same_rows(tmp_path: Path) -> None:
    rows = [{"a": "x, \u2028y", "b": "é"}, {"a": 'he said "no"\nand left', "b": ""}]
    write(tmp_path / "t.jsonl", *rows)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress((tmp_path / "t.jsonl").read_bytes()))
    (tmp_path / "t.csv").write_text('a,b\n"x, \u2028y",é\n"he said ""no""\nand left",\n', encoding="utf-8", newline="")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.jsonl.gz", "t.csv", "t.parquet"):
        assert [dict(found) for _, found in read_rows(tmp_path / name)] == rows, name
    assert [line for line, _ in read_rows(tmp_path / "t.csv")] == [2, 3]


def test_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}')
    assert list(read_rows(tmp_path / "t.jsonl")) == [(1, {"a": 1}), (3, {"a": 2})]
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert list(read_rows(tmp_path / "t.csv")) == [(2, {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "t.jsonl:2: = Expecting value at column"),
        ("t.jsonl", b'{"a": 1}\n{"a": "Mrs Miller coughs"} x\n', "t.jsonl:2: = Extra data"),
        ("t.jsonl", b'{"a": 1}\n[1, 2]\n', "t.jsonl:2: = list: one JSON object per line"),
        ("t.jsonl", b'{"a": 1}\nnull\n', "t.jsonl:2: = NoneType"),
        ("t.jsonl", b'{"a": 1, "a": 2}\n', "t.jsonl:1: = a key that occurs twice"),
        ("t.jsonl", '{"a": "ok"}\n{"a": "café"}\n'.encode("latin-1"), "t.jsonl:2: = byte 0xe9 at column 11: UTF-8"),
        ("t.jsonl", b"", "t.jsonl = 0 rows: at least one row"),
        ("t.jsonl", b"\n \n", "t.jsonl = 0 rows"),
        ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-10], "undamaged file"),
        ("t.jsonl.gz", b'{"a": 1}\n', "undamaged file"),
        ("t.csv", b"a,b\n1,2\n3\n", "t.csv:3: = 1 cells: 2 cells as in the header"),
        ("t.csv", b"a,b\n1,2,3\n", "t.csv:2: = 3 cells"),
        ("t.csv", b"a,b\n", "t.csv = 0 rows"),
        ("t.csv", b"a,a\n1,2\n", "t.csv:1: = 'a': a header of different"),
        ("t.csv", b"a;b\n1;2\n", "t.csv:1: = one column: a header separated by commas"),
        ("t.csv", 'a,b\n1,2\n"é",3\n'.encode("latin-1"), "t.csv:3: = byte 0xe9: UTF-8"),
        ("t.csv", b'a,b\n1,"2\n', "t.csv:2: = unexpected end of data"),
        ("t.parquet", b"not parquet", "t.parquet = not a Parquet file"),
        ("t.xlsx", b"", "t.xlsx = .xlsx: a file ending in .jsonl"),
    ],
)
def test_unreadable_files_name_file_and_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(read_rows(tmp_path / name))
    assert said.replace(": =", " =") in str(caught.value)
    assert SECRET not in str(caught.value)


def test_missing_file_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        list(read_rows(tmp_path / "t.jsonl"))


# ------------------------------------------------------------------------------------------------------------ checking


def test_a_good_split_loads(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2, image="x.png"), row(3))
    loaded = load_split(task(Split(n_rows=3, excluded={"image_missing": 1})), "test", {"t": tmp_path})
    assert [sample.id for sample in loaded.samples] == ["1", "3"]
    assert loaded.excluded == (Excluded(reason="image_missing", sample_id="2"),)
    assert loaded.source == str(tmp_path / "test.jsonl")


def test_fingerprint_is_of_the_rows_not_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = write(tmp_path / "a" / "test.jsonl", row(1), row(2))
    (tmp_path / "b" / "test.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    prints = {load_split(task(), "test", {"t": tmp_path / name}).fingerprint for name in ("a", "b")}
    assert len(prints) == 1
    write(plain, row(1), row(2, key=1))
    assert load_split(task(), "test", {"t": plain}).fingerprint not in prints


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"key": 2}, "targets = 2: a position from 0 to 1: the key lies outside its choices"),
        ({"key": -1}, "targets = -1: a position from 0 to 1"),
        ({"key": True}, "targets = bool"),
        ({"key": "Mrs Miller coughs"}, "targets = str"),
        ({"key": None}, "targets = NoneType"),
        ({"options": ["rest", None]}, "choices[1] = empty: a text"),
        ({"options": ["rest", " "]}, "choices[1] = empty: a text"),
        ({"options": ["rest", "rest "]}, "choices = the same text twice"),
        ({"options": ["rest"], "key": 0}, "choices = 1: at least two choices"),
        ({"q": "  "}, "question = empty"),
        ({"q": None}, "question = empty"),
        ({"options": None}, f"row: the plugin of t refuses it: TypeError at {__file__}:"),
        ({"tags": ["odd"]}, "tags = odd: a name among the card's known_issues"),
        ({"options": [str(n) for n in range(27)]}, "choices = 27: at most 26 choices"),
        ({"options": ["rest", ["surgery"]]}, "row = a list in a tuple: "),
        ({"q": "half \ud800"}, "question = a lone surrogate: text that UTF-8 can hold"),
        ({"options": ["rest", "\udfff"]}, "choices = a lone surrogate"),
        ({"id": "\ud800"}, "id = a lone surrogate"),
        ({"id": "\ud800", "image": "x"}, "sample_id = a lone surrogate"),
        ({"tags": ["\ud800"]}, "tags = a lone surrogate"),
    ],
)
def test_bad_rows_are_faults_with_file_and_line(tmp_path: Path, bad: Mapping[str, Any], said: str) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2, **bad), row(3))
    found = faults(tmp_path, task())
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path / 'test.jsonl'}:2: {said}")


def test_twenty_seven_choices_need_labels_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1, options=[str(n) for n in range(27)], key=26))

    def labelled(row: Row, number: int) -> Sample:
        choices = tuple(row["options"])
        return Sample(id="1", group="g", question="q", choices=choices, targets=(26,), labels=tuple(f"{n}" for n in range(1, 28)))

    assert len(load_split(replace(task(), to_sample=labelled), "test", {"t": tmp_path}).samples[0].choices) == 27
    write(tmp_path / "test.jsonl", row(1, options=[str(n) for n in range(26)], key=25))
    assert load_split(task(), "test", {"t": tmp_path}).samples[0].targets == (25,)


def test_a_character_beyond_the_first_plane_is_no_lone_surrogate(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(row(1, q="\U0001f642?")), encoding="utf-8")
    assert "\\ud83d\\ude42" in (tmp_path / "test.jsonl").read_text(encoding="utf-8")
    assert load_split(task(), "test", {"t": tmp_path}).samples[0].question == "\U0001f642?"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"choices": None, "targets": ()}, "choices = NoneType: a tuple from the plugin"),
        ({"choices": ["a", "b"]}, "choices = list: a tuple"),
        ({"id": 7}, "id = int: a str"),
        ({"metadata": None}, "metadata = NoneType: a Mapping"),
        ({"targets": ([0],)}, "row = a list in a tuple"),
    ],
)
def test_samples_of_wrong_types_are_faults(tmp_path: Path, fields: Mapping[str, Any], said: str) -> None:
    write(tmp_path / "test.jsonl", row(1))

    def untyped(row: Row, number: int) -> Sample:
        return Sample(**({"id": "1", "group": "g", "question": "q", "choices": ("a", "b"), "targets": (0,)} | dict(fields)))

    found = faults(tmp_path, replace(task(), to_sample=untyped))
    assert [line.startswith(f"{tmp_path / 'test.jsonl'}:1: {said}") for line in found] == [True]


def test_equal_ids_name_both_lines(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2), row(1))
    assert faults(tmp_path, task()) == [f"{tmp_path / 'test.jsonl'}:3: id: unique ids, but line 1 has the same id"]


def test_an_excluded_row_takes_its_id_too(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1, image="x"), row(1))
    assert "line 1 has the same id" in faults(tmp_path, task())[0]


def test_missing_key_is_named_and_a_text_used_as_key_is_not(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", {"id": 1, "question": SECRET})
    assert "test.jsonl:1: q = missing: a row with this key; it has id, question" in faults(tmp_path, task())[0]

    def look_up(row: Row, number: int) -> Sample:
        return {}[row["question"]]  # type: ignore[no-any-return]

    lookup = replace(task(), to_sample=look_up)
    assert "test.jsonl:1: ? = missing" in faults(tmp_path, lookup)[0]
    # Part of a restricted row may be the key, or a column where a file has no header: neither is told.
    hidden = faults(tmp_path, replace(task(restricted=True), to_sample=lambda row, _: {}[row["question"].split()[1]]))[0]
    assert "refuses it: KeyError at " in hidden
    assert "Miller" not in hidden


def test_whatever_a_plugin_raises_is_one_line_without_the_row(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2))

    def raises(error: BaseException) -> Task:
        def refuse(row: Row, number: int) -> Sample:
            raise error

        return replace(task(restricted=True), to_sample=refuse)

    for error in (RuntimeError(SECRET), AssertionError(SECRET), OSError(2, SECRET), ZeroDivisionError(), UserError([]), ValueError(SECRET)):
        found = faults(tmp_path, raises(error))
        assert len(found) == 2
        assert f"test.jsonl:1: row: the plugin of t refuses it: {type(error).__name__} at {__file__}:" in found[0]
    with pytest.raises(KeyboardInterrupt):
        load_split(raises(KeyboardInterrupt()), "test", {"t": tmp_path})


def test_the_plugins_line_is_named_not_the_librarys(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))
    deep = replace(task(), to_sample=lambda row, _: json.loads(row["id"]))
    line = deep.to_sample.__code__.co_firstlineno
    assert f"TypeError at {__file__}:{line}" in faults(tmp_path, deep)[0]


def test_value_errors_never_quote_the_row(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))

    def python_quotes(row: Row, number: int) -> Sample:
        return Sample(id=str(int(row["q"])), group="g", question="q")

    def own_words(row: Row, number: int) -> Sample:
        raise ValueError("the key is no letter")

    assert "refuses it: ValueError" in faults(tmp_path, replace(task(), to_sample=python_quotes))[0]
    assert "refuses it: the key is no letter" in faults(tmp_path, replace(task(), to_sample=own_words))[0]
    hidden = task(restricted=True)
    assert "refuses it: ValueError at " in faults(tmp_path, replace(hidden, to_sample=own_words))[0]
    assert "no letter" not in faults(tmp_path, replace(hidden, to_sample=own_words))[0]

    def row_error(row: Row, number: int) -> Sample:
        raise RowError("the key is no letter")

    assert "refuses it: the key is no letter" in faults(tmp_path, replace(hidden, to_sample=row_error))[0]


def test_what_can_be_shown_of_a_message_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1, q="bad \ud800 text"))

    def part(row: Row, number: int) -> Sample:
        raise ValueError(f"{row['q'][:5]!s} is no question")

    (line,) = faults(tmp_path, replace(task(), to_sample=part))
    assert "bad ? is no question" in line


def test_counts_must_be_the_cards(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2, image="x"), row(3, options=["a", "a"]))
    issues = {"duplicate_choices": "as in the source"}
    right = Split(n_rows=3, excluded={"image_missing": 1}, tagged={"duplicate_choices": 1})
    loaded = load_split(task(right, known_issues=issues), "test", {"t": tmp_path})
    assert loaded.samples[1].tags == ("duplicate_choices",)
    assert "holds 3 rows, the card says 4" in faults(tmp_path, task(replace(right, n_rows=4), known_issues=issues))[0]
    found = faults(tmp_path, task(replace(right, excluded={}, tagged={}), known_issues=issues))
    assert [line.split(": ", 1)[1] for line in found] == [
        "excluded.image_missing = 1: 1 rows are excluded as image_missing, the card says 0",
        "tagged.duplicate_choices = 1: 1 rows are tagged as duplicate_choices, the card says 0",
    ]
    unseen = replace(right, excluded={}, tagged={}, counted=False)
    assert "not fixed by the card: 1 excluded image_missing" in load_split(task(unseen, known_issues=issues), "test", {"t": tmp_path}).notes


def test_at_most_twenty_faults(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", *(row(number, key=9) for number in range(50)))
    assert len(faults(tmp_path, task())) == 20


def test_malformed_lines_are_collected_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(f"{{\n{json.dumps(row(1, key=7))}\n", encoding="utf-8")
    assert [line.removeprefix(f"{tmp_path / 'test.jsonl'}:")[0] for line in faults(tmp_path, task())] == ["1", "2"]


def test_labels_must_not_change(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1), row(2, options=["surgery", "rest"]))
    assert "the same labels for all samples" in faults(tmp_path, task(kind="labels"))[0]


def test_language_must_be_the_cards(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))
    assert "language = en: the card's language, es" in faults(tmp_path, task(language="es"))[0]


def test_text_tasks_need_references(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))

    def blank_reference(row: Row, number: int) -> Sample:
        return Sample(id="1", group="g", question="q", references=(" ",))

    texts = replace(task(kind="text"), to_sample=blank_reference)
    assert "references = empty" in faults(tmp_path, texts)[0]


def test_all_rows_excluded_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1, image="x"))
    assert "no samples" in faults(tmp_path, task())[0]


# ------------------------------------------------------------------------------------------------------------ locating


def test_look_up_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, root, plugin = tmp_path / "study", tmp_path / "root", tmp_path / "t"
    for folder in (study, root / "t", root / "old_name", plugin):
        folder.mkdir(parents=True)
        write(folder / "test.jsonl", row(1))
    it = replace(task(Split(n_rows=None, hub_split="test"), aliases=("old_name",), hub_id="a/b"), folder=plugin)
    monkeypatch.setenv("EVALSUITE_DATA", str(root))
    assert locate(it, "test", {"t": study}).path == study / "test.jsonl"
    assert locate(it, "test", {}).path == root / "t" / "test.jsonl"
    (root / "t" / "test.jsonl").unlink()
    assert locate(it, "test", {}).path == root / "old_name" / "test.jsonl"
    monkeypatch.delenv("EVALSUITE_DATA")
    assert locate(it, "test", {}).path == plugin / "test.jsonl"
    (plugin / "test.jsonl").unlink()
    place = locate(it, "test", {})
    assert (place.path, place.hub) == (None, "a/b@unpinned:test")


def test_a_study_folder_is_binding(tmp_path: Path) -> None:
    it = task(Split(n_rows=None, hub_split="test"), hub_id="a/b")
    with pytest.raises(UserError, match=r"study: data\.t = .*: a folder that holds test\.jsonl"):
        locate(it, "test", {"t": tmp_path})
    with pytest.raises(UserError, match=r"study: data\.t = .*: an existing folder or file"):
        locate(it, "test", {"t": tmp_path / "no"})


def test_a_study_file_is_never_the_exemplar_pool(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", row(1))
    assert locate(task(), "test", {"t": file}).path == file
    with pytest.raises(UserError, match="split pool: no data found"):
        locate(task(), "pool", {"t": file})
    pool = write(tmp_path / "pool.jsonl", row(1))
    assert locate(task(), "pool", {"t": pool}).path == pool
    with pytest.raises(UserError, match="split test: no data found"):
        locate(task(), "test", {"t": pool})


def test_two_files_for_one_split_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))
    (tmp_path / "test.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(UserError, match="one file per split"):
        locate(task(), "test", {"t": tmp_path})


def test_a_plugin_folder_of_many_tasks_is_not_searched_by_split_name(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", row(1))
    it = replace(task(), folder=tmp_path)
    assert tmp_path.name != "t"
    with pytest.raises(UserError, match="no data found"):
        locate(it, "test", {})
    named = replace(task(Split(n_rows=None, file="test.jsonl")), folder=tmp_path)
    assert locate(named, "test", {}).path == tmp_path / "test.jsonl"


def test_nothing_found_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        locate(task(), "test", {})
    for said in ("task t: split test", "$EVALSUITE_DATA is not set", "$EVALSUITE_DATA/t/", "data: {t: FOLDER}", "ask the ward"):
        assert said in str(caught.value)
    monkeypatch.setenv("EVALSUITE_DATA", str(tmp_path / "no"))
    with pytest.raises(UserError, match=r"\$EVALSUITE_DATA = .*: an existing folder"):
        locate(task(), "test", {})
    with pytest.raises(UserError, match="split = dev: one of pool, test"):
        locate(task(), "dev", {})


def test_offline_hub_blames_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    it = task(Split(n_rows=None, hub_split="test"), hub_id="nobody/nothing")
    with pytest.raises(UserError) as caught:
        load_split(it, "test", {})
    for said in (
        "$HF_HUB_OFFLINE",
        "nobody/nothing is not in the local cache",
        "get it on a machine with internet: evalsuite fetch STUDY",
        "ask the ward",
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), "cannot be reached from this machine"),
        (RuntimeError("Dataset scripts are no longer supported, but found b.py"), "is a loading script"),
        (FileNotFoundError("Dataset 'a/b' is a gated dataset on the Hub."), "terms to be accepted"),
        (ValueError('Unknown split "test". Should be one of [...]'), "could not be loaded from the hub: ValueError: Unknown split"),
    ],
)
def test_hub_failures_are_told_apart(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    assert said in hub_cause(error, "a/b")


def test_hub_rows_pass_the_same_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = {}

    def load_dataset(*names: str | None, **options: Any) -> Any:
        asked.update({"names": names} | options)
        return datasets.Dataset.from_list([row(1), row(2, key=5)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    it = task(Split(n_rows=2, hub_split="validation"), hub_id="a/b", hub_config="c", revision="f" * 40)
    with pytest.raises(UserError, match=r"^hub:a/b/c@f+:validation:2: targets = 5"):
        load_split(it, "test", {})
    assert asked == {"names": ("a/b", "c"), "split": "validation", "revision": "f" * 40}


def test_a_source_of_several_tasks_gives_each_its_own_rows(tmp_path: Path) -> None:
    """Rows of other tasks are neither counted nor fingerprinted, and lines are still those of the file."""
    mixed = [row(1, subject="a"), row(2, subject="b"), row(3, subject="a"), row(4, subject="b", key=7)]
    write(tmp_path / "test.jsonl", *mixed)
    it = replace(task(Split(n_rows=2)), keeps=lambda row: row["subject"] == "a")
    data = load_split(it, "test", {"t": tmp_path})
    assert [sample.id for sample in data.samples] == ["1", "3"]
    alone = tmp_path / "alone"
    alone.mkdir()
    write(alone / "test.jsonl", mixed[0], mixed[2])
    assert load_split(task(Split(n_rows=2)), "test", {"t": alone}).fingerprint == data.fingerprint
    other = replace(it, keeps=lambda row: row["subject"] == "b")
    assert [line.split(": ")[0] for line in faults(tmp_path, other)] == [f"{tmp_path / 'test.jsonl'}:4"]
    assert "holds 0 rows, the card says 2" in faults(tmp_path, replace(it, keeps=lambda row: row["subject"] == "c"))[0]
    broken = faults(tmp_path, replace(it, keeps=lambda row: row["nothing"] == row["q"]))
    assert len(broken) == 4
    assert "test.jsonl:1" in broken[0]


def test_rows_can_say_how_they_are_to_be_read(tmp_path: Path) -> None:
    """Keys from 0 or from 1: one row does not tell, all of them do; a plugin that cannot tell refuses the file."""

    def choose(rows: Any) -> Any:
        first = min(row["key"] for row in rows)
        if first > 1:
            raise RowError("keys begin at neither 0 nor 1")
        return lambda row, number: to_sample(dict(row) | {"key": row["key"] - first}, number)

    it = replace(task(Split(n_rows=2)), choose_reader=choose)
    for first in (0, 1):
        write(tmp_path / "test.jsonl", row(1, key=first), row(2, key=first + 1))
        assert [sample.targets for sample in load_split(it, "test", {"t": tmp_path}).samples] == [(0,), (1,)]
    write(tmp_path / "test.jsonl", row(1, key=2), row(2, key=3))
    assert faults(tmp_path, it) == [f"{tmp_path / 'test.jsonl'}: the plugin of t refuses its rows: keys begin at neither 0 nor 1"]


# ------------------------------------------------------------------------------------------------------------ small parts


def test_content_hash_covers_what_is_asked_and_nothing_else() -> None:
    sample = Sample(id="1", group="g", question="caf\u00e9", context="c", choices=("a", "b"), targets=(0,))
    assert content_hash(sample) == hashlib.sha256('["caf\u00e9", "c", ["a", "b"], []]'.encode()).hexdigest()[:16]
    assert content_hash(replace(sample, question="cafe\u0301", id="2", group="h", targets=(1,), tags=("x",))) == content_hash(sample)
    changed = [replace(sample, question="x"), replace(sample, context=""), replace(sample, choices=("b", "a"))]
    changed += [replace(sample, references=("r",)), replace(sample, choices=("a, b",))]
    assert len({content_hash(one) for one in (sample, *changed)}) == 6


def test_pool_without_drops_whole_groups() -> None:
    samples = [Sample(id=str(n), group=f"g{n // 2}", question="q") for n in range(6)]
    assert [sample.id for sample in pool_without(samples, ["g1"])] == ["0", "1", "4", "5"]


def test_read_key() -> None:
    texts = ("Rest", "Surgery", "None")
    assert [read_key(key, "letter", (), texts) for key in ("A", "b", " C ")] == [0, 1, 2]
    assert read_key("x", "letter", ("w", "x", "y"), texts) == 1
    assert [read_key(key, "index0", (), texts) for key in (0, "2", 1.0, "2.0")] == [0, 2, 1, 2]
    assert [read_key(key, "index1", (), texts) for key in (1, "3")] == [0, 2]
    assert read_key("  Surgery", "text", (), texts) == 1
    for key, kind in (("D", "letter"), ("AB", "letter"), ("é", "letter"), (3, "index0"), (0, "index1"), (-1, "index0")):
        with pytest.raises(RowError, match="outside its 3 choices"):
            read_key(key, kind, (), texts)  # type: ignore[arg-type]
    for key in (True, "1.5", 1.5, "one", float("inf")):
        with pytest.raises(RowError, match="not a whole number"):
            read_key(key, "index0", (), texts)
    with pytest.raises(RowError, match="equals 2 of the 3"):
        read_key("a", "text", (), ("a", "a ", "b"))


@pytest.mark.parametrize("key", [None, "", "  ", float("nan")])
@pytest.mark.parametrize("kind", ["letter", "index0", "index1", "text"])
def test_no_key_is_no_choice(key: Any, kind: Any) -> None:
    """Neither the choice `None`, nor the first of a plain list, whose choices have empty keys."""
    with pytest.raises(RowError, match="the answer is empty"):
        read_key(key, kind, ("", "", ""), ("None", "nan", "b"))


def test_read_name() -> None:
    assert [read_name({"p": held}, "p", "group") for held in ("p1", " p1 ", 7, 7.5, 0)] == ["p1", "p1", "7", "7.5", "0"]
    for held in (None, "", " ", float("nan")):
        with pytest.raises(RowError, match=r"^group is empty \(column p\)$"):
            read_name({"p": held}, "p", "group")
    for other in (True, ["p1"], {"a": 1}):
        with pytest.raises(RowError, match="neither a text nor a number"):
            read_name({"p": other}, "p", "group")
    with pytest.raises(RowError, match="there is no column p"):
        read_name({"q": 1}, "p", "group")


def test_read_choices() -> None:
    for held in (["a", "b"], '["a", "b"]', {"A": "a", "B": "b"}, '{"A": "a", "B": "b"}'):
        assert read_choices({"options": held}, "options")[1] == ("a", "b")
    columns = ("opa", "opb", "opc")
    assert read_choices({"opa": "a", "opb": "b", "opc": ""}, columns) == (("opa", "opb"), ("a", "b"))
    for bad in ({"opa": "a", "opb": "", "opc": "c"}, {"opa": "a", "opb": None, "opc": "c"}, {"opa": 1, "opb": "b", "opc": "c"}):
        with pytest.raises(ValueError, match="a choice is empty or no text"):
            read_choices(bad, columns)
    for held in ("a|b", 3, None, "[" * 100_000):
        with pytest.raises(RowError, match="options is"):
            read_choices({"options": held}, "options")
    with pytest.raises(RowError, match="options holds a key twice"):
        read_choices({"options": '{"A": "a", "A": "b"}'}, "options")
    for asked in ("options", ["opa", "opb"]):
        with pytest.raises(RowError, match="there is no column op"):
            read_choices({"choices": ["a", "b"]}, asked)


def test_the_content_hash_is_of_the_json_of_what_is_shown() -> None:
    """Asked for twice, of copies and of equal numbers that are written differently."""
    sample = Sample(id="1", group="1", question="Qué\u0301?", choices=("a", "b"), references=("r",))
    written = unicodedata.normalize("NFC", json.dumps(["Qué\u0301?", "", ["a", "b"], ["r"]], ensure_ascii=False))
    for one in (sample, replace(sample), replace(sample, id="2", targets=(1,))):
        assert content_hash(one) == hashlib.sha256(written.encode()).hexdigest()[:16]
    assert content_hash(replace(sample, choices=("b", "a"))) != content_hash(sample)
    whole, decimal = (replace(sample, quantity=Quantity(form="number", low=low, high=2)) for low in (1, 1.0))
    assert content_hash(whole) != content_hash(decimal) != content_hash(sample)
