"""Weights in torch's old format (`.bin`, a pickle) as safetensors, read in a way that runs no code they may hold."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.models.files import is_small, names_in, weights_in
from evalsuite.models.fingerprints import cache_folder, fingerprint
from evalsuite.types import Tell, untold

RECORD = "conversion.json"
"""File of a converted checkpoint that says what it was made from and what it holds."""


def as_safetensors(folder: Path, into: Path | None = None, tell: Tell = untold) -> Path:
    """A checkpoint whose weights are safetensors, for engines that would otherwise unpickle.

    A folder that holds safetensors is returned as it is. Else its `.bin` files are read by torch with `weights_only`, shard by
    shard, and written beside copies of the small files; names, shapes, types and contents stay, and so do the shards. The copy
    appears all at once and is used again as long as it holds what was written; it is named by the contents of the original.

    Args:
        folder: a whole checkpoint.
        into: folder of converted checkpoints; None: `converted` under $EVALSUITE_CACHE or ~/.cache/evalsuite.
        tell: told of progress.

    Raises:
        UserError: weights are missing, hold something else than tensors (nothing of it is run), or there is no room.
    """
    names = names_in(folder)
    weights, missing = weights_in(folder, names)
    if missing:
        raise UserError(Fault(file=str(folder), key="", value="", allowed=f"lacks {', '.join(missing)}"))
    if any(name.endswith(".safetensors") for name in weights):
        return folder
    small = [name for name in names if is_small(name)]
    source = fingerprint(folder, [*small, *weights], tell)
    home = into if into is not None else cache_folder() / "converted"
    target = home / source[:32]
    if _is_sound(target, source):
        return target
    bins = sorted(name for name in weights if name.endswith(".bin"))
    _check_room(folder, bins, home)
    scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=home))
    try:
        _copy_small(folder, small, scratch)
        _convert(folder, bins, scratch, tell)
        made = names_in(scratch)
        record = {"source": source, "files": made, "fingerprint": fingerprint(scratch, made)}
        (scratch / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        scratch.chmod(0o755)
        _put(scratch, target, source)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _is_sound(target: Path, source: str) -> bool:
    """True if a copy is there, was made from this original, and still holds what was written."""
    try:
        record = json.loads((target / RECORD).read_bytes())
        return bool(record["source"] == source and fingerprint(target, record["files"]) == record["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_room(folder: Path, bins: list[str], home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        needed, free = sum((folder / name).stat().st_size for name in bins), shutil.disk_usage(home).free
    except OSError as error:
        allowed = f"cannot be used for converted weights ({error.strerror}): set $EVALSUITE_CACHE to a folder on a large disk"
        raise UserError(Fault(file=str(home), key="", value="", allowed=allowed)) from None
    if needed * 1.05 > free:
        allowed = (
            f"{needed / 2**30:.1f} GiB are needed to convert {folder.name}, {free / 2**30:.1f} are free: set $EVALSUITE_CACHE elsewhere"
        )
        raise UserError(Fault(file=str(home), key="", value="", allowed=allowed))


def _copy_small(folder: Path, names: list[str], scratch: Path) -> None:
    for name in names:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, scratch / name)


def _convert(folder: Path, bins: list[str], scratch: Path, tell: Tell) -> None:
    """Write the shards, and their index where there are several."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    place: dict[str, str] = {}
    n_bytes = 0
    for number, name in enumerate(bins):
        tell(f"converting {folder.name} to safetensors", number, len(bins))
        state = _read_shard(folder / name)
        shard = name.removeprefix("pytorch_").removesuffix(".bin") + ".safetensors"
        twice = sorted(state.keys() & place.keys())
        if twice:
            raise _fault(folder / name, f"{twice[0]} is also in {place[twice[0]]}: it is not known which of the two counts")
        apart = _apart(state)
        try:
            save_file(apart, scratch / shard, metadata={"format": "pt"})
        except (OSError, SafetensorError) as error:
            raise _fault(folder / name, f"cannot be written as safetensors to {scratch.parent}: {error}") from None
        _compare(folder / name, state, scratch / shard)
        place |= dict.fromkeys(state, shard)
        n_bytes += sum(tensor.numel() * tensor.element_size() for tensor in apart.values())
        del state, apart
    if len(bins) > 1:
        index = {"metadata": {"total_size": n_bytes}, "weight_map": place}
        (scratch / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _read_shard(file: Path) -> Mapping[str, Any]:
    """Tensors of a `.bin` file by name. `weights_only`: of all that a pickle can do, only tensors are put together."""
    import torch

    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=_is_zip(file))
    except Exception as error:  # torch raises whatever the damage leads to; each kind means that the file is not used
        # torch's own words are left out: they explain how to run what the file holds
        kind = type(error).__name__
        raise _fault(file, f"is damaged, or holds something else than tensors, which is never run ({kind})") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(name, str) and _is_plain(held) for name, held in state.items()):
        raise _fault(file, "holds something else than named tensors")
    return state


def _is_plain(held: object) -> bool:
    """True for a tensor that safetensors can hold."""
    import torch

    return isinstance(held, torch.Tensor) and held.layout == torch.strided and not held.is_quantized


def _is_zip(file: Path) -> bool:
    """True for torch's format since 1.6, which can be read piece by piece."""
    with file.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _apart(state: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors that share no memory: safetensors keeps none that do (tied weights are then written twice, as they are read)."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in state.items():
        storage = tensor.untyped_storage()
        alone = storage.data_ptr() not in seen and storage.nbytes() == tensor.numel() * tensor.element_size()
        seen.add(storage.data_ptr())
        apart[name] = tensor if alone and tensor.is_contiguous() else tensor.clone().contiguous()
    return apart


def _compare(file: Path, state: Mapping[str, Any], written: Path) -> None:
    """What was written is what was read, bit by bit."""
    import torch
    from safetensors import safe_open

    with safe_open(written, framework="pt") as stored:
        same = set(stored.keys()) == set(state)
        for name in state if same else ():
            one, other = state[name].contiguous(), stored.get_tensor(name)
            same = one.dtype == other.dtype and one.shape == other.shape
            same = same and torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))
            if not same:
                break
    if not same:
        raise _fault(file, "could not be converted without change: the disk of the cache may be damaged")


def _put(scratch: Path, target: Path, source: str) -> None:
    """Give the finished copy its name. Of two processes at once one wins, and what it put there is as good."""
    for _ in range(2):
        try:
            os.rename(scratch, target)  # noqa: PTH104 - Path.rename would say the same, but this one never replaces a full folder
            return
        except OSError:
            if _is_sound(target, source):
                return
            # an unsound copy: out of the way, so that nobody reads half of it
            shutil.rmtree(target, ignore_errors=True)
    raise UserError(Fault(file=str(target), key="", value="", allowed="cannot be written: remove this folder and try again"))


def _fault(file: Path, allowed: str) -> UserError:
    return UserError(Fault(file=str(file), key="", value="", allowed=allowed))
