"""`fetch`: what a study needs comes onto a login node, is seen there offline, and is enough to run without internet.

The hub is a stand-in that writes the caches as the real clients do; what reads them is the real clients, offline.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import huggingface_hub.errors
import pytest
from click.testing import CliRunner
from huggingface_hub.utils import filter_repo_objects

from evalsuite.cli import main
from evalsuite.errors import UserError
from evalsuite.fetch import fetch, wanted_by
from evalsuite.rows import HubError, hub_rows
from tests.tiny_checkpoint import save_checkpoint, tiny_config

COMMIT, DATA_COMMIT, OTHER = "a" * 40, "b" * 40, "c" * 40
N_ROWS = 12
TASK = f'''
"""Questions of the hub; written by the tests."""

from evalsuite.tasks import Sample, Split, Task, TaskCard

CARD = TaskCard(
    name="far", kind="choice", description="Far questions.", language="en", licence="MIT", citation="-",
    hub_id="org/far", revision="{DATA_COMMIT}", split="test", exemplar_split="train", metric="accuracy", metrics=("accuracy",),
    restricted=False, chance=0.25, get_data="Ask the tests.",
    splits={{"test": Split(n_rows={N_ROWS}, hub_split="test"), "train": Split(n_rows=2, hub_split="train")}},
)


def to_sample(row, number):
    return Sample(id=row["id"], group=row["id"], question=row["q"], choices=tuple(row["options"]), targets=(row["answer"],))


TASKS = (Task(card=CARD, to_sample=to_sample),)
'''
STUDY = """
study: far
question: Is all of it here?
models: [near, tuned]
tasks: [far]
strategies: [{id: zero_shot, name: zero_shot, format: cloze}]
engine: {name: transformers, device: cpu}
analysis: {n_resamples: 1000}
"""
MODELS = """
models:
  near: {repo: org/near, domain: generalist, chat: {template: plain}, verified: true}
  tuned: {repo: org/tuned, revision: %s, domain: biomedical, base: near, chat: {template: plain}}
"""


class Hub:
    """A hub of a folder per repository. Downloads write what huggingface_hub writes: snapshots, refs and the list of all files."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.fetched: list[str] = []
        self.refusal: type[Exception] | None = None
        self.real = huggingface_hub.snapshot_download

    def files(self, repo: str) -> dict[str, Path]:
        folder = self.root / repo
        return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}

    def model_info(self, repo: str, **__: object) -> SimpleNamespace:
        if self.refusal is not None:
            raise self.refusal.__new__(self.refusal)
        siblings = [SimpleNamespace(rfilename=name, size=file.stat().st_size) for name, file in self.files(repo).items()]
        return SimpleNamespace(sha=COMMIT, siblings=siblings)

    def snapshot_download(self, repo: str, *, local_files_only: bool, **options: Any) -> str:
        if local_files_only:
            return self.real(repo, local_files_only=True, cache_dir=self.cache, **options)
        place = self.cache / f"models--{repo.replace('/', '--')}"
        for folder in ("refs", "trees", f"snapshots/{COMMIT}"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        (place / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        files = self.files(repo)
        listing = {name: {"size": file.stat().st_size, "blob_id": "0" * 40} for name, file in files.items()}
        (place / "trees" / f"{COMMIT}.json").write_text(json.dumps({"format_version": 1, "files": listing}), encoding="utf-8")
        for name in filter_repo_objects(files, allow_patterns=options["allow_patterns"], ignore_patterns=options["ignore_patterns"]):
            target = place / "snapshots" / COMMIT / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                self.fetched.append(f"{repo}/{name}")
                shutil.copyfile(files[name], target)
        return str(place / "snapshots" / COMMIT)


def rows(n: int) -> list[dict[str, Any]]:
    return [{"id": f"q{i}", "q": f"What is {i}?", "options": [f"{i}-{x}" for x in "abcd"], "answer": i % 4} for i in range(n)]


def prepare_data(cache: Path, commit: str) -> None:
    """What `datasets` leaves in its cache when it has loaded org/far from the hub."""
    folder = cache / "org___far" / "default" / "0.0.0" / commit
    folder.mkdir(parents=True)
    splits = {"test": rows(N_ROWS), "train": [{**row, "id": f"t{row['id']}"} for row in rows(2)]}
    info = datasets.DatasetInfo(builder_name="parquet", dataset_name="far", config_name="default", version="0.0.0")
    info.splits = datasets.SplitDict()
    for name, content in splits.items():
        table = datasets.Dataset.from_list(content)
        info.features = table.features
        with datasets.arrow_writer.ArrowWriter(path=str(folder / f"far-{name}.arrow"), features=table.features) as writer:
            writer.write_table(table.data.table)
            writer.finalize()
        info.splits.add(datasets.SplitInfo(name=name, num_examples=len(content), dataset_name="far"))
    info.write_to_directory(str(folder))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A login node: a project, empty caches, and no offline variable."""
    project = tmp_path / "project"
    (project / "tasks" / "far").mkdir(parents=True)
    (project / "tasks" / "far" / "task.py").write_text(TASK, encoding="utf-8")
    (project / "study.yaml").write_text(STUDY, encoding="utf-8")
    (project / "models.yaml").write_text(MODELS % COMMIT, encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "EVALSUITE_MODELS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(work: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(work / "far-away", work / "hub")
    for number, repo in enumerate(("org/near", "org/tuned")):
        folder = save_checkpoint(work / "far-away" / repo, tiny_config(max_position_embeddings=1024), seed=number)
        (folder / "original").mkdir()
        (folder / "original" / "consolidated.00.pth").write_bytes(b"x" * 50_000)
        (folder / "consolidated.safetensors").write_bytes(b"x" * 50_000)
        (folder / "pytorch_model.bin").write_bytes(b"x" * 50_000)
        (folder / "README.md").write_text("hello", encoding="utf-8")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", made.model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    real = datasets.load_dataset

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        if not (work / "datasets").exists():
            prepare_data(work / "datasets", DATA_COMMIT)
        return real(*arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return made


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["fetch", "study.yaml", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def offline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as on a node without internet."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-m", "evalsuite", *arguments], env=environment, capture_output=True, text=True, check=False)


def test_what_was_fetched_runs_offline(hub: Hub, work: Path) -> None:
    before = offline("run", "study.yaml", "--store", str(work / "store"))
    assert before.returncode == 2
    lines = before.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error"] * 3
    for line in lines:
        assert "evalsuite fetch STUDY" in line

    code, said = command()
    assert code == 0, said
    assert f"task far/test: {N_ROWS} samples (org/far@{DATA_COMMIT}:test)" in said
    assert "task far/train: 2 samples" in said
    assert f"model near: org/near at {COMMIT[:12]}, 5 files" in said
    assert f"model tuned: here, at {COMMIT[:12]}, fingerprint" in said
    assert said.endswith("everything is here; on nodes without internet: export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1\n")
    names = {file.removeprefix("org/near/") for file in hub.fetched if file.startswith("org/near/")}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}

    done = offline("run", "study.yaml", "--store", str(work / "store"), "--out", str(work / "out"))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((work / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert {name: model["n_asked"] for name, model in manifest["models"].items()} == {"near": N_ROWS, "tuned": N_ROWS}
    assert "cached version" not in done.stderr


def test_what_is_here_is_not_fetched_again_and_what_is_lost_is(hub: Hub, work: Path) -> None:
    assert command("--models", "near")[0] == 0
    assert not any(file.startswith("org/tuned") for file in hub.fetched)
    hub.fetched.clear()
    code, said = command("--models", "near")
    assert code == 0
    assert "5 files, 0.1 MiB: here already" in said
    assert hub.fetched == []
    (work / "hub" / "models--org--near" / "snapshots" / COMMIT / "tokenizer.json").unlink()
    assert command("--models", "near")[0] == 0
    assert hub.fetched == ["org/near/tokenizer.json"]


def test_old_weights_are_fetched_only_where_there_are_no_others(hub: Hub, work: Path) -> None:
    folder = work / "far-away" / "org" / "near"
    (folder / "model.safetensors").unlink()
    (folder / "consolidated.safetensors").unlink()
    assert command("--models", "near")[0] == 0
    assert "org/near/pytorch_model.bin" in hub.fetched
    (folder / "pytorch_model.bin").unlink()
    code, said = command("--models", "near")
    assert code == 2
    assert "models.near.repo = org/near: holds neither *.safetensors nor pytorch_model*.bin" in said


def test_the_disk_is_looked_at_before(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    code, said = command()
    assert code == 2
    assert "MiB are to be fetched and 1.0 GiB are free: make room, or set HF_HOME" in said
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ("GatedRepoError", "is gated: accept its licence with your account at https://huggingface.co/org/near, then `hf auth login`"),
        ("RepositoryNotFoundError", "no such repository, or it is private"),
        ("HfHubHTTPError", "the hub refused"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line_per_model(hub: Hub, refusal: str, expected: str) -> None:
    hub.refusal = getattr(huggingface_hub.errors, refusal)
    code, said = command()
    assert code == 2
    faults = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(faults) == 2
    assert expected in faults[0]
    assert f"task far/test: {N_ROWS} samples" in said  # what can be had is had
    assert hub.fetched == []


def test_an_offline_variable_forbids_fetching_but_not_looking(hub: Hub, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, said = command()
    assert code == 2
    assert "environment: $HF_HUB_OFFLINE = 1: is set, which forbids the hub: unset it to fetch, or use --check" in said
    monkeypatch.delenv("HF_HUB_OFFLINE")
    done = subprocess.run(
        [sys.executable, "-m", "evalsuite", "fetch", "study.yaml", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 4
    assert hub.fetched == []


def test_names_that_do_not_exist_are_refused(hub: Hub, work: Path) -> None:
    with pytest.raises(UserError, match=r"--models = nearer: unknown; did you mean near\?"):
        wanted_by("study.yaml", ["nearer"])
    with pytest.raises(UserError, match=r"--tasks = fa: unknown; did you mean far\?"):
        wanted_by("study.yaml", None, ["fa"])
    Path("study.yaml").write_text(STUDY.replace("[near, tuned]", "[near, gone]"), encoding="utf-8")
    with pytest.raises(UserError, match=r"study\.yaml: models = gone: unknown"):
        wanted_by("study.yaml")


def test_folders_are_looked_at_and_nothing_is_fetched_for_them(hub: Hub, work: Path) -> None:
    Path("models.yaml").write_text(
        "models: {near: {path: gone, domain: generalist}, tuned: {path: 'stub:first', domain: biomedical}}", encoding="utf-8"
    )
    said: list[str] = []
    with pytest.raises(UserError, match=r"models\.near\.path = .*gone: path does not exist"):
        fetch(wanted_by("study.yaml"), said.append)
    assert len(said) == 2


def test_the_cache_of_another_revision_is_not_taken_for_the_pinned_one(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` itself takes the newest folder in its cache, whatever revision was asked for."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    prepare_data(work / "datasets", OTHER)
    with pytest.raises(HubError, match=f"the local cache holds revision {OTHER[:12]}, not {DATA_COMMIT[:12]}"):
        list(hub_rows("org/far", None, "test", DATA_COMMIT))
    assert len(list(hub_rows("org/far", None, "test", None))) == N_ROWS
    assert len(list(hub_rows("org/far", None, "test", OTHER))) == N_ROWS
