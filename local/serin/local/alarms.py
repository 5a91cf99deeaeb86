"""When does an alarm ring, and who hears of it? The event bus, and the alarm's actions.

An alarm is looked at as soon as something may have been counted; AWS looks once a minute. Its periods are of the twin's
clock. What functions count themselves is there, how often they failed, and what Firehose delivers; AWS's metrics of
queues and state machines are not, so that alarms on those stay silent here.
"""

import json
import logging
import operator
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from statistics import fmean
from typing import Any

from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.events.models import events_backends

from serin.local.errors import UnsupportedResource
from serin.local.schedules import Clock
from serin.local.targets import Targets

_LOOK_SECONDS = 0.1
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": fmean,
    "SampleCount": len,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_WITHOUT_DATA = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}

_LOG = logging.getLogger(__name__)


def check_alarm(properties: Mapping[str, Any]) -> None:
    """Raise UnsupportedResource where an alarm asks for what is not evaluated here."""
    known = properties.get("Statistic") in _STATISTICS and properties.get("ComparisonOperator") in _COMPARISONS
    if not known or "Threshold" not in properties:
        raise UnsupportedResource(
            f"alarm {properties.get('AlarmName')}: the twin compares {', '.join(_STATISTICS)} of one metric "
            "with a threshold"
        )


def state_of(alarm: Alarm, periods: Sequence[Sequence[float]]) -> str:
    """Say what state an alarm is in. periods: what its metric counted in each of its periods."""
    compare, statistic = _COMPARISONS[alarm.comparison_operator], _STATISTICS[alarm.statistic]
    missing = alarm.treat_missing_data or "missing"
    without = alarm.state_value if missing == "ignore" else _WITHOUT_DATA[missing]
    states = [
        ("ALARM" if compare(statistic(values), alarm.threshold) else "OK") if values else without for values in periods
    ]
    if states.count("ALARM") >= (alarm.datapoints_to_alarm or alarm.evaluation_periods):
        return "ALARM"
    return "INSUFFICIENT_DATA" if set(states) == {"INSUFFICIENT_DATA"} else "OK"


class Alarms:
    """Looks at every alarm, and tells of each change of state."""

    def __init__(self, *, clock: Clock, targets: Targets, account: str, region: str) -> None:
        self._clock = clock
        self._targets = targets
        self._account = account
        self._region = region
        self._metrics = cloudwatch_backends[account][region]
        self._events = events_backends[account][region]
        self._looking = threading.Lock()
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="alarms", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._is_stopping.set()

    def look(self) -> None:
        """Look at all alarms once, and send what their changes lead to on its way."""
        with self._looking:
            alarms = [alarm for alarm in list(self._metrics.alarms.values()) if alarm.statistic in _STATISTICS]
            now = datetime.now(UTC).replace(tzinfo=None)
            longest = max((self._period(alarm) * alarm.evaluation_periods for alarm in alarms), default=timedelta())
            counted: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
            for datum in takewhile(lambda datum: datum.timestamp >= now - longest, reversed(self._metrics.metric_data)):
                counted[datum.namespace, datum.name].append(datum)
            for alarm in alarms:
                self._look_at(alarm, counted[alarm.namespace, alarm.metric_name], now)

    def _run(self) -> None:
        while not self._is_stopping.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                _LOG.exception("the alarms could not be looked at")

    def _look_at(self, alarm: Alarm, counted: Sequence[Any], now: datetime) -> None:
        periods: list[list[float]] = [[] for _ in range(alarm.evaluation_periods)]
        for datum in counted:
            age = max(int((now - datum.timestamp) / self._period(alarm)), 0)
            if age < len(periods) and _dimensions(datum) == _dimensions(alarm):
                periods[age].append(datum.value)
        state = state_of(alarm, periods)
        if state != alarm.state_value:
            self._change(alarm, state, reason=f"its last periods, the newest first, counted {periods}")

    def _period(self, alarm: Alarm) -> timedelta:
        return timedelta(seconds=self._clock.real_seconds(alarm.period))

    def _change(self, alarm: Alarm, state: str, *, reason: str) -> None:
        before = alarm.state_value
        alarm.update_state(reason, "{}", state)
        detail = {
            "alarmName": alarm.name,
            "state": {"value": state, "reason": reason},
            "previousState": {"value": before},
            "configuration": {"description": alarm.description},
        }
        changed = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change"}
        self._events.put_events([{**changed, "Detail": json.dumps(detail), "Resources": [alarm.alarm_arn]}])
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(state, alarm.insufficient_data_actions)
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": self._account,
            "Region": self._region,
            "OldStateValue": before,
            "NewStateValue": state,
            "NewStateReason": reason,
        }
        for action in actions if alarm.actions_enabled else ():
            self._targets.send(action, json.dumps(message).encode())


def _dimensions(named: Any) -> set[tuple[str, str]]:
    return {(dimension.name, dimension.value) for dimension in named.dimensions}
