"""What does Serin do? The whole loop told as a story, on a twin, with real rows; every figure is what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pandas as pd

from serin.aws.wiring import releaser_in
from serin.cli.examples.tables import to_csv, tumours
from serin.cli.faulty import mistaken, register
from serin.cli.releases import follow_release
from serin.cli.render import tell, tell_drift, tell_gates, tell_predictions
from serin.cli.show import Output
from serin.cli.traffic import Traffic, ever_new
from serin.cli.twin import own_twin
from serin.client import project
from serin.client.environment import EnvironmentClient, reach
from serin.client.follow import Follower, Judged, Skipped, Step, as_document
from serin.errors import SerinError
from serin.monitoring.drift import DriftReport, DriftVerdict
from serin.registry.ids import release_id
from serin.registry.records import Receipt, ReceiptStatus, Release, ReleaseStatus, VersionStatus

MODEL = "tumours"
FIRST_ROWS, LABELLED_ROWS = 350, 120
MEASURE, ROUGHER = "smoothness", 1.6
PER_SECOND = 40.0
MOST_MOVED = 4  # columns that are told of a drift report
TIMEOUT_SECONDS = 180.0


def run_demo(output: Output, *, port: int, keep: bool) -> None:
    """Tell the story. Raises SerinError where something does not end as it must: then the demo has failed."""
    started = time.monotonic()
    output.heading("Serin: from a table of data to an endpoint that looks after itself")
    output.say("what is deployed on AWS runs here on a twin: the same template and functions, in a few processes")
    with own_twin(port=port, keep=keep, say=output.say):
        demo = Demo(output, reach("local"))
        demo.tell()
    seconds = time.monotonic() - started
    output.say()
    output.say(f"all that took {seconds:.0f} s, and nothing of it an AWS account")
    output.heading("where to look next")
    output.facts(_next_steps(keep))
    output.document({"seconds": seconds, "steps": demo.steps})


class Demo:
    """The demo's chapters, in order, on one environment."""

    def __init__(self, output: Output, environment: EnvironmentClient) -> None:
        self.output, self.environment, self.cloud = output, environment, environment.cloud
        self.model = environment.model(MODEL)
        self.contract = project.here().contracts.load(MODEL)
        self.follower = Follower(environment.cloud, TIMEOUT_SECONDS, output.say)
        self.steps: list[dict[str, Any]] = []
        table = tumours().sample(frac=1.0, random_state=7).reset_index(drop=True)
        self.first, self.kept_back = table[:FIRST_ROWS], table[FIRST_ROWS:]
        self.filmed = _by_another_camera(self.kept_back)
        self.labelled, self.unseen = self.filmed[:LABELLED_ROWS], self.filmed[LABELLED_ROWS:]

    def tell(self) -> None:
        self._chapter("1. upload real rows: they are judged, trained on, and the best model answers")
        self._first_champion()
        self._chapter("2. ask it over HTTP")
        self._predict()
        self._chapter("3. a bad upload is set aside, with its reasons; nothing is lost, nothing is trained")
        self._bad_upload()
        with self._traffic() as traffic:
            self._chapter("4. the laboratory gets another camera: what is asked drifts, and a new version is trained")
            version = self._retrained()
            self._chapter("5. the new version must earn its place: shadow, canary, promotion")
            self._promotion(version)
        self._tell_traffic(traffic)
        self._chapter("6. a version that is worse is rolled back, and no request fails")
        with self._traffic(target=self.contract.target) as traffic:
            self._rollback(version)
        self._tell_traffic(traffic)

    def _first_champion(self) -> None:
        self._say(
            f"models/{MODEL}/model.yaml, the contract, is all that was written: {self.contract.task} of biopsies "
            f"by what they found; {len(self.first)} are uploaded, and {len(self.kept_back)} are kept back"
        )
        last = self._upload("first.csv", self.first)[-1]
        _must(isinstance(last, Release) and last.status is ReleaseStatus.PROMOTED, "no first version was released")

    def _predict(self) -> None:
        self._say(f"$ serin predict {MODEL} --rows '[{{…}}, {{…}}, {{…}}]'", style="dim")
        some = self.kept_back[:3]
        answer = self.model.ask(self._rows(some))
        _must(answer["version"] == 1, f"version {answer['version']} answered")
        tell_predictions(self.output, answer)
        self._say(f"  what the biopsies found: {', '.join(some[self.contract.target])}")
        self._score(self.kept_back, "biopsies that were kept back", version=1)

    def _bad_upload(self) -> None:
        column = self.kept_back.columns[0]
        table = self.kept_back.astype({column: str})
        table.loc[table.index[:60], column] = "unknown"
        last = self._upload("bad.csv", table)[-1]
        _must(isinstance(last, Receipt) and last.status is ReceiptStatus.QUARANTINED, "the bad upload was let in")
        report = self._check_drift(DriftVerdict.STEADY)
        self._say(f"{MODEL}@{report.version} {report.verdict}: {report.reason}; {report.rows} rows were asked about")

    def _retrained(self) -> int:
        """Let what is asked drift until a training answers it, and give the version that this made."""
        self._say(f"it draws contours rougher: each {MEASURE} is {ROUGHER:g} times what it was, all else is as it was")
        self._score(self.unseen, "biopsies that it photographed", version=1)
        self._say(
            f"from now on {PER_SECOND:.0f} requests a second are about such biopsies; the findings of some come in"
        )
        last = self._upload("camera.csv", self.labelled)[-1]
        _must(isinstance(last, Skipped), "a training began before anything had drifted")
        known = {run.id for run in self.cloud.registry.runs(MODEL)}
        report = self._check_drift(DriftVerdict.DRIFTED)
        tell_drift(self.output, replace(report, predictions=(), features=report.features[:MOST_MOVED]))
        _must(MEASURE in report.features[0].column, f"{report.features[0].column} is named as what moved most")
        with self.output.waiting("training on the rows of both cameras"):
            run = self.follower.next_run(MODEL, known)
            self._tell([next(run)])
            ended = next(run)
        if not isinstance(ended, Judged):
            raise SerinError(f"the demo failed: so did the training that the drift asked for: {ended.error}")
        self.steps.append(as_document(ended))
        made = ended.version
        tell_gates(self.output, f"{MODEL}@{made.number}", made.gates, str(made.status))
        _must(made.status is VersionStatus.PASSED, f"version {made.number} did not pass its gates")
        return made.number

    def _promotion(self, version: int) -> None:
        shares = ", then ".join(f"{share:.0%}" for share in self.contract.release.steps)
        minute = self.cloud.seconds_per_minute
        self._say(f"the contract plans a shadow, then {shares} of the requests; a minute of it lasts {minute:g} s here")
        release = self._follow_release(release_id(version))
        _must(release.status is ReleaseStatus.PROMOTED, f"version {version} is {release.status}: {release.reason}")
        self._say(f"champion  {MODEL}@{version}, after a trial of {_seconds(release):.0f} s", style="bold green")
        self._must_be_champion(version)
        self._score(self.unseen, "biopsies that the new camera photographed and no training saw", version=version)

    def _rollback(self, champion: int) -> None:
        self._say(
            f"somebody swaps the labels in the file of version {champion} and releases it past gates and shadow: it "
            "answers as fast as before, and the opposite; soon after each answer comes what the biopsy found"
        )
        version = register(self.cloud, MODEL, self._plan_in_a_hurry(), partial(mistaken, shift=0.0))
        starter = releaser_in(self.cloud, actor="demo").starter
        release = self._follow_release(starter.start_by_hand(MODEL, version).id)
        _must(release.status is ReleaseStatus.ROLLED_BACK, f"version {version} is {release.status}: {release.reason}")
        self._say(
            f"champion  {MODEL}@{champion}, still, after a trial of {_seconds(release):.0f} s", style="bold green"
        )
        self._must_be_champion(champion)

    def _plan_in_a_hurry(self) -> dict[str, Any]:
        """The contract's plan without a shadow, where what turned out counts as well."""
        plan = self.contract.release.model_dump(mode="json")
        return {**plan, "shadow": None, "margins": {**plan["margins"], "wrong": "5%"}, "feedback_within": "2m"}

    def _say(self, text: str, *, style: str = "") -> None:
        self.output.say(text, style=style)

    def _chapter(self, title: str) -> None:
        self._say("")
        self._say(f"── {title}", style="bold magenta")

    def _tell(self, steps: Iterable[Step]) -> list[Step]:
        finished = []
        for step in steps:
            tell(self.output, step)
            self.steps.append(as_document(step))
            finished.append(step)
        return finished

    def _upload(self, name: str, frame: pd.DataFrame) -> list[Step]:
        self._say(f"$ serin upload {MODEL} {name} --wait", style="dim")
        upload = self.model.upload(to_csv(frame), name=name, wait=False)
        with self.output.waiting("following it"):
            return self._tell(upload.follow(TIMEOUT_SECONDS, self.output.say))

    def _check_drift(self, verdict: DriftVerdict) -> DriftReport:
        """Check until what was asked has arrived in summaries, and says what it must."""
        self._say(f"$ serin drift {MODEL}", style="dim")

        def expected() -> DriftReport | None:
            report = self.model.drift()
            return report if report.verdict is verdict else None

        with self.output.waiting("what was asked is on its way: log, Firehose, summary"):
            report: DriftReport = self.follower.until(expected, f"the verdict {verdict} on what is asked")
        self.steps.append({"step": "drift", "verdict": report.verdict, "reason": report.reason, "rows": report.rows})
        return report

    def _follow_release(self, name: str) -> Release:
        self._say(f"$ serin releases {MODEL} --follow", style="dim")
        with self.output.waiting("its release begins"):
            self.follower.until(lambda: self.cloud.registry.find_release(MODEL, name), f"release {name}")
        release = follow_release(self.output, self.cloud, MODEL, name, timeout_seconds=TIMEOUT_SECONDS)
        self.steps.append(as_document(release))
        return release

    def _traffic(self, *, target: str = "") -> Traffic:
        """Ask about biopsies of the new camera. target: the column that is told afterwards."""
        rows = ever_new(self._rows(self.filmed, target), None)
        return Traffic(self.environment, MODEL, rows, target=target, per_second=PER_SECOND)

    def _tell_traffic(self, traffic: Traffic) -> None:
        by = ", ".join(f"{count:,} by version {version}" for version, count in sorted(traffic.answered.items()))
        self._say(f"{traffic.asked:,} requests meanwhile; answered: {by}; failed: {traffic.failed:,}", style="green")
        self.steps.append({"step": "traffic", "asked": traffic.asked, "failed": traffic.failed})
        _must(traffic.asked > 0 and not traffic.failed, f"requests failed: {'; '.join(traffic.messages)}")

    def _score(self, frame: pd.DataFrame, which: str, *, version: int) -> None:
        """Tell how often a version, asked by its number, is right about biopsies whose findings are known."""
        columns = [
            {"name": name, "datatype": "FP64", "shape": [len(frame)], "data": frame[name].tolist()}
            for name in self.contract.features
        ]
        answer = self.environment.call("POST", f"/v2/models/{MODEL}/versions/{version}/infer", {"inputs": columns})
        given = next(output["data"] for output in answer["outputs"] if output["name"] == "prediction")
        right = sum(one == truth for one, truth in zip(given, frame[self.contract.target], strict=True))
        self._say(f"version {version} is right about {right} of {len(frame)} {which}", style="green")
        self.steps.append({"step": "score", "version": version, "right": right, "rows": len(frame)})

    def _must_be_champion(self, version: int) -> None:
        route = self.cloud.registry.route(MODEL)
        _must(route is not None and route.value.champion.version == version, f"version {version} is not champion")
        _must(route is not None and route.value.challenger is None, "a challenger is still asked")

    def _rows(self, frame: pd.DataFrame, *more: str) -> list[dict[str, Any]]:
        columns = [name for name in (*self.contract.features, *more) if name]
        rows: list[dict[str, Any]] = json.loads(frame[columns].to_json(orient="records"))
        return rows


def _by_another_camera(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: frame[name] * ROUGHER for name in frame.columns if MEASURE in name})


def _seconds(release: Release) -> float:
    """How long a release took from its start to its end."""
    begun, ended = (datetime.fromisoformat(at or "") for at in (release.started_at, release.ended_at))
    return (ended - begun).total_seconds()


def _must(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise SerinError(f"the demo failed: {otherwise}")


def _next_steps(keep: bool) -> list[tuple[str, str]]:
    steps = [
        (f"serin releases {MODEL}", "every release, and why it ended as it did"),
        (f"serin why {MODEL}@2", "where a version comes from, gate by gate, move by move"),
        (f"serin versions {MODEL}", "what there is, and what was taken back"),
        ("serin init mine --data mine.csv --target y", "a contract for a table of yours"),
        ("make synth; make deploy ENV=dev", "the same templates on AWS"),
    ]
    stay = [
        ("serin demo --keep", "the same, and the twin stays, to be asked"),
        ("README.md", "a tour of ten minutes, with a table of yours"),
        ("docs/releases.md", "how a release is decided, and how often that errs"),
        (f"serin drill {MODEL}", "what else can go wrong, and how each of it ends"),
    ]
    return steps if keep else [*stay, *steps[3:]]
