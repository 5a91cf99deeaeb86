"""Should a training start? The decision is pure; starting it is named by its inputs, so that it happens once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from serin.contract.durations import SECONDS_PER_MINUTE, scale_duration
from serin.contract.load import Contracts
from serin.contract.model import Contract
from serin.errors import ContractError, NotFound
from serin.registry.ids import run_id
from serin.registry.ports import Clock, Workflow
from serin.registry.records import Dataset, Run, RunStatus, TrainingState, VersionStatus
from serin.registry.registry import Found, Registry, put, put_training
from serin.registry.requests import TrainingRequest, Trigger
from serin.registry.retry import Patience

MARKED_AT_ONCE = 100  # as many as DynamoDB takes in one transaction


@dataclass(frozen=True, slots=True)
class Train:
    """Train on these datasets."""

    datasets: tuple[Dataset, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Do not train now. is_postponed: what was asked for was not decided; it is when the next look is taken."""

    reason: str
    is_postponed: bool = False


def decide(
    contract: Contract,
    datasets: Sequence[Dataset],
    *,
    running: str | None,
    trained: Collection[str],
    by: Trigger,
    last_started_at: datetime | None,
    now: datetime,
    seconds_per_minute: float = SECONDS_PER_MINUTE,
) -> Train | Skip:
    """Say whether to train, and why.

    datasets: those that are used, the oldest first.
    running: the run under way. trained: see `last_trained_on`. by: what asks.
    seconds_per_minute: how long a minute of the contract lasts; 60 but on the twin.
    """
    if not datasets:
        return Skip("there is no accepted data yet")
    if running:
        return Skip(f"run {running} is under way; what arrived meanwhile is looked at when it ends", is_postponed=True)
    usable = tuple(datasets)
    if contract.data.uploads == "replace":
        usable = (max(datasets, key=lambda dataset: dataset.written_at),)
    if by is Trigger.HAND:
        return Train(usable, "asked for by hand")
    plan = contract.training.retrain
    new = [dataset for dataset in usable if dataset.id not in trained]
    # A table that replaces another may have fewer rows and be new all the same.
    new_rows = sum(dataset.counted_rows if contract.data.uploads == "append" else dataset.rows for dataset in new)
    gone = sorted(set(trained) - {dataset.id for dataset in datasets})
    if gone and plan.on_upload:
        return Train(usable, f"dataset {gone[0]}, which was learned from, is no longer used")
    if not new_rows:
        return Skip("every accepted row was trained on already")
    if not trained:
        return (
            Train(usable, f"first training, on {new_rows:,} rows")
            if plan.on_upload
            else Skip("training.retrain.on_upload is off; start it with: serin train")
        )
    if plan.on_upload and new_rows >= plan.min_new_rows:
        return Train(usable, f"{new_rows:,} new rows, at least {plan.min_new_rows:,}")
    if plan.on_drift and by is Trigger.DRIFT:
        return Train(usable, f"what is asked has drifted, and there are {new_rows:,} new rows")
    every = plan.every and scale_duration(plan.every, seconds_per_minute=seconds_per_minute)
    if every and last_started_at and now - last_started_at >= every:
        return Train(usable, f"{new_rows:,} new rows, and the last training is older than training.retrain.every")
    if not plan.on_upload:
        return Skip(f"{new_rows:,} new rows; training.retrain.on_upload is off, start it with: serin train")
    return Skip(f"{new_rows:,} new rows of the {plan.min_new_rows:,} that training.retrain.min_new_rows asks for")


def last_trained_on(runs: Sequence[Run]) -> set[str]:
    """Name the datasets that the last run used. What a failed run did not learn from counts as new."""
    return next((set(run.datasets) for run in reversed(runs) if run.status is not RunStatus.FAILED), set())


def trained_on(runs: Sequence[Run]) -> set[str]:
    """Name the datasets that any run has used or is using."""
    return {dataset for run in runs if run.status is not RunStatus.FAILED for dataset in run.datasets}


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts trainings."""

    registry: Registry
    contracts: Contracts
    workflow: Workflow
    now: Clock
    patience: Patience
    code_digest: str
    seconds_per_minute: float = SECONDS_PER_MINUTE

    def consider(self, request: TrainingRequest) -> TrainingState:
        """Decide whether a model is to be trained, start it if so, and remember the decision with its reason.

        A request whose id was answered before is not answered again. Drift that is told while no run can start is
        remembered: the next look is taken as if it were told then.
        """
        return self.patience.retry_on_conflict(lambda: self._consider_once(request))

    def _consider_once(self, request: TrainingRequest) -> TrainingState:
        state = self.registry.training(request.model)
        self._resume(request.model, state.value)
        if request.id and request.id in state.value.answered:
            return state.value
        datasets = self.registry.found_datasets(request.model)
        decided = self._decide_and_start(request, [dataset.value for dataset in datasets], state, self.now())
        self._mark(datasets)
        return decided

    def _mark(self, datasets: Sequence[Found[Dataset]]) -> None:
        """Mark datasets as considered: after the decision, so that whoever finds the mark finds the decision too."""
        new = [dataset for dataset in datasets if not dataset.value.is_considered]
        for start in range(0, len(new), MARKED_AT_ONCE):
            some = new[start : start + MARKED_AT_ONCE]
            marked = [(replace(dataset.value, is_considered=True), dataset.revision) for dataset in some]
            self.registry.save(*(put(dataset, expected_revision=revision) for dataset, revision in marked))

    def _decide_and_start(
        self, request: TrainingRequest, datasets: Sequence[Dataset], state: Found[TrainingState], now: datetime
    ) -> TrainingState:
        model, is_for_drift = request.model, request.by is Trigger.DRIFT or state.value.is_drift_waiting
        asked_by = Trigger.DRIFT if is_for_drift and request.by is not Trigger.HAND else request.by
        used = [dataset for dataset in datasets if dataset.is_used]
        choice, contract = self._decide(model, used, state.value, asked_by, now)
        decided = replace(
            state.value,
            decision=choice.reason,
            decided_at=now.isoformat(),
            answered=(*state.value.answered, request.id)[-10:] if request.id else state.value.answered,
            is_drift_waiting=is_for_drift and (isinstance(choice, Train) or choice.is_postponed),
        )
        if isinstance(choice, Skip) or contract is None:
            self.registry.save(put_training(model, decided, expected_revision=state.revision))
            return decided
        return self._start(contract, choice, decided, state.revision, request)

    def _decide(
        self, model: str, datasets: Sequence[Dataset], state: TrainingState, by: Trigger, now: datetime
    ) -> tuple[Train | Skip, Contract | None]:
        """Decide by the contract, and give it; without one that can be read, or for a retired model, skip."""
        if retirement := self.registry.life(model).value.retirement:
            return Skip(f"{model} is {retirement}; nothing is trained"), None
        try:
            contract = self.contracts.load(model)
        except (ContractError, NotFound) as error:
            return Skip(f"there is no contract to train by: {error}", is_postponed=True), None
        runs = self.registry.runs(model)
        choice = decide(
            contract,
            datasets,
            running=state.running,
            trained=last_trained_on(runs),
            by=by,
            last_started_at=datetime.fromisoformat(runs[-1].started_at) if runs else None,
            now=now,
            seconds_per_minute=self.seconds_per_minute,
        )
        return choice, contract

    def _start(
        self, contract: Contract, choice: Train, decided: TrainingState, revision: int, request: TrainingRequest
    ) -> TrainingState:
        name, earlier = self._named(contract, choice)
        if earlier and (earlier.value.status is not RunStatus.FAILED or request.by is not Trigger.HAND):
            is_failed = earlier.value.status is RunStatus.FAILED
            skipped = replace(
                decided,
                decision=f"run {name} failed on these very inputs; try it again with: serin train {contract.model}"
                if is_failed
                else f"run {name} trained on these very inputs already"
                + (f"; it made version {earlier.value.version}" if earlier.value.version else ""),
                is_drift_waiting=decided.is_drift_waiting and is_failed,
            )
            self.registry.save(put_training(contract.model, skipped, expected_revision=revision))
            return skipped
        run = Run(
            id=name,
            model=contract.model,
            status=RunStatus.RUNNING,
            datasets=tuple(dataset.id for dataset in choice.datasets),
            rows=sum(dataset.rows for dataset in choice.datasets),
            contract=contract.model_dump(mode="json"),
            contract_digest=contract.digest,
            code_digest=self.code_digest,
            reason=choice.reason,
            started_at=decided.decided_at,
            request=request.id,
            attempt=earlier.value.attempt + 1 if earlier else 1,
        )
        started = replace(decided, running=name, is_drift_waiting=False)
        self.registry.save(
            put(run, expected_revision=earlier.revision if earlier else 0),
            put_training(contract.model, started, expected_revision=revision),
        )
        self._resume(contract.model, started)
        return started

    def _named(self, contract: Contract, choice: Train) -> tuple[str, Found[Run] | None]:
        """Name a run by its inputs, and find the one of that name. Another champion to be compared with is one too."""
        inputs = [dataset.id + (f"+{dataset.sent}" if dataset.sent > 1 else "") for dataset in choice.datasets]
        if deletion := self.registry.life(contract.model).value.deletion:
            # An execution's name is spent: the same inputs under the same name would start nothing.
            inputs.append(f"after the deletion of {deletion.ended_at}")
        digests = {"contract_digest": contract.digest, "code_digest": self.code_digest}
        name = run_id(datasets=inputs, **digests)
        earlier, route = self.registry.find_run(contract.model, name), self.registry.route(contract.model)
        if earlier is None or route is None or not self._is_outdated(earlier.value, route.value.champion.version):
            return name, earlier
        name = run_id(datasets=[*inputs, f"beside version {route.value.champion.version}"], **digests)
        return name, self.registry.find_run(contract.model, name)

    def _is_outdated(self, run: Run, champion: int) -> bool:
        """Tell whether what a run made was compared with another champion, which learned from something else."""
        made = self.registry.find_version(run.model, run.version) if run.version else None
        answers = self.registry.find_version(run.model, champion)
        if made is None or answers is None or made.value.status is VersionStatus.ROLLED_BACK:
            return False
        theirs = self.registry.run(run.model, answers.value.run).value
        is_same = (theirs.datasets, theirs.contract_digest, theirs.code_digest) == (
            run.datasets,
            run.contract_digest,
            run.code_digest,
        )
        return made.value.compared_with != champion and not is_same

    def _resume(self, model: str, state: TrainingState) -> None:
        """Make sure that the run noted as under way was really started: whoever noted it may have died before."""
        if state.running:
            run = self.registry.run(model, state.running).value
            if run.status is RunStatus.RUNNING:
                self.workflow.start(run.execution, run.payload)
