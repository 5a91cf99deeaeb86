"""How long may a challenger be asked before the next turn, and what time is it in its trial?

A lease outlives the wait for the next turn. It is checked at each request (`serving/routing/split_and_lease.py`): past
it nobody asks the challenger. No time of a trial goes by then, and `tick` ends the release. It is no lock: that two
never change one release is seen to by the revision of its row (`turn.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from serin.registry.records import Release

LEASE = timedelta(seconds=330)
"""Beyond the wait for the next turn: a workflow tries a turn three times, and each may take 90 s."""
LONGEST_WAIT_MINUTES = 5
"""Of the plan, between two turns."""


def renew_lease(release: Release, now: datetime, *, wait_seconds: float, minute_seconds: float) -> str:
    """Tell until when a release may be asked after a turn. wait_seconds: until the next one.

    A turn between those of the workflow must not end the lease before the workflow's next one. A lease that goes
    beyond what a turn may give was given by a clock that was fast.
    """
    lease, longest = (
        (now + timedelta(seconds=wait) + LEASE).isoformat()
        for wait in (wait_seconds, LONGEST_WAIT_MINUTES * minute_seconds)
    )
    return max(lease, min(release.lease_until, longest))


def step_began(release: Release) -> datetime:
    """Since when a release stands in its step; a watching one, since its promotion."""
    return datetime.fromisoformat(release.step_since or release.started_at)


def trial_time(release: Release, now: datetime) -> datetime:
    """Tell what time it is in a trial: now, but no later than the turn before gave a lease for.

    Past its lease no time of a trial goes by; and a clock that is fast by hours cannot claim them.
    """
    if release.lease_until:
        return min(now, datetime.fromisoformat(release.lease_until))
    return min(now, datetime.fromisoformat(release.started_at) + LEASE)
