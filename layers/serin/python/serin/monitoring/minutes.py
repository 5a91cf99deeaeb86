"""What happened in each arm of a release, minute by minute?

The unit is the first request of an entity in the release; without an entity, each request is one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Units of one arm, and on how many of them each thing happened.

    timed: units whose time counts, neither a cold start nor a load; only these can be slow.
    judged: units whose truth is known, at the same age in both arms; only these can be wrong.
    """

    units: int = 0
    timed: int = 0
    judged: int = 0
    error: int = 0
    slow: int = 0
    unsure: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Minute:
    """Both arms in one minute. at: whole minutes since 1970, UTC."""

    at: int
    champion: Counts
    challenger: Counts
