"""Who loses a race looks again: a few times, after pauses at random that grow up to a limit."""

from __future__ import annotations

import pytest

from serin.errors import Conflict, NotFound
from serin.registry.retry import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, TRIES, Patience


class Race:
    """A write that is lost so many times."""

    def __init__(self, losses: int, error: Exception | None = None) -> None:
        self.losses, self.error, self.tries = losses, error or Conflict("somebody was faster"), 0

    def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.losses:
            raise self.error
        return self.tries


@pytest.mark.parametrize("losses", [0, 1, TRIES - 1])
def test_it_looks_again_until_it_wins(losses: int) -> None:
    slept: list[float] = []
    assert Patience(slept.append, lambda: 1.0).retry_on_conflict(Race(losses)) == losses + 1
    assert slept == [min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**lost) for lost in range(losses)]


def test_it_gives_up_after_a_few_tries() -> None:
    race = Race(1000)
    with pytest.raises(Conflict):
        Patience(lambda _: None, lambda: 0.0).retry_on_conflict(race)
    assert race.tries == TRIES


def test_a_pause_is_drawn_from_nothing_to_the_whole() -> None:
    slept: list[float] = []
    Patience(slept.append, iter([0.0, 0.5]).__next__).retry_on_conflict(Race(2))
    assert slept == [0.0, FIRST_PAUSE_SECONDS]


def test_no_other_error_is_tried_again() -> None:
    race = Race(1000, NotFound("gone"))
    with pytest.raises(NotFound):
        Patience(lambda _: None, lambda: 0.0).retry_on_conflict(race)
    assert race.tries == 1
