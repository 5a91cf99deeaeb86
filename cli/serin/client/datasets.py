"""What does a person decide about data, and what follows? Held uploads, and those that are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from serin.aws.cloud import PATIENCE, Cloud, new_ulid, utc_now
from serin.registry.curate import Curator, find_dataset, learned_from, taint
from serin.registry.records import Dataset, VersionStatus
from serin.training.start import trained_on

if TYPE_CHECKING:
    import pandas as pd

Action = Literal["accept", "refuse", "exclude", "include"]


class Place(Protocol):
    """Where datasets are, and in whose name is decided."""

    @property
    def cloud(self) -> Cloud: ...

    @property
    def caller(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on a dataset, and what that touches.

    versions: the numbers of those that learned from it. champion: the one that answers. back: a version that can be
    rolled back to and learned from nothing that is excluded; None: there is none. clean: the numbers of all versions
    that answered once, may again, and learned from nothing that is excluded.
    """

    dataset: Dataset
    versions: Sequence[int]
    champion: int | None
    back: int | None
    clean: Sequence[int]

    def __repr__(self) -> str:
        return f"<dataset {self.dataset.id} ({self.dataset.key}) is {self.dataset.state}>"


@dataclass(frozen=True, slots=True)
class Datasets:
    """The datasets of one model. Called, it lists them; its methods decide in the caller's name.

    which: the beginning of a dataset's id, or the name of its file. Each method raises NotFound where there is no such
    dataset, and Refused where more than one is meant or its state does not allow it.
    """

    place: Place
    model: str

    def __call__(self) -> pd.DataFrame:
        """List them, the oldest first.

        Columns: dataset (its id), file, rows, new_rows (that do not repeat others), state, reason and by (why it is in
        its state, and who put it there), learned (whether a run used it), accepted_at. Raises MissingPackage.
        """
        from serin.client.tables import datasets_table

        return datasets_table(self.records(), self.learned())

    def records(self) -> list[Dataset]:
        """List them as the registry has them, the oldest first."""
        return self.place.cloud.registry.datasets(self.model)

    def learned(self) -> set[str]:
        """Name those that a run used or is using."""
        return trained_on(self.place.cloud.registry.runs(self.model))

    def accept(self, which: str, reason: str = "") -> Decision:
        """Let a held upload be learned from."""
        return self.decide("accept", which, reason)

    def refuse(self, which: str, reason: str = "") -> Decision:
        """Let a held upload never be learned from."""
        return self.decide("refuse", which, reason)

    def exclude(self, which: str, reason: str) -> Decision:
        """Take an upload back: nothing learns from it any more. The reason is needed, for the history."""
        return self.decide("exclude", which, reason)

    def include(self, which: str, reason: str = "") -> Decision:
        """Let an upload that was taken back be learned from again."""
        return self.decide("include", which, reason)

    def decide(self, action: Action, which: str, reason: str = "") -> Decision:
        """Take one of the four decisions, and tell what it touches."""
        dataset = find_dataset(self.records(), self.model, which)
        curator = self._curator()
        decide = {
            "accept": curator.accept,
            "refuse": curator.refuse,
            "exclude": curator.exclude,
            "include": curator.include,
        }[action]
        return self._decision(decide(self.model, dataset.id, reason))

    def _decision(self, dataset: Dataset) -> Decision:
        registry = self.place.cloud.registry
        versions, datasets, route = registry.versions(self.model), self.records(), registry.route(self.model)
        champion = route.value.champion if route else None
        number = champion.version if champion else None
        clean = [
            version.number
            for version in versions
            if version.served
            and version.number != number
            and version.status is not VersionStatus.ROLLED_BACK
            and not taint(version, datasets)
        ]
        return Decision(
            dataset=dataset,
            versions=learned_from(versions, dataset.id),
            champion=number,
            back=champion.replaced if champion and champion.replaced in clean else None,
            clean=clean,
        )

    def _curator(self) -> Curator:
        cloud = self.place.cloud
        return Curator(
            registry=cloud.registry,
            data=cloud.data,
            training_requests=cloud.training_requests,
            new_id=new_ulid,
            now=utc_now,
            patience=PATIENCE,
            actor=self.place.caller,
        )
