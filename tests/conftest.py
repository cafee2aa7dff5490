"""What holds for every test: no network, an environment of its own, fast tests first."""

from __future__ import annotations

import gc
import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
NO_NETWORK = Path(__file__).resolve().parent / "no_network"
ORDER = ("unit", "contract", "golden", "architecture", "e2e")

# Set here and not in a fixture: libraries read these when they are imported, which is while tests are collected.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    DO_NOT_TRACK="1",
    TOKENIZERS_PARALLELISM="false",
    MPLBACKEND="Agg",
    NO_COLOR="1",
    COLUMNS="160",
)
for name in ("FORCE_COLOR", "PY_COLORS", "EVALSUITE_DATA", "EVALSUITE_STORE", "EVALSUITE_TASKS"):
    os.environ.pop(name, None)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(NO_NETWORK), os.environ.get("PYTHONPATH", "")]))
if "PYTEST_XDIST_WORKER" in os.environ:
    # two workers with two threads each would get in each other's way on two cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast folders first, so that the commonest faults show soonest; of the last one, what takes longest in one piece comes first."""

    def rank(item: pytest.Item) -> tuple[int, bool]:
        folder = next((name for name in ORDER if item.path.is_relative_to(REPOSITORY / "tests" / name)), None)
        marker = item.get_closest_marker("xdist_group")
        whole = marker is not None and bool({"demo", "vllm"} & {*marker.args, *marker.kwargs.values()})
        return ORDER.index(folder) if folder else len(ORDER), not whole

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What is imported by now lives to the end: garbage collections need not look through it again (some libraries force them)."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make tiny models a hundred times slower on a busy machine."""
    # Imported here: most tests do without it, and it takes seconds.
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real task files beside the repository; the test is skipped where there is none."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the repository (real task files, not part of it)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches of the tests are theirs: nothing is read from or left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALSUITE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
