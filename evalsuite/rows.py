"""Rows of a source, each with its line number (JSON lines, CSV and Parquet files, the hub), and reading choices and keys out of them.

Files are UTF-8 (a byte order mark is allowed). A row that cannot be read becomes a fault with file and line that names what is
wrong, never what stands in the row.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evalsuite.errors import Fault, UserError

Row = Mapping[str, Any]
"""One row of a source, as read."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
"""Endings of the files that can be read."""

AnswerKind = Literal["letter", "index0", "index1", "text"]
"""How a column gives the key: a letter (or the key of the options' object), a position from 0 or from 1, or the choice's text."""

UTF8 = "UTF-8 text; from Latin-1: iconv -f latin1 -t utf-8 OLD > NEW"


class RowError(ValueError):
    """A row that cannot become a sample. Its message never quotes the row, so that it is shown for restricted tasks too."""


class HubError(Exception):
    """A hub data set could not be had; the message is the cause, in words for the person who can mend it."""


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Rows of a file with their line numbers (from 1; Parquet: row numbers).

    Raises:
        UserError: at the first row that cannot be read, or if there is none. The file and line are named, the row's text is not.
    """
    for line, row in scan_rows(path):
        if isinstance(row, Fault):
            raise UserError(row)
        yield line, row


def scan_rows(path: Path) -> Iterator[tuple[int, Row | Fault]]:
    """Like `read_rows`, but goes on after a malformed row: it is yielded as a fault, so that several can be collected.

    Raises:
        UserError: the file as a whole cannot be read, or holds no row.
    """
    if not path.name.endswith(SUFFIXES):
        raise UserError(Fault(file=str(path), key="", value=path.suffix, allowed=f"a file ending in {', '.join(SUFFIXES)}"))
    n_rows = 0
    reader = _parquet if path.suffix == ".parquet" else _csv if path.suffix == ".csv" else _json_lines
    try:
        for found in reader(path):
            n_rows += 1
            yield found
    except (OSError, EOFError, zlib.error) as error:
        # A cut or damaged gzip raises any of the three; `strerror` holds the system's own words for the rest.
        why = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(Fault(file=str(path), key="", value=str(why), allowed="a readable, undamaged file")) from error
    if not n_rows:
        raise UserError(Fault(file=str(path), key="", value="0 rows", allowed="at least one row"))


def hub_rows(hub_id: str, config: str | None, split: str, revision: str | None) -> Iterator[tuple[int, Row]]:
    """Rows of a hub split as Arrow holds them (images stay bytes, nothing is decoded), numbered from 1.

    Raises:
        HubError: offline and not in the cache, unreachable, gated, a loading script, or no such data set or split.
    """
    import datasets

    level = datasets.logging.get_verbosity()
    # its warning that the hub was not asked would stand before every offline run; what matters in it is checked here
    datasets.logging.set_verbosity_error()
    try:
        loaded = datasets.load_dataset(hub_id, config, split=split, revision=revision)
        _check_revision(loaded.cache_files, revision)
        rows = loaded.with_format("arrow")[:].to_pylist()
    except Exception as error:  # whatever the hub's client raises becomes a cause that a person can mend
        raise HubError(hub_cause(error, hub_id)) from error
    finally:
        datasets.logging.set_verbosity(level)
    yield from enumerate(rows, start=1)


def _check_revision(cache_files: Sequence[Mapping[str, str]], revision: str | None) -> None:
    """Without the hub, `datasets` takes whatever revision was cached last, and says so only in a log; its folder is named by the commit.

    Raises:
        FileNotFoundError: the rows are another revision's than the one that was asked for.
    """
    folders = {Path(file["filename"]).parent.name for file in cache_files}
    others = [folder for folder in folders if re.fullmatch("[0-9a-f]{40}", folder) and folder != revision]
    if revision is not None and re.fullmatch("[0-9a-f]{40}", revision) and others:
        raise FileNotFoundError(f"the local cache holds revision {others[0][:12]}, not {revision[:12]}")


def hub_cause(error: Exception, hub_id: str) -> str:
    """Why a hub data set could not be had. An offline variable is blamed before the network, since it hides the network."""
    text = str(error).lower()
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    flags = ["$" + name for name in names if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")]
    # `hf download` alone would not do: `datasets` looks for what it has prepared itself
    fetch = "get it on a machine with internet: evalsuite fetch STUDY"
    if flags:
        other = f" ({error})" if "the local cache holds revision" in text else ""
        return f"{', '.join(flags)} is set and {hub_id} is not in the local cache{other}; {fetch}"
    if "script" in text:
        return f"{hub_id} on the hub is a loading script, which `datasets` 4 and later refuse"
    if any(word in text for word in ("gated", "401", "403")):
        return f"{hub_id} on the hub asks for a login or for its terms to be accepted; run `hf auth login`"
    if isinstance(error, ConnectionError | TimeoutError) or "connect" in text:
        return f"the hub cannot be reached from this machine to load {hub_id}; {fetch}"
    first = (str(error).splitlines() or [""])[0][:200]
    return f"{hub_id} could not be loaded from the hub: {type(error).__name__}: {first}"


def read_cell(row: Row, column: str) -> Any:
    """What a row holds in a column. Raises RowError if there is no such column; the row's own columns are not told, they may be text."""
    if column not in row:
        raise RowError(f"there is no column {column}")
    return row[column]


def read_name(row: Row, column: str, what: str) -> str:
    """An id or the name of a group, as text.

    Raises:
        RowError: `<what> is empty` for null, NaN and blank text, which as text would tie together rows that have nothing in common; a
            list, an object or another value that is no name.
    """
    held = read_cell(row, column)
    if _is_empty(held):
        raise RowError(f"{what} is empty (column {column})")
    if isinstance(held, bool) or not isinstance(held, str | int | float):
        raise RowError(f"{what} is neither a text nor a number (column {column})")
    return str(held).strip()


def read_choices(row: Row, choices: str | Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keys, texts) of a row's choices; the keys are those of the object or the columns. Raises RowError."""
    if isinstance(choices, str):
        held = read_cell(row, choices)
        if isinstance(held, str):
            held = _json_cell(held, choices)
        if not isinstance(held, list | dict):
            raise RowError(f"{choices} is neither a list nor an object")
        pairs = list(held.items()) if isinstance(held, dict) else [("", text) for text in held]
    else:
        pairs = [(column, read_cell(row, column)) for column in choices]
        while pairs and (pairs[-1][1] is None or pairs[-1][1] == ""):
            pairs.pop()
    if not all(isinstance(text, str) and text.strip() for _, text in pairs):
        raise RowError("a choice is empty or no text; only the last ones of a list of columns may be left empty")
    return tuple(key for key, _ in pairs), tuple(text.strip() for _, text in pairs)


def read_key(key: object, kind: AnswerKind, keys: Sequence[str], texts: Sequence[str]) -> int:
    """Position of the right choice, from 0.

    Args:
        key: what the row holds.
        kind: how it is given.
        keys: keys of the choices where they are an object's; letters count otherwise.
        texts: choice texts.

    Raises:
        RowError: there is no key, or it names no choice, or more than one.
    """
    n = len(texts)
    # Before anything is compared: null as text may be a choice ("None"), and the keys of a plain list are all empty.
    if _is_empty(key):
        raise RowError("the answer is empty")
    if kind == "text":
        wanted = plain(key)
        found = [index for index, text in enumerate(texts) if plain(text) == wanted]
        if len(found) != 1:
            raise RowError(f"the answer's text equals {len(found)} of the {n} choices")
        return found[0]
    text = str(key).strip()
    if kind == "letter":
        if text in keys:
            return list(keys).index(text)
        index = ord(text.upper()) - ord("A") if re.fullmatch("[A-Za-z]", text) else -1
    elif isinstance(key, bool) or not re.fullmatch(r"-?\d{1,9}(\.0+)?", text):
        raise RowError("the answer is not a whole number")
    else:
        index = int(float(text)) - (kind == "index1")
    if not 0 <= index < n:
        raise RowError(f"the answer lies outside its {n} choices")
    return index


def _is_empty(value: object) -> bool:
    """Null, NaN (what CSV readers and Parquet hold for an empty cell) or blank text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _json_cell(text: str, column: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (json.JSONDecodeError, RecursionError):
        raise RowError(f"{column} is a text, but not a JSON list or object") from None
    except KeyError:
        raise RowError(f"{column} holds a key twice") from None


def _json_lines(path: Path) -> Iterator[tuple[int, Row | Fault]]:
    """Bytes are cut at line feeds only: `splitlines` would also cut at U+2028, which stands inside clinical text."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            start = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if start.strip():
                yield line, _json_row(start, f"{path}:{line}")


def _json_row(raw: bytes, where: str) -> Row | Fault:
    try:
        row = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        return Fault(file=where, key="", value=f"byte {raw[error.start]:#04x} at column {error.start + 1}", allowed=UTF8)
    except json.JSONDecodeError as error:
        return Fault(file=where, key="", value=f"{error.msg} at column {error.colno}", allowed="one JSON object per line")
    except KeyError:
        return Fault(file=where, key="", value="a key that occurs twice", allowed="one JSON object per line, each key once")
    except RecursionError:
        return Fault(file=where, key="", value="nested too deeply", allowed="one JSON object per line")
    if not isinstance(row, dict):
        return Fault(file=where, key="", value=type(row).__name__, allowed="one JSON object per line")
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are unique; JSON's own rule, the last one wins, would hide a row that was merged by mistake."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise KeyError
    return made


def _csv(path: Path) -> Iterator[tuple[int, Row | Fault]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(Fault(file=f"{path}:{line}", key="", value=f"byte {raw[error.start]:#04x}", allowed=UTF8)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: Sequence[str] = ()
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # After a broken quote the reader's position means nothing any more.
            raise UserError(Fault(file=f"{path}:{line}", key="", value=str(error), allowed="comma-separated values, RFC 4180")) from error
        if cells is None:
            return
        if not cells:
            continue
        if not header:
            header = cells
            _check_header(path, header)
        elif len(cells) != len(header):
            yield line, Fault(file=f"{path}:{line}", key="", value=f"{len(cells)} cells", allowed=f"{len(header)} cells as in the header")
        else:
            yield line, dict(zip(header, cells, strict=True))


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = [name for name, n in Counter(header).items() if n > 1 or not name.strip()]
    if twice:
        raise UserError(
            Fault(file=f"{path}:1", key="", value=", ".join(map(repr, twice)), allowed="a header of different, non-empty names")
        )
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise UserError(Fault(file=f"{path}:1", key="", value="one column", allowed="a header separated by commas"))


def _parquet(path: Path) -> Iterator[tuple[int, Row | Fault]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise UserError(Fault(file=str(path), key="", value="not a Parquet file", allowed="a readable, undamaged file")) from error
    yield from enumerate(rows, start=1)


def stem_name(stem: str) -> str:
    """Twelve hex digits that name a question by its stem, equal in every process; case, punctuation and spacing do not count."""
    words = re.sub(r"\W+", " ", unicodedata.normalize("NFKC", stem).casefold()).strip()
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def plain(text: object) -> str:
    """Text in NFC with single blanks: what two texts are compared by."""
    return " ".join(unicodedata.normalize("NFC", str(text)).split())
