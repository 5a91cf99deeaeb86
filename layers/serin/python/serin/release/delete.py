"""How is a model deleted? All that is of it alone goes, step by step; what was done to it stays in its history.

Each step can be done again, so that a deletion which broke off is ended by being asked for again. Captures and
summaries are of all models together, by the hour, and expire by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from serin.errors import NotFound, Refused
from serin.registry.keys import data_prefixes, versions_prefix
from serin.registry.ports import Clock, KeptAnswers, Objects
from serin.registry.records import Deletion, HistoryEntry, Life, ModelVersion, Releasing, Retirement, TrainingState
from serin.registry.registry import Registry, put, put_life, put_releasing, put_training
from serin.registry.retry import Patience
from serin.release.release_log import ReleaseLog

DELETE, DELETED = "delete", "deleted"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is of a model: the numbers of its versions, and how many there are of the rest."""

    versions: tuple[int, ...]
    datasets: int
    runs: int
    releases: int

    @property
    def is_empty(self) -> bool:
        return not (self.versions or self.datasets or self.runs or self.releases)


@dataclass(frozen=True, slots=True)
class Deleter:
    """Deletes models. Whose name it is done in stands in the release log."""

    registry: Registry
    data: Objects
    artifacts: Objects
    answers: KeptAnswers
    release_log: ReleaseLog
    now: Clock
    patience: Patience

    def check(self, model: str) -> Inventory:
        """List what would go. Raises Refused where the model may not be deleted now, NotFound where nothing is there.

        May be deleted: one that is retired, or never had a champion, and that nothing is under way for.
        """
        registry, life = self.registry, self.registry.life(model).value
        inventory = Inventory(
            versions=tuple(version.number for version in registry.versions(model)),
            datasets=len(registry.datasets(model)),
            runs=len(registry.runs(model)),
            releases=len(registry.releases(model)),
        )
        if life.is_being_deleted:
            return inventory
        if registry.route(model) is not None and life.retirement is None:
            message = f'{model} answers; retire it first: serin retire {model} --until <date> --reason "…"'
            raise Refused(message, code="NOT_RETIRED")
        if running := registry.training(model).value.running:
            raise Refused(f"run {running} of {model} is under way; delete it once that has ended", code="UNDER_WAY")
        if live := registry.releasing(model).value.live:
            message = f"release {live} of {model} is under way; end it: serin retire {model}"
            raise Refused(message, code="UNDER_WAY")
        if inventory.is_empty and not self._has_objects(model):
            gone = f": it was {life.deletion}" if life.deletion else ""
            raise NotFound(f"there is nothing of {model} to delete{gone}")
        return inventory

    def delete(self, model: str, reason: str) -> Deletion:
        """Delete a model, or end a deletion that broke off. Raises as `check`."""
        deletion = self.patience.retry_on_conflict(lambda: self._begin(model, reason))
        self.registry.erase_route(model)  # first: nobody may be sent to files that are gone
        for prefix in data_prefixes(model):
            self.data.erase(prefix)
        self.artifacts.erase(versions_prefix(model))
        self.answers.forget(model)
        self.registry.erase_records(model)
        return self.patience.retry_on_conflict(lambda: self._end(model, deletion))

    def _has_objects(self, model: str) -> bool:
        return any(next(self.data.all_versions(prefix), None) for prefix in data_prefixes(model))

    def _begin(self, model: str, reason: str) -> Deletion:
        """Note that it is being deleted, with what the versions were: nothing is started for it from then on."""
        life, training = self.registry.life(model), self.registry.training(model)
        releasing = self.registry.releasing(model)
        if life.value.is_being_deleted and life.value.deletion:
            return life.value.deletion
        self.check(model)
        at, actor = self.now().isoformat(), self.release_log.actor
        why = reason or (life.value.retirement.reason if life.value.retirement else "it never answered")
        deletion = Deletion(at, actor, why)
        retirement = life.value.retirement or Retirement(since=at, by=actor, reason=why)
        versions = {str(version.number): _digests(version) for version in self.registry.versions(model)}
        entry = self._entry(model, DELETE, why, at, {"versions": versions})
        self.registry.save(
            put(entry, expected_revision=0),
            put_life(model, Life(retirement, deletion), expected_revision=life.revision),
            # Whoever starts a training or a release at this moment finds that these have moved on, and looks again.
            put_training(model, replace(training.value, decided_at=at), expected_revision=training.revision),
            put_releasing(model, Releasing(), expected_revision=releasing.revision),
        )
        self.release_log.tell_model(entry, champion=None)
        return deletion

    def _end(self, model: str, deletion: Deletion) -> Deletion:
        """Note that all is gone. A model of that name may begin anew; its versions' numbers go on."""
        life, training = self.registry.life(model), self.registry.training(model)
        if life.value.deletion and life.value.deletion.ended_at:
            return life.value.deletion  # somebody else ended it
        at = self.now().isoformat()
        ended = replace(deletion, ended_at=at)
        entry = self._entry(model, DELETED, deletion.reason, at, {"began_at": deletion.began_at})
        begun = TrainingState(decision=f"{model} was {ended}", decided_at=at, last_version=training.value.last_version)
        self.registry.save(
            put(entry, expected_revision=0),
            put_life(model, Life(deletion=ended), expected_revision=life.revision),
            put_training(model, begun, expected_revision=training.revision),
        )
        self.release_log.tell_model(entry, champion=None)
        self.release_log.tell_people(f"{model} was deleted", f"{deletion.reason}\nIts history stays.")
        return ended

    def _entry(self, model: str, move: str, reason: str, at: str, evidence: dict[str, object]) -> HistoryEntry:
        log = self.release_log
        name = log.new_id(log.now())
        return HistoryEntry(name, model, at, log.actor, move, reason, evidence=evidence)


def _digests(version: ModelVersion) -> dict[str, str]:
    return {"manifest": version.manifest_sha256, "model": version.files.get("model.onnx", "")}
