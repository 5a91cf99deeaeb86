"""People are told how long a release will take, before it begins."""

from __future__ import annotations

from math import inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.release.forecast import expected_minutes, forecast_release, in_words, units_needed
from serin.release.plan import resolve_plan
from serin.release.sequential import PASS_LEVEL, Block, tally
from serin.release.verdict import ArmFinding, ArmVerdict, reach_verdict

CANARY = {"strategy": "canary"}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (CANARY, ["at least 30 min;", "20 h at 10 requests a minute", "34 min at 1,000"]),
        ({**CANARY, "shadow": "15m", "margins": {"wrong": "5%"}}, ["at least 45 min;", "25 h at 1,000"]),
        ({**CANARY, "min_requests": 50_000}, ["good: more than its limit of 7.0 days at 10", "17 h at 1,000"]),
        ({"strategy": "ab", "horizon": "3d", "margins": {"wrong": "5%"}}, ["within 3.0 days"]),
        ({"strategy": "blue_green"}, ["a release takes over at once"]),
        (
            {"strategy": "blue_green", "replay": "24h", "approval": "required", "watch": "10m"},
            ["asked in the last 24 h; then it takes over at once; a person must approve it", "watched for 10 min"],
        ),
        ({**CANARY, "replay": "7d"}, ["in the last 7.0 days; then it takes at least 30 min;"]),
    ],
)
def test_a_release_is_forecast_at_some_paces(section: dict[str, object], said: list[str]) -> None:
    told = forecast_release(resolve_plan(section, seconds_per_plan_minute=60), "requests")
    assert [part for part in said if part not in told] == [], told


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (100_000, "28 h"), (1e8, "1,157 days")],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_release_is_forecast_before_it_begins() -> None:
    plan = resolve_plan({"strategy": "canary"}, seconds_per_plan_minute=60)
    usual = expected_minutes(plan, units_per_minute=23, rates={"error": 0.01, "unsure": 0.1})
    assert 400 / (0.05 * 23) < usual < 24 * 60
    assert expected_minutes(plan, units_per_minute=230, rates={}) < usual
    assert expected_minutes(plan, units_per_minute=23, rates={"error": 0.1}) > usual
    asks = {"strategy": "canary", "margins": {"wrong": "5%"}, "feedback_within": "2h"}
    slower = resolve_plan(asks, seconds_per_plan_minute=60)
    assert expected_minutes(slower, units_per_minute=23, rates={"unsure": 0.1}) == pytest.approx(usual + 120)
    switch = resolve_plan({"strategy": "blue_green"}, seconds_per_plan_minute=60)
    assert expected_minutes(switch, units_per_minute=23, rates={}) == 0


def test_the_forecast_is_near_what_it_takes() -> None:
    def after(blocks: int) -> ArmFinding:
        return reach_verdict("error", tally([Block(100, 1, 100, 1)] * blocks, 0.01), 0.01, questions=1)

    turns = next(n for n in range(1, 100) if after(n).verdict is ArmVerdict.PASS)
    assert 0.6 < units_needed(0.01, 0.01, weight=0.5) / (turns * 200) < 1.4
    left = units_needed(0.01, 0.01, weight=0.5, from_log=after(turns // 2).passing * log(1 / PASS_LEVEL))
    assert 0.5 < left / (turns * 100) < 1.5


def test_without_a_challenger_no_end_is_in_sight() -> None:
    assert units_needed(0.01, 0.01, weight=0.0) == inf


@settings(deadline=None, max_examples=40)
@given(st.floats(0.001, 0.3), st.floats(0.001, 0.1))
def test_a_smaller_margin_or_weight_takes_longer(rate: float, margin: float) -> None:
    needed = units_needed(rate, margin, weight=0.5)
    assert units_needed(rate, margin / 2, weight=0.5) > needed
    assert units_needed(rate, margin, weight=0.05) > needed
