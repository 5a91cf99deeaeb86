"""How long will a trial take: at the traffic that it has seen, and before it begins at some?

For people to read; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import inf, log

from serin.contract.keys_and_defaults import Strategy
from serin.registry.records import Release
from serin.release.evidence import StoredEvidence
from serin.release.plan import Plan, StepKind
from serin.release.renewal import step_began
from serin.release.sequential import BET_ON_EQUAL, PASS_LEVEL, nearest_rate

PACES = (10, 100, 1_000)  # units a minute
USUAL_RATE = 0.01  # of what a question asks for, where nothing is known of it


def forecast_release(plan: Plan, units: str) -> str:
    """Say how long a release will take, before it begins. units: what it counts, such as requests."""
    replay = f"first answers, out of sight, what was asked in the last {in_words(plan.replay_seconds)}; then it "
    approval, watch = "; a person must approve it", f"; it is then watched for {in_words(plan.watch_seconds)}"
    return "".join(
        (
            "a release ",
            replay if plan.replay_seconds else "",
            _trial(plan, units),
            approval if plan.needs_approval else "",
            watch if plan.watch_seconds else "",
        )
    )


def _trial(plan: Plan, units: str) -> str:
    match plan.strategy:
        case Strategy.BLUE_GREEN:
            return "takes over at once"
        case Strategy.AB:
            return f"is decided within {in_words(plan.limit_seconds)}"
        case Strategy.CANARY:
            least = in_words(sum(step.seconds for step in plan.steps))
            first, *others = (f"{_at_pace(plan, pace)} at {pace:,}" for pace in PACES)
            paces = ", ".join((f"{first} {units} a minute", *others))
            return f"takes at least {least}; if both versions are equally good: {paces}"


def _at_pace(plan: Plan, pace: int) -> str:
    seconds = expected_minutes(plan, units_per_minute=pace, rates={}) * plan.minute_seconds
    return (
        in_words(seconds) if seconds < plan.limit_seconds else f"more than its limit of {in_words(plan.limit_seconds)}"
    )


def in_words(seconds: float) -> str:
    """Write a duration as people say it."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"{seconds:.0f} s"


def expected_minutes(plan: Plan, *, units_per_minute: float, rates: Mapping[str, float]) -> float:
    """Forecast how many minutes of the plan a trial takes where the challenger is as good as the champion.

    rates: how often each question's event happens; one in a hundred where it is not stated.
    """
    total, challenger_units = 0.0, 0.0
    for step in plan.steps:
        minutes = step.seconds / plan.minute_seconds
        arriving = units_per_minute * min(step.weight, 1 - step.weight)
        if step.kind is StepKind.CANARY:
            minutes = max(minutes, (plan.min_requests - challenger_units) / arriving)
        total += minutes
        challenger_units += minutes * arriving
    if not plan.steps or plan.strategy is Strategy.AB:
        return total
    weight = plan.steps[-1].weight
    needed = max(
        units_needed(rates.get(question, USUAL_RATE), margin, weight=weight)
        for question, margin in plan.margins.items()
    )
    return total + needed / units_per_minute + plan.minutes_until_judged


def minutes_left(plan: Plan, release: Release, now: datetime) -> float:
    """Forecast how many minutes of the plan a trial goes on, if the challenger is as good as the champion.

    Infinite where there is no traffic to reckon with.
    """
    seen, steps = StoredEvidence.read(release.evidence), plan.steps
    units = seen.champion_units + seen.challenger_units
    begun = datetime.fromisoformat(release.changed_at[0] if release.changed_at else release.started_at)
    minutes = (now - begun).total_seconds() / plan.minute_seconds
    a_minute = units / minutes if minutes > 0 else 0.0
    left = -(now - step_began(release)).total_seconds() / plan.minute_seconds
    challenged = float(seen.challenger_units)
    for step in steps[release.step :]:
        arriving = a_minute * min(step.weight, 1 - step.weight)
        lasts = step.seconds / plan.minute_seconds
        if step.kind is StepKind.CANARY:
            lasts = max(lasts, (plan.min_requests - challenged) / arriving if arriving else inf)
        left += lasts
        challenged += lasts * arriving
    until_pass = _until_pass(plan, seen) / a_minute if a_minute else inf
    return max(left, 0.0, until_pass + plan.minutes_until_judged)


def _until_pass(plan: Plan, evidence: StoredEvidence) -> float:
    """Forecast how many units it takes until the last question passes, at the weight of the last step."""
    needed = 0.0
    for question, margin in plan.margins.items():
        rate, so_far = USUAL_RATE, 0.0
        if finding := evidence.questions.get(question):
            seen = finding.seen
            rate = (seen.champion_events + seen.challenger_events + 0.5) / (seen.units + 5.0)
            so_far = finding.passing * log(1 / PASS_LEVEL)
        needed = max(needed, units_needed(rate, margin, weight=plan.steps[-1].weight, from_log=so_far))
    return needed


def units_needed(rate: float, margin: float, *, weight: float, from_log: float = 0.0) -> float:
    """Forecast how many units both arms need until a question passes, if both arms have this rate.

    weight: the challenger's share of them. from_log: the logarithm at which the bet stands already.
    """
    if not 0 < weight < 1:
        return inf
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    nearest = nearest_rate(1 - weight, weight, rate, rate, margin)
    if nearest is None:
        return inf
    growth = (1 - weight) * _divergence(rate, nearest) + weight * _divergence(rate, nearest + margin)
    missing = log(1 / PASS_LEVEL) - log(BET_ON_EQUAL) - from_log
    return max(missing, 0.0) / growth if growth > 0 else inf


def _divergence(rate: float, other: float) -> float:
    """Kullback and Leibler's divergence between two rates, in nats."""
    return rate * log(rate / other) + (1 - rate) * log((1 - rate) / (1 - other))
