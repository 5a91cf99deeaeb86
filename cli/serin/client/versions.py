"""Which versions does a model have, which one answers, and what is being trained?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serin.registry.curate import taint
from serin.registry.records import Dataset, Life, ModelVersion, Run, RunStatus, TrainingState
from serin.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Versions:
    """What there is of a model, the oldest first. champion: the number of the version that answers; None: none does.

    life: whether it is retired, and when a model of its name was deleted.
    """

    champion: int | None
    versions: Sequence[ModelVersion]
    runs: Sequence[Run]
    datasets: Sequence[Dataset]
    training: TrainingState
    life: Life

    @classmethod
    def of(cls, registry: Registry, model: str) -> Versions:
        route, training = registry.route(model), registry.training(model).value
        return cls(
            champion=route.value.champion.version if route else None,
            versions=registry.versions(model),
            runs=registry.runs(model),
            datasets=registry.datasets(model),
            training=training,
            life=registry.life(model).value,
        )

    def status_of(self, version: ModelVersion) -> str:
        """Say how a version stands: `champion`, or what its gates and releases made of it."""
        return "champion" if version.number == self.champion else str(version.status)

    def excluded_from(self, version: ModelVersion) -> list[Dataset]:
        """Find the datasets that a version learned from and that are no longer used."""
        return taint(version, self.datasets)

    @property
    def failed(self) -> list[Run]:
        return [run for run in self.runs if run.status is RunStatus.FAILED]
