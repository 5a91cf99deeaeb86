"""Each question of a release gets one verdict, on the minutes that count for it."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.monitoring.minutes import Counts, Minute
from serin.release.sequential import BREACH_LEVEL, Block, Tally
from serin.release.verdict import ArmVerdict, blocks, judge_arms, reach_verdict


def a_minute(at: int, champion: tuple[int, int] = (0, 0), challenger: tuple[int, int] = (0, 0)) -> Minute:
    return Minute(at, *(Counts(units=units, error=errors) for units, errors in (champion, challenger)))


def test_the_level_of_breach_is_shared_over_the_questions() -> None:
    state = Tally(worst=log(1 / BREACH_LEVEL))
    assert reach_verdict("error", state, 0.01, questions=1).verdict is ArmVerdict.BREACH
    assert reach_verdict("error", state, 0.01, questions=2).verdict is ArmVerdict.NOT_ENOUGH


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(6)))
def test_the_order_in_which_minutes_arrive_does_not_matter(order: list[int]) -> None:
    minutes = [a_minute(at, (50, at), (10, at % 3)) for at in range(6)]
    assert judge_arms([minutes[at] for at in order], {"error": 0.05}) == judge_arms(minutes, {"error": 0.05})


@pytest.mark.parametrize(
    ("minutes", "changes", "cut"),
    [
        ([a_minute(1, (9, 1), (3, 1)), a_minute(2, (8, 0), (2, 0))], (), [Block(9, 1, 3, 1), Block(8, 0, 2, 0)]),
        ([a_minute(1, (9, 1)), a_minute(2, (8, 0), (2, 1))], (), [Block(17, 1, 2, 1)]),
        ([a_minute(1, (9, 1)), a_minute(2, (8, 0), (2, 1))], (2,), [Block(8, 0, 2, 1)]),
        ([a_minute(1, (9, 1)), a_minute(2, (5, 0)), a_minute(3, (8, 0), (2, 1))], (2,), [Block(8, 0, 2, 1)]),
        ([a_minute(1, (9, 1)), a_minute(2, (8, 0))], (), []),
        ([a_minute(1, (0, 0), (4, 0)), a_minute(2, (1, 0))], (), [Block(1, 0, 4, 0)]),
    ],
)
def test_thin_minutes_are_joined_but_not_over_a_change_of_weight(
    minutes: list[Minute], changes: tuple[int, ...], cut: list[Block]
) -> None:
    assert list(blocks(minutes, "error", changes=changes)) == cut


def test_each_question_has_its_own_base() -> None:
    arm = Counts(units=100, timed=80, judged=40, error=4, slow=3, unsure=2, wrong=1)
    cut = [next(blocks([Minute(1, arm, arm)], question)) for question in ("error", "slow", "unsure", "wrong")]
    assert [(block.champion_units, block.champion_events) for block in cut] == [(100, 4), (80, 3), (100, 2), (40, 1)]


def test_bounds_close_in_on_the_difference_and_agree_with_the_verdict() -> None:
    minutes = [a_minute(at, (100, 2), (100, 2)) for at in range(100)]
    few, many = (judge_arms(minutes[:n], {"error": 0.02}, with_bounds=True)["error"] for n in (10, 100))
    for finding in (few, many):
        assert finding.lower is not None
        assert finding.upper is not None
        assert finding.lower <= 0 <= finding.upper
    assert many.verdict is ArmVerdict.PASS
    assert many.upper - many.lower < few.upper - few.lower  # type: ignore[operator]  # asserted above
    assert many.upper <= 0.02  # type: ignore[operator]  # asserted above
