"""A date is read as its beginning, in UTC; what is no time is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from serin.client.project import AskedWrongly
from serin.client.times import read_time


@pytest.mark.parametrize(
    ("when", "means"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        (date(2027, 1, 31), datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        (datetime(2027, 1, 31, 12, tzinfo=UTC), datetime(2027, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_utc(when: date | str, means: datetime) -> None:
    assert read_time(when) == means


def test_now_is_now() -> None:
    assert datetime.now(UTC) - read_time("now") < timedelta(seconds=5)


def test_what_is_no_time_is_told() -> None:
    with pytest.raises(AskedWrongly, match="'soon' is no time; write it like 2027-01-31"):
        read_time("soon")
