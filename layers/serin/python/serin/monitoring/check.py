"""Is a champion still asked what it was trained on? It is checked when due, kept, told, and answered by a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from serin.contract.durations import scale_duration
from serin.contract.load import Contracts
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.storage import load_columns
from serin.errors import Conflict, Refused, SerinError
from serin.monitoring.drift import DriftReport, DriftVerdict, compare_columns, sum_up
from serin.monitoring.layout import score_columns
from serin.monitoring.summary import Served
from serin.monitoring.version_files import read_layout, verified_file
from serin.monitoring.window import read_summaries, speaks_of
from serin.profile.profile import Profile, profile_columns
from serin.registry.keys import drift_report_key
from serin.registry.ports import Clock, Notifier, Objects, Queue
from serin.registry.records import DriftState, HistoryEntry, ModelVersion
from serin.registry.registry import Found, Registry, put, put_drift
from serin.registry.requests import TrainingRequest, Trigger

TOLD = 5  # columns in a message and in the history; the report has them all


@dataclass(frozen=True, slots=True)
class Due:
    """A check that is due. since, at: its window. state: what the last one found."""

    contract: Contract
    version: ModelVersion
    state: Found[DriftState]
    since: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks champions for drift. actor: who does so, for the history."""

    registry: Registry
    data: Objects
    artifacts: Objects
    contracts: Contracts
    training_requests: Queue
    notifier: Notifier
    now: Clock
    new_id: Callable[[datetime], str]
    actor: str
    seconds_per_minute: float = 60.0

    def check(self, model: str, by: str) -> DriftReport | None:
        """Compare the window with what the champion was trained on; None where that is not due, or nobody answers.

        By hand it is always due; Refused is raised then where the model is retired. People are told, and a training is
        asked for, once a cooldown.
        """
        due = self.due(model, by)
        return self.compare(due, self.served([due])[model]) if due else None

    def due(self, model: str, by: str) -> Due | None:
        """Find out what a check of a model is to compare; None where it is not due, or nobody answers."""
        contract = self.contracts.load(model)
        plan, state, route, at = contract.monitoring, self.registry.drift(model), self.registry.route(model), self.now()
        if route is None or (by != Trigger.HAND and not self._is_past(state.value.checked_at, plan.every, at)):
            return None
        if retirement := route.value.retirement:
            if by == Trigger.HAND:
                raise Refused(f"{model} is {retirement}; it is not checked for drift any more", code="RETIRED")
            return None
        version = self.registry.version(model, route.value.champion.version).value
        since = at - self._lasts(plan.window)
        return Due(contract, version, state, since=since, at=at)

    def served(self, checks: Collection[Due]) -> dict[str, Served]:
        """Add up what each model's champion answered in its window. Each summary is read once, for all of them."""
        served = {due.version.model: Served(Profile(0, {}), Profile(0, {})) for due in checks}
        if not checks:
            return served
        since, until = min(due.since for due in checks), max(due.at for due in checks)
        for summary in read_summaries(self.data, since=since, until=until):
            for due in checks:
                part, model = summary.served.get((due.version.model, due.version.number)), due.version.model
                if part and speaks_of(summary, since=due.since, until=due.at):
                    served[model] = served[model] + part if served[model].rows.rows else part
        return served

    def compare(self, due: Due, served: Served) -> DriftReport:
        """Compare what a champion answered with what it was trained on, and do what follows, as `check` does."""
        contract, state, at = due.contract, due.state, due.at
        model, version, plan = contract.model, due.version, contract.monitoring
        report = self._report(due, served)
        key = drift_report_key(model, at)
        self.data.put(key, report.to_json())
        is_alarm = report.verdict is DriftVerdict.DRIFTED or report.is_stale
        is_news = is_alarm and self._is_past(state.value.alarmed_at, plan.cooldown, at)
        retrains = is_news and report.verdict is DriftVerdict.DRIFTED and contract.training.retrain.on_drift
        if retrains:
            # Before the state: lost, it comes again, by the same id as long as people were not told of it.
            request_id = f"drift of {version.number} since {state.value.alarmed_at or 'ever'}"
            self.training_requests.send(TrainingRequest(model, Trigger.DRIFT, request_id).to_message())
        if self._save(report, key, state, at, is_news=is_news) and is_news:
            self._tell(report, retrains=retrains)
        return report

    def _lasts(self, duration: timedelta) -> timedelta:
        return scale_duration(duration, seconds_per_minute=self.seconds_per_minute)

    def _is_past(self, since: str | None, duration: timedelta, at: datetime) -> bool:
        """Tell whether a duration of the contract has gone by, or never began.

        One that began in a future further off than it lasts was noted by a clock that was fast.
        """
        lasts = self._lasts(duration)
        return not since or not -lasts < at - datetime.fromisoformat(since) < lasts

    def _report(self, due: Due, served: Served) -> DriftReport:
        version, plan, since, at = due.version, due.contract.monitoring, due.since, due.at
        layout = read_layout(version, self.registry, self.artifacts)
        features, predictions = served.rows.columns, served.scores.columns
        shown = {name: column for name, column in features.items() if name not in layout.hidden}
        tests = len(shown) + len(predictions)
        trained_on = Profile.from_json(verified_file(version, "profile.json", self.artifacts))
        training = json.loads(verified_file(version, "training.json", self.artifacts))
        leans_on = training.get("importances", {})  # older versions do not say
        shifts = compare_columns(trained_on, Profile(served.rows.rows, shown), tests=tests, importances=leans_on)
        answers = compare_columns(self._expected(version, layout.spec), served.scores, tests=tests)
        verdict, reason = sum_up(shifts, answers)
        age = at - datetime.fromisoformat(version.created_at)
        is_stale = plan.max_age is not None and age >= self._lasts(plan.max_age)
        return DriftReport(
            model=version.model,
            version=version.number,
            since=since.isoformat(),
            until=at.isoformat(),
            rows=served.rows.rows,
            verdict=verdict,
            reason=f"{reason}; older than monitoring.max_age allows" if is_stale else reason,
            features=shifts,
            predictions=answers,
            left_out=tuple(sorted(features.keys() & layout.hidden)),
            is_stale=is_stale,
        )

    def _expected(self, version: ModelVersion, spec: ServingSpec) -> Profile:
        """Summarise what the version answered to its hold-out."""
        columns = load_columns(verified_file(version, "predictions.npz", self.artifacts))
        scores = [columns[f"score_{place}"] for place in range(max(len(spec.classes), 1))]
        return profile_columns(score_columns(np.column_stack(scores), spec))

    def _save(self, report: DriftReport, key: str, state: Found[DriftState], at: datetime, *, is_news: bool) -> bool:
        """Remember the check, and an alarm in the history; False where somebody else checked meanwhile."""
        checked = replace(
            state.value,
            checked_at=at.isoformat(),
            version=report.version,
            verdict=str(report.verdict),
            reason=report.reason,
            report=key,
            alarmed_at=at.isoformat() if is_news else state.value.alarmed_at,
        )
        entry = HistoryEntry(
            id=self.new_id(self.now()),
            model=report.model,
            at=at.isoformat(),
            actor=self.actor,
            move="drift alarm",
            reason=report.reason,
            version=report.version,
            evidence={"report": key, "rows": report.rows, "effects": _effects(report)},
        )
        history = [put(entry, expected_revision=0)] if is_news else []
        try:
            self.registry.save(put_drift(report.model, checked, expected_revision=state.revision), *history)
        except Conflict:
            return False
        return True

    def _tell(self, report: DriftReport, *, retrains: bool) -> None:
        """Tell people. What was found stays found where they cannot be reached: the history has it."""
        subject = f"{report.model}@{report.version}: what it is asked has drifted"
        if report.verdict is not DriftVerdict.DRIFTED:
            subject = f"{report.model}@{report.version} is older than it may be"
        moved = [
            f"  {shift.column}: {shift.detail}" for shift in (*report.predictions, *report.features) if shift.effect
        ]
        then = "A training was asked for; it starts where there are new rows." if retrains else "Nothing was started."
        look = f"Look: serin drift {report.model}. Train on newer rows: serin upload {report.model} <file>"
        with suppress(SerinError):
            self.notifier.tell(subject, "\n".join([report.reason, *moved[:TOLD], then, look]))


def _effects(report: DriftReport) -> dict[str, float]:
    shifts = [shift for shift in (*report.predictions, *report.features) if shift.effect is not None]
    return {shift.column: shift.effect or 0.0 for shift in shifts[:TOLD]}
