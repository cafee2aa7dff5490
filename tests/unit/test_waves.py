"""Programs over requests, driven wave by wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalsuite.types import Asking, Prompt, Request, Response
from evalsuite.waves import Answered, Asked, drive


def request(number: int) -> Request:
    return Request(kind="next", prompt=Prompt(token_ids=(number,), text=f"p{number}"), candidates=(1,))


def program(number: int, n_steps: int) -> Asking[list[int]]:
    seen: list[int] = []
    for step in range(n_steps):
        outcomes = yield [request(number * 100 + step * 10 + part) for part in range(step + 1)]
        seen.extend(int(outcome.text) for outcome in outcomes if isinstance(outcome, Response))
    return seen


class Echo:
    """Answers each request with its own number, and remembers the waves."""

    def __init__(self) -> None:
        self.waves: list[list[tuple[Any, int]]] = []

    def __call__(self, wave: Sequence[Asked[Any]]) -> list[Answered]:
        self.waves.append([(asked.name, asked.ordinal) for asked in wave])
        ids = [asked.request.prompt.token_ids[0] for asked in wave]
        return [Answered(key=f"k{number}", outcome=Response(text=str(number))) for number in ids]


def test_each_program_gets_its_own_outcomes_in_order() -> None:
    echo = Echo()
    finished = {item.name: item for item in drive(((n, program(n, n)) for n in range(4)), echo)}
    assert finished[0].result == []
    assert finished[0].first_prompt is None
    assert finished[2].result == [200, 210, 211]
    assert finished[2].keys == ("k200", "k210", "k211")
    assert finished[2].first_prompt == "p200"
    assert finished[3].result == [300, 310, 311, 320, 321, 322]
    assert [len(wave) for wave in echo.waves] == [3, 4, 3]


def test_ordinals_count_what_a_program_asked_before() -> None:
    echo = Echo()
    list(drive([("a", program(1, 3))], echo))
    assert echo.waves == [[("a", 0)], [("a", 1), ("a", 2)], [("a", 3), ("a", 4), ("a", 5)]]


def test_no_more_programs_are_alive_than_allowed_and_none_starts_early() -> None:
    started: list[int] = []

    def lazily() -> Any:
        for number in range(10):
            started.append(number)
            yield number, program(number, 2)

    echo = Echo()
    driving = drive(lazily(), echo, n_alive=6)
    first = next(driving)
    assert first.name == 0
    # Two cohorts of three, and three more in the place of the first three, which have returned.
    assert started == list(range(9))
    assert len(list(driving)) == 9
    assert max(len({name for name, _ in wave}) for wave in echo.waves) == 3


def test_the_order_of_finishing_depends_on_the_programs_alone() -> None:
    one = [item.name for item in drive(((n, program(n, 1 + n % 3)) for n in range(20)), Echo(), n_alive=7)]
    two = [item.name for item in drive(((n, program(n, 1 + n % 3)) for n in range(20)), Echo(), n_alive=7)]
    assert one == two
    assert sorted(one) == list(range(20))


def test_programs_that_ask_much_at_once_fill_a_wave_sooner() -> None:
    """What bounds memory are requests: an ensemble holds as many prompts as it has members."""
    echo = Echo()

    def members(number: int) -> Asking[int]:
        yield [request(number * 100 + part) for part in range(5)]
        return number

    done = [item.name for item in drive(((n, members(n)) for n in range(6)), echo, n_alive=10)]
    assert done == list(range(6))
    # A wave is half of what may be alive: the other half is prepared meanwhile.
    assert [len(wave) for wave in echo.waves] == [5] * 6
    echo.waves.clear()
    assert [item.name for item in drive(((n, members(n)) for n in range(6)), echo, n_alive=20)] == list(range(6))
    assert [len(wave) for wave in echo.waves] == [10, 10, 10]
