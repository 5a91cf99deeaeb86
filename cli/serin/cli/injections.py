"""What can go wrong with a release, and what must come of it? Six injections as data, and what is held against each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from serin.cli.faulty import Edit, answering_nan, mistaken, raising, slowed
from serin.registry.records import ReleaseStatus

SLOW_AFTER_MS, SLOWER_BY_MS = 25, 45  # and a challenger is not waited for beyond 250 ms

PLAN: Mapping[str, Any] = {
    "strategy": "canary",
    "steps": [0.5],
    "bake": "5m",
    "min_requests": 40,
    "margins": {"error": 0.3, "slow": 0.3, "unsure": None, "wrong": 0.3},
    "feedback_within": "2m",
    "slow_after": f"{SLOW_AFTER_MS}ms",
    "limit": "90m",
}
"""Short, and with wide margins, so that some hundred requests decide. A breach does not depend on the margins."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that goes wrong, and what must come of it.

    what: is wrong. how: by which means. ends: how the release may end. breaches: in one of these questions the
    challenger must be found worse; where there is none, in no question. answers: whether it may answer anybody. plan:
    what differs from PLAN.
    """

    what: str
    how: str
    ends: tuple[ReleaseStatus, ...] = (ReleaseStatus.ROLLED_BACK,)
    breaches: tuple[str, ...] = ()
    edit: Edit | None = None
    answers: bool = True
    has_traffic: bool = True
    drifts: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def must(self) -> str:
        ends = " or ".join(self.ends)
        return f"{ends}, found worse in {' or '.join(self.breaches)}" if self.breaches else ends


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an injection. champion: who answered before, and after. weight: the challenger's, afterwards.

    asked, failed: requests, from this release's start to the next one's; messages: what the failed said. answers: how
    many the challenger gave. breached: the questions in which it was found worse. drifted: the features of which the
    drift report says so. In seconds: trial, from the release's start to its end; safe, from the end of the minute in
    which there was evidence enough of a breach to a weight of 0, and 0 where that came before; last, from there to the
    challenger's last answer.
    """

    release: str
    version: int
    status: ReleaseStatus
    reason: str
    champion: tuple[int, int]
    weight: float = 0.0
    asked: int = 0
    failed: int = 0
    messages: Sequence[str] = ()
    answers: int = 0
    breached: Sequence[str] = ()
    drifted: Sequence[str] = ()
    trial_seconds: float = 0.0
    safe_seconds: float | None = None
    last_seconds: float | None = None


def injections(drifting: str, *, spread: float | None) -> tuple[Injection, ...]:
    """List what is injected, in this order. drifting: the feature that drifts.

    spread: the standard deviation of the values to predict; None where labels are predicted.
    """
    is_certain = "its graph is certain of the label that it finds least likely"
    is_off = f"its graph answers {3 * (spread or 0):,.4g} too much; off by more than {spread or 0:,.4g} is wrong"
    return (
        Injection(
            what="the challenger raises",
            how="its graph loads, and fails whenever it is run",
            breaches=("error",),
            edit=raising,
            answers=False,
        ),
        Injection(
            what="the challenger answers NaN",
            how="its graph multiplies each score by NaN",
            breaches=("error",),
            edit=answering_nan,
            answers=False,
        ),
        Injection(
            what="the challenger is slow",
            how=f"its graph computes {SLOWER_BY_MS} ms longer; more than {SLOW_AFTER_MS} ms is slow",
            breaches=("slow", "error"),  # on a busy machine it overruns what a challenger has at all
            edit=partial(slowed, seconds=SLOWER_BY_MS / 1000),
        ),
        Injection(
            what="the challenger is worse",
            how=is_off if spread else is_certain,
            breaches=("wrong",),
            edit=partial(mistaken, shift=3 * (spread or 0)),
        ),
        Injection(
            what="what is asked drifts",
            how=f"once the challenger, which equals the champion, answers, {drifting} is in its top tenth in all rows",
            ends=(ReleaseStatus.PROMOTED, ReleaseStatus.EXPIRED),
            drifts=True,
        ),
        Injection(
            what="nobody asks",
            how="no request is sent",
            ends=(ReleaseStatus.EXPIRED,),
            answers=False,
            has_traffic=False,
            plan={"bake": "2m", "limit": "11m"},
        ),
    )


@dataclass(frozen=True, slots=True)
class Drilled:
    """An injection, what came of it, and what of that is not as it must be."""

    injection: Injection
    outcome: Outcome
    objections: Sequence[str]

    def to_document(self) -> dict[str, Any]:
        facts = {"injected": self.injection.what, "how": self.injection.how, "must": self.injection.must}
        return {**facts, "passed": not self.objections, "objections": self.objections, **asdict(self.outcome)}


def judge(injection: Injection, outcome: Outcome, *, drifting: str) -> Drilled:
    """Say what is not as it must be; nothing where the injection ended well. drifting: the feature that drifts."""
    before, after = outcome.champion
    rightful = outcome.version if outcome.status is ReleaseStatus.PROMOTED else before
    must, worse = " or ".join(injection.breaches), ", ".join(outcome.breached)
    objections = {
        f"it ended {outcome.status}, and must end {injection.must}": outcome.status not in injection.ends,
        f"the challenger was not found worse in {must}": must and not {*injection.breaches} & {*outcome.breached},
        f"the challenger was found worse in {worse}": worse and not must,
        f"the challenger has a weight of {outcome.weight:.0%} afterwards": outcome.weight != 0,
        f"version {after} is champion afterwards, and must be {rightful}": after != rightful,
        f"{outcome.failed:,} of {outcome.asked:,} requests failed: {'; '.join(outcome.messages)}": outcome.failed,
        "nothing was asked": injection.has_traffic and not outcome.asked,
        f"{outcome.asked:,} requests were asked": outcome.asked and not injection.has_traffic,
        "the challenger answered nobody": injection.answers and not outcome.answers,
        f"the challenger answered {outcome.answers:,} requests": outcome.answers and not injection.answers,
        f"the drift report does not name {drifting}": injection.drifts and drifting not in outcome.drifted,
    }
    return Drilled(injection, outcome, [objection for objection, holds in objections.items() if holds])
