"""A challenger passes or breaches only on evidence, however often one looks."""

from __future__ import annotations

import random
from itertools import product
from math import comb, exp, inf, log, nan, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serin.release import sequential
from serin.release.sequential import PASS_LEVEL, Block, Tally, add, bounds, is_worse, nearest_rate, tally
from serin.release.verdict import ArmVerdict, reach_verdict

RATES = st.floats(0.001, 0.999)
MARGINS = st.floats(0.001, 0.5)
SIZES = st.integers(1, 4)
quick = settings(deadline=None, max_examples=40)


def verdict_of(seen: list[Block], margin: float = 0.01, questions: int = 1) -> ArmVerdict:
    return reach_verdict("error", tally(seen, margin), margin, questions=questions).verdict


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
    assume(champion + margin <= 1)
    challenger = max(challenger, champion + margin)
    sizes = champions, challengers
    win = {
        (a, b): sequential._play_difference(Block(champions, a, challengers, b), margin, bet, other_bet)
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


@pytest.mark.parametrize(
    ("challenger", "error", "level"), [(0.1, ArmVerdict.BREACH, 0.05), (0.2, ArmVerdict.PASS, 0.02)]
)
def test_looking_after_every_block_does_not_fool_it(challenger: float, error: ArmVerdict, level: float) -> None:
    chance, wrong, releases = random.Random(1), 0, 150
    for _ in range(releases):
        state = Tally()
        for step in range(40):
            units = (57, 3) if step < 20 else (30, 30)
            seen = Block(units[0], draw(chance, units[0], 0.1), units[1], draw(chance, units[1], challenger))
            state = add(state, seen, 0.1)
            if reach_verdict("error", state, 0.1, questions=1).verdict is error:
                wrong += 1
                break
    assert wrong <= releases * level + 3 * sqrt(releases * level)  # three standard deviations above what is allowed


def test_a_base_rate_that_rises_with_the_weight_is_no_breach() -> None:
    """Pooled, the challenger fails on 4.7% and the champion on 2.0%; within each block they are equal."""
    seen = [Block(950, 5, 50, 0)] * 8 + [Block(500, 25, 500, 25)] * 8
    assert verdict_of(seen, margin=0.05) is ArmVerdict.PASS


@pytest.mark.parametrize(
    ("challenger", "verdict"),
    [(0, ArmVerdict.PASS), (1, ArmVerdict.PASS), (5, ArmVerdict.BREACH), (100, ArmVerdict.BREACH)],
)
def test_clear_evidence_reaches_its_verdict(challenger: int, verdict: ArmVerdict) -> None:
    assert verdict_of([Block(100, 1, 100, challenger)] * 40) is verdict


def test_a_challenger_that_always_fails_breaches_within_a_few_requests() -> None:
    assert verdict_of([Block(22, 0, 1, 1)] * 3, questions=4) is ArmVerdict.BREACH


def test_a_breach_stays_one_and_a_pass_does_not() -> None:
    good, bad = Block(100, 1, 100, 1), Block(100, 1, 100, 20)
    assert verdict_of([bad] * 3 + [good] * 60) is ArmVerdict.BREACH
    enough = next(n for n in range(100) if verdict_of([good] * n) is ArmVerdict.PASS)
    assert verdict_of([good] * enough + [Block(100, 1, 100, 4)]) is ArmVerdict.NOT_ENOUGH


COUNTS = st.one_of(st.integers(-3, 3000), st.sampled_from([nan, inf, -inf]))


@quick
@given(st.lists(st.builds(Block, COUNTS, COUNTS, COUNTS, COUNTS), max_size=5))
def test_what_cannot_be_a_count_never_passes(seen: list[Block]) -> None:
    good = [Block(1000, 1, 1000, 1)] * 20
    assert verdict_of(good) is ArmVerdict.PASS
    if not all(block.is_sound for block in seen):
        assert verdict_of([*good, *seen]) is not ArmVerdict.PASS
        assert verdict_of([*seen, *good]) is not ArmVerdict.PASS


@quick
@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=8))
def test_an_empty_arm_never_passes(arms: list[tuple[int, bool]]) -> None:
    seen = [Block(units, 0, 0, 0) if is_champion else Block(0, 0, units, 0) for units, is_champion in arms]
    assert verdict_of(seen) is ArmVerdict.NOT_ENOUGH


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
