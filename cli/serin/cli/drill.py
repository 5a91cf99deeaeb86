"""Does a release end as it must? What can go wrong is brought about on a twin, one release after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import cycle, islice
from math import ceil
from statistics import pstdev
from typing import Any

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.wiring import checker_in, releaser_in
from serin.cli.drill_report import tell_drill, write_page
from serin.cli.examples.tables import to_csv
from serin.cli.faulty import register
from serin.cli.injections import PLAN, Drilled, Injection, Outcome, injections, judge
from serin.cli.render import tell
from serin.cli.show import Output
from serin.cli.traffic import Row, Traffic, ever_new
from serin.cli.twin import own_twin
from serin.client import project
from serin.client.environment import EnvironmentClient, reach
from serin.client.follow import Follower
from serin.client.rows import rows_from_table
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.data.read import read_table
from serin.errors import Refused, SerinError
from serin.monitoring.drift import DriftVerdict
from serin.registry.keys import release_prefix
from serin.registry.records import Release, ReleaseStatus, Route
from serin.registry.requests import Trigger
from serin.release.approve import answer
from serin.release.evidence import StoredEvidence
from serin.release.load_evidence import arrived_minutes, load_evidence
from serin.release.plan import resolve_plan
from serin.release.verdict import ArmVerdict, compare_arms

TRAINED_SHARE = 0.8
MOST_ROWS = 150  # that are asked, one after the other and again
PER_SECOND = 30.0
GIVEN_UP_SECONDS = 120.0
DRIFT_SECONDS = 30.0
LOOK_SECONDS = 0.1
_KINDS = {str: "category", bool: "boolean", int: "number"}


def run_drill(output: Output, model: str, table: bytes, *, port: int, keep: bool) -> bool:
    """Drill the releases of a model on a twin of its own, and tell whether all ended as they must.

    table: rows to train the first champion on, and to ask.
    """
    begun, at = time.monotonic(), utc_now()
    contract = project.here().contracts.load(model)
    output.heading(f"drill of {model}: what can go wrong with a release, one after the other")
    with own_twin(port=port, keep=keep, say=output.say):
        drill = Drill(output, reach("local"), contract)
        drill.train(table)
        done = drill.inject(injections(drill.drifting, spread=drill.spread))
    seconds, is_passed = time.monotonic() - begun, not any(drilled.objections for drilled in done)
    page = project.here().state_folder / f"drill-{model}.md"
    page.write_text(write_page(model, f"{at:%Y-%m-%d %H:%M} UTC", seconds, done))
    tell_drill(output, done)
    output.say(f"that was {seconds:.0f} s; to read: {page}")
    if keep:
        output.say(f"the twin is still up; look: serin releases {model}; stop it: serin local down")
    drills = [drilled.to_document() for drilled in done]
    output.document({"model": model, "passed": is_passed, "seconds": seconds, "page": str(page), "drills": drills})
    return is_passed


class Drill:
    """The drill of one model in one environment.

    rows: what is asked, none of which was trained on; drifted: the same after the drift.
    """

    def __init__(self, output: Output, environment: EnvironmentClient, contract: Contract) -> None:
        self.output, self.environment, self.contract, self.model = output, environment, contract, contract.model
        self.drifting = drifting_feature(contract)
        self.rows: list[Row] = []
        self.drifted: list[Row] = []
        self.safe_at: dict[int, float] = {}

    def train(self, table: bytes) -> None:
        """Train the first champion on most rows; the others are asked. Raises SerinError where it is not promoted."""
        frame = read_table(table).frame.sample(frac=1.0, random_state=7)
        trained = int(len(frame) * TRAINED_SHARE)
        client = self.environment.model(self.model)
        with self.output.waiting(f"training the first champion on {trained:,} rows"):
            upload = client.upload(to_csv(frame[:trained]), name="drill.csv", wait=False)
            steps = list(upload.follow(GIVEN_UP_SECONDS, self.output.say))
            last = steps[-1]
            if isinstance(last, Release) and last.is_asking:
                last = self._approved(last)
        if not (isinstance(last, Release) and last.status is ReleaseStatus.PROMOTED):
            for step in steps:
                tell(self.output, step)
            raise SerinError(f"there is no champion of {self.model} to drill with")
        self.output.say(f"{self.model}@{last.version}, trained on {trained:,} rows, is the champion")
        with self.output.waiting("asking the champion alone"):
            self._choose_rows(to_csv(frame[trained:]))

    def _approved(self, asking: Release) -> Release:
        """Approve a first version, as its contract demands; what is drilled is not the person."""
        releaser, number = releaser_in(self.environment.cloud, actor="drill"), asking.version
        answer(releaser, self.model, number, is_approved=True, seen=asking.asked)
        return Follower(self.environment.cloud, GIVEN_UP_SECONDS, self.output.say).release(self.model, number)

    @property
    def spread(self) -> float | None:
        """The standard deviation of the values that are to be predicted; None where labels are."""
        if self.contract.task is Task.CLASSIFICATION:
            return None
        return pstdev(float(row[self.contract.target]) for row in self.rows)

    def _choose_rows(self, table: bytes) -> None:
        """Keep rows that the champion answers while it is alone: what fails later, a trial made fail."""
        described, target = self.environment.model(self.model).describe(), self.contract.target
        classes = described["classes"]
        kind = _KINDS[type(classes[0])] if classes else "number"
        rows = rows_from_table(table, {"features": [*described["features"], {"name": target, "type": kind}]})
        known = [row for row in rows if _is_truth(row.get(target), classes)]
        self.rows = list(islice(filter(self._is_answered, known), MOST_ROWS))
        if not self.rows:
            raise Refused(f"the champion answers none of the {len(rows):,} rows that it was not trained on")
        self.drifted = list(filter(self._is_answered, drifted(self.rows, self.drifting)))

    def _is_answered(self, row: Row) -> bool:
        features = {name: value for name, value in row.items() if name != self.contract.target}
        try:
            self.environment.model(self.model).ask([features])
        except SerinError:
            return False
        return True

    def inject(self, todo: Sequence[Injection]) -> list[Drilled]:
        """Inject one thing after the other while the model is asked, and put a report beside each release."""
        target, outcomes = self.contract.target, []
        with Traffic(self.environment, self.model, iter(()), target=target, per_second=PER_SECOND) as traffic:
            for injection in todo:
                self.output.say(f"{injection.what}: {injection.how}")
                outcomes.append(self._inject(injection, traffic))
        done = [
            judge(injection, replace(outcome, last_seconds=self._last(outcome, traffic)), drifting=self.drifting)
            for injection, outcome in zip(todo, outcomes, strict=True)
        ]
        for drilled in done:
            key = release_prefix(self.model, drilled.outcome.release) + "drill.json"
            document = {"model": self.model, "at": utc_now().isoformat(), **drilled.to_document()}
            self.environment.cloud.data.put(key, json.dumps(document, indent=1, ensure_ascii=False).encode())
        return done

    def _inject(self, injection: Injection, traffic: Traffic) -> Outcome:
        cloud, before = self.environment.cloud, self._route().champion.version
        traffic.ask(self._ever_new(self.rows) if injection.has_traffic else iter(()))
        requests_before, failed_before = traffic.asked, traffic.failed
        plan = {**PLAN, "tolerance": self.spread, **injection.plan}
        # What drifted before may just now ask for a training, whose row this one writes too.
        number = PATIENCE.retry_on_conflict(lambda: register(cloud, self.model, plan, injection.edit))
        release = releaser_in(cloud, actor="drill").starter.start(self.model, number)
        with self.output.waiting("its release is under way"):
            release = self._until_ended(release, injection, traffic)
        self.safe_at[number] = time.time()
        route, answers = self._route(), traffic.answered[number]
        self.output.say(f"  {release.status}: {release.reason}", style="dim")
        named = self._named_by_drift() if injection.drifts else []
        enough_at = enough_by(cloud, release)
        return Outcome(
            release=release.id,
            version=number,
            status=release.status,
            reason=release.reason,
            champion=(before, route.champion.version),
            weight=route.challenger.weight if route.challenger else 0.0,
            asked=traffic.asked - requests_before,
            failed=traffic.failed - failed_before,
            messages=traffic.messages,
            answers=answers,
            breached=_breached(release),
            drifted=named,
            trial_seconds=_seconds(release.started_at, release.ended_at),
            safe_seconds=max(self.safe_at[number] - enough_at, 0.0) if enough_at else None,
        )

    def _until_ended(self, release: Release, injection: Injection, traffic: Traffic) -> Release:
        """Wait for the end of a release, and at last end it. Once its challenger answers, what is asked may drift."""
        cloud, deadline = self.environment.cloud, time.monotonic() + GIVEN_UP_SECONDS
        has_drifted = not injection.drifts
        while time.monotonic() < deadline:
            if not has_drifted and traffic.answered[release.version]:
                traffic.ask(self._ever_new(self.drifted))
                has_drifted = True
            release = cloud.registry.release(self.model, release.id).value
            if release.ended_at:
                return release
            time.sleep(LOOK_SECONDS)
        error = f"the drill waited for {GIVEN_UP_SECONDS:.0f} s"
        releaser_in(cloud, actor="drill").abandon(self.model, release.id, error)
        return cloud.registry.release(self.model, release.id).value

    def _named_by_drift(self) -> list[str]:
        """Check for drift until it is found in the feature that drifts, and give all in which it is."""
        checker, deadline = checker_in(self.environment.cloud, actor="drill"), time.monotonic() + DRIFT_SECONDS
        while True:
            report = checker.check(self.model, Trigger.HAND)
            shifts = report.features if report else ()
            columns = [shift.column for shift in shifts if shift.verdict is DriftVerdict.DRIFTED]
            if self.drifting in columns or time.monotonic() > deadline:
                return columns
            time.sleep(1.0)

    def _last(self, outcome: Outcome, traffic: Traffic) -> float | None:
        """How long after its weight was 0 a challenger went on answering; None where it never did, or rightly does."""
        last = traffic.last_answer.get(outcome.version)
        if last is None or outcome.status is ReleaseStatus.PROMOTED:
            return None
        return max(last - self.safe_at[outcome.version], 0.0)

    def _ever_new(self, rows: Sequence[Row]) -> Iterator[Row]:
        return ever_new(rows, self.contract.entity)

    def _route(self) -> Route:
        route = self.environment.cloud.registry.route(self.model)
        if route is None:
            raise SerinError(f"{self.model} has no route any more")
        return route.value


def enough_by(cloud: Cloud, release: Release) -> float | None:
    """When the minute of the plan ended that held enough evidence of a breach, in seconds since 1970; None without."""
    now, version = utc_now(), cloud.registry.version(release.model, release.version).value
    section = cloud.registry.run(release.model, version.run).value.contract["release"]
    plan = resolve_plan(
        section, seconds_per_plan_minute=cloud.seconds_per_minute, arrival_seconds=cloud.arrival_seconds
    )
    minutes = arrived_minutes(load_evidence(cloud.data, plan, release, now), plan, release, now)
    for count, minute in enumerate(minutes, start=1):
        if compare_arms(plan, release, minutes[:count]).with_verdict(ArmVerdict.BREACH):
            return (minute.at + 1) * plan.minute_seconds
    return None


def drifting_feature(contract: Contract) -> str:
    """Choose the feature that drifts: the first with numbers that captures show, else the first that they show."""
    hidden = {*contract.masked, *contract.serving.capture.hash}
    shown = [name for name in contract.features if name not in hidden]
    if not shown:
        raise Refused(f"captures of {contract.model} hide every feature, so that no drift can be seen")
    return min(shown, key=lambda name: not contract.features[name].is_numeric)


def drifted(rows: Sequence[Row], feature: str) -> list[Row]:
    """Give each row a value of a feature out of the top tenth of its values."""
    values = sorted(row[feature] for row in rows if row[feature] is not None)
    top = values[-ceil(len(values) / 10) :] or [None]
    return [{**row, feature: value} for row, value in zip(rows, cycle(top), strict=False)]


def _is_truth(cell: Any, classes: Sequence[Any]) -> bool:
    """Tell whether a cell can be sent as feedback."""
    return cell in classes if classes else isinstance(cell, int | float)


def _breached(release: Release) -> list[str]:
    questions = StoredEvidence.read(release.evidence).questions
    return [question for question, finding in questions.items() if finding.verdict is ArmVerdict.BREACH]


def _seconds(since: str, until: str | None) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() if until else 0.0
