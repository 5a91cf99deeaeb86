"""How does the release of a version start? Row and workflow are named by the version, so that it happens once."""

from __future__ import annotations

from dataclasses import dataclass

from serin.errors import Conflict
from serin.registry.ids import release_id
from serin.registry.ports import Clock, Workflow
from serin.registry.records import Release, ReleaseStatus
from serin.registry.registry import Registry, put


@dataclass(frozen=True, slots=True)
class ReleaseStarter:
    """Starts releases."""

    registry: Registry
    workflow: Workflow
    now: Clock

    def start(self, model: str, number: int) -> Release:
        """Start the release of a version under its contract's plan. Doing it again starts nothing new."""
        release = self._claim(model, number)
        self.workflow.start(release.execution, {"model": model, "release": release.id})
        return release

    def _claim(self, model: str, number: int) -> Release:
        version = self.registry.version(model, number).value
        plan = self.registry.run(model, version.run).value.contract["release"]
        route = self.registry.route(model)
        release = Release(
            id=release_id(number),
            model=model,
            version=number,
            strategy=plan["strategy"],
            status=ReleaseStatus.LIVE,
            champion_before=route.value.champion.version if route else None,
            started_at=self.now().isoformat(),
        )
        try:
            self.registry.save(put(release, expected_revision=0))
        except Conflict:
            return self.registry.release(model, release.id).value
        return release
