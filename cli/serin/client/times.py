"""Which moment does a person mean?"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from serin.client.project import AskedWrongly


def read_time(when: date | str) -> datetime:
    """Read a date, of which the beginning is meant, a time, or `now`; in UTC where no zone is named.

    Raises AskedWrongly.
    """
    if when == "now":
        return datetime.now(UTC)
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise AskedWrongly(f"{when!r} is no time; write it like 2027-01-31, 2027-01-31T12:00 or now") from None
    moment = when if isinstance(when, datetime) else datetime.combine(when, time())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
