"""A release moves once, on evidence, and is taken back to where it started."""

from __future__ import annotations

import pytest

from serin.errors import Conflict, NotFound, Unavailable, Unverified
from serin.registry.records import ReleaseStatus, VersionStatus
from serin.release.rollback import rollback
from tests.release.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_version_becomes_champion_and_a_later_one_replaces_it(bench: Bench) -> None:
    bench.register(1)
    bench.register(2)
    assert (bench.release(1), bench.champion) == (ReleaseStatus.PROMOTED, 1)
    assert (bench.release(2), bench.champion) == (ReleaseStatus.PROMOTED, 2)
    moves = [(entry.move, entry.version, entry.evidence.get("from")) for entry in bench.registry.history("loans")]
    assert moves == [("live", 1, None), ("promote", 1, None), ("live", 2, None), ("promote", 2, 1)]


def test_a_turn_twice_writes_history_once(bench: Bench) -> None:
    bench.register(1)
    bench.release(1)
    bench.release(1)
    assert [entry.move for entry in bench.registry.history("loans")] == ["live", "promote"]
    assert len(bench.workflow.started) == 1


@pytest.mark.parametrize("file", ["model.onnx", "spec.json", "manifest.json"])
def test_a_file_with_one_other_byte_is_never_released(bench: Bench, file: str) -> None:
    bench.register(1)
    bench.artifacts.versions[f"models/loans/1/{file}"][-1] += b" "
    assert (bench.release(1), bench.champion) == (ReleaseStatus.REFUSED, None)


def test_rolling_back_goes_to_the_champion_at_the_release_start(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.register(number)
        bench.release(number)
    rollback(bench.releaser, "loans", "worse")
    assert bench.champion == 2
    with pytest.raises(Conflict, match="loans@2"):
        rollback(bench.releaser, "loans", "the same command again")
    rollback(bench.releaser, "loans", "worse still", version=2)
    assert bench.champion == 1
    with pytest.raises(Conflict, match="first champion"):
        rollback(bench.releaser, "loans", "no further", version=1)
    with pytest.raises(Conflict, match="does not answer now"):
        rollback(bench.releaser, "loans", "too late", version=3)
    assert [version.status for version in bench.registry.versions("loans")] == [
        VersionStatus.PASSED,
        VersionStatus.ROLLED_BACK,
        VersionStatus.ROLLED_BACK,
    ]


def test_what_was_rolled_back_is_not_released_again_under_another_number(bench: Bench) -> None:
    bench.register(1)
    bench.register(2, b"bad")
    bench.release(1)
    bench.release(2)
    rollback(bench.releaser, "loans", "worse")
    bench.register(3, b"bad")
    assert (bench.release(3), bench.champion) == (ReleaseStatus.REFUSED, 1)


def test_rolling_back_never_leads_to_what_was_rolled_back_itself(bench: Bench) -> None:
    for number in (1, 2):
        bench.register(number)
        bench.release(number)
    late = bench.start(3)
    rollback(bench.releaser, "loans", "2 is bad")
    bench.releaser.turn("loans", late.id)
    bench.register(4)
    bench.release(4)
    rollback(bench.releaser, "loans", "4 is bad")
    assert bench.champion == 3
    rollback(bench.releaser, "loans", "3 is bad", version=3)
    assert bench.champion == 1


def test_people_who_cannot_be_reached_undo_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise Unavailable("the topic is out of reach")

    monkeypatch.setattr(bench.notifier, "tell", fail)
    for number in (1, 2):
        bench.register(number)
        bench.release(number)
    rollback(bench.releaser, "loans", "worse")
    assert bench.champion == 1


def test_rolling_back_to_what_does_not_verify_is_refused(bench: Bench) -> None:
    for number in (1, 2):
        bench.register(number)
        bench.release(number)
    bench.artifacts.versions["models/loans/1/model.onnx"][-1] = b"other"
    with pytest.raises(Unverified):
        rollback(bench.releaser, "loans", "worse")
    assert bench.champion == 2


def test_without_a_champion_there_is_nothing_to_roll_back(bench: Bench) -> None:
    with pytest.raises(NotFound):
        rollback(bench.releaser, "loans", "?")


def test_an_error_ends_a_live_release_and_leaves_the_champion(bench: Bench) -> None:
    bench.register(1)
    bench.release(1)
    bench.register(2)
    release = bench.starter.start("loans", 2)
    bench.releaser.abandon("loans", release.id, "Lambda.Unknown: killed")
    bench.releaser.abandon("loans", "00000001-1", "late")
    assert bench.champion == 1
    ended = [release.status for release in bench.registry.releases("loans")]
    assert ended == [ReleaseStatus.PROMOTED, ReleaseStatus.ABORTED]
