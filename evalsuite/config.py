"""study.yaml: reading and checking what a person wrote, before anything is loaded (DESIGN 5).

Every mistake becomes one `Fault`; all faults of a file are collected before they are raised. Names of models, tasks and
strategies are checked where those are known (`plan.resolve`).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from evalsuite.errors import Fault, UserError

PLAIN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
PlainName = Annotated[str, StringConstraints(pattern=PLAIN, max_length=100)]
Scalar = str | int | float | bool
Correction = Literal["holm", "benjamini_hochberg", "none"]

SHOWN_ONLY = ("published", "ladder", "leave_one_out", "timed")
"""Keys of a study that decide what its report shows, and neither what is asked nor how it is judged."""

LATER_KEYS = (*SHOWN_ONLY, "holdout")
"""Keys of a study that are left out of its file where nothing is said under them."""


class FileModel(BaseModel):
    """Base of everything that a person's file holds: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, str_strip_whitespace=False)


class TaskEntry(FileModel):
    """One task of a study."""

    name: str
    """Task name, or `<source>:<name>`."""
    split: str | None = None
    """Split to evaluate; None: the card's."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Most samples, taken as whole groups in a seeded order; None: all."""
    metric: str | None = None
    """Metric of the comparison; None: the card's."""
    exemplar_split: str | None = None
    """Split that exemplars come from; None: the card's."""

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Studies that ran before the field existed keep their files and hashes.
        content: dict[str, Any] = dump(self)
        return {key: value for key, value in content.items() if key != "exemplar_split" or value is not None}


class PluginEntry(FileModel):
    """A strategy or perturbation of a study: its name, its id in the results, and its options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    """Plugin name."""
    id: PlainName | None = None
    """Column value in the results; None: the name."""

    @property
    def label(self) -> str:
        """The column value."""
        return self.id or self.name

    @property
    def options(self) -> Mapping[str, Any]:
        """Everything beside name and id, unchecked."""
        return self.model_extra or {}


class Decoding(FileModel):
    """How text is generated; the same for every model."""

    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Most tokens to generate."""
    stop: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Strings that end the generation."""


class Prompting(FileModel):
    """What stands around the samples; the same for every model."""

    system: str | None = None
    """System prompt; folded into the first user turn where a model has no system role."""
    shots_as: Literal["turns", "text"] = "turns"
    """Exemplars as turns of a conversation, or as text within one user turn."""
    date: datetime.date = datetime.date(2024, 7, 26)
    """The date that some chat templates insert."""


class EngineEntry(FileModel):
    """Which engine, and how it loads a checkpoint."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "transformers"
    """Engine name."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Numbers that the model computes with."""
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """Where it computes."""
    send_restricted_to: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Hosts beside this machine that may receive texts of restricted tasks, by name: the study's own consent."""

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Studies that ran before the field existed keep their conditions and hashes.
        content: dict[str, Any] = dump(self)
        if not content.get("send_restricted_to"):
            content.pop("send_restricted_to", None)
        return content

    @property
    def options(self) -> Mapping[str, Any]:
        """Further options, checked by the engine."""
        return self.model_extra or {}


class Exclusion(FileModel):
    """A sample that the study leaves out for all models, by name."""

    task: str
    """Task name."""
    sample_id: str
    """Sample id."""
    reason: Annotated[str, StringConstraints(min_length=3)]
    """Why; printed in the report."""


class Primary(FileModel):
    """The cell in which the pre-stated comparison is made."""

    strategy: str | None = None
    """Strategy id; None: the study's first."""
    perturbation: str = "none"
    """Perturbation id."""


class Secondary(FileModel):
    """Cells beside the primary one that are stated beforehand too; pairs x tasks in each of them make the secondary family."""

    strategies: tuple[str, ...] = ()
    """Strategy ids, each with the primary perturbation."""
    perturbations: tuple[str, ...] = ()
    """Perturbation ids, each with the primary strategy."""


class Analysis(FileModel):
    """The pre-stated analysis (DESIGN 2.6)."""

    primary: Primary = Primary()
    """The primary cell."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Two-sided error rate of the family."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Equivalence margin in the metric's unit."""
    correction: Correction = "holm"
    """Correction over the family."""
    secondary: Secondary | None = None
    """A second family, tested only where every primary comparison is significant; None: what is not primary is exploratory."""
    pooling: Literal["questions", "tasks"] = "questions"
    """Weights of the mean over tasks: each distinct question counts the same, or each task (tasks that repeat each other count as one)."""
    pooled_tasks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Tasks of that mean, the one-sentence answer; None: all tasks of the study."""
    mixed_model: bool = False
    """Whether a mixed-effects logistic model over all tasks is fitted beside the pooled difference; takes minutes for large studies."""
    missing: Literal["incorrect", "drop"] = "incorrect"
    """What a missing answer counts as."""
    n_resamples: Annotated[int, Field(ge=200, le=1_000_000)] = 10_000
    """Resamples of randomisation and bootstrap."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Studies that ran before these fields existed keep their files and hashes.
        content: dict[str, Any] = dump(self)
        later = {"secondary": None, "pooling": "questions", "pooled_tasks": None, "mixed_model": False}
        return {key: value for key, value in content.items() if key not in later or value != later[key]}


class Study(FileModel):
    """A study as written in study.yaml."""

    study: PlainName
    """Name; also the folder under reports/."""
    question: Annotated[str, StringConstraints(min_length=3)]
    """The question in one sentence."""
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    """Registry names."""
    pairs: tuple[tuple[str, str], ...] | None = None
    """(a, b): positive differences favour a. None: every declared base or comparator among `models`."""
    tasks: Annotated[tuple[TaskEntry, ...], Field(min_length=1)]
    """Tasks."""
    strategies: Annotated[tuple[PluginEntry, ...], Field(min_length=1)] = (PluginEntry(name="zero_shot"),)
    """Strategies."""
    perturbations: Annotated[tuple[PluginEntry, ...], Field(min_length=1)] = (PluginEntry(name="none"),)
    """Perturbations."""
    decoding: Decoding = Decoding()
    prompting: Prompting = Prompting()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random choice."""
    replicates: Annotated[int, Field(ge=1, le=1000)] = 1
    """Independent draws per sample; more than one needs a temperature above 0."""
    engine: EngineEntry = EngineEntry()
    exclude: tuple[Exclusion, ...] = ()
    analysis: Analysis = Analysis()
    data: Mapping[str, Path] = {}
    """Folder or file of a task's data, relative to the study file."""
    include_path: tuple[Path, ...] = ()
    """Folders of lm-eval YAML tasks beside those that it ships (its --include_path), relative to the study file."""
    published: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Papers whose printed numbers stand beside the measured ones: ids, with or without a version (docs/published.md)."""
    holdout: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the groups of every evaluated split that is sealed until `evalsuite run --unseal`; None: nothing is (docs/holdout.md)."""
    ladder: tuple[str, ...] = ()
    """Strategy ids in cumulative order, each with one part more than the one before: what each part adds is reported. Exploratory."""
    leave_one_out: tuple[str, ...] = ()
    """Strategy ids that are each the ladder's last rung without one part."""
    timed: bool = False
    """Whether the report shows engine seconds; they differ from run to run, so that its bytes do too."""

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Studies that ran before these fields existed keep their files.
        content: dict[str, Any] = dump(self)
        return {key: value for key, value in content.items() if key not in LATER_KEYS or value}

    @field_validator("published", mode="before")
    @classmethod
    def _ids_as_text(cls, value: Any) -> Any:
        # YAML reads the arXiv id 2404.04067 as a number.
        numbers = (int, float)
        return [str(item) if isinstance(item, numbers) else item for item in value] if isinstance(value, list | tuple) else value

    @field_validator("tasks", "strategies", "perturbations", mode="before")
    @classmethod
    def _names_as_entries(cls, value: Any) -> Any:
        return [{"name": item} if isinstance(item, str) else item for item in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        for what, names in (
            ("models", list(self.models)),
            ("strategies", [entry.label for entry in self.strategies]),
            ("perturbations", [entry.label for entry in self.perturbations]),
            ("tasks", [entry.name for entry in self.tasks]),
            ("published", list(self.published)),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} = {', '.join(twice)}: each name once (give strategies an `id` of their own)")
        if self.replicates > 1 and self.decoding.temperature == 0:
            raise ValueError(f"replicates = {self.replicates}: only 1 at decoding.temperature 0, since greedy draws are all the same")
        unordered = [tuple(sorted(pair)) for pair in self.pairs or ()]
        for a, b in self.pairs or ():
            if unordered.count(tuple(sorted((a, b)))) > 1:
                raise ValueError(f"pairs = [{a}, {b}]: each pair once, in one direction")
            for member in (a, b):
                if member not in self.models:
                    raise ValueError(f"pairs = [{a}, {b}]: {member} is not among `models`")
            if a == b:
                raise ValueError(f"pairs = [{a}, {b}]: two different names")
        return self


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key that stands twice, which plain YAML silently overwrites."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, str | int | float | bool | datetime.date | None):
            raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen[key] = 1
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UserError: missing, unreadable, not UTF-8, not YAML, or not a mapping; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(Fault(file=str(path), key="", value="", allowed="no such file")) from None
    except IsADirectoryError:
        raise UserError(Fault(file=str(path), key="", value="", allowed="is a folder, a YAML file is needed")) from None
    except UnicodeDecodeError as error:
        raise UserError(Fault(file=str(path), key="", value=f"byte {error.start}", allowed="must be UTF-8")) from None
    try:
        # _StrictLoader is a SafeLoader: no object construction from tags.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except ValueError as error:  # a date such as 2024-02-30
        raise UserError(Fault(file=str(path), key="", value="", allowed=f"not valid YAML: {error}")) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise UserError(Fault(file=where, key="", value="", allowed=f"not valid YAML: {problem}")) from None
    if not isinstance(content, dict):
        raise UserError(Fault(file=str(path), key="", value=type(content).__name__, allowed="must be a mapping of keys to values"))
    return content


def faults_of(error: ValidationError, file: Path, *, prefix: str = "") -> list[Fault]:
    """pydantic's findings as faults: dotted key, what was found, what is allowed."""
    faults = []
    errors = error.errors(include_url=False)
    for item in errors:
        # A list whose items are wrong is reported as too short as well; the items' own faults say more.
        if item["type"] == "too_short" and any(other["loc"][: len(item["loc"])] == item["loc"] for other in errors if other is not item):
            continue
        key = ".".join([prefix, *(str(part) for part in item["loc"])] if prefix else [str(part) for part in item["loc"]])
        message = re.sub(r"^Value error, ", "", item["msg"])
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == PLAIN:
            message = "a plain name of letters, digits, dots, dashes and underscores; no path"
        found = item.get("input")
        unseen = item["type"] == "missing" or isinstance(found, dict | list | tuple | BaseModel) or _is_secret(item["loc"])
        shown = "" if unseen else repr(found)[:80]
        faults.append(Fault(file=str(file), key=key, value=shown, allowed=message[:1].lower() + message[1:]))
    return faults


def _is_secret(place: tuple[int | str, ...]) -> bool:
    """Whether a key (of an account) may stand there; what was found there is never shown. `url` may hold user and password."""
    words = re.split(r"[^a-z]+", str(place[-1]).lower()) if place else []
    return bool({"key", "apikey", "token", "secret", "password", "authorization", "url"} & set(words))


def load_study(path: str | Path) -> Study:
    """Read and check a study file; `data` paths come back absolute.

    Raises:
        UserError: with one fault per mistake.
    """
    file = Path(path)
    content = read_yaml(file)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise UserError(faults_of(error, file)) from None
    base = file.resolve().parent
    places = {
        "data": {task: (base / folder).resolve() for task, folder in study.data.items()},
        "include_path": tuple((base / folder).resolve() for folder in study.include_path),
    }
    return study.model_copy(update=places)


def study_as_yaml(study: Study) -> str:
    """The study with every default filled in, as YAML that `load_study` reads back to an equal study."""
    content = study.model_dump(mode="json")
    for what in ("strategies", "perturbations"):
        content[what] = [{key: value for key, value in entry.items() if value is not None} for entry in content[what]]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
