"""How are values for tests made? Builders with defaults: a test names only what it is about."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec, SpecFeature
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


def a_capture(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A line of a capture file, of the model that `a_spec` describes."""
    return {
        "serin": "capture",
        "v": 1,
        "id": f"{number:016x}",
        "at": 1_767_225_600_000 + number * 1000,
        "model": "loans",
        "version": 1,
        "answered": 1,
        "arm": "champion",
        "release": None,
        "unit": hashlib.blake2b(str(number).encode(), digest_size=8).hexdigest(),
        "entity": True,
        "ms": 1.5,
        "cold": False,
        "fault": None,
        "unsure": 0,
        "n": 1,
        "rows": [[41, 30_000.5, "college"]],
        "scores": [[0.25, 0.75]],
        **changes,
    }


def a_feedback(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A line of a capture file that says what turned out of `a_capture(number)`, a minute later."""
    at = 1_767_225_660_000 + number * 1000
    said = {"serin": "feedback", "v": 1, "at": at, "model": "loans", "id": f"{number:016x}", "row": 0, "truth": "yes"}
    return said | changes


def a_capture_file(*lines: dict[str, Any] | bytes) -> bytes:
    """A capture file of these captures; bytes stand there as they are."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return gzip.compress(b"\n".join(texts) + b"\n")


def a_spec(**changes: Any) -> ServingSpec:
    """The serving spec of `a_contract`."""
    values: dict[str, Any] = {
        "model": "loans",
        "task": "classification",
        "target": "approved",
        "features": (
            SpecFeature("age", "integer", 18, 100),
            SpecFeature("salary", "number", 0, allows_missing=True),
            SpecFeature("education", "category", values=("college", "school"), allows_missing=True),
        ),
        "classes": ("no", "yes"),
        "positive": 1,
        **changes,
    }
    return ServingSpec(**values)
