"""Where does a version come from? From its answer back to the upload, with times and digests."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from serin.errors import NotFound
from serin.registry.ports import Objects
from serin.registry.receipts import read_receipt
from serin.registry.records import Dataset
from serin.registry.registry import Registry


def explain_version(registry: Registry, data: Objects, model: str, number: int) -> dict[str, Any]:
    """Gather what made a version and what became of it. Raises NotFound."""
    life, stored = registry.life(model).value, registry.find_version(model, number)
    if stored is None and life.deletion:
        raise NotFound(f"there is no {model}@{number}: {model} was {life.deletion}")
    version = stored.value if stored else registry.version(model, number).value
    run = registry.run(model, version.run).value
    route = registry.route(model)
    return {
        "model": model,
        "version": number,
        "status": str(version.status),
        "is_champion": route is not None and route.value.champion.version == number,
        "retirement": asdict(life.retirement) if life.retirement else None,
        "created_at": version.created_at,
        "uploads": [_upload(registry, data, model, name) for name in run.datasets],
        "run": {
            "id": run.id,
            "reason": run.reason,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "rows": run.rows,
            "chosen": version.chosen,
            "fitted": version.fitted,
            "contract_sha256": run.contract_digest,
            "code_sha256": run.code_digest,
        },
        "gates": list(version.gates),
        "metrics": version.metrics,
        "files": version.files,
        "manifest_sha256": version.manifest_sha256,
        "releases": [asdict(release) for release in registry.releases_of(model, number)],
        "history": [
            asdict(entry) for entry in registry.history(model) if _concerns(entry.evidence, entry.version, number)
        ],
    }


def _concerns(evidence: dict[str, Any], version: int | None, number: int) -> bool:
    return number in (version, evidence.get("from"), evidence.get("to"))


def _upload(registry: Registry, data: Objects, model: str, name: str) -> dict[str, Any]:
    dataset = registry.dataset(model, name)
    if dataset is None:
        return {"dataset": name, "missing": True}
    receipt = read_receipt(data, model, dataset.receipt)
    return {
        **_dataset(dataset),
        "upload_sha256": receipt.sha256 if receipt else None,
        "received_at": receipt and receipt.at,
    }


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {
        "key": dataset.key,
        "receipt": dataset.receipt,
        "dataset": dataset.id,
        "rows": dataset.rows,
        "state": str(dataset.state),
        "state_by": dataset.state_by,
        "state_reason": dataset.state_reason,
        "data_sha256": dataset.files[dataset.table],
    }
