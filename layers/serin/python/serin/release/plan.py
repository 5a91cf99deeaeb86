"""What will a release do, in which order and for how long? The contract's section, with durations in real seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from serin.contract.durations import scale_duration
from serin.contract.keys_and_defaults import NoTraffic, Question, Strategy
from serin.contract.keys_and_defaults import Release as ReleaseSection

HOLDBACK = 0.1
"""The share of entities that stays with the previous champion while a promoted version is watched."""


ARRIVAL_SECONDS = 125.0
"""How long captures take from the endpoint into a summary, where an environment does not say."""


class StepKind(StrEnum):
    SHADOW = "shadow"
    CANARY = "canary"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of a trial: the challenger's weight, and how long it lasts at least."""

    kind: StepKind
    weight: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A release's plan. steps: what comes before the promotion; none where a version takes over at once.

    minute_seconds: how long a minute of the plan really takes; evidence is counted in minutes of that length.
    replay_seconds: how far back captures are replayed before it begins; 0 where none are. watch_seconds: how long it
    watches after the promotion; 0 where it does not. question: in what the challenger of an ab release must be better.
    feedback_seconds: how long feedback on a prediction may take to count. tolerance: how far from the truth a value may
    be; None where that is not said. arrival_seconds: how long captures take from the endpoint into a summary.
    """

    strategy: Strategy
    steps: tuple[Step, ...]
    margins: Mapping[str, float]
    min_requests: int
    replay_seconds: float
    disagreement: float
    slow_after_ms: int
    on_no_traffic: NoTraffic
    needs_approval: bool
    watch_seconds: float
    limit_seconds: float
    minute_seconds: float
    question: Question
    feedback_seconds: float = 0.0
    tolerance: float | None = None
    arrival_seconds: float = ARRIVAL_SECONDS

    @property
    def minutes_until_judged(self) -> float:
        """How many minutes of the plan an answer waits until it counts in all questions."""
        return self.feedback_seconds / self.minute_seconds if Question.WRONG in self.margins else 0.0

    def minute_of(self, at: datetime) -> int:
        """Number the minute of the plan that a time falls in, as `Minute.at` does."""
        return int(at.timestamp() // self.minute_seconds)

    def minutes_of(self, times: Iterable[str]) -> frozenset[int]:
        """Number the minutes of times in ISO form, such as a release's `changed_at`."""
        return frozenset(self.minute_of(datetime.fromisoformat(at)) for at in times)


def resolve_plan(
    section: Mapping[str, Any], *, seconds_per_plan_minute: float, arrival_seconds: float = ARRIVAL_SECONDS
) -> Plan:
    """Make a plan of a contract's `release` section, with its durations as they last here."""
    release = ReleaseSection.model_validate(section)

    def seconds(duration: timedelta | None) -> float:
        if duration is None:
            return 0.0
        return scale_duration(duration, seconds_per_minute=seconds_per_plan_minute).total_seconds()

    match release.strategy:
        case Strategy.CANARY:
            shadow = [Step(StepKind.SHADOW, 0.0, seconds(release.shadow))] if release.shadow else []
            steps = (*shadow, *(Step(StepKind.CANARY, share, seconds(release.bake)) for share in release.steps))
        case Strategy.AB:
            steps = (Step(StepKind.SPLIT, release.split, seconds(release.horizon)),)
        case Strategy.BLUE_GREEN:
            steps = ()
    margins = {question: margin for question, margin in release.margins if margin}
    return Plan(
        strategy=release.strategy,
        steps=steps,
        margins=margins,
        min_requests=release.min_requests,
        replay_seconds=seconds(release.replay),
        disagreement=release.disagreement,
        slow_after_ms=release.slow_after,
        on_no_traffic=release.on_no_traffic,
        needs_approval=release.approval == "required",
        watch_seconds=seconds(release.watch),
        limit_seconds=seconds(release.horizon if release.strategy is Strategy.AB else release.limit),
        minute_seconds=seconds_per_plan_minute,
        question=release.question,
        feedback_seconds=seconds(release.feedback_within),
        tolerance=release.tolerance,
        arrival_seconds=arrival_seconds,
    )
