"""Commands on what is there: models, tasks, strategies, perturbations, stores, this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from evalsuite.cli.base import DONE, MISTAKE, SOME_FAILED, main, show, store_option
from evalsuite.errors import UserError


@main.group()
def models() -> None:
    """The registry of models."""


@models.command("list")
def models_list() -> None:
    """All models, one line each."""
    from evalsuite.listings import model_lines

    show(model_lines())


@models.command("show")
@click.argument("name")
def models_show(name: str) -> None:
    """Everything the registry knows of one model."""
    from evalsuite.listings import model_card_lines

    show(model_card_lines(name))


@models.command("check")
@click.argument("names", nargs=-1)
@click.option("--gpus", type=click.IntRange(1, 64), help="Ask about this many GPUs instead of those here.")
@click.option("--memory-gib", type=click.FloatRange(min=0, min_open=True), help="Memory of each of them.")
def models_check(names: tuple[str, ...], gpus: int | None, memory_gib: float | None) -> None:
    """Whether models can be used here: files, architecture, chat template, memory; no NAMES: all of them."""
    from evalsuite.listings import asked_gpus, model_check_lines
    from evalsuite.progress import shown

    with shown() as screen:
        lines, complete = model_check_lines(names, asked_gpus(gpus, memory_gib), screen.tell)
    show(lines)
    sys.exit(DONE if complete else MISTAKE)


@models.command("pin")
@click.argument("names", nargs=-1)
@click.option("--update", is_flag=True, help="Also change pins that are there.")
@click.option("--offline-from-cache", "from_cache", is_flag=True, help="Take the commit in the local hub cache and ask nobody.")
def models_pin(names: tuple[str, ...], update: bool, from_cache: bool) -> None:
    """Write the commit that the hub has now into models.yaml; no NAMES: every model that is not pinned."""
    from evalsuite.listings import model_pin_lines

    lines, faults = model_pin_lines(names, update, from_cache)
    show(lines)
    if faults:
        raise UserError(faults)


@main.group()
def tasks() -> None:
    """Task plugins."""


@tasks.command("list")
def tasks_list() -> None:
    """All tasks, one line each."""
    from evalsuite.listings import task_lines

    show(task_lines())


@tasks.command("show")
@click.argument("name")
@click.option("--model", help="Show what this model is sent, token by token.")
@click.option("--sample", "number", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the sample.")
@click.option("--format", "form", type=click.Choice(["auto", "letters", "cloze", "generate"]), default="auto", show_default=True)
@click.option("--strategy", metavar="NAME", help="A strategy, or the id of one in --study.  [default: zero_shot]")
@click.option("--shots", type=click.IntRange(min=1), help="Exemplars, for strategies that take some.")
@click.option("--perturbation", metavar="NAME", help="Show it perturbed: a perturbation, or the id of one in --study.")
@click.option("--study", type=click.Path(path_type=Path), help="Take system prompt, decoding, seed, data and strategies from this study.")
@click.option("--tokens/--no-tokens", default=True, show_default=True, help="With --model: one line per token.")
@click.option("--show-restricted", "restricted", is_flag=True, help="Also show a sample whose data are restricted; keep it to yourself.")
def tasks_show(name: str, **chosen: Any) -> None:
    """A task's card and, where its data are, one sample as it is asked."""
    from evalsuite.listings import Showing, task_card_lines

    show(task_card_lines(name, Showing(**chosen)))


@tasks.command("check")
@click.argument("names", nargs=-1)
def tasks_check(names: tuple[str, ...]) -> None:
    """Whether tasks are complete and their data readable here."""
    from evalsuite.listings import task_check_lines

    lines, complete = task_check_lines(names)
    show(lines)
    sys.exit(DONE if complete else MISTAKE)


@main.group()
def strategies() -> None:
    """Ways of asking."""


@strategies.command("list")
def strategies_list() -> None:
    """All strategies with their options."""
    from evalsuite import strategies as package
    from evalsuite.listings import spec_lines
    from evalsuite.plugins import load_specs

    show(spec_lines(load_specs(package)))


@main.group()
def perturbations() -> None:
    """Changes to samples."""


@perturbations.command("list")
def perturbations_list() -> None:
    """All perturbations with their options."""
    from evalsuite.listings import perturbation_spec_lines

    show(perturbation_spec_lines())


@main.group()
def store() -> None:
    """The store of answers."""


@store.command("stats")
@store_option
def store_stats(store: Path) -> None:
    """What a store holds."""
    from evalsuite.listings import store_lines

    show(store_lines(store)[0])


@store.command("verify")
@store_option
def store_verify(store: Path) -> None:
    """Read every line of a store; exit 3 if any is damaged or two answers to one key differ."""
    from evalsuite.listings import store_lines

    lines, sound = store_lines(store)
    show(lines)
    sys.exit(DONE if sound else SOME_FAILED)


@main.command()
def doctor() -> None:
    """This machine: GPUs, engines and versions, offline flags, what is missing for which command."""
    from evalsuite.listings import doctor_lines

    show(doctor_lines())
