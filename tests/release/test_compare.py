"""A challenger passes or breaches only on evidence, however often one looks."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from math import comb, exp, inf, isclose, log, nan, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serin.monitoring.minutes import Counts, Minute
from serin.release import compare
from serin.release.compare import (
    BREACH_LEVEL,
    PASS_LEVEL,
    Block,
    Disagreement,
    Tally,
    Verdict,
    add,
    blocks,
    bounds,
    find,
    forecast,
    is_surely_allowed,
    is_too_much,
    is_worse,
    judge,
    nearest_rate,
    tally,
    units_needed,
)

RATES = st.floats(0.001, 0.999)
MARGINS = st.floats(0.001, 0.5)
SIZES = st.integers(1, 4)
quick = settings(deadline=None, max_examples=40)


def a_minute(at: int, champion: tuple[int, int] = (0, 0), challenger: tuple[int, int] = (0, 0)) -> Minute:
    return Minute(at, *(Counts(units=units, error=errors) for units, errors in (champion, challenger)))


def verdict_of(seen: list[Block], margin: float = 0.01, questions: int = 1) -> Verdict:
    return find("error", tally(seen, margin), margin, questions=questions).verdict


def chance(events: int, units: int, rate: float) -> float:
    return comb(units, events) * rate**events * (1 - rate) ** (units - events)


def expected(win: dict[tuple[int, int], float], sizes: tuple[int, int], rates: tuple[float, float]) -> float:
    """What a bet is worth on average, worked out over every outcome of one block."""
    return sum(
        chance(events, sizes[0], rates[0]) * chance(hits, sizes[1], rates[1]) * exp(won)
        for (events, hits), won in win.items()
    )


def outcomes(sizes: tuple[int, int]) -> list[tuple[int, int]]:
    return list(product(range(sizes[0] + 1), range(sizes[1] + 1)))


@quick
@given(SIZES, SIZES, RATES, RATES)
def test_a_bet_on_breach_does_not_grow_while_the_challenger_is_no_worse(
    champions: int, challengers: int, one: float, other: float
) -> None:
    rates = max(one, other), min(one, other)
    sizes = champions, challengers
    for index in range(len(Tally().breach)):
        win = {
            (a, b): add(Tally(), Block(champions, a, challengers, b), 0.01).breach[index] for a, b in outcomes(sizes)
        }
        assert expected(win, sizes, rates) <= 1 + 1e-9


@quick
@given(SIZES, SIZES, RATES, RATES, RATES, RATES, MARGINS)
def test_a_bet_on_pass_does_not_grow_while_the_challenger_is_worse_by_the_margin(
    champions: int, challengers: int, bet: float, other_bet: float, champion: float, challenger: float, margin: float
) -> None:
    assume(challenger - champion >= margin)
    sizes = champions, challengers
    win = {
        (a, b): compare._play_difference(Block(champions, a, challengers, b), margin, bet, other_bet)
        for a, b in outcomes(sizes)
    }
    assert expected(win, sizes, (champion, challenger)) <= 1 + 1e-9


@quick
@given(st.integers(1, 10_000), st.integers(1, 10_000), RATES, RATES, MARGINS)
def test_the_nearest_rate_of_the_null_is_nearest(
    champions: int, challengers: int, champion: float, challenger: float, margin: float
) -> None:
    nearest = nearest_rate(champions, challengers, champion, challenger, margin)
    if nearest is None:
        assert challenger - champion >= margin - 1e-9
        return

    def likelihood(rate: float) -> float:
        beyond = rate + margin
        return champions * (champion * log(rate) + (1 - champion) * log(1 - rate)) + challengers * (
            challenger * log(beyond) + (1 - challenger) * log(1 - beyond)
        )

    for nudge in (-1e-4, 1e-4):
        other = min(max(nearest + nudge, 1e-9), 1 - margin - 1e-9)
        assert likelihood(other) <= likelihood(nearest) + 1e-6


def draw(random: random.Random, units: int, rate: float) -> int:
    return sum(random.random() < rate for _ in range(units))


@pytest.mark.parametrize(("challenger", "error", "level"), [(0.1, Verdict.BREACH, 0.05), (0.2, Verdict.PASS, 0.02)])
def test_looking_after_every_block_does_not_fool_it(challenger: float, error: Verdict, level: float) -> None:
    chance, wrong, releases = random.Random(1), 0, 150
    for _ in range(releases):
        state = Tally()
        for step in range(40):
            units = (57, 3) if step < 20 else (30, 30)
            seen = Block(units[0], draw(chance, units[0], 0.1), units[1], draw(chance, units[1], challenger))
            state = add(state, seen, 0.1)
            if find("error", state, 0.1, questions=1).verdict is error:
                wrong += 1
                break
    assert wrong <= releases * level + 3 * sqrt(releases * level)  # three standard deviations above what is allowed


def test_a_base_rate_that_rises_with_the_weight_is_no_breach() -> None:
    """Pooled, the challenger fails on 4.7% and the champion on 2.0%; within each block they are equal."""
    seen = [Block(950, 5, 50, 0)] * 8 + [Block(500, 25, 500, 25)] * 8
    assert verdict_of(seen, margin=0.05) is Verdict.PASS


@pytest.mark.parametrize(
    ("challenger", "verdict"), [(0, Verdict.PASS), (1, Verdict.PASS), (5, Verdict.BREACH), (100, Verdict.BREACH)]
)
def test_clear_evidence_reaches_its_verdict(challenger: int, verdict: Verdict) -> None:
    assert verdict_of([Block(100, 1, 100, challenger)] * 40) is verdict


def test_a_challenger_that_always_fails_breaches_within_a_few_requests() -> None:
    assert verdict_of([Block(22, 0, 1, 1)] * 3, questions=4) is Verdict.BREACH


def test_the_level_of_breach_is_shared_over_the_questions() -> None:
    state = Tally(worst=log(1 / BREACH_LEVEL))
    assert find("error", state, 0.01, questions=1).verdict is Verdict.BREACH
    assert find("error", state, 0.01, questions=2).verdict is Verdict.NOT_ENOUGH


def test_a_breach_stays_one_and_a_pass_does_not() -> None:
    good, bad = Block(100, 1, 100, 1), Block(100, 1, 100, 20)
    assert verdict_of([bad] * 3 + [good] * 60) is Verdict.BREACH
    enough = next(n for n in range(100) if verdict_of([good] * n) is Verdict.PASS)
    assert verdict_of([good] * enough + [Block(100, 1, 100, 4)]) is Verdict.NOT_ENOUGH


COUNTS = st.one_of(st.integers(-3, 3000), st.sampled_from([nan, inf, -inf]))


@quick
@given(st.lists(st.builds(Block, COUNTS, COUNTS, COUNTS, COUNTS), max_size=5))
def test_what_cannot_be_a_count_never_passes(seen: list[Block]) -> None:
    good = [Block(1000, 1, 1000, 1)] * 20
    assert verdict_of(good) is Verdict.PASS
    if not all(block.is_sound for block in seen):
        assert verdict_of([*good, *seen]) is not Verdict.PASS
        assert verdict_of([*seen, *good]) is not Verdict.PASS


@quick
@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=8))
def test_an_empty_arm_never_passes(arms: list[tuple[int, bool]]) -> None:
    seen = [Block(units, 0, 0, 0) if is_champion else Block(0, 0, units, 0) for units, is_champion in arms]
    assert verdict_of(seen) is Verdict.NOT_ENOUGH


@quick
@given(st.lists(st.tuples(st.integers(10, 500), st.integers(10, 500)), min_size=1, max_size=6), st.data())
def test_one_more_failure_of_the_challenger_never_speaks_for_it(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    seen = [Block(a, data.draw(st.integers(0, a // 3)), b, data.draw(st.integers(0, b // 3))) for a, b in sizes]
    last = seen[-1]
    worse = Block(last.champion_units, last.champion_events, last.challenger_units, last.challenger_events + 1)
    before, after = tally(seen, 0.02), tally([*seen[:-1], worse], 0.02)
    assert after.passing <= before.passing + 1e-9
    assert all(more >= less - 1e-9 for more, less in zip(after.breach, before.breach, strict=True))


@quick
@given(st.permutations(range(6)))
def test_the_order_in_which_minutes_arrive_does_not_matter(order: list[int]) -> None:
    minutes = [a_minute(at, (50, at), (10, at % 3)) for at in range(6)]
    assert judge([minutes[at] for at in order], {"error": 0.05}) == judge(minutes, {"error": 0.05})


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
    few, many = (judge(minutes[:n], {"error": 0.02}, with_bounds=True)["error"] for n in (10, 100))
    for finding in (few, many):
        assert finding.lower is not None
        assert finding.upper is not None
        assert finding.lower <= 0 <= finding.upper
    assert many.verdict is Verdict.PASS
    assert many.upper - many.lower < few.upper - few.lower  # type: ignore[operator]  # asserted above
    assert many.upper <= 0.02  # type: ignore[operator]  # asserted above


def test_bounds_of_a_worse_and_of_a_better_challenger_leave_out_zero() -> None:
    worse = [Block(100, 2, 100, 9)] * 60
    lower, upper = bounds(worse, 0.01, questions=1)
    assert 0 < lower < 0.07 < upper
    lower, upper = bounds([block.swapped for block in worse], 0.01, questions=1)
    assert lower < -0.07 < upper < 0


def test_a_better_challenger_is_found_by_swapping_the_arms() -> None:
    seen = [Block(100, 9, 100, 2)] * 10
    assert is_worse([block.swapped for block in seen], level=PASS_LEVEL)
    assert not is_worse(seen, level=PASS_LEVEL)
    assert not is_worse([*[block.swapped for block in seen[:1]], Block(1, 2, 1, 1)], level=PASS_LEVEL)


def test_the_forecast_is_near_what_it_takes() -> None:
    seen = [Block(100, 1, 100, 1)]
    turns = next(n for n in range(1, 100) if verdict_of(seen * n) is Verdict.PASS)
    assert 0.6 < units_needed(0.01, 0.01, weight=0.5) / (turns * 200) < 1.4
    left = forecast(tally(seen * (turns // 2), 0.01), 0.01, weight=0.5, units_per_minute=20)
    assert 0.5 < left.units / (turns * 100) < 1.5
    assert isclose(left.minutes, left.units / 20)


@pytest.mark.parametrize(("weight", "per_minute"), [(0.0, 10.0), (0.5, 0.0)])
def test_without_a_challenger_or_traffic_no_end_is_in_sight(weight: float, per_minute: float) -> None:
    assert forecast(Tally(), 0.01, weight=weight, units_per_minute=per_minute).minutes == inf


@quick
@given(st.floats(0.001, 0.3), st.floats(0.001, 0.1))
def test_a_smaller_margin_or_weight_takes_longer(rate: float, margin: float) -> None:
    needed = units_needed(rate, margin, weight=0.5)
    assert units_needed(rate, margin / 2, weight=0.5) > needed
    assert units_needed(rate, margin, weight=0.05) > needed


@pytest.mark.parametrize(
    ("seen", "is_over"),
    [
        (Disagreement(), False),
        (Disagreement(400, 40), False),
        (Disagreement(400, 50), False),
        (Disagreement(400, 80), True),
        (Disagreement(400, 0, faults=80), True),
        (Disagreement(1, 1), False),
    ],
)
def test_a_shadow_disagrees_too_much_only_when_that_is_certain(seen: Disagreement, is_over: bool) -> None:
    assert is_too_much(seen, 0.1) is is_over


@pytest.mark.parametrize(
    ("seen", "is_under"),
    [
        (Disagreement(400, 0), True),
        (Disagreement(400, 20), True),
        (Disagreement(400, 40), False),
        (Disagreement(400, 0, faults=40), False),
        (Disagreement(20, 0), False),
        (Disagreement(), False),
    ],
)
def test_a_replay_is_allowed_only_when_that_is_certain(seen: Disagreement, is_under: bool) -> None:
    assert is_surely_allowed(seen, 0.1) is is_under


@pytest.mark.parametrize("of", [50, 400, 1000])
@pytest.mark.parametrize("allowed", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("tell", [is_too_much, is_surely_allowed])
def test_at_the_very_limit_of_what_is_allowed_it_is_told_wrongly_at_most_that_often(
    tell: Callable[[Disagreement, float], bool], allowed: float, of: int
) -> None:
    wrong = [events for events in range(of + 1) if tell(Disagreement(of, events), allowed)]
    assert sum(chance(events, of, allowed) for events in wrong) <= PASS_LEVEL
