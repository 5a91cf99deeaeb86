"""How does a run become a model version? It gets the next number, its files are copied once, a manifest names them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from serin.errors import Conflict, Unverified
from serin.registry.ids import sha256
from serin.registry.patience import Patience
from serin.registry.ports import Clock, Objects
from serin.registry.records import ModelVersion, Run, VersionStatus
from serin.registry.registry import Registry, put, put_training

ARTIFACTS = ("model.onnx", "spec.json", "predictions.npz", "profile.json", "training.json", "evaluation.json")


def run_prefix(model: str, run: str) -> str:
    """Where a run leaves what it made, in the data bucket."""
    return f"runs/{model}/{run}/"


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
        run = self.patience.insist(lambda: self._number(model, run_name))
        number = run.version
        assert number is not None  # _number saw to it
        if found := self.registry.find_version(model, number):
            return found.value
        files = {name: self.data.get(run_prefix(model, run.id) + name) for name in ARTIFACTS}
        digests = {name: sha256(content) for name, content in files.items()}
        training, evaluation = json.loads(files["training.json"]), json.loads(files["evaluation.json"])
        manifest = self._manifest(run, number, digests, training)
        version = ModelVersion(
            model=model,
            number=number,
            run=run.id,
            status=VersionStatus.PASSED if evaluation["passed"] else VersionStatus.REJECTED,
            files=digests,
            manifest_sha256=sha256(manifest),
            datasets=run.datasets,
            chosen=training["chosen"],
            metrics=evaluation["metrics"],
            gates=tuple(evaluation["gates"]),
            created_at=self.now().isoformat(),
        )
        for name, content in {**files, "manifest.json": manifest}.items():
            self.artifacts.put_once(version.prefix + name, content)
        try:
            self.registry.save(put(version, expected_revision=0))
        except Conflict:
            return self.registry.version(model, number).value
        return version

    def _number(self, model: str, run_name: str) -> Run:
        """Give the run its version number: the next after all that were ever given, kept on the run's row."""
        run, state = self.registry.run(model, run_name), self.registry.training(model)
        if run.value.version is not None:
            return run.value
        number = state.value.last_version + 1
        numbered, counted = replace(run.value, version=number), replace(state.value, last_version=number)
        self.registry.save(
            put(numbered, expected_revision=run.revision),
            put_training(model, counted, expected_revision=state.revision),
        )
        return numbered

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
