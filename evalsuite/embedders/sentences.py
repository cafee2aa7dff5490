"""Neighbours by a sentence model: a local folder in the format of the package sentence-transformers.

The folder is read with transformers, which is here anyway, by what its modules.json says: a transformer, the mean or the first of
its last hidden states, and if so said a vector of length 1. Everything else is refused in a line. Nothing is fetched and no code
of the folder is run. It runs on the processor, in float32: the accelerator belongs to the evaluated model, and what is found must
not depend on whether there is one.

Source: Reimers & Gurevych 2019 (arXiv 1908.10084).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evalsuite.embedders.kept_vectors import KeptVectors, text_hash
from evalsuite.embedders.lexical import Find
from evalsuite.embedders.similarity import SingleArray, nearest_dense
from evalsuite.errors import Fault, UserError
from evalsuite.models import fingerprint
from evalsuite.models.files import is_small, is_tokenizer, names_in, weights_in
from evalsuite.types import Tell, untold

Pooling = Literal["mean", "cls"]

N_BATCH_TOKENS = 16_384
"""Most tokens that go through the model together."""
N_LEAST_TOKENS = 64
"""Fewest tokens that go through the model together: products of smaller matrices are computed in another order."""
N_KEPT_AT_ONCE = 4096
"""Texts after which vectors are kept: at most so many are lost when a run is stopped."""
_MODULES = ("Transformer", "Pooling", "Normalize")
_PARTS = f"modules {', '.join(_MODULES[:2])} and {_MODULES[2]} or the first two"


@dataclass(frozen=True, kw_only=True, slots=True)
class SentenceModel:
    """What a folder says of its model."""

    folder: Path
    """The folder."""
    transformer: Path
    """The transformer's own folder in it, often the same."""
    files: tuple[str, ...]
    """Names of the files that decide what comes out, relative to `folder`."""
    width: int
    """Numbers per vector."""
    pooling: Pooling
    """How a text's hidden states become a vector: their mean, or the first."""
    normalises: bool
    """Whether vectors are brought to length 1."""
    max_tokens: int | None
    """Most tokens of a text, special ones included; what is beyond is cut off. None: as the tokenizer says."""
    lower_case: bool
    """Whether texts are brought to lower case first."""
    prompt: str
    """What the folder puts in front of every text; often empty."""


def searched(folder: Path, pool: Sequence[str], cache_folder: Path | None, tell: Tell = untold) -> Find:
    """Search by the cosine of a sentence model's vectors; equally near ones in the order of the pool.

    Args:
        folder: the model.
        pool: texts that are searched.
        cache_folder: where vectors are kept between runs, in a folder named by the fingerprint of the model's files; None: nowhere.
        tell: told of progress.

    Raises:
        UserError: the folder cannot be used; the line says why.
    """
    model = read_folder(folder)
    kept = None
    if cache_folder is not None:
        kept = KeptVectors(folder=cache_folder / fingerprint(model.folder, model.files, tell)[:32])
    vectors = embedded(model, pool, kept, tell)
    return lambda texts, n_nearest: nearest_dense(vectors, embedded(model, texts, kept, tell), n_nearest, tell=tell)


def folder_fault(folder: Path) -> str | None:
    """What is wrong with a folder, in words; None if nothing is. Loads no model."""
    try:
        read_folder(folder)
    except UserError as error:
        return " ".join(str(fault) for fault in error.faults)
    return None


def read_folder(folder: Path) -> SentenceModel:
    """Read what a folder says of its model; loads no weights.

    Raises:
        UserError: the folder is no sentence model, lacks a file, or asks for something that is not offered.
    """
    if not folder.is_dir():
        raise _fault(folder, "", "", "a local folder that holds a sentence model (modules.json); nothing is fetched")
    modules = _json(folder, "modules.json")
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules if isinstance(module, dict)]
    if kinds not in (list(_MODULES), list(_MODULES[:2])):
        raise _fault(folder, "modules.json", ", ".join(kinds), _PARTS)
    transformer, pooling = (str(module.get("path", "")) for module in modules[:2])
    config, pooled = _json(folder / transformer, "config.json"), _json(folder / pooling, "config.json")
    limits, prompts = (
        _json(folder / part, name, needed=False)
        for part, name in ((transformer, "sentence_bert_config.json"), ("", "config_sentence_transformers.json"))
    )
    if config.get("is_encoder_decoder"):
        raise _fault(folder, "config.json", "is_encoder_decoder", "an encoder alone")
    if "auto_map" in config:
        raise _fault(folder, "config.json", "auto_map", "a model that transformers knows; code of the folder is not run")
    default = prompts.get("default_prompt_name")
    prompt = str((prompts.get("prompts") or {}).get(default, "")) if default is not None else ""
    if prompt and pooled.get("include_prompt") is False:
        raise _fault(folder, f"{pooling}/config.json", "include_prompt = false", "vectors that take the prompt in, or no default prompt")
    try:
        width, max_tokens = int(config["hidden_size"]), limits.get("max_seq_length")
    except (KeyError, TypeError, ValueError):
        raise _fault(folder, "config.json", "hidden_size", "a whole number") from None
    return SentenceModel(
        folder=folder,
        transformer=folder / transformer,
        files=_files(folder, transformer, pooling),
        width=width,
        pooling=_pooling(folder, pooled),
        normalises=len(kinds) == len(_MODULES),
        max_tokens=None if max_tokens is None else int(max_tokens),
        lower_case=bool(limits.get("do_lower_case", False)),
        prompt=prompt,
    )


def embedded(model: SentenceModel, texts: Sequence[str], kept: KeptVectors | None = None, tell: Tell = untold) -> SingleArray:
    """The vectors of texts; what is kept is not computed again, and a model of which nothing is wanted is not loaded.

    Args:
        model: a model's folder.
        texts: any texts, an empty one included; equal ones are embedded once.
        kept: vectors of this model that are known, and where new ones are added.
        tell: told of progress, in texts.

    Returns:
        (n_texts, width) vectors, finite; of length 1 if the model says so.

    Raises:
        UserError: the model cannot be loaded, or gives numbers that are not finite.
    """
    hashes = [text_hash(text) for text in texts]
    known = dict[bytes, SingleArray]() if kept is None else kept.read(hashes, model.width)
    missing = {name: text for name, text in zip(hashes, texts, strict=True) if name not in known}
    if missing:
        embed = loaded(model)
        # Texts of like length fill batches; then by content, so that batches do not depend on the order of the texts.
        names = sorted(missing, key=lambda name: (len(missing[name]), name))
        for start in range(0, len(names), N_KEPT_AT_ONCE):
            part = names[start : start + N_KEPT_AT_ONCE]

            def told(n_done: int, n_before: int = start) -> None:
                tell("embedding texts", n_before + n_done, len(names))

            vectors = embed([missing[name] for name in part], told)
            if not np.isfinite(vectors).all():
                raise _fault(model.folder, "", "vectors that are not finite", "a model that works in float32")
            known.update(zip(part, vectors, strict=True))
            if kept is not None:
                kept.add(part, vectors)
    return np.stack([known[name] for name in hashes]) if hashes else np.zeros((0, model.width), dtype=np.float32)


def loaded(model: SentenceModel) -> Callable[[Sequence[str], Callable[[int], None]], SingleArray]:
    """Load a model: (texts, told how many are done) -> (n_texts, width) vectors.

    Raises:
        UserError: transformers cannot use the files, or they do not fill the model.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    from evalsuite.models.transformers_quiet import LOAD_ERRORS, quiet

    try:
        with quiet():
            local = {"local_files_only": True, "trust_remote_code": False}
            tokenizer: Any = AutoTokenizer.from_pretrained(str(model.transformer), **local)
            network, info = AutoModel.from_pretrained(str(model.transformer), dtype=torch.float32, output_loading_info=True, **local)
    except LOAD_ERRORS as error:
        first = next(iter(str(error).splitlines()), "")
        raise _fault(model.folder, "", type(error).__name__, f"a model that transformers can load: {first[:200]}") from error
    absent = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if absent:
        raise _fault(model.folder, "weights", f"{len(absent)} are missing", f"all weights of the model, {absent[0]} among them")
    network.eval().requires_grad_(False)
    limits = [limit for limit in (tokenizer.model_max_length, getattr(network.config, "max_position_embeddings", None)) if limit]
    n_tokens = model.max_tokens or min(limits)

    def embed(texts: Sequence[str], tell: Callable[[int], None]) -> SingleArray:
        shown = [model.prompt + text for text in texts]
        read = tokenizer([text.lower() for text in shown] if model.lower_case else shown, truncation=True, max_length=n_tokens)
        vectors = np.zeros((len(texts), model.width), dtype=np.float32)
        n_done = 0
        for rows in _batches([len(ids) for ids in read["input_ids"]]):
            with torch.inference_mode():
                hidden = network(**{key: torch.tensor([values[row] for row in rows]) for key, values in read.items()}).last_hidden_state
            vectors[rows] = _pooled(model, hidden).numpy()
            n_done += len(set(rows))
            tell(n_done)
        return vectors

    return embed


def _pooled(model: SentenceModel, hidden: Any) -> Any:
    """(n_texts, width) vectors out of (n_texts, n_tokens, width) hidden states."""
    import torch

    vectors = hidden[:, 0] if model.pooling == "cls" else hidden.mean(dim=1)
    return torch.nn.functional.normalize(vectors, dim=-1) if model.normalises else vectors


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of texts that go through the model together, the shortest first; a row may be repeated to fill a batch up.

    Only texts of equally many tokens: padding would change the last bits of a vector by what else is in its batch.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, n_tokens in enumerate(lengths):
        by_length[n_tokens].append(row)
    for n_tokens, rows in sorted(by_length.items()):
        n_rows = max(1, N_BATCH_TOKENS // max(n_tokens, 1))
        for start in range(0, len(rows), n_rows):
            batch = rows[start : start + n_rows]
            n_least = -(-N_LEAST_TOKENS // max(n_tokens, 1))
            yield [batch[number % len(batch)] for number in range(max(len(batch), n_least))]


def _pooling(folder: Path, config: dict[str, Any]) -> Pooling:
    """The one way of pooling that a configuration names, in the old words or the new ones."""
    named = config.get("pooling_mode")
    if named is None:
        old = {"cls_token": "cls", "mean_tokens": "mean"}
        marks = [key.removeprefix("pooling_mode_") for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        named = [old.get(mark, mark) for mark in marks] or "mean"
    modes = [named] if isinstance(named, str) else [str(mode) for mode in named]
    if modes == ["mean"]:
        return "mean"
    if modes == ["cls"]:
        return "cls"
    raise _fault(folder, "pooling", ", ".join(modes), "mean or cls")


def _files(folder: Path, transformer: str, pooling: str) -> tuple[str, ...]:
    """Names of the files that are read, relative to the folder."""
    own = folder / transformer
    names = names_in(own)
    weights, missing = weights_in(own, names)
    if not any(is_tokenizer(name) for name in names):
        missing = [*missing, "a tokenizer"]
    if missing:
        raise _fault(own, "", "", f"lacks {', '.join(missing)}")
    read = {*weights, *(name for name in names if is_small(name)), "sentence_bert_config.json"}
    above = {"modules.json", "config_sentence_transformers.json", f"{pooling}/config.json"}
    wanted = {str(Path(transformer) / name) for name in read} | {str(Path(name)) for name in above}
    return tuple(sorted(name for name in wanted if (folder / name).is_file()))


def _json(folder: Path, name: str, *, needed: bool = True) -> Any:
    """A JSON file's content; an empty mapping where it is absent and not needed."""
    try:
        content = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        if not needed:
            return {}
        raise _fault(folder, name, "", "missing; a folder in the format of sentence-transformers holds it") from None
    except (OSError, ValueError) as error:
        raise _fault(folder, name, "", f"cannot be read as JSON: {type(error).__name__}") from None
    if not isinstance(content, list if name == "modules.json" else dict):
        raise _fault(folder, name, type(content).__name__, "a list" if name == "modules.json" else "a mapping")
    return content


def _fault(folder: Path, key: str, value: str, allowed: str) -> UserError:
    return UserError(Fault(file=str(folder), key=key, value=value, allowed=allowed))
