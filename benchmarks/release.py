"""How often does a release err, and how much traffic does it need? Simulated with the code that decides real ones.

Run it with `make bench-release`. It writes build/bench/release.json, and exits with 1 where a promise is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import numpy as np

from benchmarks.report import Figure, keep
from serin.registry.records import Release, ReleaseStatus, VersionStatus
from serin.release.evidence import Evidence
from serin.release.next_step import Move, next_move
from serin.release.plan import HOLDBACK, Plan, resolve_plan
from serin.release.renewal import step_began
from serin.release.sequential import BREACH_LEVEL, NOTHING, PASS_LEVEL, Block, Tally, add, nearest_rate
from serin.release.verdict import Arms, ArmVerdict, reach_verdict

RELEASES = 2_000
UNITS_PER_MINUTE = 23.0  # one million predictions a month
POWER = 0.9
START = datetime(2026, 1, 1, tzinfo=UTC)

Rates = Callable[[float], tuple[float, float]]
"""From hours since the start to the rates of champion and challenger."""


@dataclass(frozen=True)
class Setting:
    """One kind of release. error: the move that would be wrong. fixed_units: what a test with a fixed end needs.

    growing_turns: in how many turns a stretch of time is seen growing; only in the last of them it is complete.
    """

    name: str
    rates: Rates
    margin: float = 0.01
    error: Move = Move.PROMOTE
    questions: int = 1
    limit_hours: float = 168.0
    turn_minutes: int = 10
    fixed_units: float = 0.0
    entities: int = 0
    is_half: bool = False
    watch_hours: int = 0
    growing_turns: int = 1


@dataclass(frozen=True)
class Outcome:
    """How the releases of a setting ended. units and hours are those of all releases that came to a decision."""

    promoted: float
    rolled_back: float
    expired: float
    units: tuple[float, float]
    hours: tuple[float, float]


def steady(champion: float, challenger: float) -> Rates:
    return lambda _hours: (champion, challenger)


def sixfold(start: float, worse_by: float) -> Rates:
    """The base rate rises sixfold over six hours, which is while the weight rises."""

    def rates(hours: float) -> tuple[float, float]:
        base = start * (1 + 5 * min(hours / 6, 1.0))
        return base, base + worse_by

    return rates


def settings() -> list[Setting]:
    """Whole canaries at each base rate, then the test alone, half and half; then what fools a naive test."""
    chosen = []
    for base in (0.001, 0.003, 0.01, 0.03, 0.1):
        margin, minutes = (0.01, 10) if base < 0.03 else (0.02, 20)
        equal = Setting(f"{base:.1%}, equal", steady(base, base), margin, Move.ROLL_BACK, turn_minutes=minutes)
        worse = Setting(
            f"{base:.1%}, worse by the margin", steady(base, base + margin), margin, Move.PROMOTE, turn_minutes=minutes
        )
        chosen += [equal, worse, half(equal, fixed=fixed_for_pass(base, margin), turn_minutes=5)]
        for effect in (margin * 2, margin * 5):
            rates, name = steady(base, base + effect), f"{base:.1%}, worse by {effect:.0%}"
            fixed = fixed_for_breach(base, base + effect)
            chosen.append(half(Setting(name, rates, margin, Move.PROMOTE), fixed=fixed, turn_minutes=1))
    few = {"margin": 0.05, "limit_hours": 48.0, "entities": 2_000}
    return [
        *chosen,
        Setting("1%, equal, four questions", steady(0.01, 0.01), error=Move.ROLL_BACK, questions=4),
        Setting("1%, equal, watched for a day", steady(0.01, 0.01), error=Move.ROLL_BACK, watch_hours=24),
        Setting("0.5% to 3%, equal", sixfold(0.005, 0.0), error=Move.ROLL_BACK),
        Setting("0.5% to 3%, worse by the margin", sixfold(0.005, 0.01), error=Move.PROMOTE),
        # Each entity counts once: when all were seen, nothing is left to learn, and what is undecided expires.
        Setting("2,000 entities, equal", steady(0, 0), error=Move.ROLL_BACK, **few),
        Setting("2,000 entities, worse by the margin", steady(0, 0.05), error=Move.PROMOTE, **few),
        half(Setting("2,000 entities, equal", steady(0, 0), error=Move.ROLL_BACK, **few)),
        half(Setting("2,000 entities, worse by the margin", steady(0, 0.05), error=Move.PROMOTE, **few)),
        Setting(
            "1%, equal, seen while it grows", steady(0.01, 0.01), error=Move.ROLL_BACK, turn_minutes=2, growing_turns=10
        ),
    ]


def half(setting: Setting, *, fixed: float = 0.0, turn_minutes: int = 10) -> Setting:
    """The test alone: half of the traffic each from the start, and no least number of requests."""
    name = f"{setting.name} (half and half)"
    return replace(setting, name=name, is_half=True, fixed_units=fixed, turn_minutes=turn_minutes)


def fixed_for_pass(base: float, margin: float) -> float:
    """Units in both arms that a test of two proportions with a fixed end needs to show the margin at equal rates.

    Source: Farrington and Manning, Statistics in Medicine 9 (1990).
    """
    null = nearest_rate(1, 1, base, base, margin) or base
    at_null = null * (1 - null) + (null + margin) * (1 - null - margin)
    normal, really = NormalDist(), 2 * base * (1 - base)
    spread = normal.inv_cdf(1 - PASS_LEVEL) * at_null**0.5 + normal.inv_cdf(POWER) * really**0.5
    return 2 * (spread / margin) ** 2


def fixed_for_breach(champion: float, challenger: float) -> float:
    """Units in both arms that it needs to show that the challenger is worse."""
    mean, normal = (champion + challenger) / 2, NormalDist()
    really = champion * (1 - champion) + challenger * (1 - challenger)
    spread = normal.inv_cdf(1 - BREACH_LEVEL) * (2 * mean * (1 - mean)) ** 0.5 + normal.inv_cdf(POWER) * really**0.5
    return 2 * (spread / (challenger - champion)) ** 2


class Trial:
    """One simulated release, moved by `next_move` and judged by `add` and `reach_verdict`."""

    def __init__(self, plan: Plan, growing_turns: int = 1) -> None:
        self.plan = plan
        self.growing_turns, self.turns = growing_turns, 0
        self.growing = [NOTHING] * len(plan.margins)
        begun = START.isoformat()
        leased = {"step_since": begun, "lease_until": datetime.max.replace(tzinfo=UTC).isoformat()}
        self.release = Release("00000002-1", "loans", 2, "canary", ReleaseStatus.LIVE, 1, begun, **leased)  # type: ignore[arg-type]  # all are text
        self.tallies = dict.fromkeys(plan.margins, Tally())
        self.units = [0, 0]
        self.ended: Move | None = None
        self.hours = 0.0

    @property
    def weight(self) -> float:
        if self.release.status is ReleaseStatus.WATCHING:
            return 1 - HOLDBACK
        return self.plan.steps[self.release.step].weight

    def turn(self, now: datetime, blocks: list[Block]) -> None:
        """Look at what came since the last turn, and move."""
        margins = self.plan.margins
        blocks = self.growing = [before + block for before, block in zip(self.growing, blocks, strict=True)]
        seen = {
            question: add(tally, block, margins[question])
            for (question, tally), block in zip(self.tallies.items(), blocks, strict=True)
        }
        findings = {
            question: reach_verdict(question, tally, margins[question], questions=len(margins))
            for question, tally in seen.items()
        }
        self.turns += 1
        if self.turns % self.growing_turns == 0:
            self.tallies, self.growing = seen, [NOTHING] * len(margins)
            self.units[0] += blocks[0].champion_units
            self.units[1] += blocks[0].challenger_units
        elif not any(finding.verdict is ArmVerdict.BREACH for finding in findings.values()):
            return
        arms = Arms(
            findings,
            champion_units=self.units[0],
            challenger_units=self.units[1],
            step_units=sum(self.units),
        )
        champion = 2 if self.release.status is ReleaseStatus.WATCHING else 1
        known = {"is_verified": True, "champion": champion, "blocked": (), "asked_at": now, "arms": arms}
        covered = (now - step_began(self.release)).total_seconds()  # nobody stops asking here
        evidence = Evidence(VersionStatus.PASSED, "a", covered_seconds=covered, **known)
        decision = next_move(self.plan, self.release, evidence, now)
        if decision.move is Move.ADVANCE:
            self.release = replace(self.release, step=self.release.step + 1, step_since=now.isoformat())
        elif decision.move is Move.PROMOTE and self.plan.watch_seconds:
            self.release = replace(self.release, status=ReleaseStatus.WATCHING, step_since=now.isoformat())
        elif decision.move is not Move.HOLD:
            is_kept = decision.move is Move.DONE  # the watch ended well
            self.ended = Move.PROMOTE if is_kept else decision.move
            self.hours = (now - START).total_seconds() / 3600


def plan_of(setting: Setting) -> Plan:
    """The default plan of a canary, asking as many questions as the setting does; or one step of one half."""
    questions = ("error", "slow", "unsure", "wrong")
    margins = {name: setting.margin if at < setting.questions else None for at, name in enumerate(questions)}
    section = {"strategy": "canary", "limit": f"{setting.limit_hours:.0f}h", "margins": margins}
    if setting.is_half:
        section |= {"steps": [0.5], "bake": "1m", "min_requests": 1}
    if setting.watch_hours:
        section["watch"] = f"{setting.watch_hours}h"
    return resolve_plan(section, seconds_per_plan_minute=60)


def simulate(setting: Setting, *, seed: int, releases: int = RELEASES) -> Outcome:
    """Run the releases of a setting side by side, one turn of all of them at a time."""
    rng = np.random.default_rng(seed)
    plan = plan_of(setting)
    running = trials = [Trial(plan, setting.growing_turns) for _ in range(releases)]
    draw = Crowd(setting, trials, rng) if setting.entities else Stream(setting, rng)
    now = START
    while running:
        now += timedelta(minutes=setting.turn_minutes)
        for trial, blocks in zip(running, draw(running, now), strict=True):
            trial.turn(now, blocks)
        running = [trial for trial in running if trial.ended is None]
    decided = [trial for trial in trials if trial.ended is not Move.EXPIRE] or trials
    units, hours = [sum(trial.units) for trial in decided], [trial.hours for trial in decided]
    return Outcome(
        *(
            sum(trial.ended is move for trial in trials) / releases
            for move in (Move.PROMOTE, Move.ROLL_BACK, Move.EXPIRE)
        ),
        units=(float(np.median(units)), float(np.quantile(units, 0.95))),
        hours=(float(np.median(hours)), float(np.quantile(hours, 0.95))),
    )


class Stream:
    """Traffic without entities: every request is a unit."""

    def __init__(self, setting: Setting, rng: np.random.Generator) -> None:
        self.setting, self.rng = setting, rng

    def __call__(self, running: list[Trial], now: datetime) -> list[list[Block]]:
        rng, setting = self.rng, self.setting
        weights = np.array([trial.weight for trial in running])
        units = rng.poisson(UNITS_PER_MINUTE * setting.turn_minutes, len(running))
        challengers = rng.binomial(units, weights)
        champions = units - challengers
        champion_rate, challenger_rate = setting.rates((now - START).total_seconds() / 3600)
        shape = (setting.questions, len(running))
        failed = rng.binomial(champions, champion_rate, shape), rng.binomial(challengers, challenger_rate, shape)
        counts = np.stack(
            [np.broadcast_to(champions, shape), failed[0], np.broadcast_to(challengers, shape), failed[1]]
        )
        return [[Block(*question) for question in trial] for trial in counts.transpose(2, 1, 0).tolist()]


class Crowd:
    """Traffic of a fixed set of entities: heavy-tailed use, error rates of their own, and a first request each."""

    def __init__(self, setting: Setting, trials: list[Trial], rng: np.random.Generator) -> None:
        self.setting, self.rng = setting, rng
        shape = (len(trials), setting.entities)
        use = rng.pareto(1.2, shape) + 1
        self.first = rng.exponential(1 / (UNITS_PER_MINUTE * use / use.sum(axis=1, keepdims=True))).astype(np.float32)
        own = rng.beta(0.2, 3.8, shape)  # 5% on average, and very unlike each other
        _, worse_by = setting.rates(0.0)
        self.place = rng.random(shape, dtype=np.float32)  # the hash that splits them
        luck = rng.random(shape)
        self.failed = luck < own, luck < own + worse_by * (1 - own) / (1 - 0.05)
        self.row = {id(trial): row for row, trial in enumerate(trials)}

    def __call__(self, running: list[Trial], now: datetime) -> list[list[Block]]:
        until = (now - START).total_seconds() / 60
        since = until - self.setting.turn_minutes
        blocks = []
        for trial in running:
            row = self.row[id(trial)]
            came = np.flatnonzero((self.first[row] > since) & (self.first[row] <= until))
            is_challenger = self.place[row, came] < trial.weight
            champion = self.failed[0][row, came][~is_challenger]
            challenger = self.failed[1][row, came][is_challenger]
            blocks.append([Block(len(champion), int(champion.sum()), len(challenger), int(challenger.sum()))])
        return blocks


def main() -> int:
    figures: list[Figure] = []
    print(f"{RELEASES:,} simulated releases a setting, a look every turn, {UNITS_PER_MINUTE:.0f} units a minute")
    print(f"{'':51}{'promoted':>9}{'back':>8}{'expired':>8}  units p50{'p95':>9}{'fixed':>8}  hours p50{'p95':>6}")
    for seed, setting in enumerate(settings()):
        outcome = simulate(setting, seed=seed)
        print(line(setting, outcome), flush=True)
        figures += figures_of(setting, outcome)
    missed = [figure.name for figure in figures if not figure.is_met]
    print(f"missed: {', '.join(missed)}" if missed else "every promise held")
    return keep("release", figures)


def line(setting: Setting, outcome: Outcome) -> str:
    fixed = f"{setting.fixed_units:,.0f}" if setting.fixed_units else ""
    (units, most_units), (hours, most_hours) = outcome.units, outcome.hours
    return (
        f"{setting.name:51}{outcome.promoted:9.2%}{outcome.rolled_back:8.2%}{outcome.expired:8.2%}"
        f"{units:11,.0f}{most_units:9,.0f}{fixed:>8}{hours:11.1f}{most_hours:6.1f}"
    )


def figures_of(setting: Setting, outcome: Outcome) -> list[Figure]:
    """What went wrong, with its target; and what it took, beside a test with a fixed end where there is one."""
    wrong = (
        Figure("false promotions", outcome.promoted, at_most=PASS_LEVEL)
        if setting.error is Move.PROMOTE
        else Figure("false rollbacks", outcome.rolled_back, at_most=BREACH_LEVEL)
    )
    (units, most_units), (hours, most_hours) = outcome.units, outcome.hours
    took = [
        Figure("units, median", units),
        Figure("units, 95th percentile", most_units),
        Figure("hours, median", hours, "h"),
        Figure("hours, 95th percentile", most_hours, "h"),
    ]
    fixed = []
    if setting.fixed_units:  # beside it a release must end rightly as often, or its few errors mean nothing
        right = outcome.promoted if setting.error is Move.ROLL_BACK else outcome.rolled_back
        fixed = [
            Figure("right ends", right, at_least=POWER),
            Figure("units of a test with a fixed end", round(setting.fixed_units)),
        ]
    return [replace(figure, name=f"{setting.name}: {figure.name}") for figure in (wrong, *took, *fixed)]


if __name__ == "__main__":
    sys.exit(main())
