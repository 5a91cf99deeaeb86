"""How is a duration written in a contract, and how long does it last where minutes are shorter?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from serin.contract.durations import SECONDS_PER_MINUTE, Duration, in_hours, scale_duration

ADAPTER: TypeAdapter[timedelta] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("15m", 900), ("6 h", 21_600), ("7d", 604_800), (" 1m ", 60)]
)
def test_a_duration_is_written_with_its_unit(text: str, seconds: int) -> None:
    assert ADAPTER.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["15", "0m", "1.5h", "-1h", "1w", "9999999999d", 15, None])
def test_what_has_no_unit_or_lasts_no_time_is_no_duration(text: object) -> None:
    with pytest.raises(ValidationError, match="write a duration like 15m"):
        ADAPTER.validate_python(text)


def test_a_minute_of_a_contract_lasts_as_long_as_an_environment_says() -> None:
    hour = timedelta(hours=1)
    assert scale_duration(hour, seconds_per_minute=SECONDS_PER_MINUTE) == hour
    assert scale_duration(hour, seconds_per_minute=1) == timedelta(minutes=1)
    assert scale_duration(timedelta(minutes=10), seconds_per_minute=0.5) == timedelta(seconds=5)


def test_a_duration_is_told_in_hours() -> None:
    assert (in_hours(timedelta(minutes=90)), in_hours(timedelta(days=7))) == ("1.5 h", "168 h")
