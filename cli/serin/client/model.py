"""What can be done with a model? It is asked, fed, trained, released and explained."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from serin.aws.cloud import Cloud
from serin.aws.wiring import checker_in, deleter_in, releaser_in
from serin.client.answers import Prediction, predictions_table, read_predictions
from serin.client.datasets import Datasets
from serin.client.project import AskedWrongly, Project
from serin.client.times import read_time
from serin.client.versions import Versions
from serin.client.work import TIMEOUT_SECONDS, Say, Training, Upload
from serin.contract.model import Contract
from serin.errors import NotFound
from serin.monitoring.drift import DriftReport
from serin.registry.keys import batch_prefix, receipts_prefix, upload_key, uploaded_file
from serin.registry.lineage import explain_version
from serin.registry.records import Deletion, ModelVersion, Receipt, Release, Retirement, Route
from serin.registry.requests import TrainingRequest, Trigger
from serin.registry.version_number import resolve_version
from serin.release.approve import answer
from serin.release.delete import Inventory
from serin.release.retire import retire, undo_retirement
from serin.release.rollback import rollback as roll_back

if TYPE_CHECKING:
    import pandas as pd

    from serin.client.batch import Batch
    from serin.client.feedback import Sent


class Environment(Protocol):
    """What a model is in."""

    @property
    def env(self) -> str: ...

    @property
    def project(self) -> Project: ...

    @property
    def cloud(self) -> Cloud: ...

    @property
    def caller(self) -> str: ...

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]: ...


class ModelClient:
    """One model in one environment. What it does is done in the caller's name, and stands in the history.

    version, where a method takes one: its number, or `champion`. Each method may raise Unavailable, and NotFound where
    what it is about does not exist.
    """

    def __init__(self, environment: Environment, name: str) -> None:
        self.environment, self.name = environment, name

    @property
    def cloud(self) -> Cloud:
        return self.environment.cloud

    @property
    def contract(self) -> Contract:
        """The contract in the project's folder. Raises ContractError where it is wrong."""
        return self.environment.project.contracts.load(self.name)

    # Ask it

    def describe(self) -> dict[str, Any]:
        """Ask the endpoint what the model is: who answers, and what a row has."""
        return self.environment.call("GET", f"/models/{self.name}")

    @overload
    def predict(self, rows: pd.DataFrame, *, explain: bool = False) -> pd.DataFrame: ...

    @overload
    def predict(self, rows: Mapping[str, Any], *, explain: bool = False) -> Prediction: ...

    @overload
    def predict(self, rows: Sequence[Mapping[str, Any]], *, explain: bool = False) -> list[Prediction]: ...

    def predict(
        self, rows: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> pd.DataFrame | Prediction | list[Prediction]:
        """Ask the endpoint about rows; as many as there are, in requests of at most 1,000.

        rows: a DataFrame gives a DataFrame with its index (columns: as `predictions_table`), a dict one Prediction, a
        list of dicts a list of them. Of a DataFrame, columns that are no features are left out; NaN and None are
        missing values. explain: say what each feature contributed. Raises InvalidRows, whose `problems` name row (from
        0) and field of each; Refused where the model explains nothing; NotFound where it has no champion.
        """
        from serin.client.rows import plain_rows, rows_from_table
        from serin.client.tables import is_frame, read_content

        if is_frame(rows):
            described = self.describe()
            sent = rows_from_table(read_content(rows)[0], described) if len(rows) else []
            features = [feature["name"] for feature in described["features"]]
            return predictions_table(self._predictions(sent, explain), features, rows.index)
        if isinstance(rows, Mapping):
            return self._predictions(plain_rows([rows]), explain)[0]
        return self._predictions(plain_rows(rows), explain)

    def _predictions(self, rows: Sequence[Any], explain: bool) -> list[Prediction]:
        from serin.client.rows import ask_in_pieces

        answers = ask_in_pieces(self.environment, self._predict_path(explain), rows)
        return [prediction for answer in answers for prediction in read_predictions(answer)]

    def ask(self, rows: Sequence[Any], *, explain: bool = False) -> dict[str, Any]:
        """Send rows as they are in one request, and give the endpoint's whole answer. Raises as `predict`."""
        return self.environment.call("POST", self._predict_path(explain), {"rows": rows})

    def feedback(self, truths: str | Path | bytes | pd.DataFrame | Mapping[str, Any]) -> Sent:
        """Say what predictions turned out to be. Sending it again changes nothing.

        truths: a table with the columns id and truth (and row, where the ids are of requests), or a dict from the ids
        of predictions to what turned out. Returns how many were received, and each that was refused with its line.
        """
        from serin.client.feedback import send_feedback
        from serin.client.tables import read_content

        if isinstance(truths, Mapping):
            lines = (json.dumps({"id": name, "truth": truth}) for name, truth in truths.items())
            content = "\n".join(lines).encode()
        else:
            content = read_content(truths)[0]
        return send_feedback(self.environment, self.name, content)

    def batch(
        self,
        data: str | Path | bytes | pd.DataFrame,
        *,
        wait: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
        say: Say | None = None,
    ) -> Batch:
        """Answer a whole table, part by part, each row once and by one version.

        data: a file, its bytes or a DataFrame; or the name of a folder in the data bucket, `batch/<model>/<folder>/`.
        Without wait, `wait` of what is returned does so.
        """
        from serin.client.batch import Batch, send_file, send_prefix
        from serin.client.tables import read_content

        if isinstance(data, str) and data.startswith(batch_prefix(self.name)) and data.endswith("/"):
            job = send_prefix(self.cloud, data)
        else:
            content, name = read_content(data)
            job = send_file(self.cloud, self.name, name, content)
        batch = Batch(self.cloud, self.name, job)
        return batch.wait(timeout_seconds, say) if wait else batch

    def batch_again(self, job: str) -> Batch:
        """Try again what failed in a batch that ended. Raises NotFound, and Refused where nothing is left to try."""
        from serin.client.batch import Batch, send_again

        return Batch(self.cloud, self.name, job, attempt=send_again(self.cloud, self.name, job))

    # Feed it

    def upload(
        self,
        data: str | Path | bytes | pd.DataFrame,
        *,
        name: str = "",
        wait: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
        say: Say | None = None,
    ) -> Upload:
        """Send a table: it is checked, and may start a training, which may start a release.

        data: a CSV (also .gz) or Parquet file, its bytes, or a DataFrame, whose index is left out. name: of the file
        below uploads/<model>/; by default the file's own, else one by its content. wait: follow it until it comes to
        rest, telling each step where somebody can see it (say: who is told). Raises ContractError, AskedWrongly, and
        Unavailable where it takes longer than the time-out: it goes on then, and `wait` of an upload follows it.
        """
        from serin.client.tables import read_content

        self.environment.project.contracts.load(self.name)  # what nothing can come of is not sent
        content, own_name = read_content(data)
        key = upload_key(self.name, name or own_name)
        object_version = self.cloud.data.put(key, content, by=self.environment.caller)
        upload = Upload(self.environment, self.name, key=key, object_version=object_version, size=len(content))
        return upload.wait(timeout_seconds, say) if wait else upload

    def receipt(self, file: str) -> Receipt:
        """Read the receipt of the latest upload of a file. file: its name below uploads/<model>/, or its path here."""
        from serin.registry.receipts import latest_receipt

        return latest_receipt(self.cloud.data, self.name, self.upload_key(file))

    def upload_key(self, file: str) -> str:
        """Find the key that a file was uploaded under, by its name there or by its path here."""
        names = (uploaded_file(self.name, file), Path(file).name)
        keys = [upload_key(self.name, name) for name in names]
        return next((key for key in keys if any(self.cloud.data.list_versions(key))), keys[-1])

    def receipts(self) -> pd.DataFrame:
        """List the receipts of all uploads, the oldest first.

        Columns: file, status, rows, good_rows, bad_rows, new_rows, dataset (its id, or missing), received_at, reasons,
        receipt (its id). Raises MissingPackage without pandas.
        """
        from serin.client.tables import receipts_table
        from serin.registry.receipts import read_receipt

        data, folder = self.cloud.data, receipts_prefix(self.name)
        names = [stored.key.removeprefix(folder).removesuffix(".json") for stored in data.list(folder)]
        receipts = (read_receipt(data, self.name, name) for name in names)
        return receipts_table(receipt for receipt in receipts if receipt is not None)

    @property
    def datasets(self) -> Datasets:
        """The datasets: `datasets()` lists them, `datasets.accept(…)`, refuse, exclude and include decide on one."""
        return Datasets(self.environment, self.name)

    # Its versions

    def train(self, *, wait: bool = True, timeout_seconds: float = TIMEOUT_SECONDS, say: Say | None = None) -> Training:
        """Ask for a training on the accepted data. wait, say and what is raised: as for `upload`."""
        self.environment.project.contracts.load(self.name)  # what nothing can come of is not asked for
        request = secrets.token_hex(8)
        self.cloud.training_requests.send(TrainingRequest(self.name, Trigger.HAND, request).to_message())
        training = Training(self.environment, self.name, request=request)
        return training.wait(timeout_seconds, say) if wait else training

    def overview(self) -> Versions:
        """Read which versions there are, which one answers, and what is being trained."""
        return Versions.of(self.cloud.registry, self.name)

    def versions(self) -> pd.DataFrame:
        """List the versions, the oldest first.

        Columns: version, status (`champion`, passed, held, rejected, rolled_back), chosen (the algorithm), metric and
        holdout (its value there), created_at, run, served (whether it ever answered), excluded (ids of datasets that it
        learned from and that were taken back), model_sha256. Raises MissingPackage without pandas.
        """
        from serin.client.tables import versions_table

        return versions_table(self.overview(), self.contract.metric.name)

    def version(self, version: int | str = "champion") -> ModelVersion:
        """Read one version: its gates and their evidence, its metrics, its files' digests."""
        return self.cloud.registry.version(self.name, self.number(version)).value

    def number(self, version: int | str) -> int:
        """Find the number of a version. Raises Refused where it is neither a number nor `champion`."""
        return resolve_version(self.cloud.registry, self.name, str(version) or "champion")

    def runs(self) -> pd.DataFrame:
        """List the trainings, the oldest first.

        Columns: run, status, reason (why it began), rows, version (missing where none came of it), started_at,
        ended_at, error. Raises MissingPackage without pandas.
        """
        from serin.client.tables import runs_table

        return runs_table(self.cloud.registry.runs(self.name))

    def why(self, version: int | str = "champion") -> dict[str, Any]:
        """Gather where a version comes from: uploads, run, gates with their evidence, files, releases, history."""
        return explain_version(self.cloud.registry, self.cloud.data, self.name, self.number(version))

    def diff(self, one: int | str, other: int | str, *, show_values: bool = False) -> dict[str, Any]:
        """Gather what differs between two versions: data, contract, metrics, gates, and answers where one was replayed.

        Of what is there twice, the first value is `one`'s. show_values: also sensitive ones of rows that flipped.
        """
        from serin.client.diff import diff_versions

        return diff_versions(self.cloud, self.name, self.number(one), self.number(other), show_values=show_values)

    def drift(self) -> DriftReport:
        """Compare what the champion is asked with what it was trained on, now. A drift may start a training.

        `features` and `predictions` of the report hold a row each; pandas makes a DataFrame of them. Raises NotFound
        where there is no champion.
        """
        report = checker_in(self.cloud, actor=self.environment.caller).check(self.name, Trigger.HAND)
        if report is None:
            raise NotFound(f"{self.name} has no champion: nothing was released yet", code="NO_CHAMPION")
        return report

    # Its releases

    def releases(self) -> pd.DataFrame:
        """List the releases, the oldest first.

        Columns: model, release (its id), version, status, strategy, started_at, ended_at, rolled_back_at (missing where
        it was not, after its end), reason, started_by, seen (names the evidence that it shows now, to answer on it).
        Raises MissingPackage without pandas.
        """
        from serin.client.tables import releases_table

        return releases_table(self.cloud.registry, [self.name])

    def release(self, version: int, *, override_block: bool = False) -> Release:
        """Start a release of a version by hand, under its contract's plan.

        override_block: although the same model was rolled back; the history names you. Raises Refused.
        """
        caller = self.environment.caller
        starter = releaser_in(self.cloud, actor=caller).starter
        return starter.start_by_hand(self.name, version, unblocked_by=caller if override_block else "")

    def approve(self, version: int, *, seen: str) -> Release:
        """Approve what a release waits for. seen: the evidence that you saw, as `releases` names it.

        Raises Conflict where it shows another evidence by now, Refused where somebody else must approve.
        """
        return self._answer(version, seen, is_approved=True)

    def reject(self, version: int, *, seen: str) -> Release:
        """Reject a release: it ends, and the champion goes on. Raises as `approve`."""
        return self._answer(version, seen, is_approved=False)

    def rollback(self, version: int | str | None = None, *, reason: str = "asked for by hand") -> Route:
        """Let the previous champion answer again, at once.

        version: the one to roll back; the champion where left out. Raises Conflict where another one answers, or there
        is none before it.
        """
        # The contract is not read: it may be what is broken.
        number = None if version is None else self.number(version)
        return roll_back(releaser_in(self.cloud, actor=self.environment.caller), self.name, reason, version=number)

    # Its end

    def retire(self, *, reason: str, until: date | str | None = None) -> Retirement:
        """Retire the model: nothing is trained or released for it any more, and its champion goes on answering.

        until: from when on it does not answer: a date (of which 00:00 UTC is meant), a time, or `now`; where left out,
        it answers until it is deleted. Doing it again sets both anew. Raises Refused, NotFound.
        """
        releaser = releaser_in(self.cloud, actor=self.environment.caller)
        return retire(releaser, self.name, reason, until=read_time(until) if until else None)

    def undo_retirement(self, *, reason: str = "") -> None:
        """Take the retirement back; a training is considered then. Raises Conflict where it is not retired."""
        undo_retirement(releaser_in(self.cloud, actor=self.environment.caller), self.name, reason)
        self.cloud.training_requests.send(TrainingRequest(self.name, Trigger.DATA).to_message())

    def what_goes(self) -> Inventory:
        """List what deleting the model would take. Raises Refused where it may not be deleted now, NotFound."""
        return deleter_in(self.cloud, actor=self.environment.caller).check(self.name)

    def delete(self, *, confirm: str, reason: str = "") -> Deletion:
        """Delete the model for good: versions, data, runs, batches. Its history stays, with the versions' digests.

        confirm: the model's name once more. reason: that of its retirement where left out. Where it broke off, calling
        it again ends it. Raises Refused where the model is not retired or something is under way, NotFound.
        """
        if confirm != self.name:
            raise AskedWrongly(f"to delete {self.name} for good, confirm it by its name, not by {confirm!r}")
        return deleter_in(self.cloud, actor=self.environment.caller).delete(self.name, reason)

    def _answer(self, version: int, seen: str, *, is_approved: bool) -> Release:
        # On the twin everybody is one identity, which therefore says nothing of who somebody is.
        needs_another = self.environment.env != "local"
        releaser = releaser_in(self.cloud, actor=self.environment.caller)
        return answer(releaser, self.name, version, is_approved=is_approved, seen=seen, needs_another=needs_another)

    def _predict_path(self, explain: bool) -> str:
        return f"/models/{self.name}/predict{'?explain=true' if explain else ''}"

    def __repr__(self) -> str:
        return f"<model {self.name} in {self.environment.env}>"
