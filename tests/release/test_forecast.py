"""People are told how long a release will take, before it begins."""

from __future__ import annotations

import pytest

from serin.release.forecast import forecast_release, in_words
from serin.release.plan import resolve_plan

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
def test_a_release_is_foretold_at_some_paces(section: dict[str, object], said: list[str]) -> None:
    told = forecast_release(resolve_plan(section, seconds_per_plan_minute=60), "requests")
    assert [part for part in said if part not in told] == [], told


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (100_000, "28 h"), (1e8, "1,157 days")],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
