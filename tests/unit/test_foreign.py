"""What a task of another framework takes for its own sample: whatever was changed, its prompts would not show it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evalsuite.foreign import WORDS, is_as_made, words_of
from evalsuite.types import Dialogue, Manner, Sample

BARE = Sample(id="0", group="-", question="Which?", choices=("a", "b"), targets=(1,), language="und")
MADE = replace(BARE, metadata={WORDS: words_of(BARE)})


def test_a_sample_as_it_was_made_is_the_tasks_own() -> None:
    assert is_as_made(MADE)
    assert is_as_made(replace(MADE, order=(0, 1)))


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "Which one?"}, {"context": "A long record."}, {"choices": ("b", "a"), "order": (1, 0)}, {"labels": ("1", "2")},
        {"manner": Manner(system="You are a physician.")}, {"dialogue": Dialogue(first=MADE, said="Are you sure?", repeats=False)},
        {"n_unlisted": 1}, {"variant": 1},
    ],
)  # fmt: skip
def test_what_was_changed_in_any_way_is_not(changes: dict[str, Any]) -> None:
    """Asked in the task's own words it would be scored as if it had been changed."""
    assert not is_as_made(replace(MADE, **changes))
