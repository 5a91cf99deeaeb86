"""How does a run become a model version? It gets the next number, its files are copied once, a manifest names them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serin.errors import Conflict, Unverified
from serin.registry.ids import sha256
from serin.registry.keys import run_prefix, version_prefix
from serin.registry.ports import Clock, Objects
from serin.registry.records import ModelVersion, Run, VersionStatus
from serin.registry.registry import Registry, put
from serin.registry.retry import Patience
from serin.registry.version_number import number_run

ARTIFACTS = (
    "model.onnx",
    "spec.json",
    "judged.onnx",
    "judged.json",
    "border.json",
    "predictions.npz",
    "profile.json",
    "training.json",
    "evaluation.json",
)
REPORTS = ("training", "evaluation")


@dataclass(frozen=True, slots=True)
class Registrar:
    """Registers model versions."""

    registry: Registry
    data: Objects
    artifacts: Objects
    now: Clock
    patience: Patience

    def register(self, model: str, run_name: str) -> ModelVersion:
        """Register what a run made. Doing it again gives the same version."""
        run, number = self.patience.retry_on_conflict(lambda: number_run(self.registry, model, run_name))
        if registered := self.registry.find_version(model, number):
            return registered.value
        prefix = version_prefix(model, number)
        digests = {name: self._copy(run_prefix(model, run.id) + name, prefix + name) for name in ARTIFACTS}
        training, evaluation = (json.loads(self.artifacts.get(prefix + f"{name}.json")) for name in REPORTS)
        status, gates = _outcome(evaluation, digests)
        manifest = self._manifest(run, number, digests, training)
        version = ModelVersion(
            model=model,
            number=number,
            run=run.id,
            status=status,
            files=digests,
            manifest_sha256=sha256(manifest),
            datasets=run.datasets,
            chosen=training["chosen"],
            metrics=evaluation["metrics"],
            gates=gates,
            created_at=self.now().isoformat(),
            gain=evaluation.get("gain", False),
            holdout=evaluation.get("holdout", {}),
            fitted=training.get("fitted", {}),
            compared_with=evaluation["champion"] or 0 if "champion" in evaluation else None,
        )
        self.artifacts.put_once(prefix + "manifest.json", manifest)
        try:
            self.registry.save(put(version, expected_revision=0))
        except Conflict:
            return self.registry.version(model, number).value
        return version

    def _copy(self, source: str, target: str) -> str:
        """Copy a file to where it stays, and give its SHA-256. One at a time: the function's memory is small."""
        content = self.data.get(source)
        try:
            self.artifacts.put_once(target, content)
        except Conflict:
            if not target.endswith("/evaluation.json"):
                raise
            content = self.artifacts.get(target)  # a try before ended early; what was judged then is what counts
        return sha256(content)

    def _manifest(self, run: Run, number: int, digests: Mapping[str, str], training: Mapping[str, Any]) -> bytes:
        lineage = {
            "model": run.model,
            "version": number,
            "run": run.id,
            "datasets": list(run.datasets),
            "contract": run.contract_digest,
            "code": run.code_digest,
            "seed": run.contract["training"]["seed"],
            "libraries": training["libraries"],
            "files": dict(digests),
        }
        return json.dumps(lineage, indent=1, sort_keys=True).encode()


def _outcome(
    evaluation: Mapping[str, Any], digests: Mapping[str, str]
) -> tuple[VersionStatus, tuple[dict[str, Any], ...]]:
    """Say how a version was judged, and by which gates. What was judged must be what is registered."""
    gates = tuple(evaluation["gates"])
    if changed := [name for name, digest in evaluation.get("files", {}).items() if digests[name] != digest]:
        message = f"DIGEST: {', '.join(changed)} changed after it was judged; train again"
        numbers = {"value": None, "threshold": None, "interval": None, "n": 0}
        return VersionStatus.REJECTED, (*gates, {"gate": "as judged", "passed": False, "message": message, **numbers})
    if evaluation.get("held"):
        return VersionStatus.HELD, gates
    return (VersionStatus.PASSED if evaluation["passed"] else VersionStatus.REJECTED), gates


def verify_version(version: ModelVersion, artifacts: Objects) -> None:
    """Check every file of a version against its manifest, and the manifest against the registry.

    Raises Unverified, naming the file; NotFound where one is gone.
    """
    manifest = artifacts.get(version.prefix + "manifest.json")
    if sha256(manifest) != version.manifest_sha256:
        raise Unverified(f"{version.prefix}manifest.json is not the one that was registered")
    for name, digest in json.loads(manifest)["files"].items():
        if sha256(artifacts.get(version.prefix + name)) != digest or version.files[name] != digest:
            raise Unverified(f"{version.prefix}{name} does not have the digest that its manifest promises")
