"""Where is each thing kept? The prefixes of both buckets, and the functions that compose keys and read them.

The artifacts bucket has `models/` only; all other prefixes are of the data bucket. This module imports nothing heavy:
serving, the stacks and the commands read it.
"""

from __future__ import annotations

from datetime import datetime

from serin.contract.notation import is_model_name
from serin.errors import Refused

UPLOADS = "uploads/"
RECEIPTS = "receipts/"
DATASETS = "datasets/"
QUARANTINE = "quarantine/"
RUNS = "runs/"
MODELS = "models/"
RELEASES = "releases/"
CAPTURES = "captures/"
SUMMARIES = "summaries/"
DRIFT = "drift/"
BATCH = "batch/"
BATCH_WORK = "batch-work/"
PREDICTIONS = "predictions/"

NO_MODEL = "_"  # in the keys of receipts, for uploads to what cannot be a model
CAPTURE_ENDING = ".jsonl.gz"


# Uploads, and what becomes of them


def uploads_prefix(model: str) -> str:
    return f"{UPLOADS}{model}/"


def upload_key(model: str, file: str) -> str:
    return uploads_prefix(model) + file


def uploaded_file(model: str, key: str) -> str:
    """The file's name below uploads/<model>/; a key that lies elsewhere stays as it is."""
    return key.removeprefix(uploads_prefix(model))


def upload_folder(key: str) -> str:
    """The folder below uploads/, as it was written; empty where the upload lies in none."""
    return key.split("/")[1] if key.count("/") > 1 else ""


def model_of_upload(key: str) -> str:
    """The model that an upload is for: its folder, where that can be the name of a model; else `_`."""
    folder = upload_folder(key)
    return folder if is_model_name(folder) else NO_MODEL


def receipts_prefix(model: str) -> str:
    return f"{RECEIPTS}{model}/"


def receipt_key(model: str, receipt: str) -> str:
    return f"{receipts_prefix(model)}{receipt}.json"


def quarantine_prefix(model: str, receipt: str) -> str:
    """Where that is kept of an upload which is not used."""
    return f"{QUARANTINE}{model}/{receipt}/"


def dataset_prefix(model: str, dataset: str) -> str:
    return f"{DATASETS}{model}/{dataset}/"


# Training, versions and releases


def run_prefix(model: str, run: str) -> str:
    """Where a run leaves what it made, in the data bucket."""
    return f"{RUNS}{model}/{run}/"


def version_prefix(model: str, number: int) -> str:
    """Where a version's files are, in the artifacts bucket."""
    return f"{MODELS}{model}/{number}/"


def release_prefix(model: str, release: str) -> str:
    """Where that is kept beside a release which its row has no room for."""
    return f"{RELEASES}{model}/{release}/"


# All of a model


def data_prefixes(model: str) -> tuple[str, ...]:
    """Where all stands in the data bucket that is of one model alone. Captures and summaries are of all models."""
    places = (UPLOADS, RECEIPTS, DATASETS, QUARANTINE, RUNS, RELEASES, DRIFT, BATCH, BATCH_WORK, PREDICTIONS)
    return tuple(f"{place}{model}/" for place in places)


def versions_prefix(model: str) -> str:
    """Where the files of all versions are, in the artifacts bucket."""
    return f"{MODELS}{model}/"


# Captures and what is read out of them


def captures_prefix(hour: datetime) -> str:
    """Where the capture files of an hour are, in UTC: of the hour in which they were written."""
    return CAPTURES + _hour(hour)


def summaries_prefix(hour: datetime) -> str:
    """Where the summaries of an hour's capture files are."""
    return SUMMARIES + _hour(hour)


def summary_key(capture_key: str) -> str:
    """Name the summary of a capture file. Raises Refused where the key is none of a capture file."""
    if not capture_key.startswith(CAPTURES) or not capture_key.endswith(CAPTURE_ENDING):
        raise Refused(f"{capture_key!r} is no capture file: {CAPTURES}dt=…/hour=…/<name>{CAPTURE_ENDING}")
    return SUMMARIES + capture_key.removeprefix(CAPTURES).removesuffix(CAPTURE_ENDING) + ".json"


def drift_report_key(model: str, at: datetime) -> str:
    return f"{DRIFT}{model}/{at:%Y-%m-%dT%H%M%S}.json"


def _hour(hour: datetime) -> str:
    return f"dt={hour:%Y-%m-%d}/hour={hour:%H}/"


# Batches


def batch_prefix(model: str) -> str:
    return f"{BATCH}{model}/"


def batch_key(model: str, file: str) -> str:
    return batch_prefix(model) + file


def is_single_batch(key: str) -> bool:
    """Tell whether a file lies directly in batch/<model>/, and so is answered by itself as soon as it arrives."""
    return key.startswith(BATCH) and key.count("/") == 2 and all(key.split("/"))


def model_of_batch(key: str) -> str | None:
    """The model that a file or folder below batch/ is for; None where it cannot be one."""
    parts = key.split("/")
    return parts[1] if len(parts) > 2 and is_model_name(parts[1]) else None


def batch_work_prefix(model: str, job: str) -> str:
    return f"{BATCH_WORK}{model}/{job}/"


def predictions_prefix(model: str, job: str) -> str:
    return f"{PREDICTIONS}{model}/{job}/"


def batch_account_key(model: str, job: str) -> str:
    """Name the account of every row of a batch."""
    return predictions_prefix(model, job) + "manifest.json"
