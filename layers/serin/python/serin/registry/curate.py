"""How does a person decide on data? Held uploads are accepted or refused, accepted ones taken back and let in again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from serin.errors import NotFound, Refused
from serin.registry.keys import upload_key
from serin.registry.ports import Clock, Objects, Queue
from serin.registry.receipts import read_receipt, write_receipt
from serin.registry.records import Dataset, DatasetState, HistoryEntry, ModelVersion, ReceiptStatus
from serin.registry.registry import Registry, put
from serin.registry.requests import TrainingRequest, Trigger
from serin.registry.retry import Patience

# What may become what, and what that is called.
_MOVES = {
    "accept": (DatasetState.HELD, DatasetState.ACCEPTED),
    "refuse": (DatasetState.HELD, DatasetState.REFUSED),
    "exclude": (DatasetState.ACCEPTED, DatasetState.EXCLUDED),
    "include": (DatasetState.EXCLUDED, DatasetState.ACCEPTED),
}


@dataclass(frozen=True, slots=True)
class Curator:
    """Lets a person decide on datasets, by name. Each decision is in the history, with who took it and why."""

    registry: Registry
    data: Objects
    training_requests: Queue
    new_id: Callable[[datetime], str]
    now: Clock
    patience: Patience
    actor: str

    def accept(self, model: str, dataset: str, reason: str) -> Dataset:
        """Let a held upload be learned from. Raises Refused where it is not held, NotFound."""
        return self._decide("accept", model, dataset, reason)

    def refuse(self, model: str, dataset: str, reason: str) -> Dataset:
        """Keep a held upload from being learned from, for good. Raises Refused where it is not held, NotFound."""
        return self._decide("refuse", model, dataset, reason)

    def exclude(self, model: str, dataset: str, reason: str) -> Dataset:
        """Take an accepted upload back: no training and no hold-out has its rows from now on. Raises as `accept`."""
        if not reason.strip():
            raise Refused("say why: --reason", code="REASON")
        return self._decide("exclude", model, dataset, reason)

    def include(self, model: str, dataset: str, reason: str) -> Dataset:
        """Let an excluded upload be learned from again. Raises as `accept`."""
        return self._decide("include", model, dataset, reason)

    def _decide(self, move: str, model: str, name: str, reason: str) -> Dataset:
        dataset = self.patience.retry_on_conflict(lambda: self._decide_once(move, model, name, reason))
        receipt = read_receipt(self.data, model, dataset.receipt)
        if receipt is not None and receipt.status is ReceiptStatus.HELD:
            status = ReceiptStatus.ACCEPTED if dataset.is_used else ReceiptStatus.QUARANTINED
            write_receipt(self.data, replace(receipt, status=status, decided_by=self.actor))
        self.training_requests.send(TrainingRequest(model, Trigger.DATA).to_message())
        return dataset

    def _decide_once(self, move: str, model: str, name: str, reason: str) -> Dataset:
        dataset = next(
            (candidate for candidate in self.registry.found_datasets(model) if candidate.value.id == name), None
        )
        if dataset is None:
            raise NotFound(f"{model} has no dataset {name}; list them with: serin datasets {model}")
        before, after = _MOVES[move]
        if dataset.value.state is after and dataset.value.state_by == self.actor:
            return dataset.value  # a try before ended early, or it was asked for twice
        if dataset.value.state is not before:
            message = f"dataset {name} is {dataset.value.state}; only one that is {before} can be {after}"
            raise Refused(message, code="STATE")
        now = self.now()
        # It is considered anew: whether a training follows is decided with it as it is now.
        decided = replace(dataset.value, state=after, state_reason=reason, state_by=self.actor, is_considered=False)
        entry = HistoryEntry(
            id=self.new_id(now),
            model=model,
            at=now.isoformat(),
            actor=self.actor,
            move=move,
            reason=reason or f"{dataset.value.key} was {before}",
            evidence={"dataset": name, "key": dataset.value.key, "rows": dataset.value.rows},
        )
        self.registry.save(put(decided, expected_revision=dataset.revision), put(entry, expected_revision=0))
        return decided


def find_dataset(datasets: Sequence[Dataset], model: str, which: str) -> Dataset:
    """Find a dataset by the beginning of its id, or by its file's name. Raises NotFound, Refused where many fit."""
    fitting = [dataset for dataset in datasets if dataset.id.startswith(which)] or [
        dataset for dataset in datasets if dataset.key in (which, upload_key(model, which))
    ]
    if not fitting:
        raise NotFound(f"{model} has no dataset {which}; list them with: serin datasets {model}")
    if len(fitting) > 1:
        raise Refused(f"{which} may be {' or '.join(dataset.id for dataset in fitting)}; name one by its id")
    return fitting[0]


def learned_from(versions: Sequence[ModelVersion], dataset: str) -> list[int]:
    """Number the versions that learned from a dataset."""
    return [version.number for version in versions if dataset in version.datasets]


def taint(version: ModelVersion, datasets: Sequence[Dataset]) -> list[Dataset]:
    """Find the datasets that a version learned from and that are no longer used."""
    return [dataset for dataset in datasets if dataset.id in version.datasets and not dataset.is_used]
