"""What differs between two versions? Data, contract, metrics, gates; and how one answered what the other was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from serin.aws.cloud import Cloud
from serin.client.words import gate_in_words, moment, short
from serin.errors import NotFound
from serin.monitoring.replay import Replay, ReplayedRow
from serin.registry.records import ModelVersion, Run
from serin.release.replay import replay_key

HIDDEN = "(hidden)"


def diff_versions(cloud: Cloud, model: str, one: int, other: int, *, show_values: bool = False) -> dict[str, Any]:
    """Gather what differs. Of what is there twice, the first value is `one`'s. Raises NotFound.

    show_values: also what people sent as sensitive features and as entity, in the rows that flipped.
    """
    versions = [cloud.registry.version(model, number).value for number in (one, other)]
    runs = [cloud.registry.run(model, version.run).value for version in versions]
    replay = _replay(cloud, model, one, other)
    if replay and not show_values:
        personal = set().union(*(_personal(run.contract) for run in runs))
        replay = dataclasses.replace(replay, flipped=tuple(_hidden(row, personal) for row in replay.flipped))
    return {
        "model": model,
        "versions": [one, other],
        "facts": {name: values for name, values in _facts(versions, runs) if values[0] != values[1]},
        "contract": _unlike(*(dict(_flat(run.contract)) for run in runs)),
        "metrics": _unlike(*(version.metrics for version in versions)),
        "gates": _unlike(*(_by_name(version.gates) for version in versions)),
        "replay": dataclasses.asdict(replay) if replay else None,
    }


def _personal(contract: Mapping[str, Any]) -> set[str]:
    """Name what a contract says is about people: the sensitive features, and the entity."""
    sensitive = {name for name, feature in contract["features"].items() if feature.get("sensitive")}
    return sensitive | {contract.get("entity") or ""}


def _hidden(row: ReplayedRow, names: Collection[str]) -> ReplayedRow:
    values = {name: HIDDEN if name in names and value is not None else value for name, value in row.values.items()}
    return dataclasses.replace(row, values=values)


def _replay(cloud: Cloud, model: str, one: int, other: int) -> Replay | None:
    """Find the last replay of one of the two against the other."""
    for release in reversed(cloud.registry.releases(model)):
        if release.version in (one, other):
            champion = one + other - release.version
            with suppress(NotFound):
                return Replay.from_json(cloud.data.get(replay_key(release, champion)))
    return None


def _facts(versions: list[ModelVersion], runs: list[Run]) -> Iterator[tuple[str, list[Any]]]:
    yield "status", [str(version.status) for version in versions]
    yield "created", [moment(version.created_at) for version in versions]
    yield "rows", [run.rows for run in runs]
    yield "datasets", [list(version.datasets) for version in versions]
    yield "code", [short(run.code_digest) for run in runs]
    yield "chosen", [version.chosen for version in versions]
    yield "model.onnx", [short(version.files["model.onnx"]) for version in versions]


def _by_name(gates: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name what gates saw. Of a gate that was asked of champion and anchor, what failed, else what the champion's was.

    A gate has one name, whatever words its version was written with, so that both sides have it in one line.
    """
    gates_by_name: dict[str, dict[str, Any]] = {}
    for gate in gates:
        name = gate_in_words(gate["gate"])
        if name not in gates_by_name or (gates_by_name[name]["passed"] and not gate["passed"]):
            gates_by_name[name] = gate
    return gates_by_name


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Pair what two mappings say differently; None where one of them says nothing."""
    return {name: [one.get(name), other.get(name)] for name in {**one, **other} if one.get(name) != other.get(name)}


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Name each leaf of a contract by the keys that lead to it."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value
