"""How soon does everybody get the right answers again? Releases on the twin under load, promoted and rolled back.

Run by `make bench-switch`. A minute of a plan is a second here; the age of routes, leases and visibility are real.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count, cycle
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.load import Target
from benchmarks.on_twin import OnTwin, on_twin
from benchmarks.report import Figure, say, tell
from benchmarks.subject import CONTRACT, NAME, Subject, draw_table, make_subject
from serin.aws.cloud import Cloud, utc_now
from serin.aws.wiring import releaser_in
from serin.cli.drill import enough_by
from serin.cli.faulty import answering_nan_above, register, slowed
from serin.monitoring.captures import read_lines
from serin.registry.ids import sha256
from serin.registry.keys import CAPTURES
from serin.registry.records import Release, ReleaseStatus, Run, RunStatus, TrainingState
from serin.registry.registry import put, put_training
from serin.serving.lines import Capture

CLIENTS = 8
PAUSE_SECONDS = 0.04  # of a client between two requests
KNOWN = 100  # entities that ask again and again, so that their answers can be compared
ALONE_SECONDS = 5.0  # of the champion, before each release
AFTER_SECONDS = 8.0  # of load once a release ended
LOOK_SECONDS = 0.02
ROUNDS = 3
SLOW_SECONDS = 0.15
ENTITY = "applicant"

HEALTHY = {
    "strategy": "canary",
    "shadow": "8m",
    "steps": [0.25, 0.5],
    "bake": "6m",
    "min_requests": 50,
    "margins": {"error": 0.1, "slow": None, "unsure": None},
    "limit": "2h",
}
FAULTY = {**HEALTHY, "shadow": None, "steps": [0.5], "bake": "1h"}
SLOW = {**FAULTY, "steps": [0.1], "margins": {"error": None, "slow": 0.1, "unsure": None}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a request. at: seconds since 1970. body: without the prediction's id; empty where none came."""

    entity: str
    at: float
    version: int
    body: bytes
    error: str = ""


class Clients:
    """Several clients that ask for as long as the block lasts, each over a connection that it keeps."""

    def __init__(self, target: Target, rows: Sequence[Mapping[str, Any]], *, pause_seconds: float) -> None:
        self.answers: list[Answer] = []
        self._target, self._pause_seconds = target, pause_seconds
        self._rows = self._rows_of(rows)
        self._lock, self._is_over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _rows_of(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """A known entity and a new one in turn. A known one always asks about the same row."""
        begun = time.time_ns()
        known = cycle([{**row, ENTITY: f"known {number}"} for number, row in enumerate(rows[:KNOWN])])
        for number, row in zip(count(), cycle(rows), strict=False):
            yield next(known)
            yield {**row, ENTITY: f"new {begun} {number}"}

    def _ask_on(self) -> None:
        place = urlsplit(self._target.url)
        connection = http.client.HTTPConnection(place.netloc, timeout=30)
        while not self._is_over.wait(self._pause_seconds):
            with self._lock:
                row = next(self._rows)
            try:
                self.answers.append(self._ask(connection, place.path, row))
            except OSError as error:
                self.answers.append(Answer(str(row[ENTITY]), time.time(), 0, b"", repr(error)))
                connection.close()
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, path: str, row: Mapping[str, Any]) -> Answer:
        headers = {"Content-Type": "application/json", **self._target.headers}
        connection.request("POST", path, json.dumps({"rows": [row]}).encode(), headers)
        response = connection.getresponse()
        body, at, entity = response.read(), time.time(), str(row[ENTITY])
        if response.status != 200:
            return Answer(entity, at, 0, b"", f"{response.status}: {body[:200]!r}")
        answer = json.loads(body)
        return Answer(entity, at, answer["version"], body.replace(answer["id"].encode(), b"id"))


class Watch:
    """Looks at the route all the time. free: when it was first seen without a challenger, after it had one."""

    def __init__(self, cloud: Cloud) -> None:
        self.free = 0.0
        self._cloud, self._is_over = cloud, threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _look_on(self) -> None:
        was_tried = False
        while not self.free and not self._is_over.wait(LOOK_SECONDS):
            route = self._cloud.registry.route(NAME)
            is_tried = route is not None and route.value.challenger is not None
            if was_tried and not is_tried:
                self.free = time.time()
            was_tried = is_tried


@dataclass(frozen=True, slots=True)
class Trial:
    """A release that ended, and what clients saw of it. begun, decided, free: seconds since 1970.

    decided: when the turn began that ended it. free: when the route was seen without its challenger.
    """

    release: Release
    champion: int
    begun: float
    decided: float
    free: float
    answers: Sequence[Answer]

    def last_answer(self, version: int) -> float:
        return max(answer.at for answer in self.answers if answer.version == version)

    def compared(self) -> tuple[int, int]:
        """Count the champion's answers to known entities since the release began, and how many have other bytes."""
        known = [
            answer for answer in self.answers if answer.version == self.champion and answer.entity.startswith("known")
        ]
        alone = {answer.entity: answer.body for answer in known if answer.at < self.begun}
        later = [answer for answer in known if answer.at >= self.begun and answer.entity in alone]
        return len(later), sum(answer.body != alone[answer.entity] for answer in later)


def main() -> int:
    subject = with_entities(make_subject())
    rows: list[dict[str, Any]] = json.loads(draw_table(2_000, seed=2).dropna().to_json(orient="records"))
    with on_twin(subject) as there:
        prepare(there.cloud)
        trial = partial(run, there, rows)
        say("a promotion")
        promotion = trial(HEALTHY, ReleaseStatus.PROMOTED)
        faulty = []
        for number in range(ROUNDS):
            say(f"a rollback, {number + 1} of {ROUNDS}: no number for some of the rows")
            edit = partial(answering_nan_above, threshold=0.8 + number / 1000)  # what was rolled back is blocked
            faulty.append(trial(FAULTY, ReleaseStatus.ROLLED_BACK, edit))
        say("a rollback: slow")
        edit = partial(slowed, seconds=SLOW_SECONDS)
        slow = trial(SLOW, ReleaseStatus.ROLLED_BACK, edit, pause_seconds=4 * PAUSE_SECONDS)
        there.twin.settle()
        figures = of_all(there, [promotion, *faulty, slow]) + of_promotion(promotion)
        return tell(
            "switch", figures + of_rollbacks(there.cloud, "faulty", faulty) + of_rollbacks(there.cloud, "slow", [slow])
        )


def with_entities(subject: Subject) -> Subject:
    """The same model, whose requests say whom they are about."""
    spec = replace(subject.spec, entity=ENTITY, other_columns=(ENTITY,))
    files = {**subject.files, "spec.json": spec.to_json()}
    digests = {name: sha256(files[name]) for name in subject.version.files}
    files["manifest.json"] = json.dumps({"model": NAME, "version": 1, "files": digests}).encode()
    version = replace(subject.version, files=digests, manifest_sha256=sha256(files["manifest.json"]))
    return replace(subject, spec=spec, version=version, files=files)


def prepare(cloud: Cloud) -> None:
    """Store what a training leaves behind, and releases read."""
    run = Run(
        id="benchmark",
        model=NAME,
        status=RunStatus.REGISTERED,
        datasets=(),
        rows=0,
        contract=CONTRACT.model_dump(mode="json"),
        contract_digest="",
        code_digest="",
        reason="a benchmark",
        started_at=utc_now().isoformat(),
        version=1,
    )
    state = put_training(NAME, TrainingState(last_version=1), expected_revision=0)
    cloud.registry.save(put(run, expected_revision=0), state)


def run(
    there: OnTwin,
    rows: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
    expected: ReleaseStatus,
    edit: Callable[[bytes], bytes] | None = None,
    *,
    pause_seconds: float = PAUSE_SECONDS,
) -> Trial:
    """Release a challenger under load, from before its start until well after its end.

    Raises SystemExit where it ends otherwise than it has to: its figures would say nothing.
    """
    cloud = there.cloud
    number, route = register(cloud, NAME, plan, edit), cloud.registry.route(NAME)
    assert route is not None
    with Clients(there.target, rows, pause_seconds=pause_seconds) as clients, Watch(cloud) as watch:
        time.sleep(ALONE_SECONDS)
        begun = time.time()
        name = releaser_in(cloud, actor="benchmark").starter.start(NAME, number).id
        while cloud.registry.release(NAME, name).value.status.is_under_way:
            time.sleep(LOOK_SECONDS)
        time.sleep(AFTER_SECONDS)
    release = cloud.registry.release(NAME, name).value
    if release.status is not expected:
        sys.exit(f"release {name} is {release.status}, not {expected}: {release.reason}")
    last = [entry for entry in cloud.registry.history(NAME) if entry.release == name][-1]
    decided = datetime.fromisoformat(last.at).timestamp()
    return Trial(release, route.value.champion.version, begun, decided, watch.free, clients.answers)


def of_all(there: OnTwin, trials: Sequence[Trial]) -> list[Figure]:
    """Whether anybody noticed. The champion alone would have answered every request."""
    requests = sum(len(trial.answers) for trial in trials)
    seconds = sum(trial.answers[-1].at - trial.answers[0].at for trial in trials)
    errors = [answer.error for trial in trials for answer in trial.answers if answer.error]
    for error in errors[:5]:
        say(error)
    compared, changed = (sum(counts) for counts in zip(*(trial.compared() for trial in trials), strict=True))
    return [
        Figure("requests", requests),
        Figure("requests a second", requests / seconds),
        Figure("processes that answered", there.processes("api")),
        Figure("failed requests", len(errors), at_most=0),
        Figure("the champion's answers compared", compared),
        Figure("of these, with other bytes than before the release", changed, at_most=0),
    ]


def of_promotion(trial: Trial) -> list[Figure]:
    last = trial.last_answer(trial.champion) - trial.decided
    return [
        Figure("promotion: decision → route", trial.free - trial.decided, "s", at_most=2),
        Figure("promotion: decision → last answer by the old champion", last, "s", at_most=5),
    ]


def of_rollbacks(cloud: Cloud, kind: str, trials: Sequence[Trial]) -> list[Figure]:
    """The worst of each, over the rollbacks of a kind.

    safe: nobody asks the challenger any more, also where the champion answers in its place. enough: the end of the
    minute of the plan with which the faults in captures suffice for the judge, whenever it saw them.
    """
    names = ("decision → weight 0", "decision → safe", "enough → decision", "enough → safe", "first fault → safe")
    targets = (2, 5, None, 10, None)
    durations = [_seconds(cloud, trial) for trial in trials]
    return [
        Figure(f"{kind}: {name}", max(worst), "s", at_most=target)
        for name, target, worst in zip(names, targets, zip(*durations, strict=True), strict=True)
    ]


def _seconds(cloud: Cloud, trial: Trial) -> tuple[float, ...]:
    """Tell how long each took, in the order of the figures. Every challenger here is at fault from its first second."""
    first, last = asked(cloud, trial.release)
    safe, enough = max(last, trial.last_answer(trial.release.version)), enough_by(cloud, trial.release)
    if enough is None:
        raise LookupError(f"the captures of release {trial.release.id} show no breach")
    return trial.free - trial.decided, safe - trial.decided, trial.decided - enough, safe - enough, safe - first


def asked(cloud: Cloud, release: Release) -> tuple[float, float]:
    """When the challenger was first and last to answer, by the captures: also where the champion did in its place."""
    at = [
        line.at / 1000
        for stored in cloud.data.list(CAPTURES)
        for line in read_lines(cloud.data.get(stored.key))
        if isinstance(line, Capture) and line.release == release.trial and line.arm == "challenger"
    ]
    return min(at), max(at)


if __name__ == "__main__":
    sys.exit(main())
