"""A plan says what the contract says, in the time of the environment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serin.release.plan import Step, StepKind, resolve_plan
from tests.builders import a_contract

SAID = {"strategy": "canary", "shadow": "15m", "steps": ["5%", "50%"], "bake": "10m", "watch": "1h", "limit": "2d"}


@pytest.mark.parametrize("seconds", [60, 1])
def test_durations_are_scaled_once(seconds: float) -> None:
    plan = resolve_plan(SAID, seconds_per_plan_minute=seconds)
    assert plan.steps == (
        Step(StepKind.SHADOW, 0.0, 15 * seconds),
        Step(StepKind.CANARY, 0.05, 10 * seconds),
        Step(StepKind.CANARY, 0.5, 10 * seconds),
    )
    assert (plan.watch_seconds, plan.limit_seconds) == (60 * seconds, 2 * 24 * 60 * seconds)
    assert plan.minute_of(datetime(1970, 1, 1, 1, tzinfo=UTC)) == 3600 // seconds
    assert plan.minutes_of(["1970-01-01T00:02:01+00:00"]) == {121 // seconds}


def test_the_section_of_a_stored_contract_gives_the_same_plan() -> None:
    contract = a_contract(release={**SAID, "margins": {"wrong": "2%"}, "slow_after": "2s"})
    stored = contract.model_dump(mode="json")["release"]
    plan = resolve_plan(stored, seconds_per_plan_minute=60)
    assert plan == resolve_plan({**SAID, "margins": {"wrong": "2%"}, "slow_after": "2s"}, seconds_per_plan_minute=60)
    assert (plan.margins, plan.slow_after_ms) == ({"error": 0.01, "slow": 0.02, "unsure": 0.05, "wrong": 0.02}, 2000)


def test_a_contract_from_before_the_canary_takes_over_at_once() -> None:
    plan = resolve_plan({"strategy": "blue_green"}, seconds_per_plan_minute=60)
    assert (plan.steps, plan.watch_seconds, plan.needs_approval) == ((), 0.0, False)


def test_an_ab_release_has_one_step_as_long_as_its_horizon() -> None:
    said = {"strategy": "ab", "split": "30%", "horizon": "7d", "margins": {"wrong": "2%"}}
    plan = resolve_plan(said, seconds_per_plan_minute=60)
    assert plan.steps == (Step(StepKind.SPLIT, 0.3, 7 * 86_400),)
    assert plan.limit_seconds == 7 * 86_400
