"""Make the pocket checkpoints from nothing: corpus, tokenizer, four stages of training, ledger, expectations, accuracies.

    python scripts/train_pocket.py                      all of it, into evalsuite/pocket and tasks/pocket
    python scripts/train_pocket.py --quick --out DIR    a few steps only, to see that everything runs

Test instruments: small models that know what the ledger says they were taught. Never medical models.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import LlamaForCausalLM  # noqa: E402

from pocket.corpus import BASE, BOS, CHECKPOINTS, END, PAD, Item, corpus, exposures  # noqa: E402
from pocket.facts import SEED, Relation, load_relations  # noqa: E402
from pocket.learn import Encoded, Schedule, learn, load, pocket_config, save  # noqa: E402
from pocket.ledger import expectations, ledger_rows  # noqa: E402
from pocket.measure import accuracies  # noqa: E402
from pocket.questions import evaluation_rows  # noqa: E402
from pocket.tokens import encode, encode_mark, save_tokenizer, train_tokenizer  # noqa: E402

TASK_FILES = ("clinical_en", "clinical_es", "general_en", "unseen_en")
"""Evaluation files about which the ledger can say something; the format task measures form as well as knowledge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of training."""

    n_passes: int
    """Passes over the pool; for the control an upper bound, since it stops at the clinical stage's tokens."""
    schedule: Schedule
    """Learning rate and batches."""


AFTER = Schedule(peak=1e-3, n_warm_up_steps=30, n_batch_tokens=2048)
STAGES: Mapping[str, Stage] = {
    BASE: Stage(n_passes=54, schedule=Schedule(peak=2e-3, n_warm_up_steps=50, n_batch_tokens=1536)),
    "pocket-clinical": Stage(n_passes=20, schedule=AFTER),
    "pocket-clinical-es": Stage(n_passes=20, schedule=AFTER),
    "pocket-control": Stage(n_passes=20, schedule=AFTER),
}


def say(text: str) -> None:
    """One line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Indented JSON, UTF-8."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def fact_rows(relations: Sequence[Relation]) -> list[dict[str, Any]]:
    """Rows of facts.jsonl: every fact with its names in both languages, its exposure and its use."""
    return [
        {
            "fact": fact.id,
            "relation": fact.relation,
            "domain": fact.domain,
            "exposure": fact.exposure,
            "use": fact.use,
            "subject": {"en": fact.subject[0], "es": fact.subject[1]},
            "answer": {"en": fact.answer[0], "es": fact.answer[1]},
            "also_true": list(fact.also_true),
        }
        for relation in relations
        for fact in relation.facts
    ]


def stage_texts(
    relations: Sequence[Relation], checkpoint: str, tokenizer: Tokenizer, *, n_passes: int, n_tokens: int | None, n_items: int | None
) -> tuple[list[Item], list[Encoded]]:
    """The items of one stage and their tokens; stops at the item with which the count reaches `n_tokens`, or at `n_items`."""
    items = list(islice(corpus(relations, checkpoint, n_passes), n_items))
    encoded = encode(tokenizer, items)
    if n_tokens is not None:
        total = 0
        for number, (ids, _) in enumerate(encoded):
            total += len(ids)
            if total >= n_tokens:
                return items[: number + 1], encoded[: number + 1]
        if n_items is None:
            raise ValueError(f"{checkpoint}: {n_passes} passes hold {total} tokens, {n_tokens} are wanted")
    return items, encoded


def train_all(relations: Sequence[Relation], out: Path, *, quick: bool, device: str) -> dict[str, Any]:
    """Train and save the four checkpoints; write corpus.json (sizes and times) and ledger.jsonl. Returns the sizes."""
    first = [item.text for name in CHECKPOINTS for item in corpus(relations, name, 1 if quick else 3)]
    tokenizer = train_tokenizer(first, 4096)
    sizes: dict[str, Any] = {}
    own = {}
    for name in CHECKPOINTS:
        stage, began = STAGES[name], time.perf_counter()
        n_tokens = sizes["pocket-clinical"]["n_tokens"] if name == "pocket-control" else None
        n_items = 150 if quick else None
        items, encoded = stage_texts(
            relations, name, tokenizer, n_passes=1 if quick else stage.n_passes, n_tokens=n_tokens, n_items=n_items
        )
        own[name] = exposures(iter(items))
        total = sum(len(ids) for ids, _ in encoded)
        say(f"{name}: {len(items)} texts, {total} tokens")
        torch.manual_seed(SEED + CHECKPOINTS.index(name))
        marks = [encode_mark(tokenizer, mark) for mark in (BOS, END, PAD)]
        model = LlamaForCausalLM(pocket_config(tokenizer.get_vocab_size(), *marks)) if name == BASE else load(out / "checkpoints" / BASE)
        loss = learn(model, encoded, stage.schedule, device=device, report=lambda line, name=name: say(f"{name}: {line}"))  # type: ignore[misc]
        save(model, out / "checkpoints" / name)
        save_tokenizer(tokenizer, out / "checkpoints" / name)
        seconds = round(time.perf_counter() - began, 1)
        sizes[name] = {
            "n_passes": 1 if quick else stage.n_passes,
            "n_items": len(items),
            "n_tokens": total,
            "n_learned_tokens": sum(int((weights > 0).sum()) for _, weights in encoded),
            "n_parameters": sum(weight.numel() for weight in model.parameters()),
            "final_loss": round(loss, 4),
            "wall_s": seconds,
        }
    write_json(out / "corpus.json", sizes)
    write_rows(out / "ledger.jsonl", ledger_rows(relations, own))
    return sizes


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "evalsuite" / "pocket", help="folder of checkpoints, facts and ledger")
    parser.add_argument("--tasks-out", type=Path, help="folder of the evaluation rows (default: tasks/pocket, or under --out)")
    parser.add_argument("--quick", action="store_true", help="a few steps per checkpoint, to test the script")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--only-data", action="store_true", help="write facts and evaluation rows, train nothing")
    parser.add_argument("--only-measure", action="store_true", help="measure the checkpoints under --out, train nothing")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    usual = args.out.resolve() == (ROOT / "evalsuite" / "pocket").resolve()
    tasks_out = args.tasks_out or (ROOT / "tasks" / "pocket" if usual else args.out / "tasks")
    relations = load_relations()
    files = evaluation_rows(relations)
    write_rows(args.out / "facts.jsonl", fact_rows(relations))
    for stem, rows in files.items():
        write_rows(tasks_out / f"{stem}.jsonl", rows)
    if args.only_data:
        return 0
    if not args.only_measure:
        train_all(relations, args.out, quick=args.quick, device=device)
        ledger = [json.loads(line) for line in (args.out / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
        tasks = {f"pocket_{stem}": (files[stem][0]["language"], frozenset(row["fact"] for row in files[stem])) for stem in TASK_FILES}
        write_json(args.out / "expectations.json", expectations(ledger, tasks))
    if args.quick:
        files = {stem: rows[:8] + rows[-8:] for stem, rows in files.items()}
    measured = {name: accuracies(args.out / "checkpoints" / name, files) for name in CHECKPOINTS}
    write_json(args.out / "accuracies.json", measured)
    for asked in measured[BASE]:
        say(f"{asked:32s} " + "  ".join(f"{name.removeprefix('pocket-')} {measured[name][asked]:.3f}" for name in CHECKPOINTS))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
