"""Which summaries of capture files speak of a stretch of time?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from serin.errors import NotFound, Unverified
from serin.monitoring.summary import MS_PER_MINUTE, Summary
from serin.registry.keys import summaries_prefix
from serin.registry.ports import Objects

LATEST_ARRIVAL = timedelta(hours=2)  # after what they hold: captures wait for each other before they are written


def read_summaries(data: Objects, *, since: datetime, until: datetime) -> Iterator[Summary]:
    """Read the summaries of the capture files that hold any request from `since` on, up to `until`.

    A file is taken whole: at its edges a window is as exact as files are short. A summary that is gone or broken is
    left out.
    """
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour <= until + LATEST_ARRIVAL:
        for stored in data.list(summaries_prefix(hour)):
            try:
                summary = Summary.from_json(data.get(stored.key))
            except (NotFound, Unverified):
                continue
            if speaks_of(summary, since=since, until=until):
                yield summary
        hour += timedelta(hours=1)


def speaks_of(summary: Summary, *, since: datetime, until: datetime) -> bool:
    """Tell whether a capture file held any request from `since` on, up to `until`."""
    first, last = since.timestamp() * 1000 // MS_PER_MINUTE, until.timestamp() * 1000 // MS_PER_MINUTE
    return any(first <= key.minute <= last for key in summary.traffic)
