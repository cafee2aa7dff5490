"""What can be said of the openai engine, its server and its settings without importing it, and without a word to the server."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite.config import faults_of
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.models.endpoints import EndpointEntry
from evalsuite.types import Kind

LIBRARY = "httpx2"
TEXT: frozenset[Kind] = frozenset({"generate"})
VLLM: frozenset[Kind] = frozenset({"generate", "next", "continuation", "prompt"})
"""What a vLLM server that takes ids gives exactly, by `logprob_token_ids` and `prompt_logprobs`."""
PRICES = {"price_input": "input", "price_output": "output"}


def check(path: str, settings: EngineSettings) -> tuple[Fault, ...]:
    """Everything that would keep `load` from asking this server and that is seen from here."""
    faults = []
    if importlib.util.find_spec(LIBRARY) is None:
        allowed = f"needs the library `{LIBRARY}`, which is not installed"
        faults.append(Fault(file="engine", key="name", value=settings.name, allowed=allowed))
    try:
        endpoint = read_endpoint(settings)
        read_key(endpoint)
        if endpoint.api == "completions":
            read_config(path)
    except UserError as error:
        faults.extend(error.faults)
    return tuple(faults)


def kinds_of(path: str) -> frozenset[Kind]:
    """What every server can do; `kinds_with` knows which one it is."""
    del path
    return TEXT


def kinds_with(path: str, settings: EngineSettings) -> frozenset[Kind]:
    """What the server of these settings is asked; exact log-probabilities of given tokens are had from vLLM alone, and only for ids.

    Raises:
        UserError: the settings describe no server.
    """
    del path
    endpoint = read_endpoint(settings)
    return VLLM if endpoint.server == "vllm" and endpoint.api == "completions" else TEXT


def read_endpoint(settings: EngineSettings) -> EndpointEntry:
    """The server that the options describe (`EndpointEntry.as_options`).

    Raises:
        UserError: options that describe no server; one fault each, never with a key in it.
    """
    content: dict[str, Any] = {name: value for name, value in settings.options.items() if name not in PRICES}
    price = {short: settings.options[name] for name, short in PRICES.items() if name in settings.options}
    try:
        return EndpointEntry.model_validate({**content, **({"price": price} if price else {})})
    except ValidationError as error:
        raise UserError(faults_of(error, Path("engine"))) from None


def read_key(endpoint: EndpointEntry) -> str | None:
    """The key of the account, from the environment; None if the server wants none.

    Raises:
        UserError: the variable is not set. Its name is not told either, in case it is a key after all.
    """
    if endpoint.api_key_env is None:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        allowed = f"the variable that it names is not set, or holds no key (model {endpoint.model} at {endpoint.host})"
        raise UserError(Fault(file="models.yaml", key="endpoint.api_key_env", value="", allowed=allowed))
    return key


def read_config(path: str) -> dict[str, Any]:
    """config.json of the folder that prompts are rendered with.

    Raises:
        UserError: it is not there, or names no vocabulary size, so that no id could be checked.
    """
    try:
        config = json.loads((Path(path) / "config.json").read_bytes())
        text = config.get("text_config")
        shape = text if isinstance(text, dict) else config
        int(shape["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        allowed = "missing, damaged or without vocab_size; a server that takes ids needs the model's configuration and tokenizer here"
        raise UserError(Fault(file=path, key="config.json", value="", allowed=allowed)) from None
    return dict(shape)


def special_ids(path: str) -> dict[str, int]:
    """Ids of the special tokens by their text, which never stands in generated text; empty where tokenizer.json does not say."""
    try:
        added = json.loads((Path(path) / "tokenizer.json").read_bytes())["added_tokens"]
        return {str(token["content"]): int(token["id"]) for token in added if token["special"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
