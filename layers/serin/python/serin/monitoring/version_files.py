"""What does monitoring read of a version? Its files, each checked against what was registered."""

from __future__ import annotations

from serin.contract.serving_spec import ServingSpec
from serin.monitoring.layout import Layout
from serin.monitoring.rescore import Challenger
from serin.registry.ids import read_verified
from serin.registry.ports import Objects
from serin.registry.records import ModelVersion
from serin.registry.registry import Registry


def read_challenger(version: ModelVersion, artifacts: Objects) -> Challenger:
    """Read a version to score rows with. Raises Unverified where it is not the one that was registered."""
    spec = ServingSpec.from_json(verified_file(version, "spec.json", artifacts))
    return Challenger(spec, verified_file(version, "model.onnx", artifacts))


def read_layout(version: ModelVersion, registry: Registry, artifacts: Objects) -> Layout:
    """Read how a version's captured rows are laid out, and what its contract says of its features."""
    contract = registry.run(version.model, version.run).value.contract
    spec = ServingSpec.from_json(verified_file(version, "spec.json", artifacts))
    return Layout(
        spec=spec,
        sensitive=frozenset(name for name, feature in contract["features"].items() if feature["sensitive"]),
        hidden=frozenset(name for name in (*spec.capture.masked, *spec.capture.hashed, spec.entity) if name),
    )


def verified_file(version: ModelVersion, name: str, artifacts: Objects) -> bytes:
    """Read one file of a version. Raises Unverified where it is not the one that was registered."""
    return read_verified(artifacts.get, version.prefix + name, version.files[name])
