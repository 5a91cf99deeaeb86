"""A run becomes one version, whatever is repeated; and bytes that changed are never taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serin.errors import Conflict, NotFound, Unverified
from serin.registry.ids import sha256
from serin.registry.keys import run_prefix
from serin.registry.records import VersionStatus
from serin.registry.register import ARTIFACTS, Registrar, verify_version
from serin.registry.registry import Registry, put
from tests.builders import a_run, a_version
from tests.fakes import RESTLESS, FakeClock, FakeObjects, FakeRows


@pytest.fixture
def registrar() -> Registrar:
    return Registrar(Registry(FakeRows()), FakeObjects(), FakeObjects(), FakeClock(), RESTLESS)


def a_judged_run(registrar: Registrar, name: str, *, passed: bool = True, **evidence: Any) -> None:
    registrar.registry.save(put(a_run(name), expected_revision=0))
    contents = dict.fromkeys(ARTIFACTS, name.encode())
    contents["training.json"] = json.dumps({"chosen": "linear", "libraries": {"numpy": "2"}}).encode()
    contents["evaluation.json"] = json.dumps(
        {"passed": passed, "gates": [], "metrics": {"roc_auc": 0.9}, **evidence}
    ).encode()
    for file, content in contents.items():
        registrar.data.put(run_prefix("loans", name) + file, content)


def test_versions_are_numbered_in_order_and_never_again(registrar: Registrar) -> None:
    for name in ("a", "b", "c"):
        a_judged_run(registrar, name)
    assert [registrar.register("loans", name).number for name in ("a", "b", "a", "c")] == [1, 2, 1, 3]


def test_a_run_that_could_not_be_compared_waits_for_a_person(registrar: Registrar) -> None:
    a_judged_run(registrar, "a", passed=False, held="another target")
    assert registrar.register("loans", "a").status is VersionStatus.HELD


@pytest.mark.parametrize("file", ["model.onnx", "judged.onnx", "border.json", "predictions.npz"])
def test_what_changed_after_it_was_judged_is_rejected(registrar: Registrar, file: str) -> None:
    a_judged_run(registrar, "a", files={file: sha256(b"a")})
    registrar.data.put(run_prefix("loans", "a") + file, b"a late attempt of the same run")
    version = registrar.register("loans", "a")
    assert version.status is VersionStatus.REJECTED
    assert version.gates[-1]["message"].startswith(f"DIGEST: {file} changed after it was judged")


def test_a_rejected_run_is_a_version_too(registrar: Registrar) -> None:
    a_judged_run(registrar, "a", passed=False)
    assert registrar.register("loans", "a").status is VersionStatus.REJECTED


def test_a_crash_between_files_and_row_is_mended_by_the_next_try(registrar: Registrar) -> None:
    a_judged_run(registrar, "a")
    registrar.artifacts.put_once("models/loans/1/model.onnx", b"a")
    version = registrar.register("loans", "a")
    verify_version(version, registrar.artifacts)


@pytest.mark.parametrize("file", [*(name for name in ARTIFACTS if name != "evaluation.json"), "manifest.json"])
def test_other_bytes_where_a_version_should_be_are_refused(registrar: Registrar, file: str) -> None:
    a_judged_run(registrar, "a")
    registrar.artifacts.put_once(f"models/loans/1/{file}", b"something else")
    with pytest.raises(Conflict):
        registrar.register("loans", "a")
    assert registrar.artifacts.get(f"models/loans/1/{file}") == b"something else"


def test_what_was_judged_first_counts_where_registering_ended_early(registrar: Registrar) -> None:
    """Judged again meanwhile, beside another champion: the evidence differs, and the version is the one begun."""
    a_judged_run(registrar, "a")
    first = registrar.data.get(run_prefix("loans", "a") + "evaluation.json")
    registrar.artifacts.put_once("models/loans/1/evaluation.json", first)
    registrar.data.put(run_prefix("loans", "a") + "evaluation.json", first.replace(b"0.9", b"0.8"))
    assert registrar.register("loans", "a").metrics == {"roc_auc": 0.9}


def test_the_manifest_names_lineage_and_every_digest(registrar: Registrar) -> None:
    a_judged_run(registrar, "a")
    version = registrar.register("loans", "a")
    manifest = json.loads(registrar.artifacts.get(version.prefix + "manifest.json"))
    assert manifest["files"] == version.files
    assert set(manifest["files"]) == set(ARTIFACTS)
    assert (manifest["datasets"], manifest["run"], manifest["seed"]) == (["d1"], "a", 0)


@pytest.mark.parametrize("file", [*ARTIFACTS, "manifest.json"])
def test_any_byte_that_changed_does_not_verify(registrar: Registrar, file: str) -> None:
    a_judged_run(registrar, "a")
    version = registrar.register("loans", "a")
    assert isinstance(registrar.artifacts, FakeObjects)
    registrar.artifacts.versions[version.prefix + file][-1] += b"!"
    with pytest.raises(Unverified, match=file.replace(".", r"\.")):
        verify_version(version, registrar.artifacts)


def test_a_version_whose_file_is_gone_is_not_found(registrar: Registrar) -> None:
    with pytest.raises(NotFound):
        verify_version(a_version(9), registrar.artifacts)


class Held(bytes):
    """Bytes that know how many of their kind are held at once."""

    now = most = 0

    def __init__(self, _: bytes) -> None:
        Held.now += 1
        Held.most = max(Held.most, Held.now)

    def __del__(self) -> None:
        Held.now -= 1


class HeldObjects(FakeObjects):
    """A bucket that gives such bytes, and keeps plain ones."""

    def get(self, key: str, version: str | None = None) -> bytes:
        return Held(super().get(key, version))

    def put(self, key: str, content: bytes, *, by: str = "") -> str:
        return super().put(key, bytearray(content))  # type: ignore[arg-type]  # a copy


def test_one_file_of_a_version_is_held_at_a_time() -> None:
    registrar = Registrar(Registry(FakeRows()), HeldObjects(), HeldObjects(), FakeClock(), RESTLESS)
    a_judged_run(registrar, "a")
    verify_version(registrar.register("loans", "a"), registrar.artifacts)
    assert (Held.most, Held.now) == (2, 0)  # it, and while it is verified the manifest
