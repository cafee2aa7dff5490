"""Locating and reading data: where a split lies, its rows with their line numbers, and the checks that every split must pass.

Look-up order of a split, first wins: the study's `data:`; `$EVALSUITE_DATA/<task or alias>/<split>.jsonl[.gz]`; beside the
plugin; the hub. Nothing here quotes the text of a row: a fault names file, line, key and type, since rows may be patients' text.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from pathlib import Path

from evalsuite.cards import Split, Task, TaskCard
from evalsuite.errors import Fault, UserError
from evalsuite.foreign import ROW, is_as_made
from evalsuite.rows import SUFFIXES, HubError, Row, RowError, hub_rows, read_rows, scan_rows
from evalsuite.soundness import sample_faults, surrogate_in, tag_duplicates
from evalsuite.types import Excluded, Sample

__all__ = ["LoadedSplit", "Located", "content_hash", "load_split", "locate", "pool_without", "read_rows"]

MAX_FAULTS = 20
_SHAPE: Mapping[str, type] = {
    "id": str,
    "choices": tuple,
    "targets": tuple,
    "references": tuple,
    "labels": tuple,
    "tags": tuple,
    "metadata": Mapping,
}
"""Fields of a sample whose types the checks below rely on; plugins are not always typed."""
_AS_JSON = json.JSONEncoder(ensure_ascii=False)
"""Made once: `json.dumps` makes one per call, which takes a third of a short text's time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """Where a split lies."""

    path: Path | None
    """Local file; None: on the hub."""
    hub: str
    """`<id>[/<config>]@<revision or unpinned>:<split>`; empty for a local file."""
    how: str
    """Which place of the look-up order held it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedSplit:
    """A split that was read and passed its checks."""

    samples: tuple[Sample, ...]
    """Samples in the order of the source."""
    excluded: tuple[Excluded, ...]
    """Rows that the task leaves out, in the order of the source."""
    fingerprint: str
    """sha256 (hex) over the rows as sorted JSON, one per line; equal for a file, its gzip, and the same rows from elsewhere."""
    source: str
    """Path, or the hub's id with revision and split."""
    notes: tuple[str, ...]
    """Sentences for the manifest: where it was found, what is not pinned, counts that the card does not fix."""


def content_hash(sample: Sample) -> str:
    """First 16 hex digits of sha256 over question, context, choices, references and quantity (NFC, as JSON); equal in every process.

    A sample of a foreign task that is as the task made it has the hash that its framework gives the row, so that scores of either pair.
    """
    if ROW in sample.metadata and is_as_made(sample):
        return sample.metadata[ROW]
    plain = sample.quantity is None and sample.manner is None and sample.dialogue is None and not sample.n_unlisted
    if plain:
        return _hash_of_texts(sample.question, sample.context, sample.choices, sample.references)
    parts: list[object] = [sample.question, sample.context, list(sample.choices), list(sample.references)]
    if sample.quantity is not None:
        # Limits and unit decide what is right; samples without keep the hashes they had before there were quantities.
        parts.append([sample.quantity.form, sample.quantity.low, sample.quantity.high, sample.quantity.unit])
    if sample.manner is not None or sample.dialogue is not None or sample.n_unlisted:
        # Likewise: how it is asked where a perturbation decides that.
        parts.append([sample.n_unlisted, *([] if sample.manner is None else astuple(sample.manner))])
    if sample.dialogue is not None:
        parts.append([content_hash(sample.dialogue.first), sample.dialogue.said, sample.dialogue.repeats])
    return _hash_of(parts)


# Several models and strategies are asked the same rendition, and each row names it. Texts alone: equal numbers may be written differently.
@lru_cache(maxsize=1 << 16)
def _hash_of_texts(question: str, context: str, choices: tuple[str, ...], references: tuple[str, ...]) -> str:
    return _hash_of([question, context, list(choices), list(references)])


def _hash_of(parts: Sequence[object]) -> str:
    text = _AS_JSON.encode(parts)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def pool_without(samples: Sequence[Sample], groups: Collection[str]) -> tuple[Sample, ...]:
    """Exemplar pool: the samples whose group is not among the evaluated `groups`, in their order."""
    evaluated = frozenset(groups)
    return tuple(sample for sample in samples if sample.group not in evaluated)


def locate(task: Task, split: str, study_data: Mapping[str, Path]) -> Located:
    """Find a split's file, or its place on the hub; reads nothing.

    A folder or file that the study names is binding: if the split is not there, nothing else is tried. A single file stands for
    whichever split is asked, except where its name is that of another split on the card.

    Args:
        task: the task.
        split: split name, one of the card's.
        study_data: the study's `data:`, by task name; folders or files.

    Raises:
        UserError: no such split; nothing found, with every place that was looked at and how to get the data.
    """
    card = task.card
    if task.foreign is not None:
        return Located(path=None, hub=f"{card.name}:{split}", how="its own framework")
    if split not in card.splits:
        raise UserError(Fault(file=f"task {card.name}", key="split", value=split, allowed=f"one of {', '.join(sorted(card.splits))}"))
    entry = card.splits[split]
    if card.name in study_data and (found := _in_study(card, split, study_data[card.name])):
        return Located(path=found, hub="", how=f"study data.{card.name}")
    looked: list[str] = []
    root = os.environ.get("EVALSUITE_DATA", "")
    if root and not Path(root).is_dir():
        raise UserError(Fault(file="$EVALSUITE_DATA", key="", value=root, allowed="an existing folder, or unset"))
    for name in (card.name, *card.aliases) if root else ():
        looked.append(f"$EVALSUITE_DATA/{name}")
        if found := _in_folder(Path(root) / name, split, entry.file):
            return Located(path=found, hub="", how=f"$EVALSUITE_DATA/{name}")
    for folder in _beside(task):
        looked.append(str(folder))
        if found := _in_folder(folder, split, entry.file):
            return Located(path=found, hub="", how="beside the plugin")
    if card.hub_id and entry.hub_split:
        config = f"/{card.hub_config}" if card.hub_config else ""
        return Located(path=None, hub=f"{card.hub_id}{config}@{card.revision or 'unpinned'}:{entry.hub_split}", how="hub")
    raise UserError(_not_found(card, split, looked, "this split is not on the hub under the task's id"))


def load_split(task: Task, split: str, study_data: Mapping[str, Path]) -> LoadedSplit:
    """Read a split, make its samples, and check everything that the card says of it.

    Raises:
        UserError: up to 20 faults: unreadable or malformed rows (file and line), a number of rows, exclusions or tags that is not the
            card's, equal ids (both lines), rows that the plugin refuses, keys outside their choices, empty or repeated choices.
    """
    place = locate(task, split, study_data)
    card, entry = task.card, task.card.splits[split]
    where = str(place.path) if place.path else place.hub if task.foreign else f"hub:{place.hub}"
    faults: list[Fault] = []
    samples: list[Sample] = []
    excluded: list[Excluded] = []
    lines: dict[str, int] = {}
    digest = hashlib.sha256()
    n_rows = 0
    task, rows = _read_as(task, _own_rows(task, _rows(task, split, place), where), where)
    for line, row in rows:
        if len(faults) >= MAX_FAULTS:
            raise UserError(faults[:MAX_FAULTS])
        if isinstance(row, Fault):
            faults.append(row)
            continue
        digest.update(_canonical(row))
        made = _make(task, row, n_rows, f"{where}:{line}")
        n_rows += 1
        if isinstance(made, Fault):
            faults.append(made)
            continue
        name = made.sample_id if isinstance(made, Excluded) else made.id
        if name in lines:
            faults.append(Fault(file=f"{where}:{line}", key="id", value="", allowed=f"unique ids, but line {lines[name]} has the same id"))
        lines.setdefault(name, line)
        if isinstance(made, Excluded):
            excluded.append(made)
            continue
        if task.foreign is not None:
            samples.append(made)  # what is sound is for its own framework to say
            continue
        sample = tag_duplicates(made, card)
        faults.extend(
            Fault(file=f"{where}:{line}", key=key, value=str(value), allowed=allowed) for key, value, allowed in sample_faults(sample, card)
        )
        samples.append(sample)
    if not faults:
        faults.extend(_check_counts(entry, where, n_rows, samples, excluded))
        faults.extend(_check_labels(card, where, samples))
    if faults:
        raise UserError(faults[:MAX_FAULTS])
    notes = _notes(card, entry, place, samples, excluded)
    return LoadedSplit(samples=tuple(samples), excluded=tuple(excluded), fingerprint=digest.hexdigest(), source=where, notes=notes)


def _in_study(card: TaskCard, split: str, path: Path) -> Path | None:
    """The study's own file for a split; None if the study names a file that is another split's."""
    key = f"data.{card.name}"
    if path.is_dir():
        if found := _in_folder(path, split, card.splits[split].file):
            return found
        names = card.splits[split].file or f"{split}.jsonl[.gz], {split}.csv or {split}.parquet"
        raise UserError(Fault(file="study", key=key, value=str(path), allowed=f"a folder that holds {names}"))
    if not path.is_file():
        raise UserError(Fault(file="study", key=key, value=str(path), allowed="an existing folder or file"))
    if not path.name.endswith(SUFFIXES):
        raise UserError(Fault(file="study", key=key, value=str(path), allowed=f"a file ending in {', '.join(SUFFIXES)}"))
    stem = path.name.split(".")[0]
    named = {name for name, entry in card.splits.items() if stem == name or path.name == entry.file}
    # A file without a split's name is what the person wants evaluated: it is never taken as the pool of exemplars.
    if named:
        return path if split in named else None
    return None if split in _exemplar_splits(card) else path


def _exemplar_splits(card: TaskCard) -> frozenset[str]:
    return frozenset(name for name in (card.exemplar_split, *card.exemplar_splits.values()) if name is not None)


def _in_folder(folder: Path, split: str, file: str | None) -> Path | None:
    """The one file of a split in a folder; two candidates are a fault, since one of them would silently win."""
    names = (file,) if file else tuple(f"{split}{suffix}" for suffix in SUFFIXES)
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        both = ", ".join(path.name for path in found)
        raise UserError(Fault(file=str(folder), key=split, value=both, allowed="one file per split"))
    return found[0] if found else None


def _beside(task: Task) -> tuple[Path, ...]:
    """Folders beside the plugin: its own where the file is named on the card or the folder bears the task's name, then one per name."""
    if task.folder is None:
        return ()
    names = (task.card.name, *task.card.aliases)
    # `test.jsonl` in the folder of a plugin with several tasks would be everybody's; it counts only if the folder is the task's own.
    own = task.folder.name in names or any(entry.file for entry in task.card.splits.values())
    return ((task.folder,) if own else ()) + tuple(task.folder / name for name in names)


def _not_found(card: TaskCard, split: str, looked: Sequence[str], why: str) -> Fault:
    places = f"looked in {', '.join(looked)}; " if looked else ""
    unset = "" if os.environ.get("EVALSUITE_DATA") else "$EVALSUITE_DATA is not set; "
    file = card.splits[split].file or f"{split}.jsonl.gz"
    ways = f"put {file} into $EVALSUITE_DATA/{card.name}/ or write `data: {{{card.name}: FOLDER}}` in study.yaml"
    get = f"; {card.get_data}" if card.get_data else ""
    return Fault(file=f"task {card.name}", key=f"split {split}", value="", allowed=f"no data found ({places}{unset}{why}): {ways}{get}")


def _rows(task: Task, split: str, place: Located) -> Iterator[tuple[int, Row | Fault]]:
    card = task.card
    if task.foreign is not None:
        return (yield from task.foreign.rows(split))
    if place.path:
        return (yield from scan_rows(place.path))
    try:
        yield from hub_rows(card.hub_id or "", card.hub_config, card.splits[split].hub_split or "", card.revision)
    except HubError as error:
        raise UserError(_not_found(card, split, (), str(error))) from error


def _own_rows(task: Task, rows: Iterable[tuple[int, Row | Fault]], where: str) -> Iterator[tuple[int, Row | Fault]]:
    """The rows that are this task's, where a source serves several."""
    for line, row in rows:
        if task.keeps is None or isinstance(row, Fault):
            yield line, row
            continue
        try:
            if task.keeps(row):
                yield line, row
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and a traceback would print the row that it raised for
            yield line, _refused(task, row, error, f"{where}:{line}")


def _read_as(task: Task, rows: Iterable[tuple[int, Row | Fault]], where: str) -> tuple[Task, Iterable[tuple[int, Row | Fault]]]:
    """The task with the reader that fits its rows, and the rows."""
    if task.choose_reader is None:
        return task, rows
    held = list(rows)
    try:
        return replace(task, to_sample=task.choose_reader([row for _, row in held if not isinstance(row, Fault)])), held
    except RowError as error:
        raise UserError(Fault(file=where, key="", value="", allowed=f"the plugin of {task.card.name} refuses its rows: {error}")) from error


def _canonical(row: Row) -> bytes:
    return json.dumps(row, sort_keys=True, ensure_ascii=False, default=_as_text).encode("utf-8", "surrogatepass") + b"\n"


def _as_text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


def _make(task: Task, row: Row, number: int, where: str) -> Sample | Excluded | Fault:
    """One row through the plugin; what the plugin raises becomes a fault at the row's line."""
    try:
        made: object = task.to_sample(row, number)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and a traceback would print the row that it raised for
        return _refused(task, row, error, where)
    if not isinstance(made, Sample | Excluded):
        return Fault(file=where, key="row", value=type(made).__name__, allowed="to_sample returns a Sample or an Excluded")
    for key, kind in _SHAPE.items() if isinstance(made, Sample) else (("sample_id", str), ("reason", str)):
        if not isinstance(getattr(made, key), kind):
            return Fault(file=where, key=key, value=type(getattr(made, key)).__name__, allowed=f"a {kind.__name__} from the plugin")
    try:
        hash((made.choices, made.targets, made.references, made.labels, made.tags) if isinstance(made, Sample) else ())
    except TypeError:
        return Fault(
            file=where, key="row", value="a list in a tuple", allowed="texts in choices, references, labels and tags; numbers in targets"
        )
    # Before anything of it is printed or compared: half a character cannot even be shown in a fault.
    if key := surrogate_in(made):
        return Fault(file=where, key=key, value="a lone surrogate", allowed="text that UTF-8 can hold")
    return made


def _refused(task: Task, row: Row, error: Exception, where: str) -> Fault:
    """What is told of an exception: a RowError's words always; the words of others only where they can hold nothing restricted."""
    name, restricted = task.card.name, task.card.restricted
    # A message of Python's own may quote the row, such as int()'s.
    quoted = any(len(str(value)) > 1 and str(value) in str(error) for value in row.values())
    if isinstance(error, RowError) or (isinstance(error, ValueError) and not restricted and not quoted):
        return Fault(file=where, key="row", value="", allowed=f"the plugin of {name} refuses it: {_shown(str(error)[:200])}")
    if isinstance(error, KeyError) and not restricted:
        key = str(error.args[0]) if error.args and str(error.args[0]) not in map(str, row.values()) else "?"
        columns = ", ".join(list(map(str, row))[:12])
        return Fault(file=where, key=_shown(key), value="missing", allowed=_shown(f"a row with this key; it has {columns}"))
    return Fault(file=where, key="row", value="", allowed=f"the plugin of {name} refuses it: {type(error).__name__}{_line_of(error)}")


def _shown(text: str) -> str:
    """Text that a terminal can print: a lone surrogate becomes a question mark."""
    return text.encode(errors="replace").decode()


def _line_of(error: Exception) -> str:
    """Where the plugin raised: the last line of the file that holds `to_sample`; what that called lies deeper and tells less."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""


def _check_counts(entry: Split, where: str, n_rows: int, samples: Sequence[Sample], excluded: Sequence[Excluded]) -> Iterator[Fault]:
    if entry.n_rows is not None and n_rows != entry.n_rows:
        yield Fault(file=where, key="rows", value=str(n_rows), allowed=f"holds {n_rows} rows, the card says {entry.n_rows}")
        return
    if not entry.counted or entry.n_rows is None:
        return
    reasons = Counter(row.reason for row in excluded)
    tags = Counter(tag for sample in samples for tag in sample.tags)
    for what, found, stated in (("excluded", reasons, entry.excluded), ("tagged", tags, entry.tagged)):
        for name in sorted({*found, *stated}):
            if found[name] != stated.get(name, 0):
                allowed = f"{found[name]} rows are {what} as {name}, the card says {stated.get(name, 0)}"
                yield Fault(file=where, key=f"{what}.{name}", value=str(found[name]), allowed=allowed)


def _check_labels(card: TaskCard, where: str, samples: Sequence[Sample]) -> Iterator[Fault]:
    if not samples:
        yield Fault(file=where, key="", value="no samples", allowed="at least one row that is not excluded")
    elif card.kind == "labels" and len({sample.choices for sample in samples}) > 1:
        yield Fault(
            file=where, key="choices", value="several sets", allowed="the same labels for all samples, since the task is of kind labels"
        )


def _notes(card: TaskCard, entry: Split, place: Located, samples: Sequence[Sample], excluded: Sequence[Excluded]) -> tuple[str, ...]:
    notes = [f"found by: {place.how}"]
    if not place.path and card.revision is None:
        notes.append(f"{card.hub_id} is not pinned to a revision")
    if entry.n_rows is None:
        notes.append("the card does not fix the number of rows")
    if not entry.counted or entry.n_rows is None:
        counts = Counter([f"excluded {row.reason}" for row in excluded] + [f"tagged {tag}" for sample in samples for tag in sample.tags])
        notes.extend(f"not fixed by the card: {n} {name}" for name, n in sorted(counts.items()))
    return tuple(notes)
