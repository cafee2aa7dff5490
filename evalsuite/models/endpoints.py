"""What a person writes about a server that answers for a model, and what can be said of its address."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from evalsuite.config import FileModel

Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PriceEntry(FileModel):
    """What the server's owner charges, in US dollars per million tokens."""

    input: Money
    """Of the prompts."""
    output: Money
    """Of the answers."""


class EndpointEntry(FileModel):
    """An OpenAI-compatible server. It is told what to do, and never trusted to be what it was yesterday."""

    url: str
    """Base address as its owner prints it, ending before `/completions` or `/chat/completions`, e.g. `http://localhost:8000/v1`."""
    model: Annotated[str, StringConstraints(min_length=1, pattern=r"^\S+$")]
    """The model's name at the server."""
    api: Literal["completions", "chat"]
    """`completions`: the server receives token ids; `chat`: it receives messages and renders them itself."""
    server: Literal["vllm", "other"] = "other"
    """`vllm`: it is told every default that a checkpoint could set, and one that takes ids is asked for log-probabilities in vLLM's
    way, which is checked at the start; `other`: generated text only."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; null: no key is sent. Never the key itself."""
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Most requests under way at once."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Most requests started per minute by one process; null: as fast as the server answers."""
    price: PriceEntry | None = None
    """What tokens cost; null: unknown, and no cost is shown."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """Seconds to wait for one answer."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the server calls the limit of generated tokens; newer hosted chat models take the second name only."""

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        fault = address_fault(value)
        if fault:
            raise ValueError(fault)
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _name_not_key(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", value):
            raise ValueError("the NAME of an environment variable (capitals, digits, underscores), never the key itself")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.api == "completions" and self.max_tokens_name != "max_tokens":
            raise ValueError("max_tokens_name belongs to api: chat")
        return self

    @property
    def host(self) -> str:
        """Name or address of the machine, in lower case, without port."""
        return host_of(self.url)

    def as_options(self) -> dict[str, str | int | float | bool]:
        """As flat engine options, those that are null left out."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude={"price"}, exclude_none=True)
        if self.price is not None:
            content |= {"price_input": self.price.input, "price_output": self.price.output}
        return content


def address_fault(url: str) -> str:
    """What is wrong with a base address, without quoting it (a key might stand in it); empty if nothing is."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises where the port is no number)
    except ValueError:
        return "is no address; e.g. http://localhost:8000/v1"
    if parts.scheme not in ("http", "https") or not parts.hostname or any(character.isspace() for character in url):
        return "must be http://… or https://… with a host, e.g. http://localhost:8000/v1"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "must be a plain address, without user, password, `?` or `#`; a key goes into the variable that api_key_env names"
    if parts.path.rstrip("/").endswith("/completions"):
        return "must end before /completions or /chat/completions; that part is added"
    return ""


def host_of(url: str) -> str:
    """Name or address of the machine, in lower case, without port."""
    return (urlsplit(url).hostname or "").lower()


def is_loopback(host: str) -> bool:
    """True for `localhost` and loopback addresses: what is sent there stays on this machine, unless a tunnel leads on."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
