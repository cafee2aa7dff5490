"""Commands that take scores in, give them out, and put two sets of them side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from evalsuite.cli.base import main, show
from evalsuite.errors import Fault, UserError

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
out_dir_argument = click.argument("out_dir", type=click.Path(path_type=Path))


@main.group("import")
def import_() -> None:
    """Scores that another tool computed."""


@import_.command("lm_eval")
@folder_argument
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: reports/lm_eval_<name of DIR>]")
@click.option("--name", metavar="MODEL", help="Another name for the model, where DIR holds one.")
@click.option("--run", metavar="TIME", help="Only runs whose time stamp starts so.  [default: the newest of each task]")
def import_lm_eval(folder: Path, out: Path | None, name: str | None, run: str | None) -> None:
    """What lm_eval 0.4 wrote to DIR with --log_samples; nothing at all if a line of it is wrong."""
    from evalsuite.interop import lm_eval_import

    done = lm_eval_import.import_lm_eval(folder, out or Path("reports") / f"lm_eval_{folder.resolve().name}", name=name, run=run)
    show(lm_eval_import.import_lines(done))


@main.group()
def export() -> None:
    """Scores for another tool to read."""


@export.command("lm_eval")
@out_dir_argument
@click.option("--to", type=click.Path(path_type=Path), help="Where to write.  [default: OUT_DIR/lm_eval]")
def export_lm_eval(out_dir: Path, to: Path | None) -> None:
    """results_<time>.json and samples_<task>_<time>.jsonl per model, as lm_eval 0.4 writes them."""
    from evalsuite.interop import lm_eval_export

    show([str(path) for path in lm_eval_export.export_lm_eval(out_dir, to or out_dir / "lm_eval")])


@export.command("every_eval_ever")
@out_dir_argument
@click.option("--to", type=click.Path(path_type=Path), help="Where to write.  [default: OUT_DIR/every_eval_ever]")
@click.option("--organisation", required=True, help="Who ran the study; the format wants it named.")
@click.option(
    "--relationship", type=click.Choice(["first_party", "third_party", "collaborative", "other"]), default="third_party", show_default=True,
    help="Of those who ran the study to those who made the models.",
)  # fmt: skip
def export_every_eval_ever(out_dir: Path, to: Path | None, organisation: str, relationship: str) -> None:
    """One aggregate JSON and one JSONL of samples per model, in the schema of Every Eval Ever."""
    from evalsuite.interop import every_eval_ever

    place = to or out_dir / "every_eval_ever"
    files = every_eval_ever.export_every_eval_ever(out_dir, place, organisation=organisation, relationship=relationship)
    show([str(path) for path in files])


def _listed(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    return value or None


def _share(low: float, high: float) -> Callable[[click.Context, click.Parameter, float], float]:
    def check(_: click.Context, parameter: click.Parameter, value: float) -> float:
        if not low < value < high:
            allowed = f"above {low:g}" + (f" and below {high:g}" if high != float("inf") else "")
            raise UserError(Fault(file="command line", key=f"--{parameter.name}", value=f"{value:g}", allowed=allowed))
        return value

    return check


def _compare_published(name: str, out: Path | None) -> None:
    from evalsuite.cli.tables import print_table
    from evalsuite.models import load_registry
    from evalsuite.published import load_paper, read_papers
    from evalsuite.published.differences import differences, values
    from evalsuite.report import published_differences as report

    registry = load_registry()
    if name == "list":
        print_table(report.listing(read_papers(), registry))
        return
    paper = load_paper(name)
    folder = out or Path("reports") / f"published_{name}"
    files = report.write_published(paper, registry, folder)
    frame = differences(paper, registry)
    show(report.said(paper, registry, frame))
    table = report.glance_table(paper, frame)
    if table is None and paper.records:
        table = report.printed_table(values(paper))
    if table is not None:
        print_table(table)
        click.echo()
    show([report.cannot_be_known(frame), *(f"Known fault: {line}" for line in report.fault_lines(paper))])
    show([str(path) for path in files if path.name == "report.html"])


@main.command()
@click.argument("a", type=click.Path(path_type=Path), required=False)
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--published", metavar="PAPER", help="Instead of A and B: what a paper prints, e.g. 2404.04067 or 2404.04067v3; `list`: all.")
@click.option("--a-model", metavar="NAME", help="Model of A, where it holds several.")
@click.option("--b-model", metavar="NAME", help="Model of B, where it holds several.")
@click.option("--a-strategy", metavar="ID", help="Compare this strategy of A with --b-strategy of B.")
@click.option("--b-strategy", metavar="ID", help="See --a-strategy.  [default: equal ones]")
@click.option("--metric", "metrics", multiple=True, callback=_listed, help="Only this metric; may be given again.")
@click.option("--task", "tasks", multiple=True, callback=_listed, help="Only this task; may be given again.")
@click.option("--margin", type=float, default=0.03, show_default=True, callback=_share(0, float("inf")), help="Equivalence margin.")
@click.option("--alpha", type=float, default=0.05, show_default=True, callback=_share(0, 0.5), help="Error rate over all rows.")
@click.option("--missing", type=click.Choice(["incorrect", "drop"]), default="incorrect", show_default=True, help="Missing answers.")
@click.option("--common", is_flag=True, help="Compare the samples that both have, where they are not the same.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write comparisons.csv and a report there.")
def compare(a: Path | None, b: Path | None, published: str | None, out: Path | None, **chosen: Any) -> None:
    """Two sets of scores side by side, paired by what was asked; or the differences that a paper prints.

    A and B are out directories or imports. With --published there is no A and B, no model is needed, and the report goes to
    reports/published_<paper>.
    """
    from evalsuite.interop.pairing import PairingDesign, compare_sets, side_by_side_lines

    if published is not None:
        if a is not None:
            raise UserError(Fault(file="command line", key="--published", value=published, allowed="takes no A and B beside it"))
        _compare_published(published, out)
        return
    if a is None or b is None:
        raise UserError(Fault(file="command line", key="A B", value="", allowed="two folders of scores, or --published PAPER"))
    result = compare_sets(a, b, PairingDesign(**chosen))
    show(side_by_side_lines(result))
    if out is not None:
        from evalsuite.report.side_by_side import write_side_by_side

        show([str(path) for path in write_side_by_side(result, out)])
