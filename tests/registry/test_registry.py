"""Records come back as they went in, and newer code's rows can be read by older."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from serin.errors import NotFound, Refused
from serin.registry import reconcile
from serin.registry.ids import receipt_id, run_id, ulid
from serin.registry.keys import model_of_upload, receipt_key
from serin.registry.receipts import read_receipt, write_receipt
from serin.registry.reconcile import LostUploads, OrphanFinder
from serin.registry.records import (
    Approval,
    HistoryEntry,
    Receipt,
    ReceiptStatus,
    ReleaseStatus,
    Route,
    RunStatus,
    TrainingState,
    UploadSearch,
)
from serin.registry.registry import Found, Registry, decode, put, put_training, put_upload_search
from serin.registry.version_number import resolve_version
from tests.builders import a_dataset, a_release, a_route, a_run, a_version
from tests.fakes import FakeObjects, FakeQueue, FakeRows, FakeWorkflow


@pytest.fixture
def registry() -> Registry:
    return Registry(FakeRows())


def test_records_come_back_as_they_went_in(registry: Registry) -> None:
    entry = HistoryEntry("01", "loans", "2026", "me", "promote", "why", 1, None, {"a": [1]})
    release = a_release(step=2, changed_at=("2026", "2027"), approval=Approval(True, "ada", "2026", "d1"))
    records = (a_dataset(), a_run(), a_version(), release, a_route(), entry)
    registry.save(*(put(record, expected_revision=0) for record in records))
    found = (
        registry.datasets("loans")[0],
        registry.run("loans", "run1").value,
        registry.version("loans", 1).value,
        registry.release("loans", "00000001-1").value,
        registry.route("loans").value,  # type: ignore[union-attr]  # it was stored above
        registry.history("loans")[0],
    )
    assert found == records


def test_versions_are_listed_as_numbers_sort(registry: Registry) -> None:
    for number in (10, 9, 100):
        registry.save(put(a_version(number), expected_revision=0))
    assert [version.number for version in registry.versions("loans")] == [9, 10, 100]


def test_releases_are_listed_as_they_started_and_those_of_a_version_by_number(registry: Registry) -> None:
    begun = [("2", "00000001-9"), ("3", "00000001-10"), ("1", "00000002-1"), ("3", "00000001-11"), ("3", "00000002-2")]
    for at, name in begun:
        release = a_release(int(name[:8]), id=name, started_at=f"2026-01-0{at}T00:00:00+00:00")
        registry.save(put(release, expected_revision=0))
    names = [release.id for release in registry.releases("loans")]
    assert names == ["00000002-1", "00000001-9", "00000001-10", "00000001-11", "00000002-2"]
    assert [release.attempt for release in registry.releases_of("loans", 1)] == [9, 10, 11]


def test_a_key_of_newer_code_is_left_out() -> None:
    body = {"model": "loans", "champion": {"version": 1, "files": {}, "since": "2026", "lease": 3}, "weight": 5}
    assert decode(Route, body).champion.version == 1


def test_what_is_not_there_is_said_by_its_name(registry: Registry) -> None:
    with pytest.raises(NotFound, match="loans has no version 12"):
        registry.version("loans", 12)
    with pytest.raises(NotFound, match="loans has no run 00ab12"):
        registry.run("loans", "00ab12")
    with pytest.raises(NotFound, match="loans has no release 00000002-1"):
        registry.release("loans", "00000002-1")


@pytest.mark.parametrize(
    ("which", "error"), [("champion", NotFound), ("7", NotFound), ("x", Refused), ("-1", Refused), ("²", Refused)]
)
def test_a_version_that_cannot_be_meant_is_refused(registry: Registry, which: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        resolve_version(registry, "loans", which)


def test_names_follow_from_content_alone() -> None:
    assert run_id(datasets=["b", "a"], contract_digest="c", code_digest="d") == run_id(
        datasets=["a", "b"], contract_digest="c", code_digest="d"
    )
    assert receipt_id("a", "bc") != receipt_id("ab", "c")


def test_ulids_sort_by_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [ulid(start + timedelta(milliseconds=step), bytes(10)) for step in range(50)]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {26}


def test_what_is_written_later_stands_later_in_a_history_whatever_clocks_say(registry: Registry) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    last = b"\xff" * 10
    for hours, moves in ((0, "ab"), (20, "c"), (0, "de"), (-1, "f"), (30, "g")):
        at = now + timedelta(hours=hours)
        entries = [HistoryEntry(ulid(at, last), "loans", at.isoformat(), "me", move, "") for move in moves]
        registry.save(*(put(entry, expected_revision=0) for entry in entries))
    other = HistoryEntry(ulid(now, bytes(10)), "other", now.isoformat(), "me", "z", "")
    registry.save(put(other, expected_revision=0))
    history = registry.history("loans")
    assert "".join(entry.move for entry in history) == "abcdefg"
    assert [entry.id for entry in history] == sorted({entry.id for entry in history})
    assert {len(entry.id) for entry in history} == {26}
    assert registry.history("other") == [other], "each model has its own"


def test_a_receipt_comes_back_as_it_went_in() -> None:
    objects = FakeObjects()
    receipt = Receipt("id", "loans", "uploads/loans/é.csv", "v1", ReceiptStatus.ACCEPTED, "2026", ({"code": "X"},))
    write_receipt(objects, receipt)
    assert read_receipt(objects, "loans", "id") == receipt
    assert read_receipt(objects, "loans", "other") is None


class Uploads:
    """Uploads as a tick sees them, one a minute from START on, and the searches of one tick after the other."""

    def __init__(self) -> None:
        self.data, self.events, self.search = FakeObjects(), FakeQueue(), UploadSearch()

    def upload(self, key: str, minute: int) -> str:
        version = self.data.put(key, b"x")
        self.data.written[key, version] = START + timedelta(minutes=minute)
        return version

    def receive(self, key: str, version: str) -> None:
        self.data.put(receipt_key(model_of_upload(key), receipt_id(key, version)), b"{}")

    def tick(self, minute: int) -> list[tuple[str, str]]:
        """Search once, and name what is sent again."""
        already = len(self.events.messages)
        searcher = LostUploads(self.data, "b", self.events, START + timedelta(minutes=minute))
        self.search, sent = searcher.resend(self.search)
        found = [message["detail"]["object"] for message in self.events.messages[already:]]
        assert len(found) == sent
        return [(each["key"], each["version-id"]) for each in found]


START = datetime(2026, 1, 1, tzinfo=UTC)
LOST = "uploads/loans/lost.csv"


def test_an_upload_whose_event_was_lost_is_sent_again_within_a_quarter_of_an_hour() -> None:
    uploads = Uploads()
    uploads.tick(0)
    uploads.upload(LOST, 3)
    uploads.receive("uploads/loans/seen.csv", uploads.upload("uploads/loans/seen.csv", 3))
    ticks = {minute: uploads.tick(minute) for minute in range(5, 60 * 60, 5)}
    assert {minute: sent for minute, sent in ticks.items() if sent} == {
        minute: [(LOST, "1")] for minute in (15, 35, 125, 485, 1445)
    }


def test_every_version_of_every_key_under_uploads_is_found() -> None:
    uploads = Uploads()
    for key in (LOST, LOST, "uploads/CREDIT/x.csv", "uploads/direct.csv", "uploads/never/heard/of.csv"):
        uploads.upload(key, 0)
    uploads.receive(LOST, "2")  # the newest version of that key has one
    uploads.receive("uploads/direct.csv", "1")
    assert uploads.tick(20) == [("uploads/CREDIT/x.csv", "1"), (LOST, "1"), ("uploads/never/heard/of.csv", "1")]


def test_what_was_lost_while_nobody_searched_is_found_then() -> None:
    uploads = Uploads()
    uploads.tick(0)
    uploads.upload(LOST, 1)
    assert uploads.tick(60 * 24 * 10) == [(LOST, "1")]


def test_a_receipt_is_asked_for_a_few_times_however_long_an_upload_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads, asked = Uploads(), []
    monkeypatch.setattr(uploads.data, "exists", lambda key: not asked.append(key))
    uploads.tick(0)
    uploads.upload(LOST, 3)
    for minute in range(5, 60 * 60, 5):
        uploads.tick(minute)
    assert len(asked) == 5


def test_a_search_of_many_uploads_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "SEARCHED_VERSIONS", 4)
    uploads = Uploads()
    keys = [f"uploads/loans/{number}.csv" for number in range(6)]
    for key in keys:
        for _ in range(2):
            uploads.upload(key, 0)
    found = [uploads.tick(minute) for minute in (20, 25, 30)]
    assert [len(sent) for sent in found] == [4, 4, 4]
    assert sorted(each for sent in found for each in sent) == sorted((key, v) for key in keys for v in "12")
    assert uploads.search.searched_at == (START + timedelta(minutes=20)).isoformat(), "as of when it began"
    assert sum(len(uploads.tick(minute)) for minute in (35, 40, 45)) == 12, "at the next age, and none in between"


def test_how_far_a_search_came_is_kept(registry: Registry) -> None:
    assert registry.upload_search() == Found(UploadSearch(), 0)
    search = UploadSearch("2026-01-01", "2026-01-02", "uploads/a")
    registry.save(put_upload_search(search, expected_revision=0))
    assert registry.upload_search() == Found(search, 1)


def test_what_died_is_found_what_never_started_is_started_and_the_young_are_left_alone(registry: Registry) -> None:
    training, releasing = FakeWorkflow(), FakeWorkflow()
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    registry.save(
        put(a_run("dead"), expected_revision=0),
        put(a_run("never"), expected_revision=0),
        put(a_run("young", started_at=(now - timedelta(seconds=30)).isoformat()), expected_revision=0),
        put(a_run("over", status=RunStatus.FAILED), expected_revision=0),
        put(a_release(1), expected_revision=0),
        put(a_release(2, status=ReleaseStatus.PROMOTED), expected_revision=0),
    )
    training.started["dead-1"] = {}
    releasing.started["loans-00000001-1"] = {}
    orphans = OrphanFinder(registry, training, releasing, now)
    assert [run.id for run in orphans.runs("loans")] == ["dead"]
    assert [release.version for release in orphans.releases("loans")] == [1]
    assert training.started["never-1"] == {"model": "loans", "run": "never", "attempt": 1}
    assert "young-1" not in training.started


def test_the_training_state_begins_empty_and_moves_by_revision(registry: Registry) -> None:
    assert registry.training("loans").revision == 0
    registry.save(put_training("loans", TrainingState(running="r"), expected_revision=0))
    assert registry.training("loans").value.running == "r"
