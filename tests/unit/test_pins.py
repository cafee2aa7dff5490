"""`models pin`: one line of one file changes, or nothing does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.errors
import pytest
import yaml
from click.testing import CliRunner

from evalsuite.cli import main
from evalsuite.models import load_registry
from evalsuite.models.pins import pin, pinned_text

OLD, NEW = "a" * 39 + "1", "0123456789abcdef0123456789abcdef01234567"
FILE = """\
# Ours.
models:
  first: # the first one
    repo: org/first
    revision: null   # never invented
    domain: generalist

  "second":
    domain: biomedical # its hub id comes later
    repo: org/second
    comparators: [first]
    chat:
      template: plain
      # revision: not this one
    note: |
      revision: null is text here
  third: {repo: org/third, domain: generalist}
  fourth:
    repo: org/fourth
    revision: OLD
    domain: generalist
  local:
    path: weights
    domain: generalist
  unknown:
    domain: biomedical
    note: Supply a path.
""".replace("OLD", OLD)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALSUITE_MODELS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "models.yaml").write_text(FILE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def hub(work: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """A hub that answers with one commit; holds what it was asked."""
    asked: list[tuple[str, str | None]] = []

    def model_info(_: object, repo: str, *, revision: str | None = None, **__: object) -> SimpleNamespace:
        asked.append((repo, revision))
        return SimpleNamespace(sha=NEW)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return asked


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["models", "pin", *arguments])
    return done.exit_code, done.output


def changed_lines() -> list[tuple[str, str]]:
    now = Path("models.yaml").read_text(encoding="utf-8").splitlines()
    assert len(now) == len(FILE.splitlines())
    return [(old, new) for old, new in zip(FILE.splitlines(), now, strict=True) if old != new]


def test_one_line_changes_and_its_comment_stays(hub: list[tuple[str, str | None]]) -> None:
    code, said = command("first")
    assert code == 0
    assert said == f"first: null -> {NEW} (main of the hub now; models.yaml)\n"
    assert hub == [("org/first", "main")]
    assert changed_lines() == [("    revision: null   # never invented", f"    revision: {NEW}   # never invented")]
    assert load_registry()["first"].revision == NEW


def test_a_missing_line_is_put_behind_the_id(hub: list[tuple[str, str | None]]) -> None:
    assert command("second")[0] == 0
    assert Path("models.yaml").read_text() == FILE.replace("    repo: org/second\n", f"    repo: org/second\n    revision: {NEW}\n")
    assert load_registry()["second"].revision == NEW


def test_a_pin_is_changed_only_when_asked(hub: list[tuple[str, str | None]]) -> None:
    code, said = command("fourth")
    assert (code, said) == (0, f"fourth: stays {OLD} (--update takes the newest commit)\n")
    assert hub == []
    assert changed_lines() == []
    code, said = command("fourth", "--update")
    assert (code, said) == (0, f"fourth: {OLD} -> {NEW} (main of the hub now; models.yaml)\n")
    assert changed_lines() == [(f"    revision: {OLD}", f"    revision: {NEW}")]


def test_what_has_no_commit_says_so(hub: list[tuple[str, str | None]]) -> None:
    code, said = command("local", "unknown", "nobody")
    assert code == 2
    assert "local: a folder is pinned by its contents" in said
    assert "models.unknown.repo: names no hub id, so there is nothing to pin; Supply a path." in said
    assert "nobody: no such model" in said
    assert hub == []


def test_flow_style_is_left_to_the_person(hub: list[tuple[str, str | None]]) -> None:
    code, said = command("third")
    assert code == 2
    assert f"models.third.revision: is written in a way that cannot be edited line by line: put `revision: {NEW}` there by hand" in said
    assert changed_lines() == []


def test_no_names_means_all_that_are_not_pinned(work: Path, hub: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    registry = {name: entry for name, entry in load_registry().items() if entry.file == "models.yaml"}
    done, faults = pin(registry, [])
    assert [made.model for made in done] == ["first", "second"]
    assert [fault.key for fault in faults] == ["models.third.revision"]
    assert [repo for repo, _ in hub] == ["org/first", "org/second", "org/third"]


@pytest.mark.parametrize(
    "error",
    [ConnectionError("x"), huggingface_hub.errors.HfHubHTTPError.__bases__[0]("x"), huggingface_hub.errors.OfflineModeIsEnabled("x")],
)
def test_without_a_hub_the_cache_is_offered_and_taken_only_when_asked(
    work: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    code, said = command("first")
    assert code == 2
    assert "so the hub is not asked; the local cache holds no snapshot of it" in said
    code, said = command("first", "--offline-from-cache")
    assert code == 2
    assert "the local hub cache holds no `main` of it" in said
    cache = work / "hub" / "models--org--first"
    (cache / "snapshots" / NEW).mkdir(parents=True)
    (cache / "snapshots" / NEW / "config.json").write_text("{}", encoding="utf-8")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(NEW, encoding="utf-8")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    code, said = command("first")
    assert code == 2
    assert f"the hub cannot be reached; evalsuite models pin first --offline-from-cache takes {NEW}, which is in the local cache" in said
    assert changed_lines() == []
    code, said = command("first", "--offline-from-cache")
    assert (code, said) == (0, f"first: null -> {NEW} (from the local cache, not compared with the hub; models.yaml)\n")


def test_what_the_hub_says_is_passed_on(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        kind = huggingface_hub.errors.RepositoryNotFoundError
        raise kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    code, said = command("first")
    assert code == 2
    assert "models.first.repo = org/first: the hub has no such repository" in said
    assert "verified: false" in said


def test_a_file_that_is_not_the_persons_is_not_edited(
    work: Path, hub: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalsuite.models.pins.__file__", str(work / "evalsuite" / "models" / "pins.py"))
    bundled = work / "evalsuite" / "bundled" / "models.yaml"
    bundled.parent.mkdir(parents=True)
    (work / "models.yaml").rename(bundled)
    monkeypatch.setenv("EVALSUITE_MODELS", str(bundled))
    code, said = command("first")
    assert code == 2
    assert "belongs to the installed package and is not edited: copy this entry into a models.yaml of your working directory" in said
    assert bundled.read_text() == FILE
    assert hub == []


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_line_ends_stay(ends: str) -> None:
    text = FILE.replace("\n", ends)
    edited = pinned_text(text, "first", NEW)
    assert edited is not None
    assert edited == text.replace("revision: null   #", f"revision: {NEW}   #", 1)


def test_a_commit_of_digits_stays_text(work: Path) -> None:
    edited = pinned_text(FILE, "first", "1" * 40)
    assert edited is not None
    assert yaml.safe_load(edited)["models"]["first"]["revision"] == "1" * 40


@pytest.mark.parametrize(
    "text",
    [
        "models:\n  a: &x\n    repo: o/a\n    domain: generalist\n  b: *x\n",  # the edit would change b too
        "models:\n  a:\n    repo: o/a\n    revision:\n      null\n    domain: generalist\n",
        "other:\n  a:\n    repo: o/a\nmodels:\n  a:\n    repo: o/a\n    domain: generalist\n",  # another `a` comes first
        "models: {a: {repo: o/a, domain: generalist}}\n",
        "models:\n  a: 1\n",
        "- a:\n",
    ],
)
def test_what_would_change_more_is_refused(text: str) -> None:
    assert pinned_text(text, "a", NEW) is None


def test_the_bundled_file_can_be_pinned_line_by_line(repository: Path) -> None:
    text = (repository / "models.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)["models"]
    for name in [name for name, entry in content.items() if entry.get("repo")][::9]:
        edited = pinned_text(text, name, NEW)
        assert edited is not None, name
        old, new = text.splitlines(), edited.splitlines()
        assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == [("    revision: null", f"    revision: {NEW}")]
