"""The store: append-only journals of outcomes, one file per writing process, read by key across all files (DESIGN 5).

A line is one JSON object `{"crc": ..., "entry": {"key", "at", "outcome"}}`; no prompts. There are no locks: every process
appends to a file of its own with one `write` call per line, so a killed process leaves at most a torn last line, which is
ignored. Equal keys: the earliest wins, different contents are counted as conflicts. Transient failures are kept for the
record but never count as an answer.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import time
import uuid
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from evalsuite.errors import Fault, UserError
from evalsuite.types import Failure, Outcome, Request, Response

SCHEMA = "evalsuite-request-1"
N_OPEN = 64
"""Most journals open at once."""
FIELDS = {kind: tuple((item.name, item.default) for item in fields(kind)) for kind in (Response, Failure)}
ENTRIES = {kind: attrgetter(*(name for name, _ in named)) for kind, named in FIELDS.items()}
"""Names and defaults of what is written of an outcome, and how all of it is read; looked up once, since it is needed for every one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What answers: everything about a loaded checkpoint that is part of a request's key."""

    fingerprint: str
    """Weights fingerprint."""
    engine: str
    """Engine name."""
    dtype: str
    """The dtype in use, never `auto`."""
    quantisation: str | None
    """The quantisation in use."""


def packed_ids(ids: Iterable[int]) -> bytes:
    """Token ids as bytes of equal width: hashed and compared much faster than numbers, and they share the prefixes that the ids share."""
    return array("I", ids).tobytes()


def request_key(identity: Identity, request: Request, packed: bytes | None = None) -> str:
    """Key of a request: sha256 over who answers and everything that is sent (DESIGN 2.2). Prompt text is not part of it.

    Args:
        identity: who answers.
        request: what is sent.
        packed: `packed_ids` of the prompt, where the caller has them already.
    """
    sampling = request.sampling
    messages = [[message.role, message.text] for message in request.prompt.messages]
    head = orjson.dumps(
        [
            SCHEMA,
            request.kind,
            identity.fingerprint,
            identity.engine,
            identity.dtype,
            identity.quantisation,
            None if sampling is None else [sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.stop, sampling.seed],
            request.moments,
            len(request.prompt.token_ids),
            len(request.candidates),
            [len(ids) for ids in request.continuations],
            # Only where a server renders by itself: every other key is what it was before there were such servers.
            *([messages] if messages else []),
            *(["greedy"] if request.greedy else []),
        ]
    )
    # Lengths stand in the head, so the concatenated ids below can be split in one way only.
    digest = hashlib.sha256(head)
    digest.update(packed_ids(request.prompt.token_ids) if packed is None else packed)
    digest.update(packed_ids((*request.candidates, *chain.from_iterable(request.continuations))))
    return digest.hexdigest()


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON-ready mapping; fields at their default are left out, a vector becomes base64 text."""
    content: dict[str, Any] = {"failed": True} if isinstance(outcome, Failure) else {}
    entries = zip(FIELDS[type(outcome)], ENTRIES[type(outcome)](outcome), strict=True)
    content |= {name: entry for (name, default), entry in entries if entry != default}
    if "vector" in content:
        content["vector"] = b64encode(content["vector"]).decode("ascii")
    return content


def outcome_from_json(content: dict[str, Any]) -> Outcome:
    """Inverse of `outcome_as_json`; also reads the lists of numbers that vectors once were."""
    if content.pop("failed", False):
        return Failure(**content)
    if "vector" in content:
        vector = content["vector"]
        content["vector"] = b64decode(vector) if isinstance(vector, str) else struct.pack(f"<{len(vector)}f", *vector)
    lists = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
    if "continuation_logprobs" in lists:
        lists["continuation_logprobs"] = tuple(tuple(row) for row in lists["continuation_logprobs"])
    return Response(**{**content, **lists})


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreStats:
    """What a store holds."""

    n_files: int
    """Journal files."""
    n_answers: int
    """Distinct keys with a response or a permanent failure."""
    n_transient: int
    """Distinct keys with nothing but transient failures."""
    n_repeated: int
    """Lines whose key was already known."""
    n_conflicts: int
    """Repeated lines whose outcome differs from the one that counts."""
    damaged: tuple[str, ...]
    """`file:line` of every line that could not be read; torn last lines are not counted."""


class Store:
    """Outcomes by key, over all journals of a folder. One writer per object; any number of objects and processes."""

    def __init__(self, folder: Path) -> None:
        """Open a store and read its index; the folder is made when the first outcome is written.

        Args:
            folder: the store's folder; may lie on a shared file system.
        """
        if folder.exists() and not folder.is_dir():
            raise UserError(Fault(file=str(folder), key="--store", value="", allowed="is a file; the store is a folder"))
        self.folder = folder
        self._paths: list[Path] = []
        self._open: dict[int, int] = {}  # number of a file to its descriptor, the least recently used first
        self._read_up_to: list[int] = []
        self._lines_read: list[int] = []
        # Short key to place: millions of them stay in memory, so that they are two small values each and nothing that cycles.
        self._answers: dict[bytes | str, int] = {}
        self._transient: dict[bytes | str, int] = {}
        self._failed_at: dict[bytes | str, float] = {}  # when each of them was written
        self._damaged: list[str] = []
        self._n_repeated = 0
        self._n_conflicts = 0
        self._own: int | None = None
        self._writes_to: int | None = None
        self.refresh()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files and give the index back. Idempotent."""
        for descriptor in self._open.values():
            os.close(descriptor)
        if self._writes_to is not None:
            os.close(self._writes_to)
        self._open, self._paths, self._own, self._writes_to = {}, [], None, None
        self._answers, self._transient, self._failed_at = {}, {}, {}

    def refresh(self) -> None:
        """Read what other processes have added since the last look."""
        if not self.folder.is_dir():
            return
        for path in sorted(set(self.folder.glob("journal-*.jsonl")).difference(self._paths)):
            self._add_file(path)
        for number in range(len(self._paths)):
            if number != self._own:
                self._scan(number)

    def get(self, key: str) -> Outcome | None:
        """The outcome that counts for a key: a response or a permanent failure; None if it has to be asked."""
        place = self._answers.get(_short(key))
        return None if place is None else self._read(place)

    def last_failure(self, key: str) -> Failure | None:
        """The transient failure of a key that has no answer, for re-scoring without an engine."""
        # Nearly always there is none at all, and this is asked for every outcome.
        place = self._transient.get(_short(key)) if self._transient else None
        outcome = None if place is None else self._read(place)
        return outcome if isinstance(outcome, Failure) else None

    def put(self, key: str, outcome: Outcome) -> None:
        """Append an outcome to this process's journal; it is with the operating system when this returns."""
        at = time.time()
        entry = orjson.dumps({"key": key, "at": at, "outcome": outcome_as_json(outcome)})
        line = b'{"crc":%d,"entry":%b}\n' % (zlib.crc32(entry), entry)
        number = self._own_file()
        offset = self._read_up_to[number]
        written = os.write(self._writes_to if self._writes_to is not None else -1, line)
        if written != len(line):
            raise OSError(f"{self._paths[number]}: only {written} of {len(line)} bytes written; is the disk full?")
        self._read_up_to[number] = offset + len(line)
        self._note(_short(key), outcome, at, _place(number, offset, len(line)))

    def stats(self) -> StoreStats:
        """Counts over everything read so far."""
        return StoreStats(
            n_files=len(self._paths),
            n_answers=len(self._answers),
            n_transient=len(self._transient.keys() - self._answers.keys()),
            n_repeated=self._n_repeated,
            n_conflicts=self._n_conflicts,
            damaged=tuple(self._damaged),
        )

    def keys(self) -> Iterator[str]:
        """All keys that have an answer."""
        return (key if isinstance(key, str) else key.hex() for key in self._answers)

    def _own_file(self) -> int:
        if self._own is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = own_path(self.folder, "journal")
            self._writes_to = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
            self._own = self._add_file(path)
        return self._own

    def _add_file(self, path: Path) -> int:
        self._paths.append(path)
        self._read_up_to.append(0)
        self._lines_read.append(0)
        return len(self._paths) - 1

    def _scan(self, number: int) -> None:
        with self._paths[number].open("rb") as file:
            file.seek(self._read_up_to[number])
            for line in file:
                if not line.endswith(b"\n"):
                    break  # torn, or still being written: read again next time
                self._lines_read[number] += 1
                self._scan_line(number, line)
                self._read_up_to[number] += len(line)

    def _scan_line(self, number: int, line: bytes) -> None:
        entry = _entry_of(line)
        if entry is None:
            self._damaged.append(f"{self._paths[number].name}:{self._lines_read[number]}")
            return
        place = _place(number, self._read_up_to[number], len(line))
        self._note(_short(entry["key"]), outcome_from_json(entry["outcome"]), entry["at"], place)

    def _note(self, key: bytes | str, outcome: Outcome, at: float, place: int) -> None:
        lasting = not (isinstance(outcome, Failure) and outcome.transient)
        table = self._answers if lasting else self._transient
        known = table.get(key)
        if not lasting:
            if known is None or at > self._failed_at[key]:  # of transient failures the latest tells most
                table[key], self._failed_at[key] = place, at
            return
        if known is None:
            table[key] = place
            return
        entry = self._entry(known)
        self._n_repeated += 1
        if outcome_from_json(entry["outcome"]) != outcome:
            self._n_conflicts += 1
        new, old = (self._paths[_lies(each)[0]].name for each in (place, known))
        if (at, new) < (entry["at"], old):
            table[key] = place

    def _descriptor(self, number: int) -> int:
        """An open descriptor of a file; a store of thousands of journals must not hold thousands of files open."""
        descriptor = self._open.pop(number, None)
        if descriptor is None:
            descriptor = os.open(self._paths[number], os.O_RDONLY)
            if len(self._open) >= N_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
        self._open[number] = descriptor
        return descriptor

    def _read(self, place: int) -> Outcome:
        return outcome_from_json(self._entry(place)["outcome"])

    def _entry(self, place: int) -> dict[str, Any]:
        file, offset, length = _lies(place)
        entry = _entry_of(os.pread(self._descriptor(file), length, offset))
        if entry is None:
            raise OSError(f"{self._paths[file]}: changed while it was being read")
        return entry


def _short(key: str) -> bytes | str:
    """A key as it is kept: the digest's bytes, half as long; what is no digest stays text."""
    try:
        short = bytes.fromhex(key)
    except ValueError:
        return key
    return short if short.hex() == key else key  # capital letters


def _place(file: int, offset: int, length: int) -> int:
    """Number of a file, where an entry's line begins there and its length (in bytes, up to 64 PiB and a TiB) as one number."""
    return (file << 56 | offset) << 40 | length


def _lies(place: int) -> tuple[int, int, int]:
    return place >> 96, place >> 40 & (1 << 56) - 1, place & (1 << 40) - 1


def _entry_of(line: bytes) -> dict[str, Any] | None:
    """The entry of a journal line, None if the line is damaged."""
    head, mark, rest = line.partition(b',"entry":')
    if not mark or not head.startswith(b'{"crc":') or not rest.endswith(b"}\n"):
        return None
    body = rest[:-2]
    if head[7:] != b"%d" % zlib.crc32(body):
        return None
    try:
        entry = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None


def note_engine(folder: Path, identity: Identity, info: Mapping[str, Any]) -> None:
    """Record on what an identity's answers were computed, when it was loaded; kept beside the journals."""
    folder.mkdir(parents=True, exist_ok=True)
    line = orjson.dumps({"identity": asdict(identity), "at": time.time(), "info": dict(info)}) + b"\n"
    own_path(folder, "engine").write_bytes(line)


def engine_notes(folder: Path, identity: Identity) -> list[dict[str, Any]]:
    """On what an identity's answers were computed: the distinct notes, earliest first."""
    wanted = asdict(identity)
    notes: list[dict[str, Any]] = []
    for entry in sorted(json_lines(folder, "engine"), key=lambda line: float(line["at"])):
        if entry["identity"] == wanted and entry["info"] not in notes:
            notes.append(entry["info"])
    return notes


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """An analysis as it was stated at a time (DESIGN 2.6)."""

    study: str
    """Study name."""
    at: float
    """Unix time of the statement."""
    analysis: dict[str, Any]
    """The analysis as JSON-ready mapping."""


def state_analysis(folder: Path, study: str, analysis: dict[str, Any]) -> Statement:
    """Journal an analysis before answers are asked for; returns the first statement ever made for this study here.

    The first statement stays the pre-stated one; a differing analysis is added to the record, once, and the caller compares.
    """
    known = analysis_statements(folder, study)
    if not any(statement.analysis == analysis for statement in known):
        folder.mkdir(parents=True, exist_ok=True)
        entry = Statement(study=study, at=time.time(), analysis=analysis)
        line = orjson.dumps({"study": entry.study, "at": entry.at, "analysis": entry.analysis}) + b"\n"
        own_path(folder, "analysis").write_bytes(line)
        known = [*known, entry]
    return known[0]


def analysis_statements(folder: Path, study: str) -> list[Statement]:
    """All analyses stated for a study in this store, earliest first; unreadable lines are passed over."""
    found = [
        Statement(study=study, at=entry["at"], analysis=entry["analysis"])
        for entry in json_lines(folder, "analysis")
        if entry["study"] == study
    ]
    return sorted(found, key=lambda statement: statement.at)


def own_path(folder: Path, what: str) -> Path:
    """A file name that no other process writes."""
    return folder / f"{what}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.jsonl"


def json_lines(folder: Path, what: str) -> Iterator[dict[str, Any]]:
    """Entries of all journals of one kind, in the order of their files' names; unreadable lines are passed over."""
    for path in sorted(folder.glob(f"{what}-*.jsonl")) if folder.is_dir() else []:
        for line in path.read_bytes().splitlines():
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # torn by a killed process: as if it had not been written
            yield entry
