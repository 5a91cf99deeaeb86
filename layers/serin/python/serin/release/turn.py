"""How is a release started, moved and ended? It gathers evidence, asks `next_move`, and does what that says, once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from serin.errors import Conflict, NotFound, SerinError, Unverified
from serin.registry.ports import Clock, Notifier, Objects, Write
from serin.registry.records import (
    Champion,
    HistoryEntry,
    ModelVersion,
    Release,
    ReleaseStatus,
    Route,
    VersionStatus,
)
from serin.registry.register import verify_version
from serin.registry.registry import Found, Registry, put
from serin.release.evidence import Evidence
from serin.release.move import Decision, Move, next_move
from serin.release.plan import resolve_plan

ROLL_BACK = "roll back"


class NewId(Protocol):
    """Makes an id that sorts by time."""

    def __call__(self, now: datetime) -> str: ...


@dataclass(frozen=True, slots=True)
class Releaser:
    """Moves releases. `actor` is who does so, for the history."""

    registry: Registry
    artifacts: Objects
    notifier: Notifier
    now: Clock
    new_id: NewId
    actor: str

    def turn(self, model: str, release_name: str) -> Decision:
        """Take one turn: look, decide, do. Raises Conflict where somebody else moved the route meanwhile."""
        release = self.registry.release(model, release_name)
        route = self.registry.route(model)
        version = self.registry.version(model, release.value.version)
        contract = self.registry.run(model, version.value.run).value.contract
        plan = resolve_plan(contract["release"], seconds_per_plan_minute=60)
        decision = next_move(plan, release.value, self._evidence(version.value, route), self.now())
        match decision.move:
            case Move.PROMOTE:
                self._promote(release, route, version, decision)
            case Move.REFUSE:
                self._end(release, ReleaseStatus.REFUSED, decision.reason)
            case Move.DONE:
                pass
            case Move.HOLD | Move.ADVANCE | Move.ROLL_BACK | Move.EXPIRE:
                raise Conflict(
                    f"a {plan.strategy} release is not supported yet; write release: {{strategy: blue_green}}"
                )
        return decision

    def abandon(self, model: str, release_name: str, error: str) -> None:
        """End a release that met an error. The champion is left as it is; a release that ended stays as it ended."""
        release = self.registry.release(model, release_name)
        if release.value.status is ReleaseStatus.LIVE:
            self._end(release, ReleaseStatus.ROLLED_BACK, f"the release met an error: {error}")

    def roll_back(self, model: str, reason: str, *, version: int | None = None) -> Route:
        """Let the champion before this one answer again, at once.

        version: which one to take back. It may be left out, but not twice in a row: a command that is repeated must
        not go back further. Raises Conflict where another one answers, or there is none to go back to.
        """
        route = self.registry.route(model)
        if route is None:
            raise NotFound(f"{model} has no champion yet")
        current = route.value.champion
        self._check_meant(model, current.version, version)
        if current.replaced is None:
            raise Conflict(f"{model}@{current.version} is the first champion; there is none before it to go back to")
        bad, good = self.registry.version(model, current.version), self.registry.version(model, current.replaced).value
        verify_version(good, self.artifacts)
        at = self.now()
        back = Route(model, self._champion(good, at.isoformat(), replaced=self._replaced_by(model, good.number)))
        evidence = {"from": current.version, "files": good.files}
        try:
            self.registry.save(
                put(back, expected_revision=route.revision),
                put(replace(bad.value, status=VersionStatus.ROLLED_BACK), expected_revision=bad.revision),
                self._history(model, at, ROLL_BACK, reason, version=good.number, evidence=evidence),
            )
        except Conflict as error:
            raise Conflict(
                f"somebody else changed who answers for {model} just now; look: serin versions {model}"
            ) from error
        self._tell(
            f"{model}: rolled back to version {good.number}", f"Version {current.version} no longer answers: {reason}"
        )
        return back

    def _check_meant(self, model: str, champion: int, version: int | None) -> None:
        if version is not None and version != champion:
            raise Conflict(f"{model}@{version} does not answer now, {model}@{champion} does; nothing was changed")
        history = self.registry.history(model)
        if version is None and history and history[-1].move == ROLL_BACK:
            raise Conflict(
                f"{model} was rolled back to version {champion} already, at {history[-1].at[:19]}; "
                f"to go back further, name what to take back: serin rollback {model}@{champion}"
            )

    def _tell(self, subject: str, text: str) -> None:
        """Tell people what was done. It stays done where they cannot be reached: the history has it."""
        with suppress(SerinError):
            self.notifier.tell(subject, text)

    def _evidence(self, version: ModelVersion, route: Found[Route] | None) -> Evidence:
        finding = ""
        try:
            verify_version(version, self.artifacts)
        except (Unverified, NotFound) as error:
            finding = error.message
        versions = self.registry.versions(version.model)
        return Evidence(
            status=version.status,
            model_sha256=version.files["model.onnx"],
            is_verified=not finding,
            champion=route.value.champion.version if route else None,
            blocked={other.files["model.onnx"] for other in versions if other.status is VersionStatus.ROLLED_BACK},
            finding=finding,
        )

    def _promote(
        self, release: Found[Release], route: Found[Route] | None, found: Found[ModelVersion], decision: Decision
    ) -> None:
        at, version, model = self.now(), found.value, found.value.model
        replaced = route.value.champion.version if route else None
        champion = self._champion(version, at.isoformat(), replaced=replaced)
        ended = replace(
            release.value,
            status=ReleaseStatus.PROMOTED,
            ended_at=at.isoformat(),
            reason=decision.reason,
            replaced=replaced,
        )
        evidence: dict[str, Any] = {
            "gates": list(version.gates),
            "files": version.files,
            "manifest": version.manifest_sha256,
            "from": replaced,
        }
        self.registry.save(
            put(Route(model, champion), expected_revision=route.revision if route else 0),
            put(ended, expected_revision=release.revision),
            put(replace(version, served=True), expected_revision=found.revision),
            self._history(
                model,
                at,
                "promote",
                decision.reason,
                version=version.number,
                release=ended.id,
                evidence=evidence,
            ),
        )
        self._tell(
            f"{model}@{version.number} is the champion",
            f"{decision.reason}. Take it back with: serin rollback {model}",
        )

    def _end(self, release: Found[Release], status: ReleaseStatus, reason: str) -> None:
        at, model = self.now(), release.value.model
        ended = replace(release.value, status=status, ended_at=at.isoformat(), reason=reason)
        self.registry.save(
            put(ended, expected_revision=release.revision),
            self._history(model, at, str(status), reason, version=ended.version, release=ended.id),
        )
        self._tell(f"{model}@{ended.version} was not released", f"{reason}\nThe champion goes on answering.")

    def _champion(self, version: ModelVersion, since: str, *, replaced: int | None) -> Champion:
        served = {name: version.files[name] for name in ("model.onnx", "spec.json")}
        return Champion(version=version.number, files=served, since=since, replaced=replaced)

    def _replaced_by(self, model: str, number: int) -> int | None:
        """The champion that a version replaced, and if that was taken back since, the one before it, and so on."""
        replaced = {release.version: release.replaced for release in self.registry.releases(model)}
        before = replaced.get(number)
        while before is not None and self.registry.version(model, before).value.status is VersionStatus.ROLLED_BACK:
            before = replaced.get(before)
        return before

    def _history(
        self,
        model: str,
        at: datetime,
        move: str,
        reason: str,
        *,
        version: int,
        release: str | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> Write:
        entry = HistoryEntry(
            id=self.new_id(at),
            model=model,
            at=at.isoformat(),
            actor=self.actor,
            move=move,
            reason=reason,
            version=version,
            release=release,
            evidence=evidence or {},
        )
        return put(entry, expected_revision=0)
