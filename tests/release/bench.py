"""A model's releases over fakes: versions whose files verify, traffic as summaries tell of it, and a clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from serin.contract.keys_and_defaults import Release as Section
from serin.monitoring.rescore import Score
from serin.monitoring.summary import Summary
from serin.monitoring.truths import ReceivedTruth, Truths
from serin.monitoring.units import Unit, Units
from serin.registry.ids import sha256, ulid
from serin.registry.ports import Objects, Rows
from serin.registry.records import Release, ReleaseStatus, Route
from serin.registry.registry import Registry, put
from serin.release.approve import answer
from serin.release.release_log import ReleaseLog
from serin.release.start import ReleaseStarter
from serin.release.turn import Releaser, Turned
from serin.serving.prediction_id import row_id
from serin.serving.routing.split_and_lease import bucket
from tests.builders import a_capture, a_capture_file, a_contract, a_run, a_spec, a_version
from tests.fakes import RESTLESS, FakeClock, FakeEvents, FakeNotifier, FakeObjects, FakeRows, FakeWorkflow
from tests.interleave import Seam
from tests.monitoring.world import by_age

CANARY = {
    "strategy": "canary",
    "steps": [0.25, 0.5],
    "bake": "10m",
    "min_requests": 50,
    "margins": {"error": 0.1, "slow": None, "unsure": None},
    "limit": "1d",
}


class Bench:
    """Releases of `loans`. section: the contract's, of the versions registered from then on."""

    def __init__(
        self,
        section: dict[str, Any] | None = None,
        rows: Rows | None = None,
        *,
        data: Objects | None = None,
        artifacts: Objects | None = None,
    ) -> None:
        self.section = section or {"strategy": "blue_green"}
        self.seam = Seam()
        self.table = rows or FakeRows()
        self.rows = self.seam.over(self.table)
        self.registry = Registry(self.rows)
        self.data, self.artifacts = self.seam.over(data or FakeObjects()), self.seam.over(artifacts or FakeObjects())
        self.notifier, self.events = self.seam.over(FakeNotifier()), self.seam.over(FakeEvents())
        self.workflow, self.clock = self.seam.over(FakeWorkflow()), FakeClock()
        self.score: Score = by_age
        self.ids: Iterator[int] = iter(range(1_000_000))
        self.entries: Iterator[int] = iter(range(1_000_000))
        self.releaser = self.releaser_over(self.rows)

    def releaser_over(self, rows: Rows, *, actor: str = "test") -> Releaser:
        """Make another one who moves releases, who reaches the table through `rows`."""
        return Releaser(
            registry=Registry(rows),
            data=self.data,
            artifacts=self.artifacts,
            workflow=self.workflow,
            release_log=ReleaseLog(self.events, self.notifier, self._new_id, self.clock, actor),
            now=self.clock,
            patience=RESTLESS,
            score=lambda *asked: self.score(*asked),
        )

    def _new_id(self, now: datetime) -> str:
        return ulid(now, next(self.entries).to_bytes(10, "big"))

    @property
    def starter(self) -> ReleaseStarter:
        return self.releaser.starter

    def answer(self, number: int, *, is_approved: bool, seen: str, by: str = "ann", **said: bool) -> Release:
        """Let a person answer for the live release of a version."""
        releaser = self.releaser_over(self.rows, actor=by)
        return answer(releaser, "loans", number, is_approved=is_approved, seen=seen, **said)

    def register(self, number: int, content: bytes | None = None, spec: bytes = b"", **changes: Any) -> None:
        """Register a version that passed its gates."""
        files = {"model.onnx": content or f"onnx {number}".encode(), "spec.json": spec or a_spec().to_json()}
        digests = {name: sha256(data) for name, data in files.items()}
        manifest = json.dumps({"files": digests}).encode()
        version = a_version(number, files=digests, manifest_sha256=sha256(manifest), **changes)
        for name, data in {**files, "manifest.json": manifest}.items():
            self.artifacts.put(version.prefix + name, data)
        contract = a_contract().model_dump(mode="json") | {
            "release": Section.model_validate(self.section).model_dump(mode="json")
        }
        self.registry.save(
            put(version, expected_revision=0), put(a_run(version.run, contract=contract), expected_revision=0)
        )

    def start(self, number: int, **changes: Any) -> Release:
        """Register a version and start its release."""
        self.register(number, **changes)
        return self.starter.start("loans", number)

    def release(self, number: int) -> ReleaseStatus:
        """Start the release of a registered version, take one turn, and say where it stands."""
        self.releaser.turn("loans", self.starter.start("loans", number).id)
        return self.last(number).status

    def champion_and_trial(self, section: dict[str, Any]) -> Release:
        """Make version 1 champion, and begin the release of version 2 under a section."""
        self.start(1)
        self.turn(1)
        self.section = section
        release = self.start(2)
        self.turn(2)
        return release

    def turn(self, number: int, *, after: float = 0, **asked: int) -> Turned:
        """Take a turn of a version's last release; after so many minutes, in which another one renewed its lease."""
        name = self.last(number).id
        if after:
            self.clock.advance(minutes=after - 1)
            meanwhile = self.releaser.turn("loans", name, **asked)
            if meanwhile.is_done:
                return meanwhile
            self.clock.advance(minutes=1)
        return self.releaser.turn("loans", name, **asked)

    def last(self, number: int) -> Release:
        return self.registry.releases_of("loans", number)[-1]

    def asked(self, *ages: int, **changes: Any) -> str:
        """Let there be a capture file of now: at each age a request, which the champion answered with a sure yes."""
        at, route = int(self.clock.at.timestamp() * 1000), self.route
        version = route.champion.version if route else 1
        lines = []
        for age in ages:
            said = {"at": at, "version": version, "answered": version, "rows": [[age, None, "school"]]}
            lines.append(a_capture(next(self.ids), **{**said, "scores": [[0.1, 0.9]], **changes}))
        key = f"captures/dt={self.clock.at:%Y-%m-%d}/hour={self.clock.at:%H}/{next(self.ids):07}.jsonl.gz"
        self.data.put(key, a_capture_file(*lines))
        return key

    def traffic(
        self,
        *,
        minutes: int,
        a_minute: int = 60,
        bad: dict[int, float] | None = None,
        wrong: dict[int, float] | None = None,
    ) -> None:
        """Let so many new entities ask in each of the next minutes.

        bad: which share of a version's answers fail. wrong: which share of them turns out wrong, a minute later; of
        versions that are not there nothing turns out.
        """
        for _ in range(minutes):
            route = self.route
            assert route is not None
            self.data.put(
                f"summaries/dt={self.clock.at:%Y-%m-%d}/hour={self.clock.at:%H}/{next(self.ids):07}.json",
                self._summary(route, a_minute, bad or {}, wrong or {}).to_json(),
            )
            self.clock.advance(minutes=1)

    def _summary(self, route: Route, requests: int, bad: dict[int, float], wrong: dict[int, float]) -> Summary:
        challenger, counted = route.challenger, {"champion": 0, "challenger": 0}
        if challenger is None:
            return Summary(captures=requests)
        is_leased = challenger.lease_until > self.clock.at.isoformat()
        firsts, truths = {}, {}
        for number in range(requests):
            name = f"{next(self.ids):016x}"
            to_challenger = is_leased and bucket(route.salt, name) < challenger.weight
            arm, version = ("challenger", challenger.version) if to_challenger else ("champion", route.champion.version)
            counted[arm] += 1
            is_error = _falls(counted[arm], bad.get(version, 0.0))
            at = int((self.clock.at + timedelta(seconds=50 * number / requests)).timestamp() * 1000)
            compared = (0.0, False) if challenger.weight == 0 else (None, None)
            firsts[name] = Unit(at, name, arm, is_error, 1.0, False, False, *compared, predicted="yes")
            if version in wrong:
                truth = "no" if _falls(counted[arm], wrong[version]) else "yes"
                truths[row_id(name, 0)] = ReceivedTruth(at + 60_000, truth)
        releases = {("loans", challenger.release): Units(firsts)}
        return Summary(captures=requests, releases=releases, truths={"loans": Truths(truths)})

    @property
    def route(self) -> Route | None:
        found = self.registry.route("loans")
        return found.value if found else None

    @property
    def champion(self) -> int | None:
        return self.route.champion.version if self.route else None

    @property
    def weight(self) -> float:
        """The share of entities that ask the challenger now."""
        challenger = self.route.challenger if self.route else None
        return challenger.weight if challenger and challenger.lease_until > self.clock.at.isoformat() else 0.0

    @property
    def moves(self) -> list[str]:
        """What the history says that was done to releases since they were under way."""
        moves = [str(entry.move) for entry in self.registry.history("loans")]
        return [move for move in moves if move not in ("live", "queued", "superseded")]


def _falls(number: int, share: float) -> bool:
    """Tell whether something happens the so-manieth time; spread evenly, so that a share of 0.5 is every second one."""
    return int(number * share) > int((number - 1) * share)
