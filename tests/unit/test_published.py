"""Printed numbers of papers: nothing lost on the way into the package, nothing claimed that cannot be known."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from evalsuite.cli import main
from evalsuite.config import Study, study_as_yaml
from evalsuite.errors import UserError
from evalsuite.manifest import conditions
from evalsuite.models import ModelEntry, load_registry
from evalsuite.published import load_paper, paper_ids, read_papers
from evalsuite.published.differences import differences, pairs_of_paper, unpaired_models, values
from evalsuite.published.files import read_paper
from evalsuite.published.plausible import plausible
from evalsuite.published.records import Paper
from evalsuite.published.reproduce import Asked, Measured, beside, comparability
from evalsuite.report import build
from evalsuite.report.blocks import Figure, Notice, Report, Table, blocks_of, figures_of, tables_of
from evalsuite.report.figures import draw
from evalsuite.report.plots.published import BesidePlot, BesideRow, MatrixCell, MatrixPlot
from evalsuite.report.published_differences import cannot_be_known, fault_lines, glance_table, published_report, said
from evalsuite.resolve import resolve
from evalsuite.stats.grim import fitting_denominators
from evalsuite.stats.unpaired import unpaired_interval, wilson_interval
from tests.unit.report_findings import findings, study

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = sorted((REPOSITORY / "studies").glob("*.yaml"))


@pytest.fixture(scope="module")
def registry() -> dict[str, ModelEntry]:
    return load_registry()


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return {paper.id: paper for paper in read_papers()}


PAPER = """
id: tiny
title: A small paper
authors: Nobody
year: 2024
url: https://example.org/tiny
versions: {v1: the first, v2: the second}
models:
  Bio: {hf_id: aaditya/Llama3-OpenBioLLM-8B, seen: true}
  Gen: {hf_id: meta-llama/Meta-Llama-3-8B-Instruct, seen: true}
  Base: {hf_id: meta-llama/Meta-Llama-3-8B}
tasks:
  Quiz: {ours: [medqa, "lm_eval:medqa_4options"], split: test}
metrics:
  accuracy: {kind: accuracy, ours: [accuracy]}
  points: {kind: score}
pairs:
  - {biomedical: aaditya/Llama3-OpenBioLLM-8B, base: meta-llama/Meta-Llama-3-8B, source: text}
defects:
  - {text: The first item counts twice., tasks: [Quiz]}
tables:
  - name: one
    version: v1
    all: {unit: percent, decimals: 1, source: text, reading: read, shots: 3, method: plain, form: generate}
    columns:
      - {task: Quiz, metric: accuracy, setting: 3-shot, n_items: 200, n_status: stated}
      - {task: Tale, metric: points, setting: 3-shot}
    rows:
      - {model: Bio, values: [51.5, 30]}
      - {model: Gen, values: [60.2, 29]}
      - {model: Base, values: [null, 20]}
  - name: two
    version: v2
    all: {task: Quiz, metric: accuracy, setting: 3-shot, unit: percent, source: text, reading: second_hand}
    rows:
      - {model: Gen, values: [61]}
"""


def paper_of(tmp_path: Path, text: str = PAPER) -> Paper:
    file = tmp_path / "tiny.yaml"
    file.write_text(text, encoding="utf-8")
    return read_paper(file)


class TestData:
    def test_no_number_was_lost(self, shared: Path, papers: dict[str, Paper]) -> None:
        """Every number of the shared files stands in the package, under the same model, task, metric and unit."""
        originals: dict[str, list[dict[str, Any]]] = {}
        for file in sorted((shared / "papers").glob("published_*.yaml")):
            name = file.stem.removeprefix("published_")
            for entry in yaml.safe_load(file.read_text(encoding="utf-8")) or []:
                originals.setdefault("promptbase" if entry["paper"].startswith("promptbase") else name, []).append(entry)
            originals.setdefault(name, [])
        assert set(originals) == set(papers)
        for name, entries in originals.items():
            records = papers[name].records
            assert len(records) == len(entries), name
            assert math.fsum(record.value for record in records) == math.fsum(entry["value"] for entry in entries), name
            keys = ("model", "task", "metric", "value", "unit", "n_items")
            theirs = Counter(tuple(entry[key] for key in keys) for entry in entries)
            assert theirs == Counter((r.model.name, r.task.name, r.metric, r.value, r.unit, r.n_items) for r in records), name
            for entry in entries:
                own = [r for r in records if (r.model.name, r.task.name, r.value) == (entry["model"], entry["task"], entry["value"])]
                assert entry["hf_id"] in (None, *(r.model.hf_id for r in own)), entry
                assert {record.task.language for record in own} == {entry["language"]}

    def test_what_is_printed_reads_back_as_the_value(self, papers: dict[str, Paper]) -> None:
        for paper in papers.values():
            for record in paper.records:
                assert float(record.printed) == record.value
                assert record.source
                assert (record.n_items is None) == (record.n_status is None)

    def test_how_numbers_are_known(self, papers: dict[str, Paper]) -> None:
        readings = {name: {record.reading for record in paper.records} for name, paper in papers.items()}
        assert readings["2303.13375"] == {"second_hand"}
        assert readings["2404.04067"] == {"read"}
        medprompt = [record for record in papers["2311.16452"].records if record.table.startswith("main")]
        assert {r.model.name for r in medprompt if r.reading == "read"} == {"GPT-4 (Medprompt)"}
        statuses = {(r.task.name, r.n_items, r.n_status) for r in papers["2404.04067"].records if r.n_items}
        assert statuses == {("CLUE/MedNLI", 1420, "derived"), ("CLUE/LongHealth", 2000, "derived")}
        assert {record.n_status for record in papers["open_medical_llm_leaderboard"].records} == {"assumed"}

    def test_tasks_here_and_their_splits_exist(self, papers: dict[str, Paper]) -> None:
        from evalsuite.tasks import find_tasks

        known = find_tasks()
        named = {(r.task.evalsuite_task, r.task.split) for paper in papers.values() for r in paper.records if r.task.ours}
        assert ("meqsum", "all") in named
        for task, split in named:
            assert task is not None
            assert split in known[task].card.splits

    def test_pairs_name_models_of_the_registry_where_they_have_ids(self, papers: dict[str, Paper], registry: dict[str, ModelEntry]) -> None:
        repos = {entry.repo for entry in registry.values()}
        for paper in papers.values():
            for pair in paper.pairs:
                for name in (pair.biomedical, pair.base, *([pair.follows] if pair.follows else [])):
                    assert "/" not in name or name in repos, name

    def test_impossible_values_are_found(self, papers: dict[str, Paper]) -> None:
        """15 of the 18 values in the two files that the makers submitted; none in the independent runs, none in CLUE."""
        found = Counter(record.model.name for record in papers["open_medical_llm_leaderboard"].records if plausible(record) == "impossible")
        assert found == {"OpenBioLLM-Llama3-70B": 6, "OpenBioLLM-Llama3-8B": 9}
        assert {plausible(record) for record in papers["2404.04067"].records if record.n_items} == {"possible"}
        clue = [record.printed for record in papers["2404.04067"].records if record.task.name == "CLUE/MedNLI"]
        assert fitting_denominators(clue, range(1390, 1440), unit="percent") == (1420,), "one item counts twice"
        miller = [record for record in papers["2411.00640"].records if record.n_items]
        assert {plausible(record) for record in miller} == {"untested"}, "a smallest detectable difference is no share of right answers"


class TestLoading:
    def test_each_number_is_of_the_newest_version_that_prints_it(self) -> None:
        high = [record.value for record in load_paper("2308.11483").records if record.metric == "sensitivity gap, high end"]
        assert high == [85.0]
        assert [r.value for r in load_paper("2308.11483v1").records if r.metric == "sensitivity gap, high end"] == [75.0]
        assert [record.value for record in load_paper("2411.08870v2").records] == [26.7, 16.7, 56.7]
        assert {record.version for record in load_paper("2404.04067").records} == {"v3", "v5"}
        assert {pair.version for pair in load_paper("2404.04067v5").pairs} == {"v5"}

    def test_a_number_that_yaml_made_of_an_id_is_understood(self) -> None:
        assert load_paper(str(yaml.safe_load("2411.00640"))).id == "2411.00640"

    @pytest.mark.parametrize("name", ["2404.0406", "", "v3", "2404.04067/../x", "../2404.04067"])
    def test_unknown_papers_are_one_line_that_names_what_there_is(self, name: str) -> None:
        with pytest.raises(UserError) as caught:
            load_paper(name)
        assert len(caught.value.faults) == 1
        assert "2404.04067" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_unknown_versions_name_the_known_ones(self) -> None:
        with pytest.raises(UserError, match=r"no such version; held: 2404\.04067v3, 2404\.04067v5"):
            load_paper("2404.04067v9")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("values: [51.5, 30]", "values: [51.5]", "tables.one.Bio = 1: 2 values"),
            ("metric: points, setting", "metric: dots, setting", "needs metrics.dots"),
            ("unit: percent, decimals: 1", "unit: promille, decimals: 1", "one of percent"),
            ("n_items: 200, n_status: stated", "n_items: 200", "needs n_status"),
            ("version: v2", "version: v7", "one of v1, v2"),
            ("reading: second_hand", "reading: guessed", "should be 'read', 'derived' or 'second_hand'"),
        ],
    )
    def test_faults_of_a_file_are_one_line_each(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in PAPER
        with pytest.raises(UserError) as caught:
            paper_of(tmp_path, PAPER.replace(old, new))
        assert message in str(caught.value)
        assert all("\n" not in str(fault) for fault in caught.value.faults)


class TestInterval:
    @pytest.mark.parametrize(
        ("k_a", "n_a", "k_b", "n_b"), [(56, 70, 48, 80), (9, 10, 3, 10), (0, 10, 0, 20), (10, 10, 0, 20), (500, 1420, 900, 1420)]
    )
    def test_it_is_newcombes(self, k_a: int, n_a: int, k_b: int, n_b: int) -> None:
        ours = unpaired_interval(k_a / n_a, n_a, k_b / n_b, n_b)
        theirs = confint_proportions_2indep(k_a, n_a, k_b, n_b, method="newcomb", compare="diff")
        assert ours == pytest.approx(theirs, abs=1e-9)
        assert wilson_interval(k_a / n_a, n_a) == pytest.approx(proportion_confint(k_a, n_a, method="wilson"), abs=1e-9)

    def test_the_published_example(self) -> None:
        """Newcombe 1998, table II, method 10: 56/70 - 48/80 gives 0.0524 to 0.3339."""
        low, high = unpaired_interval(56 / 70, 70, 48 / 80, 80)
        assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)

    @given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5000), st.integers(1, 5000))
    def test_it_holds_the_difference_and_turns_with_the_sides(self, a: float, b: float, n_a: int, n_b: int) -> None:
        low, high = unpaired_interval(a, n_a, b, n_b)
        assert -1 - 1e-12 <= low <= a - b + 1e-12
        assert a - b - 1e-12 <= high <= 1 + 1e-12
        assert unpaired_interval(b, n_b, a, n_a) == pytest.approx((-high, -low), abs=1e-12)

    @pytest.mark.parametrize("arguments", [(1.1, 10, 0.5, 10), (0.5, 0, 0.5, 10), (math.nan, 10, 0.5, 10), (0.5, math.nan, 0.5, 10)])
    def test_what_is_no_share_is_refused(self, arguments: tuple[float, float, float, float]) -> None:
        with pytest.raises(ValueError, match="must"):
            unpaired_interval(*arguments)
        with pytest.raises(ValueError, match="level"):
            unpaired_interval(0.5, 10, 0.5, 10, level=1.0)


class TestDifferences:
    def test_pairs_are_those_of_the_registry_and_of_the_paper(self, tmp_path: Path, registry: dict[str, ModelEntry]) -> None:
        found = {(pair.version, pair.model_a, pair.model_b): pair.declared_by for pair in pairs_of_paper(paper_of(tmp_path), registry)}
        assert found == {("v1", "Bio", "Gen"): "models.yaml", ("v1", "Bio", "Base"): "both"}
        without = {pair.declared_by for pair in pairs_of_paper(paper_of(tmp_path), {})}
        assert without == {"paper"}

    def test_numbers_intervals_and_what_has_none(self, tmp_path: Path, registry: dict[str, ModelEntry]) -> None:
        frame = differences(paper_of(tmp_path), registry).set_index(["model_b", "task"])
        quiz = frame.loc["Gen", "Quiz"]
        assert quiz.difference == pytest.approx(0.515 - 0.602, abs=1e-12)
        assert (quiz.ci_low, quiz.ci_high) == pytest.approx(unpaired_interval(0.515, 200, 0.602, 200), abs=1e-12)
        assert (quiz.grim_a, quiz.grim_b) == ("possible", "impossible"), "60.2% of 200 is no whole number"
        tale = frame.loc["Gen", "Tale"]
        assert tale.difference == pytest.approx(0.01)
        assert pd.isna(tale.ci_low)
        assert ("Base", "Quiz") not in frame.index, "a number that is not printed gives no difference"
        assert len(frame) == 3

    def test_repeated_questions_widen_the_interval(self, registry: dict[str, ModelEntry]) -> None:
        """LongHealth: 2,000 answers to 400 questions."""
        frame = differences(load_paper("2404.04067v3"), registry)
        row = frame[(frame.task == "CLUE/LongHealth") & frame.ci_low.notna()].iloc[0]
        assert (row.n_items_a, row.n_independent) == (2000, 400)
        narrow = unpaired_interval(row.value_a, 2000, row.value_b, 2000)
        assert row.ci_high - row.ci_low > 2 * (narrow[1] - narrow[0])

    def test_level_scores_follow_from_the_tasks(self) -> None:
        """Each printed level score is the mean of three task means, to the second decimal: the transcription holds together."""
        paper = load_paper("2404.04067v3")
        levels = {"CLUE/Level 1": ("MedNLI", "MeQSum", "Problem Summary"), "CLUE/Level 2": ("LongHealth", "MeDiSumQA", "MeDiSumCode")}
        checked = 0
        for record in paper.records:
            if record.task.name not in levels:
                continue
            parts = [f"CLUE/{name}" for name in levels[record.task.name]]
            own = [r for r in paper.records if r.model.name == record.model.name and r.task.name in parts]
            means = [np.mean([r.value for r in own if r.task.name == part]) for part in parts]
            assert np.mean(means) == pytest.approx(record.value, abs=0.0101), record
            checked += 1
        assert checked == 43

    def test_table_3_follows_another_base_than_its_caption_names(self, registry: dict[str, ModelEntry]) -> None:
        frame = differences(load_paper("2404.04067"), registry)
        printed = frame[frame.printed_as_difference & (frame.task == "CLUE/Level 2") & (frame.model_a == "BioMistral-7B")].iloc[0]
        computed = frame[~frame.printed_as_difference & (frame.task == "CLUE/Level 2") & (frame.model_a == "BioMistral-7B")]
        by_base = computed.set_index("model_b").difference
        assert printed.model_b == "Mistral-7B-v0.1"
        assert by_base["Mistral-7B-Instruct-v0.1"] == pytest.approx(printed.difference, abs=1e-9)
        assert by_base["Mistral-7B-v0.1"] == pytest.approx(0.1428, abs=1e-9)
        assert "follow mistralai/Mistral-7B-Instruct-v0.1" in printed.note

    def test_ambiguous_names_are_not_paired_and_it_is_said(self, registry: dict[str, ModelEntry]) -> None:
        paper = load_paper("2404.04067v3")
        assert unpaired_models(paper, registry) == ("meditron-7b",)
        assert "meditron-7b" in " ".join(said(paper, registry, differences(paper, registry)))

    def test_a_paper_without_pairs_has_an_empty_frame_with_its_columns(self, registry: dict[str, ModelEntry]) -> None:
        frame = differences(load_paper("2411.04118"), registry)
        assert len(frame) == 0
        assert {"difference", "ci_low", "grim_a"} <= set(frame.columns)


class TestReport:
    def test_every_paper_has_a_report_without_a_verdict(self, papers: dict[str, Paper], registry: dict[str, ModelEntry]) -> None:
        for name in paper_ids():
            report = published_report(load_paper(name), registry)
            notices = [block.text for block in blocks_of(report) if isinstance(block, Notice)]
            assert any(text.startswith("No verdict") for text in notices), name
            shown = {cell.text for table in tables_of(report) for row in table.rows for cell in row}
            assert not shown & {"better", "worse", "same within margin", "cannot tell"}
            for kind in (Table, Figure):
                names = [block.name for block in blocks_of(report) if isinstance(block, kind)]
                assert len(names) == len(set(names))

    def test_impossible_values_are_flagged_in_table_and_figure(self, tmp_path: Path, registry: dict[str, ModelEntry]) -> None:
        paper = paper_of(tmp_path)
        frame = differences(paper, registry)
        table = glance_table(paper, frame)
        assert table is not None
        alerts = [cell.text for row in table.rows for cell in row if cell.alert]
        assert alerts == ["−8.7 !"]
        assert "GRIM" in table.note
        report = published_report(paper, registry)
        cells = [
            c for f in figures_of(report) if isinstance(f.plot, MatrixPlot) for _, rows in f.plot.groups for _, row in rows for c in row
        ]
        assert [cell.text for cell in cells if cell is not None and cell.doubtful] == ["−8.7"]
        dots = [row for f in figures_of(report) if isinstance(f.plot, BesidePlot) for _, rows in f.plot.groups for row in rows]
        assert [row.doubtful for row in dots] == [True]
        assert "cannot_have_arisen" in {shown.name for shown in tables_of(report)}

    def test_the_text_says_what_cannot_be_known_and_what_is_wrong(self, registry: dict[str, ModelEntry]) -> None:
        paper = load_paper("2404.04067")
        frame = differences(paper, registry)
        assert "paired interval" in cannot_be_known(frame)
        assert "unpaired" in cannot_be_known(frame)
        assert "unpaired" not in cannot_be_known(frame[frame.ci_low.isna()])
        assert any("counts the first item of MedNLI twice" in line for line in fault_lines(paper))

    def test_a_set_of_data_sets_is_not_counted_beside_its_members(self, registry: dict[str, ModelEntry]) -> None:
        paper = load_paper("aloe_family")
        frame = differences(paper, registry)
        assert set(frame.loc[frame["overall"], "task"]) == {"MultiMedQA", "average of last four"}
        assert said(paper, registry, frame)[1].startswith("13 of 16 differences favour the biomedical model and 1 the generalist; 2 are")

    def test_the_sentence_counts_what_the_table_shows(self, registry: dict[str, ModelEntry]) -> None:
        paper = load_paper("2404.04067v3")
        frame = differences(paper, registry)
        table = glance_table(paper, frame)
        assert table is not None
        texts = [cell.text for row in table.rows for cell in row[1:]]
        up, down = sum(text.startswith("+") for text in texts), sum(text.startswith("−") for text in texts)
        zero = sum(text == "0.0" for text in texts)
        sentence = said(paper, registry, frame)[1]
        assert f"{up} of {up + down + zero} differences favour the biomedical model and {down} the generalist" in sentence

    def test_drawings_do_not_depend_on_the_order_of_equal_calls(self) -> None:
        doubtful = MatrixCell(value=-1.0, text="−1.0", doubtful=True)
        matrix = MatrixPlot(
            columns=(("A", ""), ("B", "part")),
            groups=(("minus x", (("y", (MatrixCell(value=3.0, text="+3.0"), None)), ("z", (None, doubtful)))),),
            gain="up",
            loss="down",
        )
        rows = (
            BesideRow(label="a", mean=1.0, low=0.0, high=2.0, printed=1.5, alike=False),
            BesideRow(label="b", printed=-1.0, doubtful=True),
        )
        dots = BesidePlot(axis="points", limits=(-2.0, 3.0), groups=(("t", rows),), zero=True)
        for plot in (matrix, dots):
            assert draw(plot) == draw(plot)
        assert b"cannot have arisen" in draw(matrix).svg
        assert b"printed, asked otherwise" in draw(dots).svg


class TestCommand:
    def test_it_draws_a_paper_without_a_model(self, tmp_path: Path) -> None:
        done = CliRunner().invoke(main, ["compare", "--published", "2408.13833", "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        assert "−34.3" in done.output
        assert "No verdict" in done.output
        made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
        assert {
            "report.html",
            "report.md",
            "figures/differences.svg",
            "figures/differences.png",
            "tables/differences.csv",
            "tables/values.csv",
        } <= made
        frame = pd.read_csv(tmp_path / "out" / "tables" / "differences.csv")
        assert frame.difference.tolist() == pytest.approx([0.014, -0.343, -0.2915])

    def test_it_lists_and_refuses(self, tmp_path: Path) -> None:
        listed = CliRunner().invoke(main, ["compare", "--published", "list"])
        assert listed.exit_code == 0
        assert all(name in listed.output for name in paper_ids())
        for arguments in (["--published", "nothing"], [], ["a"], ["a", "b", "--published", "2404.04067"]):
            done = CliRunner().invoke(main, ["compare", *arguments])
            assert done.exit_code == 2, arguments
            assert len(done.output.strip().splitlines()) == 1, done.output

    def test_scores_of_a_study_are_not_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "scores.parquet").write_bytes(b"")
        done = CliRunner().invoke(main, ["compare", "--published", "2404.04067", "--out", str(tmp_path)])
        assert done.exit_code == 2
        assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


BIO, GEN = "openbiollm-8b", "llama-3-8b-instruct"
ASKED = Asked(metric="accuracy", split="test", form="letters", shots=0, method="plain")
MEASURED = Measured(
    repos={BIO: "aaditya/Llama3-OpenBioLLM-8B", GEN: "meta-llama/Meta-Llama-3-8B-Instruct"},
    precisions={BIO: "bfloat16", GEN: "bfloat16"},
    asked={"medqa": ASKED},
)


def estimates_of(mean: float = 0.55, n: int = 1273, metric: str = "accuracy") -> pd.DataFrame:
    rows = [
        {"model": name, "task": "medqa", "metric": metric, "mean": mean, "ci_low": mean - 0.05, "ci_high": mean + 0.05, "n_samples": n}
        for name in (BIO, GEN)
    ]
    return pd.DataFrame(rows)


def comparisons_of(difference: float = -0.02, n: int = 1273) -> pd.DataFrame:
    row = {"model_a": BIO, "model_b": GEN, "task": "medqa", "metric": "accuracy", "difference": difference, "n_samples": n}
    return pd.DataFrame([row | {"ci_low": difference - 0.03, "ci_high": difference + 0.03}])


class TestBeside:
    def test_values_and_pairs_map_by_hub_id_task_and_metric(self, tmp_path: Path) -> None:
        found = beside((paper_of(tmp_path),), estimates_of(), comparisons_of(), pd.DataFrame(), MEASURED)
        values_ = found.values.set_index(["printed_model", "version"])
        row = values_.loc[("Bio", "v1")]
        assert (row.published, row.reproduced, row.inside, row.n_published, row.n_reproduced) == (
            pytest.approx(0.515),
            0.55,
            True,
            200,
            1273,
        )
        assert row.difference == pytest.approx(0.035)
        assert (row.grim, values_.loc[("Gen", "v1")].grim) == ("possible", "impossible")
        pair = found.pairs.iloc[0]
        assert pair.published == pytest.approx(-0.087)
        assert (pair.inside, pair.grim) == (False, "impossible")
        assert "other base: the paper compares with meta-llama/Meta-Llama-3-8B" in pair.differs

    def test_nothing_maps_by_another_id_metric_or_task(self, tmp_path: Path) -> None:
        paper = paper_of(tmp_path)
        for changed in (
            dataclasses.replace(MEASURED, repos={BIO: None, GEN: "someone/else"}),
            dataclasses.replace(MEASURED, asked={"medqa": dataclasses.replace(ASKED, metric="macro_f1")}),
            dataclasses.replace(MEASURED, asked={"medqa_5opt": ASKED}),
        ):
            found = beside((paper,), estimates_of(), comparisons_of(), pd.DataFrame(), changed)
            assert (len(found.values), len(found.pairs)) == (0, 0)

    def test_missing_numbers_of_ours_stay_missing(self, tmp_path: Path) -> None:
        estimates = estimates_of().assign(mean=math.nan, ci_low=math.nan, ci_high=math.nan)
        row = beside((paper_of(tmp_path),), estimates, comparisons_of(), pd.DataFrame(), MEASURED).values.iloc[0]
        assert row.published == pytest.approx(0.515)
        assert row.reproduced is None or pd.isna(row.reproduced)
        assert row.inside is None

    def test_what_differs_is_said_and_what_is_not_known(self, tmp_path: Path) -> None:
        record = paper_of(tmp_path).records[0]
        differs, unknown = comparability(record, ASKED, "medqa", n_samples=1273, precision="bfloat16")
        text = "; ".join(differs)
        for said_so in (
            "other prompt",
            "other exemplars: 3 there, 0 here",
            "other format: generate there, letters here",
            "other items: 200 there, 1273 here",
        ):
            assert said_so in text
        assert unknown == ["precision", "scorer"]

    def test_a_run_of_the_same_framework_is_comparable(self) -> None:
        record = next(r for r in load_paper("open_medical_llm_leaderboard").records if r.task.name == "medqa_4options")
        asked = Asked(metric="acc", split="test", form="native", shots=0, method="plain", prompts="lm_eval")
        differs, unknown = comparability(record, asked, "lm_eval:medqa_4options", n_samples=1273, precision="float16")
        assert differs == []
        assert unknown == ["exemplars", "precision"]
        ours = comparability(record, ASKED, "medqa", n_samples=1273, precision="float16")
        assert ours[0] == ["other prompt: the words of lm_eval there"], "letters by probability are scored alike"

    def test_rates_of_wins_stand_beside_rates(self) -> None:
        shares = pd.DataFrame([{
            "model_a": "", "model_b": "", "n_comparisons": 40, "win": 0.1, "win_low": 0.05, "win_high": 0.2, "tie": 0.5, "tie_low": 0.4,
            "tie_high": 0.6, "loss": 0.4, "loss_low": 0.3, "loss_high": 0.5,
        }])  # fmt: skip
        rates = beside((load_paper("2411.04118"),), estimates_of(), comparisons_of(), shares, MEASURED).rates
        assert rates.rate.tolist() == ["win", "tie", "loss"]
        assert rates.published.tolist() == pytest.approx([0.121, 0.498, 0.382])
        assert rates.inside.tolist() == [True, True, True]

    def test_order_of_rows_does_not_matter(self, tmp_path: Path) -> None:
        paper = paper_of(tmp_path)
        first = beside((paper,), estimates_of(), comparisons_of(), pd.DataFrame(), MEASURED)
        turned = beside((paper,), estimates_of().iloc[::-1], comparisons_of(), pd.DataFrame(), MEASURED)
        pd.testing.assert_frame_equal(first.values, turned.values)


class TestSection:
    def built(self, tmp_path: Path, papers: tuple[Paper, ...]) -> Report:
        base = findings(
            tasks=("pubmedqa",),
            study=study(("pubmedqa",), models=[BIO, GEN], pairs=[[BIO, GEN]], exclude=[]),
            prompts={},
            prompt_differences={},
        )
        renamed = {"pocket-clinical": BIO, "pocket-generalist": GEN}
        measured = dataclasses.replace(MEASURED, asked={"pubmedqa": ASKED})
        frames = {
            "estimates": base.estimates.replace({"model": renamed}),
            "comparisons": base.comparisons.replace({"model_a": renamed, "model_b": renamed}),
            "scores": base.scores.replace({"model": renamed}),
        }
        models = {renamed[name]: info for name, info in base.models.items()}
        return build(dataclasses.replace(base, **frames, models=models, papers=papers, measured=measured))

    def test_it_is_absent_where_no_paper_is_named(self, tmp_path: Path) -> None:
        assert "published" not in {section.anchor for section in self.built(tmp_path, ()).sections}

    def test_published_reproduced_difference_interval_and_flags(self, tmp_path: Path) -> None:
        paper = paper_of(tmp_path, PAPER.replace('[medqa, "lm_eval:medqa_4options"]', "[pubmedqa]"))
        report = self.built(tmp_path, (paper,))
        tables = {table.name: table for table in tables_of(report)}
        pairs = tables["published_pairs"]
        shown = dict(zip([column.label for column in pairs.columns], [cell.text for cell in pairs.rows[0]], strict=True))
        assert (shown["Published"], shown["Reproduced"], shown["Reproduced − published"]) == ("−8.70", "+0.40", "+9.10")
        assert (shown["Our 95% interval"], shown["Published inside"]) == ("−1.52 to 2.32", "no")
        assert (shown["n there"], shown["n here"]) == ("200 (stated)", "500")
        assert shown["GRIM"] == "cannot have arisen"
        assert "other base" in shown["Not alike"]
        figures = {figure.name: figure.plot for figure in figures_of(report)}
        plot = figures["published_pairs"]
        assert isinstance(plot, BesidePlot)
        assert plot.groups[0][1][0].alike is False
        assert len(tables["published_values"].rows) == 3, "two of v1, and one of v2 since nothing was left out of this paper"

    def test_a_paper_that_holds_nothing_of_the_study_says_so(self, tmp_path: Path) -> None:
        report = self.built(tmp_path, (load_paper("2604.06854"),))
        section = next(section for section in report.sections if section.anchor == "published")
        assert "nothing stands beside its own" in section.blocks[0].text  # type: ignore[union-attr]


CONTENT: dict[str, Any] = {"study": "s", "question": "Is it?", "models": ["a"], "tasks": ["medqa"]}


class TestStudyKey:
    def test_the_default_leaves_no_trace_and_a_value_reads_back(self) -> None:
        plain = Study.model_validate(CONTENT)
        assert "published" not in study_as_yaml(plain)
        named = Study.model_validate(CONTENT | {"published": [2404.04067, "2411.08870v1"]})
        assert named.published == ("2404.04067", "2411.08870v1")
        assert Study.model_validate(yaml.safe_load(study_as_yaml(named))) == named
        assert conditions(named) == conditions(plain), "papers beside a study decide nothing that is asked"

    def test_each_paper_once(self) -> None:
        with pytest.raises(ValueError, match="each name once"):
            Study.model_validate(CONTENT | {"published": ["2404.04067", "2404.04067"]})


class TestShippedStudies:
    @pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
    def test_names_pairs_tasks_and_strategies_resolve(self, file: Path) -> None:
        """Whatever is wrong with a shipped study where there are neither weights nor data, it is only that they are not here."""
        try:
            plan = resolve(file)
        except UserError as error:
            absent = ("not in the local hub cache", "no data found", "names no weights")
            assert [str(fault) for fault in error.faults if not any(text in fault.allowed for text in absent)] == []
        else:
            assert plan.pairs

    @pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
    def test_named_papers_are_held(self, file: Path) -> None:
        for name in Study.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).published:
            assert load_paper(name).id in name


def test_values_keep_what_is_printed(tmp_path: Path) -> None:
    frame = values(paper_of(tmp_path))
    row = frame.iloc[0]
    assert (row.printed, row.value, row.grim, row.evalsuite_task, row.evalsuite_split) == (
        "51.5",
        pytest.approx(0.515),
        "possible",
        "medqa",
        "test",
    )
    assert len(frame) == 6
