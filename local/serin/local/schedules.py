"""When does a scheduled rule fire?

By the twin's clock, which runs `rate` times as fast as the real one. Schedules, alarms and Firehose read it, and nobody
else.
"""

import calendar
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.events.models import events_backends

from serin.local.errors import UnsupportedResource
from serin.local.targets import Targets

_LOOK_SECONDS = 0.1
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_MONTHS = {name.upper(): n for n, name in enumerate(calendar.month_abbr[1:], 1)}
_DAYS = {name: n for n, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}

_LOG = logging.getLogger(__name__)


class Clock:
    """A clock that started at the real time and runs at a rate of its own."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._real_start = time.time()

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        elapsed = (time.time() - self._real_start) * self._rate
        return datetime.fromtimestamp(self._real_start + elapsed, UTC)

    def real_seconds(self, seconds: float) -> float:
        """Say how long `seconds` of this clock take."""
        return seconds / self._rate


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate(5 minutes)`."""

    period: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Say when it is due next."""
        return moment + self.period


@dataclass(frozen=True, slots=True)
class Cron:
    """`cron(0 8 ? * MON-FRI *)`: the values allowed in each field, None for any."""

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None
    years: frozenset[int] | None

    def next_after(self, moment: datetime) -> datetime:
        """Say when it is due next; a year from now where it is never due."""
        due = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        horizon = moment + timedelta(days=366)
        while due < horizon and not self._is_due(due):
            is_day = self._is_due(due, day_only=True)
            due = due + timedelta(minutes=1) if is_day else due.replace(hour=0, minute=0) + timedelta(days=1)
        return due

    def _is_due(self, moment: datetime, *, day_only: bool = False) -> bool:
        day = [
            (self.days, moment.day),
            (self.months, moment.month),
            (self.weekdays, moment.isoweekday() % 7 + 1),
            (self.years, moment.year),
        ]
        minute = [] if day_only else [(self.minutes, moment.minute), (self.hours, moment.hour)]
        return all(allowed is None or value in allowed for allowed, value in day + minute)


def parse_schedule(expression: str) -> Rate | Cron:
    """Read a schedule expression of EventBridge. Raises UnsupportedResource where it is none."""
    rate = re.fullmatch(r"rate\((\d+) (second|minute|hour|day)s?\)", expression.strip())
    if rate:
        return Rate(timedelta(seconds=int(rate[1]) * _UNIT_SECONDS[rate[2]]))
    cron = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression.strip())
    if not cron:
        raise UnsupportedResource(f"the twin reads rate(…) and cron(…), not {expression!r}")
    try:
        return Cron(
            minutes=_field(cron[1], 0, 59, {}),
            hours=_field(cron[2], 0, 23, {}),
            days=_field(cron[3], 1, 31, {}),
            months=_field(cron[4], 1, 12, _MONTHS),
            weekdays=_field(cron[5], 1, 7, _DAYS),
            years=_field(cron[6], 1970, 2199, {}),
        )
    except ValueError as error:
        raise UnsupportedResource(f"the twin cannot read {expression!r}: {error}") from error


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int] | None:
    if text in ("*", "?"):
        return None
    allowed: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else names.get(first.upper()) or int(first)
        end = (names.get(last.upper()) or int(last)) if last else (high if first == "*" or step else start)
        allowed.update(range(start, end + 1, int(step or 1)))
    return frozenset(allowed)


@dataclass(frozen=True, slots=True)
class _Due:
    """One thing that fires by a schedule: what it is, when, and what it sends where."""

    arn: str
    expression: str
    targets: tuple[tuple[str, bytes | None], ...]


class Schedules:
    """Fires the scheduled rules of EventBridge."""

    def __init__(self, *, clock: Clock, targets: Targets, account: str, region: str) -> None:
        self._clock = clock
        self._targets = targets
        self._account = account
        self._region = region
        self._next: dict[tuple[str, str], datetime] = {}
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to watch the clock."""
        self._fire_what_is_due()
        threading.Thread(target=self._run, name="schedules", daemon=True).start()

    def stop(self) -> None:
        """Fire no more."""
        self._is_stopping.set()

    def _run(self) -> None:
        while not self._is_stopping.wait(_LOOK_SECONDS):
            self._fire_what_is_due()

    def _fire_what_is_due(self) -> None:
        now = self._clock.now()
        for due in self._rules():
            key = (due.arn, due.expression)
            try:
                schedule = parse_schedule(due.expression)
                if now >= self._next.setdefault(key, schedule.next_after(now)):
                    self._next[key] = schedule.next_after(now)
                    self._fire(due)
            except Exception:
                _LOG.exception("%s could not fire", due.arn)

    def _fire(self, due: _Due) -> None:
        for arn, event in due.targets:
            self._targets.send(arn, self._scheduled_event(due.arn) if event is None else event)

    def _rules(self) -> Iterator[_Due]:
        for bus in list(events_backends[self._account][self._region].event_buses.values()):
            for rule in list(bus.rules.values()):
                if rule.scheduled_expression and rule.state == "ENABLED":
                    targets = tuple((target["Arn"], _input(target)) for target in rule.targets)
                    yield _Due(rule.arn, rule.scheduled_expression, targets)

    def _scheduled_event(self, rule_arn: str) -> bytes:
        event: dict[str, Any] = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._account,
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": self._region,
            "resources": [rule_arn],
            "detail": {},
        }
        return json.dumps(event).encode()


def _input(target: dict[str, Any]) -> bytes | None:
    return target["Input"].encode() if target.get("Input") else None
