"""How are values for tests made? Builders with defaults: a test names only what it is about."""

from __future__ import annotations

from typing import Any

from serin.contract.model import Contract
from serin.registry.records import (
    Champion,
    Dataset,
    ModelVersion,
    Release,
    ReleaseStatus,
    Route,
    Run,
    RunStatus,
    VersionStatus,
)


def a_contract(**changes: Any) -> Contract:
    """A small contract of classification."""
    said: dict[str, Any] = {
        "model": "loans",
        "task": "classification",
        "target": "approved",
        "features": {
            "age": {"type": "integer", "min": 18, "max": 100},
            "salary": {"type": "number", "min": 0, "missing": "allow"},
            "education": {"type": "category", "missing": "allow"},
        },
        **changes,
    }
    return Contract.model_validate(said)


def a_dataset(name: str = "d1", *, rows: int = 1000, at: str = "2026-01-01T00:00:00+00:00") -> Dataset:
    return Dataset(
        id=name,
        model="loans",
        rows=rows,
        receipt=f"receipt-of-{name}",
        key=f"uploads/loans/{name}.csv",
        files={"data.npz": "0" * 64, "profile.json": "1" * 64},
        accepted_at=at,
    )


def a_run(name: str = "run1", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": name,
        "model": "loans",
        "status": RunStatus.RUNNING,
        "datasets": ("d1",),
        "rows": 1000,
        "contract": a_contract().model_dump(mode="json"),
        "contract_digest": a_contract().digest,
        "code_digest": "c0de",
        "reason": "first training",
        "started_at": "2026-01-01T00:00:00+00:00",
        **changes,
    }
    return Run(**values)


def a_version(number: int = 1, **changes: Any) -> ModelVersion:
    values: dict[str, Any] = {
        "model": "loans",
        "number": number,
        "run": f"run{number}",
        "status": VersionStatus.PASSED,
        "files": {"model.onnx": f"onnx{number}", "spec.json": f"spec{number}"},
        "manifest_sha256": "m" * 64,
        "datasets": ("d1",),
        "chosen": "boosting",
        "metrics": {"roc_auc": 0.9},
        "gates": (),
        "created_at": "2026-01-01T00:00:00+00:00",
        **changes,
    }
    return ModelVersion(**values)


def a_release(version: int = 1, **changes: Any) -> Release:
    values: dict[str, Any] = {
        "id": f"{version:08d}-1",
        "model": "loans",
        "version": version,
        "strategy": "blue_green",
        "status": ReleaseStatus.LIVE,
        "champion_before": None,
        "started_at": "2026-01-01T00:00:00+00:00",
        **changes,
    }
    return Release(**values)


def a_route(version: int = 1, *, replaced: int | None = None) -> Route:
    files = {"model.onnx": f"onnx{version}", "spec.json": f"spec{version}"}
    return Route("loans", Champion(version, files, "2026-01-01T00:00:00+00:00", replaced))
