"""What happened in each arm of a release, minute by minute?

The unit is the first request of an entity in the release; without an entity, each request is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from serin.monitoring.truths import Terms, Truths, find_wrong
from serin.monitoring.units import Unit, Units


class Counts(msgspec.Struct, frozen=True, array_like=True):
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


class Minute(msgspec.Struct, frozen=True, array_like=True):
    """Both arms in one minute. at: whole minutes since 1970, UTC."""

    at: int
    champion: Counts
    challenger: Counts

    @property
    def swapped(self) -> Minute:
        """The same with the arms in each other's place."""
        return Minute(self.at, self.challenger, self.champion)


def count_minutes(
    units: Units,
    truths: Truths | None = None,
    *,
    slow_after_ms: float,
    minute_seconds: float = 60.0,
    terms: Terms | None = None,
) -> tuple[Minute, ...]:
    """Count units minute by minute, in the order of time. slow_after_ms: a longer answer is slow.

    minute_seconds: how long a minute of the plan lasts. truths, terms: what turned out, and which answers are compared
    with it; none, where not given.
    """
    wrong = find_wrong(units, truths, terms) if truths and terms else {}
    arms_by_minute: defaultdict[int, dict[str, list[Unit]]] = defaultdict(lambda: {"champion": [], "challenger": []})
    for unit in units:
        arms_by_minute[int(unit.at // (1000 * minute_seconds))][unit.arm].append(unit)
    return tuple(
        Minute(at, *(_count(arms[arm], slow_after_ms, wrong) for arm in ("champion", "challenger")))
        for at, arms in sorted(arms_by_minute.items())
    )


def _count(units: Sequence[Unit], slow_after_ms: float, wrong: Mapping[str, bool]) -> Counts:
    timed = [unit for unit in units if not unit.is_cold]
    return Counts(
        units=len(units),
        timed=len(timed),
        judged=sum(unit.id in wrong for unit in units),
        error=sum(unit.is_error for unit in units),
        slow=sum(unit.ms > slow_after_ms for unit in timed),
        unsure=sum(unit.is_unsure for unit in units),
        wrong=sum(wrong.get(unit.id, False) for unit in units),
    )
