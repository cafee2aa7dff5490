"""Every perturbation on real questions: each is transformed with a target that is worked out again, or refused with a reason; few refuse.

One question in six, chosen by a hash; EVALSUITE_WHOLE=1 takes all (a minute and a half).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from evalsuite.data import load_split
from evalsuite.perturbations.base import Refusal
from evalsuite.seeds import derive_seed
from evalsuite.tasks import find_tasks
from evalsuite.types import Sample
from tests.contract.perturbation_promises import PROMISES, SPECS, label_of, preserved
from tests.contract.test_perturbations import applied, check, said_of

MOST_REFUSED = 0.02
"""Share of the questions that a meaning-preserving perturbation may refuse."""
DATA = {"headqa_es": ("test",), "casimedicos_en": ("train", "dev"), "medqa": ("dev",)}


@pytest.fixture(scope="module", params=DATA)
def questions(request: pytest.FixtureRequest, shared: Path) -> tuple[str, Sequence[Sample]]:
    task = find_tasks()[request.param]
    folders = {alias: shared / "data" / alias for alias in (request.param, *task.card.aliases)}
    found = next((folder for folder in folders.values() if folder.is_dir()), None)
    if found is None:
        pytest.skip(f"no data of {request.param} at hand")
    samples = [sample for split in DATA[request.param] for sample in load_split(task, split, {request.param: found}).samples]
    if os.environ.get("EVALSUITE_WHOLE") != "1":
        samples = [sample for sample in samples if derive_seed(0, "real", sample.id) % 6 == 0]
    assert len(samples) > 50
    return request.param, samples


def test_every_question_is_transformed_rightly_or_refused_with_a_reason(questions: tuple[str, Sequence[Sample]]) -> None:
    task, samples = questions
    told = []
    for name, promise in PROMISES:
        reasons: Counter[str] = Counter()
        with said_of(name, promise):
            for sample in samples:
                made = applied(name, promise, sample)
                check(name, promise, sample, made)
                if isinstance(made, Refusal):
                    reasons[made.reason] += 1
        share = reasons.total() / len(samples)
        told.append(f"{task:16} {label_of(name, promise):60} {share:7.2%}  {dict(reasons.most_common(3))}")
        if SPECS[name].family == "meaning-preserving" and preserved(name, promise):
            assert share <= MOST_REFUSED, told[-1]
    print("\n".join(told))
