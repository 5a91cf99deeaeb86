"""What comes back as a DataFrame, and what goes in as one? pandas is imported here, and only when it is needed."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serin.client.packages import MissingPackage
from serin.client.project import AskedWrongly
from serin.client.releases import evidence_seen, rolled_back_at
from serin.errors import Refused
from serin.registry.keys import uploaded_file
from serin.registry.records import Dataset, Receipt, Release, Run
from serin.registry.registry import Registry

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import TypeIs

    from serin.client.versions import Versions


def is_frame(value: object) -> TypeIs[pd.DataFrame]:
    """Tell whether something is a DataFrame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, index: Any = None) -> pd.DataFrame:
    """Make a DataFrame of rows; columns that end in `_at`, and `since`, are times in UTC.

    Raises MissingPackage without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingPackage("pandas") from error
    table = pd.DataFrame(list(rows), columns=list(columns), index=index)
    for name in columns:
        if name.endswith("_at") or name == "since":
            table[name] = pd.to_datetime(table[name].replace("", None), utc=True, format="ISO8601")
    return table


def read_content(data: str | Path | bytes | pd.DataFrame) -> tuple[bytes, str]:
    """Give the bytes of a table, and a file's name for it. A DataFrame becomes Parquet, without its index.

    The same bytes without a name get the same name. Raises AskedWrongly where there is no such file, Refused where a
    DataFrame has no form as Parquet, MissingPackage without pyarrow.
    """
    if isinstance(data, str | Path):
        file = Path(data).expanduser()
        return read_file(file), file.name
    content = data if isinstance(data, bytes) else _parquet(data)
    suffix = "parquet" if content[:4] == b"PAR1" else "csv"
    return content, f"table-{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"


def read_file(file: Path) -> bytes:
    """Read a file that somebody named. Raises AskedWrongly where that cannot be."""
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise AskedWrongly(f"there is no file {file}") from error
    except IsADirectoryError as error:
        raise AskedWrongly(f"{file} is a folder; name a file") from error
    except PermissionError as error:
        raise AskedWrongly(f"you may not read {file}") from error


def _parquet(table: pd.DataFrame) -> bytes:
    if not is_frame(table):
        raise AskedWrongly(f"a table is a file's path, its bytes or a DataFrame, not {type(table).__name__}")
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingPackage("pyarrow") from error
    buffer = io.BytesIO()
    try:
        table.rename(columns=str).to_parquet(buffer, index=False, engine="pyarrow")
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise Refused(f"the DataFrame has no form as Parquet: {error}; give each column values of one type") from error
    return buffer.getvalue()


MODEL = ("model", "champion", "since", "versions", "releasing", "training", "decision")


def models_table(registry: Registry, names: Iterable[str]) -> pd.DataFrame:
    """List models. Columns: as `EnvironmentClient.models`."""
    rows = []
    for name in names:
        route, training = registry.route(name), registry.training(name).value
        champion = route.value.champion if route else None
        rows.append(
            {
                "model": name,
                "champion": champion and champion.version,
                "since": champion and champion.since,
                "versions": len(registry.versions(name)),
                "releasing": registry.releasing(name).value.live,
                "training": training.running,
                "decision": training.decision,
            }
        )
    table = frame(rows, MODEL)
    return table.astype({"champion": "Int64"})


RELEASE = (
    "model",
    "release",
    "version",
    "status",
    "strategy",
    "started_at",
    "ended_at",
    "rolled_back_at",
    "reason",
    "started_by",
    "seen",
)


def releases_table(registry: Registry, names: Iterable[str]) -> pd.DataFrame:
    """List releases of models, the oldest first. Columns: as `ModelClient.releases`."""
    rows = [
        _release_row(release, rolled_back_at(release, history))
        for history, releases in ((registry.history(name), registry.releases(name)) for name in names)
        for release in releases
    ]
    return frame(sorted(rows, key=lambda row: str(row["started_at"])), RELEASE)


def _release_row(release: Release, rolled_back: str | None) -> dict[str, Any]:
    return {
        "model": release.model,
        "release": release.id,
        "version": release.version,
        "status": str(release.status),
        "strategy": release.strategy,
        "started_at": release.started_at,
        "ended_at": release.ended_at,
        "rolled_back_at": rolled_back,
        "reason": release.reason,
        "started_by": release.started_by,
        "seen": evidence_seen(release),
    }


VERSION = (
    "version",
    "status",
    "chosen",
    "metric",
    "holdout",
    "created_at",
    "run",
    "served",
    "excluded",
    "model_sha256",
)


def versions_table(versions: Versions, metric: str) -> pd.DataFrame:
    """List versions, the oldest first. Columns: as `ModelClient.versions`."""
    rows = (
        {
            "version": version.number,
            "status": versions.status_of(version),
            "chosen": version.chosen,
            "metric": metric,
            "holdout": version.metrics.get(metric),
            "created_at": version.created_at,
            "run": version.run,
            "served": version.served,
            "excluded": [dataset.id for dataset in versions.excluded_from(version)],
            "model_sha256": version.files["model.onnx"],
        }
        for version in versions.versions
    )
    return frame(rows, VERSION)


RUN = ("run", "status", "reason", "rows", "version", "started_at", "ended_at", "error")


def runs_table(runs: Iterable[Run]) -> pd.DataFrame:
    """List runs, the oldest first. Columns: as `ModelClient.runs`."""
    rows = (
        {
            "run": run.id,
            "status": str(run.status),
            "reason": run.reason,
            "rows": run.rows,
            "version": run.version,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "error": run.error,
        }
        for run in runs
    )
    return frame(rows, RUN).astype({"version": "Int64"})


DATASET = ("dataset", "file", "rows", "new_rows", "state", "reason", "by", "learned", "accepted_at")


def datasets_table(datasets: Iterable[Dataset], trained: Iterable[str]) -> pd.DataFrame:
    """List datasets, the oldest first. Columns: as `ModelClient.datasets`. trained: the ids of those learned from."""
    learned = set(trained)
    rows = (
        {
            "dataset": dataset.id,
            "file": uploaded_file(dataset.model, dataset.key),
            "rows": dataset.rows,
            "new_rows": dataset.counted_rows,
            "state": str(dataset.state),
            "reason": dataset.state_reason,
            "by": dataset.state_by,
            "learned": dataset.id in learned,
            "accepted_at": dataset.accepted_at,
        }
        for dataset in datasets
    )
    return frame(rows, DATASET)


RECEIPT = (
    "file",
    "status",
    "rows",
    "good_rows",
    "bad_rows",
    "new_rows",
    "dataset",
    "received_at",
    "reasons",
    "receipt",
)


def receipts_table(receipts: Iterable[Receipt]) -> pd.DataFrame:
    """List receipts, the oldest first. Columns: as `ModelClient.receipts`."""
    rows = (
        {
            "file": uploaded_file(receipt.model, receipt.key),
            "status": str(receipt.status),
            "rows": receipt.rows,
            "good_rows": receipt.good_rows,
            "bad_rows": receipt.bad_rows,
            "new_rows": receipt.new_rows,
            "dataset": receipt.dataset,
            "received_at": receipt.at,
            "reasons": "; ".join(str(reason["message"]) for reason in receipt.reasons),
            "receipt": receipt.id,
        }
        for receipt in sorted(receipts, key=lambda receipt: receipt.at)
    )
    return frame(rows, RECEIPT)
