"""Whatever happens to releases, in whatever order, what must always hold does; and an end is always reached.

Each walk lets things happen at random and looks after each of them. A few walks are taken over DynamoDB and S3 too.
What must always hold and is no matter of a release alone: uploads and messages in tests/data/test_receive.py, the bytes
of the champion's answers in tests/serving/test_trial.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest

from serin.aws.table import DynamoRows
from serin.errors import Conflict, Refused, SerinError, Unverified
from serin.registry.ids import sha256
from serin.registry.ports import Objects, Row, Rows
from serin.registry.reconcile import OrphanFinder
from serin.registry.records import (
    HistoryEntry,
    ModelVersion,
    Release,
    ReleaseStatus,
    Releasing,
    Route,
    Run,
    VersionStatus,
)
from serin.registry.registry import decode, partition, put
from serin.release.next_step import MAX_TURNS
from serin.release.plan import ARRIVAL_SECONDS, HOLDBACK
from serin.release.rollback import rollback
from tests.aws.test_ports import REGION, aws, make_bucket, make_table  # noqa: F401  # aws: a fixture
from tests.fakes import FakeRows
from tests.release.bench import Bench

WALKS, STEPS_A_WALK = 260, 50
MIN_REQUESTS = 8
_CANARY = {
    "strategy": "canary",
    "steps": [0.3, 0.5],
    "bake": "4m",
    "min_requests": MIN_REQUESTS,
    "margins": {"error": 0.5, "slow": None, "unsure": None},
    "limit": "2h",
}
LIMIT = timedelta(hours=2)
_SHARED = {key: _CANARY[key] for key in ("margins", "min_requests")}
SECTIONS: list[dict[str, Any]] = [
    _CANARY,
    {**_CANARY, "watch": "20m"},
    {**_CANARY, "approval": "required"},
    {**_CANARY, "shadow": "4m"},
    {**_CANARY, "on_no_traffic": "expire"},
    {**_CANARY, "replay": "1h", "disagreement": 0.5},
    {**_CANARY, "replay": "1h", "disagreement": 0.5, "on_no_traffic": "promote_on_replay"},
    {**_CANARY, "margins": {**_CANARY["margins"], "wrong": 0.5}, "feedback_within": "2m"},
    {"strategy": "blue_green"},
    {**_SHARED, "strategy": "blue_green", "watch": "20m"},
    {**_SHARED, "strategy": "ab", "horizon": "1h", "question": "error"},
]
HAPPENS = (
    *["trained"] * 6,
    *["a_while"] * 6,
    *["taken_back"] * 8,
    *["too_late"] * 2,
    *["turn", "traffic", "crash", "answered", "tick", "workflow_dies", "time_passes"] * 2,
    *["training_done_again", "started_by_hand", "hand_over", "turn_of_what_ended", "deploy", "stale_write", "corrupt"],
)
"""What may happen, as often as it shall."""
KINDS: dict[str, type] = {
    "HISTORY": HistoryEntry,
    "RELEASE": Release,
    "RELEASING": Releasing,
    "ROUTE": Route,
    "RUN": Run,
    "VERSION": ModelVersion,
}
BOUNDS = ("lower", "upper")
ROOT = Path(__file__).parents[2]
WORD = re.compile("`([^`]+)`")


class Killed(BaseException):
    """When a function is killed: nothing catches this."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that is stored of the model."""

    route: Route | None
    releasing: Releasing
    releases: dict[str, Release]
    versions: dict[int, ModelVersion]
    sections: dict[str, dict[str, Any]]
    history: list[HistoryEntry]

    @property
    def live(self) -> Release | None:
        return self.releases[self.releasing.live] if self.releasing.live else None

    @property
    def champion(self) -> int | None:
        return self.route.champion.version if self.route else None

    def section(self, release: Release) -> dict[str, Any]:
        return self.sections[self.versions[release.version].run]

    @property
    def shape(self) -> object:
        """What is there, but for times, and how often one looked."""
        challenger = self.route.challenger if self.route else None
        return (
            self.champion,
            challenger and (challenger.release, challenger.version, challenger.weight),
            self.releasing,
            [(each.id, each.status, each.step, each.executions, each.approval) for each in self.releases.values()],
            [(each.number, each.status, each.served) for each in self.versions.values()],
            [entry.id for entry in self.history if not entry.move.endswith(" refused")],  # each try has its row
        )


class Walk:
    """One model, everything that can happen to it, and everything that must hold. entered: counts each status."""

    def __init__(
        self,
        seed: int,
        entered: Counter[str],
        rows: Rows | None = None,
        data: Objects | None = None,
        artifacts: Objects | None = None,
    ) -> None:
        self.draw, self.entered = Random(seed), entered
        self.bench = Bench(SECTIONS[0], rows, data=data, artifacts=artifacts)
        self.registry = self.bench.registry
        self.steps = self.trained_so_far = 0
        self.history: list[HistoryEntry] = []
        self.seen: dict[str, ReleaseStatus] = {}
        self.asked: Counter[tuple[str, datetime]] = Counter()
        self.decoded: dict[tuple[str, int], Any] = {}
        self.happened: list[str] = []

    def take(self, steps: int) -> None:
        """Walk so many steps, and to an end."""
        try:
            for _ in range(2):
                self._train({"strategy": "blue_green"})
                self._turn(self.live)
                self.look()
            for _ in range(steps):
                self.happened.append(self.draw.choice(HAPPENS))
                getattr(self, self.happened[-1])()
                self.look()
            self.reach_an_end()
        except BaseException as error:
            error.add_note(f"after {', '.join(self.happened)}")
            raise

    # -- what happens -----------------------------------------------------------------------------

    def trained(self) -> None:
        if self.known.releasing.queued is None or self._draws(0.5):
            same_as = self.draw.randint(1, self.trained_so_far) if self._draws(0.15) else None
            self._train(self.draw.choice(SECTIONS), same_as=same_as, is_passed=self._draws(0.9))

    def training_done_again(self) -> None:
        number = self.draw.randint(1, self.trained_so_far)
        if self.registry.find_release("loans", f"{number:08d}-1"):
            self._changes_nothing(lambda: self.bench.starter.start("loans", number))

    def started_by_hand(self) -> None:
        by, number = self.draw.choice(["", "ann"]), self.draw.randint(1, self.trained_so_far)
        self._twice(lambda: self.bench.starter.start_by_hand("loans", number, unblocked_by=by))

    def turn(self) -> None:
        live = self.live
        is_new = live is None or not live.step_since
        if is_new or self.bench.clock() - datetime.fromisoformat(live.started_at) > LIMIT:
            self._turn(live)  # the next one may end it
        else:
            self._twice(lambda: self._turn(live))

    def crash(self) -> None:
        live = self.live
        self.bench.seam.at(self.draw.randint(0, 30), _be_killed, is_after=self._draws(0.5))
        with suppress(Killed):
            self._turn(live)
        self.bench.seam.leave()
        self._turn(live)  # whoever called tries again

    def hand_over(self) -> None:
        live = self.live
        self._twice(lambda: self._turn(live, turns=MAX_TURNS - 1))

    def turn_of_what_ended(self) -> None:
        known = self.known
        release = self.draw.choice(list(known.releases.values()))
        if not release.status.is_under_way and (known.live or not known.releasing.queued):
            self._changes_nothing(lambda: self.bench.releaser.turn("loans", release.id))

    def traffic(self) -> None:
        self._ask(self.draw.choice([0.0, 0.0, 1.0]), self.draw.choice([2, 20]))

    def a_while(self) -> None:
        share = self.draw.choice([0.0, 0.0, 1.0])
        for _ in range(self.draw.randint(2, 6)):
            self._ask(share, 20)
            self._turn(self.live)
            self.look()

    def answered(self) -> None:
        live = self.live
        if live is None or not live.evidence:
            return
        is_current, is_approved = self._draws(0.7), self._draws(0.8)
        seen = str(live.evidence["digest"]) if is_current else "0" * 12
        before = live.approval

        def say() -> None:
            self.bench.answer(live.version, is_approved=is_approved, seen=seen)
            assert is_current
            assert before is None or before.evidence != seen

        self._twice(say)

    def taken_back(self) -> None:
        before, live = self.known.route, self.live
        is_on_trial = live is not None and live.status is ReleaseStatus.LIVE and live.step_since
        if before is None or (not is_on_trial and self._draws(0.8)):
            return
        version = before.champion.version if self._draws(0.8) else None
        self._twice(lambda: rollback(self.bench.releaser, "loans", "by hand", version=version))
        now = self.known
        if now.champion != before.champion.version:
            assert now.champion == before.champion.replaced

    def time_passes(self) -> None:
        self.bench.clock.advance(minutes=self.draw.choice([1, 4, 30, 130]))

    def too_late(self) -> None:
        self.bench.clock.advance(minutes=130)
        self.turn()

    def workflow_dies(self) -> None:
        self.bench.workflow.running.clear()
        self.bench.clock.advance(minutes=3)
        self.tick()

    def tick(self) -> None:
        self._twice(self._tick)

    def _tick(self) -> None:
        bench = self.bench
        for release in OrphanFinder(self.registry, bench.workflow, bench.workflow, bench.clock()).releases("loans"):
            bench.releaser.abandon("loans", release.id, "found by the tick")
        bench.releaser.start_next("loans")

    def deploy(self) -> None:
        """A deployment makes functions anew; nothing but rows and objects survives."""
        self.bench.releaser = self.bench.releaser_over(self.bench.rows)

    def stale_write(self) -> None:
        """Somebody holds the route while a turn is taken, and then writes it."""
        found = self.registry.route("loans")
        assert found is not None
        self._turn(self.live)
        now = self.registry.route("loans")
        if now is not None and now.revision != found.revision:
            with pytest.raises(Conflict):
                self.registry.save(put(found.value, expected_revision=found.revision))

    def corrupt(self) -> None:
        if self.live is not None and self.live.version != self.known.champion:
            self.bench.artifacts.put(f"models/loans/{self.live.version}/spec.json", b"[]")

    # -- what must hold ---------------------------------------------------------------------------

    def look(self) -> None:
        self.steps += 1
        known = self.known
        assert known.history[: len(self.history)] == self.history, "the history only grows"
        for entry in known.history[len(self.history) :]:
            if entry.move == "promote":
                self._was_promoted_on_evidence(known, entry)
        for release in known.releases.values():
            if self.seen.get(release.id) is not release.status:
                self.entered[release.status] += 1
                self.seen[release.id] = release.status
                self._began_with_its_champion(known, release)
        self.history = known.history
        self._each_change_of_champion_is_in_the_history(known)
        self._one_champion_and_it_verifies(known)
        self._one_challenger_with_a_lease(known)

    def _was_promoted_on_evidence(self, known: Known, entry: HistoryEntry) -> None:
        release = known.releases[entry.release or ""]
        version, section, found = known.versions[release.version], known.section(release), entry.evidence
        if section["strategy"] == "canary" and found["from"] is not None:
            units = found["champion_units"], found["challenger_units"]
            if section["on_no_traffic"] == "promote_on_replay" and "the replay" in entry.reason:
                assert found["replay"]["compared"] >= MIN_REQUESTS
                return
            assert min(units) >= MIN_REQUESTS
            assert {question["verdict"] for question in found["questions"].values()} == {"pass"}
            assert all(isfinite(question[bound]) for question in found["questions"].values() for bound in BOUNDS)
            arrived = datetime.fromisoformat(entry.at) - timedelta(seconds=ARRIVAL_SECONDS)
            complete = arrived.replace(second=0, microsecond=0)
            told = sum(number for (name, at), number in self.asked.items() if name == release.trial and at < complete)
            assert sum(units) <= told, "it rests on a minute that was not over, or not all of it had arrived"
        if section["approval"] == "required":
            approval = found["approval"]
            assert (approval["is_approved"], approval["evidence"]) == (True, found["digest"])
        bad = [
            earlier.evidence["files"]["model.onnx"]
            for earlier in self.history
            if earlier.move == "roll back" and earlier.release is not None
        ]
        unblocked = {
            known.versions[each.version].files["model.onnx"] for each in known.releases.values() if each.unblocked_by
        }
        assert version.files["model.onnx"] not in {*bad} - unblocked

    def _began_with_its_champion(self, known: Known, release: Release) -> None:
        """What was promoted replaced the champion at its start, and what is then taken back goes back to it."""
        if release.status in (ReleaseStatus.WATCHING, ReleaseStatus.PROMOTED):
            assert release.replaced == release.champion_before
        if release.status is ReleaseStatus.ROLLED_BACK and release.replaced is not None:
            entry = next(each for each in reversed(known.history) if each.evidence.get("from") == release.version)
            assert entry.evidence["to"] == release.champion_before

    def _each_change_of_champion_is_in_the_history(self, known: Known) -> None:
        champion = None
        for entry in known.history:
            if entry.move == "promote":
                assert entry.evidence["from"] == champion
                champion = entry.version
            elif entry.move == "roll back" and entry.evidence["from"] == champion:
                champion = entry.evidence["to"]
        assert known.champion == champion

    def _one_champion_and_it_verifies(self, known: Known) -> None:
        if known.route is None:
            return
        champion, artifacts = known.route.champion, self.bench.artifacts
        version = known.versions[champion.version]
        assert champion.files == {name: version.files[name] for name in champion.files}
        if not (known.live and known.live.version == champion.version):
            assert champion.files == {name: sha256(artifacts.get(version.prefix + name)) for name in champion.files}

    def _one_challenger_with_a_lease(self, known: Known) -> None:
        under_way = [each for each in known.releases.values() if each.status.is_under_way]
        assert under_way == ([known.live] if known.live else [])
        waiting = [each.id for each in known.releases.values() if each.status is ReleaseStatus.QUEUED]
        assert waiting == ([known.releasing.queued] if known.releasing.queued else [])
        challenger, release = known.route.challenger if known.route else None, known.live
        if challenger is None:
            return
        assert release is not None, "a challenger without a release"
        assert challenger.release in (release.id, release.trial, release.watch)
        assert challenger.lease_until == release.lease_until
        section, is_watched = known.section(release), release.status is ReleaseStatus.WATCHING
        steps = [0.0] * bool(section["shadow"]) + section["steps"]
        if section["strategy"] == "ab":
            steps = [section["split"]]
        assert challenger.weight <= (HOLDBACK if is_watched else steps[release.step])
        assert challenger.version == (release.replaced if is_watched else release.version)

    def reach_an_end(self) -> None:
        """When faults stop and the clock moves on, an end is reached."""
        for _ in range(40):
            if self.live is None:
                self.bench.releaser.start_next("loans")
                if self.live is None:
                    break
                continue
            self.bench.clock.advance(minutes=31)
            self._turn(self.live)
            self.look()
        assert self.known.releasing == Releasing()

    # -- how it is done ---------------------------------------------------------------------------

    def _twice(self, act: Callable[[], object]) -> None:
        """Do what may be refused; now and then twice, which is as once."""
        with suppress(Conflict, Refused, Unverified):
            act()
        if self._draws(0.3):
            before = self.known.shape
            with suppress(Conflict, Refused, Unverified):
                act()
            assert self.known.shape == before, "the second time was not as none"

    def _changes_nothing(self, act: Callable[[], object]) -> None:
        before = self._rows()
        act()
        assert self._rows() == before

    def _draws(self, share: float) -> bool:
        return self.draw.random() < share

    def _train(self, section: dict[str, Any], *, same_as: int | None = None, is_passed: bool = True) -> None:
        self.trained_so_far += 1
        self.bench.section = section
        status = VersionStatus.PASSED if is_passed else VersionStatus.REJECTED
        self.bench.register(self.trained_so_far, f"onnx {same_as}".encode() if same_as else None, status=status)
        if is_passed:
            self.bench.starter.start("loans", self.trained_so_far)

    def _ask(self, share: float, requests: int) -> None:
        """Let entities ask for a minute, of whom a share of one version's fail. Mostly wait for the summary."""
        known = self.known
        route = known.route
        if route is not None:
            failing = self.draw.choice([known.live.version if known.live else 0] * 3 + [known.champion])
            if route.challenger:
                self.asked[route.challenger.release, self.bench.clock.at.replace(second=0, microsecond=0)] += requests
            if self._draws(0.3):
                self.bench.asked(*[self.draw.choice([20, 60])] * requests)
            self.bench.traffic(
                minutes=1, a_minute=requests, bad={failing: share}, wrong=dict.fromkeys(known.versions, 0.0)
            )
            self.bench.clock.advance(minutes=self.draw.choice([0, 3, 3]))

    @property
    def known(self) -> Known:
        found: dict[type, list[Any]] = {kind: [] for kind in KINDS.values()}
        for row in self._rows():
            place = row.sort, row.revision
            if place not in self.decoded:
                self.decoded[place] = decode(KINDS[row.sort.partition("#")[0]], row.body)
            found[type(self.decoded[place])].append(self.decoded[place])
        return Known(
            route=next(iter(found[Route]), None),
            releasing=next(iter(found[Releasing]), Releasing()),
            releases={each.id: each for each in found[Release]},
            versions={each.number: each for each in found[ModelVersion]},
            sections={each.id: each.contract["release"] for each in found[Run]},
            history=found[HistoryEntry],
        )

    def _rows(self) -> list[Row]:
        table = self.bench.table
        if isinstance(table, FakeRows):  # without parsing what is known already
            return sorted(table.rows.values(), key=lambda row: row.sort)
        return [row for letter in "HRV" for row in table.list(partition("loans"), letter)]

    @property
    def live(self) -> Release | None:
        name = self.registry.releasing("loans").value.live
        return self.registry.release("loans", name).value if name else None

    def _turn(self, live: Release | None, *, turns: int = 0) -> None:
        if live is None:
            return
        try:
            turned = self.bench.releaser.turn("loans", live.id, execution=live.executions, turns=turns)
            if not turned.is_done:
                lease = self.registry.release("loans", live.id).value.lease_until
                assert datetime.fromisoformat(lease) > self.bench.clock.at + timedelta(
                    seconds=turned.decision.wait_seconds
                )
        except SerinError as error:
            # The way back cannot be taken where its files are broken: the workflow gives the release up.
            self.bench.releaser.abandon("loans", live.id, error.message)


def _be_killed() -> None:
    raise Killed


def test_what_must_always_hold_holds() -> None:
    entered: Counter[str] = Counter()
    steps, told = 0, set[tuple[str, str | None]]()
    for seed in range(WALKS):
        walk = Walk(seed, entered)
        walk.take(STEPS_A_WALK)
        steps += walk.steps
        told |= {(str(said["move"]), said["status"]) for _, said in walk.bench.events.found}
    assert steps >= 20_000
    assert {status: entered[status] for status in ReleaseStatus if entered[status] < 100} == {}
    moves, statuses = documented_words()
    assert ({move for move, _ in told}, {str(status) for _, status in told if status}) == (moves, statuses)


def documented_words() -> tuple[set[str], set[str]]:
    """Read from docs/events.md which moves and which statuses events name."""
    lines = (ROOT / "docs" / "events.md").read_text().splitlines()
    table = lines[lines.index("| move | the release |") + 2 :]
    moves = {word for line in takewhile(bool, table) for word in WORD.findall(line.split("|")[1])}
    (statuses,) = (line for line in lines if line.startswith("| `status` |"))
    return moves, set(WORD.findall(statuses)[1:])


@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_a_walk_over_dynamodb_and_s3_leads_to_the_same_rows(aws: None, seed: int) -> None:  # noqa: F811
    client = boto3.client("s3", region_name=REGION)
    over_fakes = Walk(seed, Counter())
    over_aws = Walk(seed, Counter(), DynamoRows(make_table(), "t"), data := make_bucket(client), data)
    for walk in (over_fakes, over_aws):
        walk.take(20)
    assert over_aws._rows() == over_fakes._rows()
