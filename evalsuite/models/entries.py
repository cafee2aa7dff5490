"""What a person writes about a model in models.yaml (DESIGN 5)."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints, field_validator, model_validator

from evalsuite.config import FileModel, PlainName
from evalsuite.models.endpoints import EndpointEntry

Text = Annotated[str, StringConstraints(min_length=1)]


class ChatEntry(FileModel):
    """How a conversation becomes the model's input."""

    template: Text = "own"
    """`own`: the checkpoint's chat template; `plain`: no template; else a Jinja file, relative to models.yaml."""
    system: Literal["native", "fold"] = "native"
    """`fold`: system text goes to the head of the first user turn. Done by itself where the template has no system role."""
    stop: tuple[Text, ...] = ()
    """Strings that end this model's turn, beside the stop ids of its generation_config.json."""
    thinking: tuple[Text, Text] | None = None
    """Marks around what the model thinks before it answers; None: it answers at once."""
    answer_prefix: str = ""
    """Text that is put into the model's mouth at the start of the answer."""


class ServingEntry(FileModel):
    """How the checkpoint is loaded."""

    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Numbers that the model computes with."""
    tensor_parallel: Annotated[int, Field(ge=1)] = 1
    """GPUs that share one copy of the weights."""
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    """Upper bound on prompt plus output tokens; null: the checkpoint's own."""
    trust_remote_code: bool = False
    """Run code that the checkpoint brings along."""
    quantisation: str | None = None
    """Name of the checkpoint's quantisation scheme, null if none."""


class ModelEntry(FileModel):
    """One model of models.yaml."""

    repo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")] | None = None
    """Hub id, as printed in a source if `verified`."""
    path: Text | None = None
    """Folder (relative to models.yaml), `package:<folder in the package>`, or `stub:<behaviour>`."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    """Commit on the hub, 40 hexadecimal digits; null: not pinned."""
    endpoint: EndpointEntry | None = None
    """Server that answers for the model; `repo` or `path` then only give tokenizer and configuration, for servers that take ids."""
    domain: Literal["generalist", "biomedical"]
    """What it was trained for."""
    base: PlainName | None = None
    """Registry name of the model that it was made from; null: none declared."""
    comparators: tuple[PlainName, ...] = ()
    """Registry names of further models that it is fairly compared with."""
    parameters_b: Annotated[float, Field(gt=0)] | None = None
    """Parameters, in units of 10^9."""
    languages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")], ...] = ()
    """ISO 639-1 codes that it was made for."""
    licence: str | None = None
    """Licence of the weights; null = unknown."""
    gated: bool | None = None
    """True: the hub asks for an account that has accepted the licence; null = unknown."""
    knowledge_cutoff: Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}){0,2}$")] | None = None
    """Year, month or day after which it has read nothing; null = unknown."""
    trained_on: tuple[Annotated[str, StringConstraints(pattern=r"^[^/\s]+(/[^/\s]+)?$")], ...] | None = None
    """`task` or `task/split` that it was trained on; null = unknown, [] = declared none."""
    chat: ChatEntry = ChatEntry()
    """How a conversation becomes its input."""
    serving: ServingEntry = ServingEntry()
    """How it is loaded."""
    note: str | None = None
    """One sentence for people, e.g. what has to be supplied."""
    verified: bool = False
    """True: the hub id was seen printed in a source."""
    _file: str = PrivateAttr(default="models.yaml")

    @field_validator("knowledge_cutoff", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        # YAML reads 2023 as a number and 2023-03-01 as a date.
        return str(value) if isinstance(value, int | datetime.date) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _one_place(self) -> ModelEntry:
        if self.repo and self.path:
            raise ValueError("repo and path are both given: keep one")
        if self.path and self.revision:
            raise ValueError("revision belongs to a repo; a path is pinned by its contents")
        if self.endpoint is not None:
            self._check_endpoint(self.endpoint)
        return self

    def _check_endpoint(self, endpoint: EndpointEntry) -> None:
        if self.is_stub:
            raise ValueError("endpoint and a stub path are both given: keep one")
        if endpoint.api == "completions" and not (self.repo or self.path):
            raise ValueError("endpoint.api: completions receives token ids: also give `path` or `repo`, for tokenizer and configuration")
        if endpoint.api == "completions":
            return
        if self.repo or self.path:
            raise ValueError("endpoint.api: chat renders by itself, so `repo` and `path` mean nothing: leave them out")
        if self.chat.template != "own" or self.chat.answer_prefix:
            raise ValueError("endpoint.api: chat renders by itself: chat.template and chat.answer_prefix cannot be obeyed")

    @property
    def file(self) -> str:
        """The models.yaml that holds the entry, for faults."""
        return self._file

    @property
    def is_stub(self) -> bool:
        """True if the stub engine answers and there are no weights."""
        return bool(self.path) and str(self.path).startswith("stub:")

    def at(self, file: Path) -> ModelEntry:
        """The entry with its relative paths taken from the folder of `file`."""
        changes: dict[str, Any] = {}
        if self.path and not self.path.startswith(("stub:", "package:")):
            changes["path"] = str((file.resolve().parent / Path(self.path).expanduser()).absolute())
        if self.chat.template not in ("own", "plain"):
            template = str((file.resolve().parent / Path(self.chat.template).expanduser()).absolute())
            changes["chat"] = self.chat.model_copy(update={"template": template})
        placed = self.model_copy(update=changes)
        placed._file = str(file)
        return placed
