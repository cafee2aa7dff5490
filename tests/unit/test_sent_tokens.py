"""`tasks show` shows what a run would send, token by token, and refuses a beginning that is there twice or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evalsuite.config import Prompting
from evalsuite.data import load_split
from evalsuite.errors import UserError
from evalsuite.listings import Showing, task_card_lines
from evalsuite.listings.models import entry_of
from evalsuite.listings.tokens import bos_line, token_texts, visible
from evalsuite.models import find_checkpoint
from evalsuite.prompts import Renderer, conversation, open_renderer
from evalsuite.tasks import find_tasks
from evalsuite.types import Message

TASK, MODEL = "pocket_clinical_en", "pocket-clinical"


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    entry = entry_of(MODEL)
    return open_renderer(find_checkpoint(MODEL, entry), entry.chat, Prompting())


def table(lines: list[str]) -> list[tuple[int, int, str]]:
    """(index, id, text) of the lines of the table of tokens."""
    start = next(at for at, line in enumerate(lines) if line.split() == ["index", "id", "token"])
    rows = []
    for line in lines[start + 1 :]:
        parts = line.split(maxsplit=2)
        if len(parts) < 3 or not parts[0].isdigit() or not parts[1].isdigit():
            break
        rows.append((int(parts[0]), int(parts[1]), parts[2]))
    return rows


def test_every_token_of_the_prompt_is_shown(renderer: Renderer) -> None:
    lines = task_card_lines(TASK, Showing(model=MODEL, number=3))
    rows = table(lines)
    text = "\n".join(lines).split("-" * 40 + "\n")[1].removesuffix("\n")
    assert [index for index, _, _ in rows] == list(range(len(rows)))
    assert tuple(token for _, token, _ in rows) == renderer.encoder.encode(text)
    assert rows[0] == (0, 1, '"<s>"  (special)')
    assert "BOS: <s> (id 1), exactly once, in front" in lines
    wanted = lines[lines.index("wanted: the log-probability of each of these as next token") + 1 :][:4]
    assert [line.split()[1] for line in wanted] == ['"A"', '"B"', '"C"', '"D"']
    spelled = "".join(shown.removesuffix("  (special)")[1:-1] for _, _, shown in rows)
    assert spelled == visible(text)[1:-1]


def test_continuations_and_generation_say_what_is_wanted() -> None:
    cloze = task_card_lines(TASK, Showing(model=MODEL, form="cloze", tokens=False))
    sample = load_split(find_tasks()[TASK], "test", {}).samples[0]
    scored = cloze[cloze.index("wanted: the log-probabilities of the tokens of each continuation") + 1 :][: len(sample.choices)]
    for line, choice in zip(scored, sample.choices, strict=True):
        assert "".join(part.split(" ", 1)[1].strip() and part for part in [line]).count('"') >= 2
        assert choice.replace(" ", "") in "".join(line.split('"')[1::2]).replace(" ", "")
    generate = task_card_lines(TASK, Showing(model=MODEL, form="generate", tokens=False))
    assert any(line.startswith("wanted: generated text, at most 512 tokens, greedy") for line in generate)


def test_a_study_decides_strategy_shots_and_system_prompt(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: s\nquestion: What is sent?\nmodels: [pocket-clinical]\ntasks: [pocket_clinical_en]\n"
        "strategies: [{id: three, name: few_shot, shots: 3}, zero_shot]\nprompting: {shots_as: text}\n"
    )
    lines = task_card_lines(TASK, Showing(model=MODEL, study=study, tokens=False))
    assert any("strategy three" in line for line in lines)
    text = "\n".join(lines)
    assert (text.count("Question:"), text.count("<|user|>")) == (4, 1)  # shots_as: text
    assert "strategy zero_shot" in "\n".join(task_card_lines(TASK, Showing(model=MODEL, study=study, strategy="zero_shot", tokens=False)))
    with pytest.raises(UserError, match="--strategy = medpromt"):
        task_card_lines(TASK, Showing(model=MODEL, study=study, strategy="medpromt"))
    with pytest.raises(UserError, match="shots = 3"):
        task_card_lines(TASK, Showing(model=MODEL, shots=3))


def test_a_beginning_that_is_there_twice_or_not_at_all_is_an_error(renderer: Renderer) -> None:
    ids = renderer.render(conversation("", [], _layout())).token_ids
    assert "exactly once" in bos_line(renderer, ids)
    for wrong in ((1, *ids), ids[1:], (*ids, 1)):
        with pytest.raises(UserError, match="BOS = "):
            bos_line(renderer, wrong)
    assert "none" in bos_line(replace(renderer, bos="none"), ids[1:])


def test_a_template_that_doubles_the_beginning_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "double.jinja"
    template.write_text("<s><s>{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %} A:{% endif %}")
    entry = f"path: package:pocket/checkpoints/pocket-clinical\n    domain: biomedical\n    chat: {{template: '{template}'}}\n"
    (tmp_path / "models.yaml").write_text(f"models:\n  doubled:\n    {entry}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="exactly one is allowed"):
        task_card_lines(TASK, Showing(model="doubled"))


def test_what_cannot_be_seen_is_escaped(renderer: Renderer) -> None:
    assert visible('a\n\t"\u200b\\') == '"a\\n\\t\\"\\u200b\\\\"'
    prompt = renderer.render([Message(role="user", text="Was ist <s>, ε und 名?")])
    shown = token_texts(renderer, prompt.token_ids)
    assert sum(special for _, special in shown) == sum(token in (1, 2, 4, 5) for token in prompt.token_ids)


def test_restricted_samples_are_shown_only_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tasks" / "ward"
    folder.mkdir(parents=True)
    (folder / "task.py").write_text(
        '"""Restricted."""\nfrom evalsuite.tasks import choice_task\n\nTASKS = (choice_task(name="ward", description="d", language="en", '
        'licence="own", citation="-", file="ward.jsonl", answer_kind="index0", group="g", id="id", n_rows=1, restricted=True),)\n'
    )
    (folder / "ward.jsonl").write_text('{"id": "1", "g": "1", "question": "Secret?", "options": ["yes", "no"], "answer": 0}\n')
    monkeypatch.chdir(tmp_path)
    assert "Secret" not in "\n".join(task_card_lines("ward", Showing()))
    assert "--show-restricted" in "\n".join(task_card_lines("ward", Showing()))
    assert "Secret" in "\n".join(task_card_lines("ward", Showing(restricted=True)))


def _layout() -> object:
    from evalsuite.formats import default_wording, lay_out

    sample = load_split(find_tasks()[TASK], "test", {}).samples[0]
    return lay_out(sample, "letters", default_wording("en"))


def test_exemplars_come_from_the_split_that_the_study_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tasks" / "splits"
    folder.mkdir(parents=True)
    for split in ("test", "train", "val"):
        row = {"question": f"A question of {split}?", "options": ["yes", "no"], "answer": "A", "id": split}
        (folder / f"{split}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (folder / "task.py").write_text(
        "from dataclasses import replace\n"
        "from evalsuite.tasks import Split, choice_task\n"
        "own = choice_task(name='splits', file='test.jsonl', exemplars='train.jsonl', id='id', restricted=False)\n"
        "splits = {**own.card.splits, 'val': Split(n_rows=None, file='val.jsonl')}\n"
        "TASKS = (replace(own, card=replace(own.card, splits=splits)),)\n"
    )
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study.yaml"
    for named, shown in (("", "train"), (", exemplar_split: val", "val")):
        tasks = f"[{{name: splits{named}}}]"
        head = f"study: s\nquestion: What is sent?\nmodels: [{MODEL}]\ntasks: {tasks}\n"
        study.write_text(f"{head}strategies: [{{name: few_shot, shots: 1}}]\n")
        text = "\n".join(task_card_lines("splits", Showing(model=MODEL, study=study, tokens=False)))
        assert f"A question of {shown}?" in text
        assert text.count("A question of") == 2
