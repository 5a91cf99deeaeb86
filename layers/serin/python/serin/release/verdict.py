"""Is the challenger worse than the champion? One verdict on each question: breach, pass, or not enough yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import log

from serin.contract.keys_and_defaults import Strategy
from serin.monitoring.minutes import Counts, Minute
from serin.registry.records import Release
from serin.release.plan import Plan
from serin.release.renewal import step_began
from serin.release.sequential import (
    BREACH_LEVEL,
    NOTHING,
    PASS_LEVEL,
    Block,
    Tally,
    bounds,
    is_worse,
    tally,
)

_BASE: Mapping[str, str] = {"error": "units", "slow": "timed", "unsure": "units", "wrong": "judged"}


class ArmVerdict(StrEnum):
    BREACH = "breach"
    PASS = "pass"
    NOT_ENOUGH = "not enough"


@dataclass(frozen=True, slots=True)
class ArmFinding:
    """The answer to one question, with what it rests on.

    breach, passing: how far each bet has come, 1 being enough. lower, upper: bounds of the difference between the
    challenger's rate and the champion's, where they were asked for.
    """

    question: str
    verdict: ArmVerdict
    margin: float
    seen: Block
    breach: float
    passing: float
    lower: float | None = None
    upper: float | None = None

    @property
    def sentence(self) -> str:
        """Say it in words."""
        seen = self.seen
        bounds = (
            "" if self.lower is None or self.upper is None else f", difference {self.lower:+.2%} to {self.upper:+.2%}"
        )
        return (
            f"{self.question}: {self.verdict}; challenger {seen.challenger_events} of {seen.challenger_units}, "
            f"champion {seen.champion_events} of {seen.champion_units}{bounds} (margin {self.margin:.2%})"
        )


@dataclass(frozen=True, slots=True)
class Arms:
    """What the arms showed. units: in either arm since the trial began; step_units: in both since the step began.

    is_better: whether the challenger of an ab release is certainly better in its question.
    """

    findings: Mapping[str, ArmFinding] = field(default_factory=dict)
    champion_units: int = 0
    challenger_units: int = 0
    step_units: int = 0
    is_better: bool = False

    def with_verdict(self, verdict: ArmVerdict) -> list[ArmFinding]:
        return [finding for finding in self.findings.values() if finding.verdict is verdict]


def compare_arms(plan: Plan, release: Release, minutes: Iterable[Minute], *, with_bounds: bool = False) -> Arms:
    """Judge the minutes of a release, all of them anew.

    minutes: complete ones, each as long as the plan's. In each, `challenger` is the release's version and `champion`
    the version that it is to replace: while a promoted version is watched too, when the route names them the other
    way round. with_bounds: work out the bounds too, for people.
    """
    known = sorted(minutes, key=lambda minute: minute.at)
    changes = plan.minutes_of(release.changed_at)
    began = plan.minute_of(step_began(release))
    return Arms(
        findings=judge_arms(known, plan.margins, changes=changes, with_bounds=with_bounds),
        champion_units=sum(minute.champion.units for minute in known),
        challenger_units=sum(minute.challenger.units for minute in known),
        step_units=sum(minute.champion.units + minute.challenger.units for minute in known if minute.at >= began),
        is_better=plan.strategy is Strategy.AB
        and is_worse([block.swapped for block in blocks(known, plan.question, changes=changes)], level=PASS_LEVEL),
    )


def judge_arms(
    minutes: Iterable[Minute],
    margins: Mapping[str, float],
    *,
    changes: Collection[int] = (),
    with_bounds: bool = False,
) -> dict[str, ArmFinding]:
    """Answer every question that has a margin.

    minutes: complete ones only, in any order. changes: the minutes in which the weight or the salt changed.
    with_bounds: work out the bounds too, for people; decisions do not need them.
    """
    in_order = sorted(minutes, key=lambda minute: minute.at)
    findings = {}
    for question, margin in margins.items():
        seen = list(blocks(in_order, question, changes=changes))
        finding = reach_verdict(question, tally(seen, margin), margin, questions=len(margins))
        if with_bounds:
            lower, upper = bounds(seen, margin, questions=len(margins))
            # Both bets are valid; where the other one is further, its bound holds.
            lower = max(lower, 0.0) if finding.verdict is ArmVerdict.BREACH else lower
            upper = min(upper, margin) if finding.verdict is ArmVerdict.PASS else upper
            finding = replace(finding, lower=lower, upper=upper)
        findings[question] = finding
    return findings


def reach_verdict(question: str, tally: Tally, margin: float, *, questions: int) -> ArmFinding:
    """Reach a verdict. questions: how many share the level of breach."""
    breach = tally.worst / log(questions / BREACH_LEVEL)
    passing = tally.passing / log(1 / PASS_LEVEL)
    if breach >= 1:
        verdict = ArmVerdict.BREACH
    elif tally.is_sound and tally.seen.has_both and passing >= 1:
        verdict = ArmVerdict.PASS
    else:
        verdict = ArmVerdict.NOT_ENOUGH
    return ArmFinding(question, verdict, margin, tally.seen, breach, passing)


def not_known(question: str, margin: float) -> ArmFinding:
    """Answer a question of which nothing was counted."""
    return ArmFinding(question, ArmVerdict.NOT_ENOUGH, margin, NOTHING, breach=0.0, passing=0.0)


def blocks(minutes: Iterable[Minute], question: str, *, changes: Collection[int] = ()) -> Iterator[Block]:
    """Cut the time of a release into blocks that hold both arms.

    Where traffic is thin, minutes are joined until both arms were seen, but never with or across one in which the
    weight changed: arms of different weights are not to be pooled. What never met the other arm is left out.
    """
    waiting = NOTHING
    for minute in minutes:
        is_change = minute.at in changes
        block = _block(minute, question)
        if not is_change:
            block = waiting + block
        if block.has_both or not block.is_sound:
            yield block
            waiting = NOTHING
        else:
            waiting = NOTHING if is_change else block


def _block(minute: Minute, question: str) -> Block:
    base = _BASE[question]

    def of(arm: Counts) -> tuple[int, int]:
        return getattr(arm, base), getattr(arm, question)

    return Block(*of(minute.champion), *of(minute.challenger))
