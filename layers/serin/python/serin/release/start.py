"""How does the release of a version start? One at a time is under way; the newest of the others waits for its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from serin.errors import Conflict, Refused
from serin.registry.ids import release_id
from serin.registry.ports import Clock, Workflow
from serin.registry.records import Release, ReleaseStatus, Releasing, VersionStatus
from serin.registry.registry import Found, Registry, put, put_releasing
from serin.registry.retry import Patience
from serin.release.admit import eligibility, rejection_reason
from serin.release.release_log import ReleaseEvent, ReleaseLog, word_end


@dataclass(frozen=True, slots=True)
class ReleaseStarter:
    """Starts releases."""

    registry: Registry
    workflow: Workflow
    release_log: ReleaseLog
    now: Clock
    patience: Patience

    def start(self, model: str, number: int) -> Release:
        """Start the first release of a version under its contract's plan, or let it wait. Again starts nothing new.

        One of a version that may not be released is refused at once, and takes nobody's place.
        """
        return self._start(model, number, release_id(number))

    def start_by_hand(self, model: str, number: int, *, unblocked_by: str = "") -> Release:
        """Start a release of a version, another one where the last one ended.

        unblocked_by: who allows it though the same model was rolled back. Raises Refused where that is missing.
        """
        if retirement := self.registry.life(model).value.retirement:
            fix = f"take that back first: serin retire {model} --undo"
            raise Refused(f"{model}@{number} cannot be released: {model} is {retirement}; {fix}", code="RETIRED")
        if self._champion(model) == number:
            raise Refused(f"{model}@{number} is the champion already")
        version, versions = self.registry.version(model, number).value, self.registry.versions(model)
        same = [other for other in versions if other.files["model.onnx"] == version.files["model.onnx"]]
        bad = [other.number for other in same if other.status is VersionStatus.ROLLED_BACK]
        if bad and not unblocked_by:
            raise Refused(
                f"{model}@{number} is the model that was rolled back as version {bad[-1]}; look: serin why "
                f"{model}@{bad[-1]}; to release it all the same: serin release {model}@{number} --override-block",
                code="DIGEST_BLOCKED",
            )
        by = self.release_log.actor
        status, blocked = eligibility(
            version,
            versions,
            self.registry.datasets(model),
            champion=self._champion(model),
            unblocked_by=unblocked_by,
            started_by=by,
        )
        if rejection := rejection_reason(number, status, version.files["model.onnx"], blocked):
            raise Refused(f"{model}@{number} cannot be released: {rejection}")
        mine = self.registry.releases_of(model, number)
        attempt = mine[-1].attempt + (mine[-1].ended_at is not None) if mine else 1
        return self._start(model, number, release_id(number, attempt), unblocked_by=unblocked_by, started_by=by)

    def start_next(self, model: str) -> Release | None:
        """Start the release that waits; None where none does, or another is under way."""
        state, now = self.registry.releasing(model), self.now()
        if state.value.live is not None or state.value.queued is None:
            return None
        if self.registry.life(model).value.retirement:
            return None
        waiting = self.registry.release(model, state.value.queued)
        release = replace(
            waiting.value,
            status=ReleaseStatus.LIVE,
            started_at=now.isoformat(),
            champion_before=self._champion(model),
            reason="",
        )
        try:
            self._save([Found(release, waiting.revision)], state, Releasing(live=release.id), now)
        except Conflict:
            return None
        self.workflow.start(release.execution, release.task)
        return release

    def _start(self, model: str, number: int, name: str, *, unblocked_by: str = "", started_by: str = "") -> Release:
        release = self.patience.retry_on_conflict(lambda: self._claim(model, number, name, unblocked_by, started_by))
        if release.status.is_under_way:
            self.workflow.start(release.execution, release.task)
        return release

    def _claim(self, model: str, number: int, name: str, unblocked_by: str, started_by: str) -> Release:
        """Take the model's one place, or the place of who waits, in one step with the release's row."""
        if known := self.registry.find_release(model, name):
            return known.value
        version = self.registry.version(model, number).value
        plan = self.registry.run(model, version.run).value.contract["release"]
        state, now = self.registry.releasing(model), self.now()
        release = Release(
            id=name,
            model=model,
            version=number,
            strategy=plan["strategy"],
            status=ReleaseStatus.LIVE,
            champion_before=self._champion(model),
            started_at=now.isoformat(),
            unblocked_by=unblocked_by,
            started_by=started_by,
        )
        status, blocked = eligibility(
            version,
            self.registry.versions(model),
            self.registry.datasets(model),
            champion=self._champion(model),
            unblocked_by=unblocked_by,
            started_by=started_by,
        )
        retirement = self.registry.life(model).value.retirement
        rejection = rejection_reason(number, status, version.files["model.onnx"], blocked)
        if retirement or rejection:
            rejection = f"{model} is {retirement}" if retirement else rejection
            release = replace(release, status=ReleaseStatus.REFUSED, ended_at=now.isoformat(), reason=rejection)
            self._save([Found(release, 0)], state, state.value, now)
            return release
        place = Releasing(live=name)
        if state.value.live is not None:
            reason = f"waits for the end of release {state.value.live}"
            release = replace(release, status=ReleaseStatus.QUEUED, reason=reason)
            place = replace(state.value, queued=name)
        self._save([*self._superseded(model, state, by=number, at=now), Found(release, 0)], state, place, now)
        return release

    def _superseded(self, model: str, state: Found[Releasing], *, by: int, at: datetime) -> list[Found[Release]]:
        """End the release that waited so far."""
        if state.value.queued is None:
            return []
        waiting = self.registry.release(model, state.value.queued)
        reason = f"version {by} came while it waited"
        ended = replace(waiting.value, status=ReleaseStatus.SUPERSEDED, ended_at=at.isoformat(), reason=reason)
        return [Found(ended, waiting.revision)]

    def _save(self, changed: list[Found[Release]], state: Found[Releasing], place: Releasing, now: datetime) -> None:
        """Store releases and who has the model's place, all or nothing, and tell of each release. state: who had it."""
        model = changed[0].value.model
        events = [self._event(release.value, now) for release in changed]
        self.registry.save(
            *(put(release.value, expected_revision=release.revision) for release in changed),
            *(put(event.entry, expected_revision=0) for event in events),
            put_releasing(model, place, expected_revision=state.revision),
        )
        route = self.registry.route(model)
        self.release_log.tell(route.value if route else None, *events)

    def _event(self, release: Release, now: datetime) -> ReleaseEvent:
        entry = self.release_log.entry(
            release,
            move=str(release.status),
            reason=release.reason or "no other release is under way",
            at=now,
            evidence={"unblocked_by": release.unblocked_by} if release.unblocked_by else {},
        )
        words = word_end(release, self._champion(release.model)) if release.ended_at else ()
        return ReleaseEvent(entry, release.status, *words)

    def _champion(self, model: str) -> int | None:
        route = self.registry.route(model)
        return route.value.champion.version if route else None
