"""Is an upload accepted, held or refused? It is judged once, and always gets a receipt.

Refused is what cannot be read (`read.py`), what is wrong as a whole (`table_faults.py`), and, here, what has no model
or a wrong contract, is retired, is too large, or crashed its reader. Held for a person is what may be wrong although it
keeps to the contract (`doubts.py`). Single bad rows are set aside (`row_faults.py`).

Every write is either named by content or conditional, so that the same event twice, or a crash in between and a
second try, ends in the same state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from serin.contract.load import Contracts
from serin.contract.model import Contract
from serin.data.datasets import DatasetFiles
from serin.data.doubts import doubt_upload
from serin.data.intake import Judge, Judgement, judge_file
from serin.data.kept_table import KeptTable
from serin.data.learnable import choose_rows
from serin.data.limits import DEFAULT_LIMITS, Limits
from serin.data.row_keys import place_rows
from serin.data.write import KEYS, REJECTED, REST, TABLE
from serin.errors import Conflict, ContractError, NotFound, SerinError
from serin.profile.profile import Profile
from serin.registry.ids import dataset_id, receipt_id, sha256, sha256_file
from serin.registry.keys import dataset_prefix, model_of_upload, quarantine_prefix, upload_folder, uploaded_file
from serin.registry.ports import Clock, Notifier, Objects, Queue
from serin.registry.receipts import read_receipt, write_receipt
from serin.registry.records import Dataset, DatasetState, Receipt, ReceiptStatus, Retirement
from serin.registry.registry import Registry, put
from serin.registry.requests import TrainingRequest, Trigger
from serin.registry.retry import Patience

PROFILES_BEFORE = 50


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that arrived: its key, exactly as stored, and its version."""

    key: str
    version: str

    @property
    def model(self) -> str:
        """The model it is for; `_` where its folder cannot be the name of one."""
        return model_of_upload(self.key)

    @property
    def folder(self) -> str:
        """The folder below uploads/, as it was written; empty where it lies in none."""
        return upload_folder(self.key)


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes uploads in. judge: by default in this process; a function has it done in another."""

    data: Objects
    registry: Registry
    contracts: Contracts
    training_requests: Queue
    now: Clock
    patience: Patience
    notifier: Notifier
    judge: Judge = judge_file
    limits: Limits = DEFAULT_LIMITS

    def receive(self, upload: Upload, *, is_last_try: bool = False) -> Receipt:
        """Judge an upload, store what follows, and write its receipt. Doing it again changes nothing.

        is_last_try: earlier tries ended the process; now it is not read again but set aside, so that it has a receipt.
        """
        receipt = read_receipt(self.data, upload.model, receipt_id(upload.key, upload.version))
        if receipt is None:
            receipt = self._give_up(upload) if is_last_try else self._judge(upload)
            write_receipt(self.data, receipt)
            if receipt.status is ReceiptStatus.HELD:
                self._tell_held(receipt)
        is_current_again = any(note["code"] == "CURRENT" for note in receipt.notes)
        if receipt.status is ReceiptStatus.ACCEPTED or is_current_again:
            self.training_requests.send(TrainingRequest(receipt.model, Trigger.UPLOAD).to_message())
        return receipt

    def _tell_held(self, receipt: Receipt) -> None:
        """Tell people that they must decide; the receipt says so where they cannot be reached."""
        file = uploaded_file(receipt.model, receipt.key)
        why = "\n".join(str(reason["message"]) for reason in receipt.reasons)
        orders = f"serin accept {receipt.model} {file}\nserin refuse {receipt.model} {file}"
        with suppress(SerinError):
            self.notifier.tell(f"{receipt.model}: an upload is held", f"{receipt.key}: {why}\n{orders}")

    def _draft(self, upload: Upload) -> Receipt:
        return Receipt(
            id=receipt_id(upload.key, upload.version),
            model=upload.model,
            key=upload.key,
            object_version=upload.version,
            status=ReceiptStatus.QUARANTINED,
            at=self.now().isoformat(),
        )

    def _give_up(self, upload: Upload) -> Receipt:
        reason = _reason(
            "CRASH",
            "each try to judge it ended without an answer: out of memory, out of time, or a service was out of reach",
            "upload it again; where it ends so again, in smaller parts",
        )
        return self._unless_kept(replace(self._draft(upload), reasons=(reason,)))

    def _judge(self, upload: Upload) -> Receipt:
        draft = self._draft(upload)
        if not self.data.exists(upload.key):  # though its version can be read still
            return self._gone(draft)
        try:
            draft = replace(draft, size=self.data.size(upload.key, upload.version))
            if draft.size > self.limits.max_sent:
                return replace(draft, reasons=(_too_large(draft.size, self.limits.max_sent),))  # it stays where it is
            if retirement := self.registry.life(upload.model).value.retirement:
                return self._set_aside(draft, _retired(upload.model, retirement))
            contract = self.contracts.load(upload.folder)
            with TemporaryDirectory() as folder:
                digest = self.data.fetch(upload.key, upload.version, Path(folder) / "upload")
                return self._decide(replace(draft, sha256=digest), contract, Path(folder))
        except ContractError as error:
            return self._set_aside(
                draft,
                _reason(
                    "CONTRACT",
                    f"the contract of {upload.model} is wrong: {error}",
                    "fix it (serin check), then upload again",
                ),
            )
        except NotFound as error:
            if error.code == "UNKNOWN_MODEL":
                return self._set_aside(
                    draft,
                    _reason(
                        error.code,
                        error.message,
                        "upload to uploads/<model>/<file> of a model that has a contract",
                    ),
                )
            return self._gone(draft)

    def _gone(self, draft: Receipt) -> Receipt:
        reason = _reason("GONE", "the object was deleted before it could be judged", "upload it again")
        return self._unless_kept(replace(draft, status=ReceiptStatus.GONE, reasons=(reason,)))

    def _unless_kept(self, receipt: Receipt) -> Receipt:
        """Give this verdict, unless an earlier try made a dataset of the upload and ended before it could say so."""
        kept = next(
            (dataset for dataset in self.registry.datasets(receipt.model) if dataset.receipt == receipt.id), None
        )
        if kept is None:
            return receipt
        self._describe(kept, receipt)
        note = _reason("CRASH", "the try that judged it ended early; rows that it set aside are not counted here", "")
        counted = replace(receipt, rows=kept.rows, good_rows=kept.rows, reasons=kept.doubts, notes=(note,))
        return replace(
            counted,
            status=_status_of(kept),
            decided_by=kept.state_by,
            dataset=kept.id,
            new_rows=kept.counted_rows,
        )

    def _decide(self, draft: Receipt, contract: Contract, folder: Path) -> Receipt:
        earlier = [dataset for dataset in self.registry.datasets(draft.model) if dataset.receipt != draft.id]
        used = [dataset for dataset in earlier if dataset.is_used]
        before, kept = self._profile_before(draft.model, used), folder / "kept"
        judgement = self.judge(folder / "upload", kept, contract, before)
        (folder / "upload").unlink()  # the disk may be small
        judged = replace(
            draft,
            rows=judgement.rows,
            good_rows=judgement.good_rows,
            bad_rows=judgement.bad_rows,
            reasons=tuple(reason.to_dict() for reason in judgement.reasons),
            notes=tuple(note.to_dict() for note in judgement.notes),
        )
        rejected = kept / REJECTED if (kept / REJECTED).exists() else None
        if judgement.content is None:
            return self._set_aside(judged, rows=rejected)
        receipt = self._keep(judged, judgement, kept, contract, earlier)
        return self._set_aside(receipt, rows=rejected) if rejected else receipt

    def _profile_before(self, model: str, used: list[Dataset]) -> Profile | None:
        """Add up the profiles of the last datasets with the same columns."""
        total: Profile | None = None
        for dataset in reversed(used[-PROFILES_BEFORE:]):
            profile = Profile.from_json(self.data.get(dataset_prefix(model, dataset.id) + "profile.json"))
            if total is None:
                total = profile
            elif _kinds(total) == _kinds(profile):
                total = total + profile
        return total

    def _keep(
        self, judged: Receipt, judgement: Judgement, folder: Path, contract: Contract, earlier: list[Dataset]
    ) -> Receipt:
        """Store the good rows as a dataset, held where they are doubted; what is known already is a duplicate."""
        assert judgement.content is not None
        first = self.registry.dataset(judged.model, dataset_id(judgement.content))
        first = first or self._kept_before(KeptTable(folder), judgement.good_rows, contract, earlier)
        if first is None:
            first = self._claim(self._dataset(judged, judgement, folder, contract, earlier))
        if first.receipt != judged.id:
            return self._duplicate(judged, first, contract)
        doubts = tuple(dict(doubt) for doubt in first.doubts)
        kept = replace(
            judged,
            status=_status_of(first),
            decided_by=first.state_by,
            reasons=(*doubts, *judged.reasons),
            dataset=first.id,
            new_rows=first.counted_rows,
            notes=(*judged.notes, *_repeats_note(first)),
        )
        self._describe(first, kept)
        return kept

    def _kept_before(self, table: KeptTable, rows: int, contract: Contract, earlier: list[Dataset]) -> Dataset | None:
        """Find the same rows among datasets of before they were Parquet, which were named otherwise."""
        files = DatasetFiles(self.data, contract.model)
        for dataset in earlier:
            is_alike = dataset.is_of_before and dataset.rows == rows
            before = files.beside(dataset, contract) if is_alike else None
            if before is not None and np.array_equal(before.beside.rows, table.rows):
                return dataset
        return None

    def _dataset(
        self, judged: Receipt, judgement: Judgement, folder: Path, contract: Contract, earlier: list[Dataset]
    ) -> Dataset:
        """Place the rows in every split, doubt them, and store what belongs to the dataset; its row comes last."""
        assert judgement.content is not None
        assert judgement.profile is not None
        files, table = DatasetFiles(self.data, judged.model), KeptTable(folder)
        appends = contract.data.uploads == "append"
        before = ((files.beside(dataset, contract), appends and dataset.is_used) for dataset in earlier)
        beside, repeats = place_rows(table, contract, ((place, is_known) for place, is_known in before if place))
        doubts = doubt_upload(
            judgement.good_rows,
            table.take(choose_rows(judgement.good_rows)),
            files.last_rows([dataset for dataset in earlier if dataset.is_used], contract),
            contract,
            labels=judgement.labels,
            repeats=repeats,
            new_labels=judgement.new_labels,
        )
        name = dataset_id(judgement.content)
        place = dataset_prefix(judged.model, name)
        profile = judgement.profile.to_json()
        self.data.put(f"{place}profile.json", profile)
        digests = {"profile.json": sha256(profile)}
        beside.write(folder / KEYS)
        for path in (folder / TABLE, folder / REST, folder / KEYS):
            if path.exists():
                digest = sha256_file(path)
                file = f"{path.stem}-{digest[:16]}{path.suffix}"
                self.data.put_file(place + file, path)
                digests[file] = digest
        reasons = tuple(doubt.to_dict() for doubt in doubts)
        return Dataset(
            id=name,
            model=judged.model,
            rows=judgement.good_rows,
            receipt=judged.id,
            key=judged.key,
            files=digests,
            accepted_at=judged.at,
            state=DatasetState.HELD if reasons else DatasetState.ACCEPTED,
            state_reason="; ".join(str(doubt["message"]) for doubt in reasons),
            doubts=reasons,
            new_rows=judgement.good_rows - min(repeats.unnatural, judgement.good_rows),
            repeats=repeats.count,
            sent_at=self._written_at(judged),
        )

    def _duplicate(self, judged: Receipt, first: Dataset, contract: Contract) -> Receipt:
        """Say what the content came from first. Where uploads replace each other it is the current table again."""
        notes = judged.notes
        if first.state is not DatasetState.ACCEPTED:
            fix = f"serin datasets {judged.model} shows it"
            notes = (*notes, _reason("KNOWN", f"these rows were {first.state} before: {first.state_reason}", fix))
        elif contract.data.uploads == "replace" and self._send_again(judged, first.id):
            notes = (*notes, _reason("CURRENT", "this table was sent before, and is the current one again", ""))
        return replace(judged, status=ReceiptStatus.DUPLICATE, dataset=first.id, duplicate_of=first.key, notes=notes)

    def _send_again(self, judged: Receipt, name: str) -> bool:
        """Note that a table was sent again. False where one was written after it: then that stays the current one."""
        written = self._written_at(judged)

        def send() -> bool:
            sent = next(dataset for dataset in self.registry.found_datasets(judged.model) if dataset.value.id == name)
            newest = max(dataset.written_at for dataset in self.registry.used_datasets(judged.model))
            if sent.value.written_at < written:
                again = replace(sent.value, sent_at=written, sent=sent.value.sent + 1, is_considered=False)
                self.registry.save(put(again, expected_revision=sent.revision))
            return written >= newest

        return self.patience.retry_on_conflict(send)

    def _written_at(self, judged: Receipt) -> str:
        """When the upload was written, whenever its event came."""
        return self.data.stored_at(judged.key, judged.object_version).isoformat()

    def _describe(self, dataset: Dataset, receipt: Receipt) -> None:
        manifest = {
            "dataset": dataset.id,
            "model": dataset.model,
            "rows": dataset.rows,
            "receipt": dataset.receipt,
            "key": dataset.key,
            "upload_sha256": receipt.sha256,
            "files": dataset.files,
        }
        text = json.dumps(manifest, indent=1, sort_keys=True)
        self.data.put(dataset_prefix(dataset.model, dataset.id) + "manifest.json", text.encode())

    def _claim(self, dataset: Dataset) -> Dataset:
        """Store the dataset's row, and give the one that was first with this content."""
        try:
            self.registry.save(put(dataset, expected_revision=0))
        except Conflict:
            first = self.registry.dataset(dataset.model, dataset.id)
            return first or dataset
        return dataset

    def _set_aside(self, receipt: Receipt, *reasons: dict[str, object], rows: Path | None = None) -> Receipt:
        """Keep what was not used under quarantine/: the bad rows, or the whole upload, beside the reasons."""
        kept = replace(
            receipt,
            reasons=(*receipt.reasons, *reasons),
            quarantine=quarantine_prefix(receipt.model, receipt.id),
        )
        if rows is not None:
            self.data.put_file(f"{kept.quarantine}rows.csv", rows)
        if receipt.status is ReceiptStatus.QUARANTINED:
            self.data.copy(receipt.key, receipt.object_version, f"{kept.quarantine}upload")
        self.data.put(f"{kept.quarantine}reasons.json", json.dumps([*kept.reasons, *kept.notes], indent=1).encode())
        return kept


def _status_of(dataset: Dataset) -> ReceiptStatus:
    """The receipt's status of a dataset, on which somebody may have decided before its receipt was written."""
    match dataset.state:
        case DatasetState.HELD:
            return ReceiptStatus.HELD
        case DatasetState.REFUSED:
            return ReceiptStatus.QUARANTINED
        case _:
            return ReceiptStatus.ACCEPTED


def _repeats_note(dataset: Dataset) -> Iterator[dict[str, object]]:
    if dataset.repeats:
        message = (
            f"{dataset.repeats:,} of {dataset.rows:,} rows repeat rows of it or of uploads before; "
            f"{dataset.counted_rows:,} count as new"
        )
        yield _reason("REPEATED_ROWS", message, "")


def _kinds(profile: Profile) -> dict[str, type]:
    return {name: type(column) for name, column in profile.columns.items()}


def _reason(code: str, message: str, fix: str) -> dict[str, object]:
    return {"code": code, "message": message, "fix": fix, "column": None, "rows": [], "count": 0}


def _retired(model: str, retirement: Retirement) -> dict[str, object]:
    message = f"{model} is {retirement}; nothing learns from it any more"
    return _reason("RETIRED", message, f"take that back (serin retire {model} --undo), then upload it again")


def _too_large(size: int, most: int) -> dict[str, object]:
    message = f"{size / 2**20:,.0f} MiB are more than the {most // 2**20} MiB that one upload may have"
    return _reason("TOO_LARGE", message, "split it into several uploads")
