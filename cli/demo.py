"""What does Serin do? The main job told as a story, on a twin, with real rows; every figure is what happened."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from cli import project
from cli.examples.tables import to_csv, tumours
from cli.follow import Follower, Step, as_document
from cli.reach import Reach, reach
from cli.show import Output
from cli.story import tell, tell_predictions
from cli.twin import own_twin
from serin.aws.releasing import releaser_in
from serin.errors import SerinError
from serin.registry.records import Receipt, ReceiptStatus, Release, ReleaseStatus
from serin.release.take_back import take_back
from serin.serving.route import MAX_AGE_SECONDS

MODEL = "tumours"
FIRST_ROWS = 400
WARM_SECONDS = MAX_AGE_SECONDS + 1


def run_demo(output: Output, *, port: int, keep: bool) -> None:
    """Tell the story. Raises SerinError where something does not end as it must: then the demo has failed."""
    started = time.monotonic()
    contract = project.contracts().load(MODEL)
    output.heading("Serin: from a table of data to an endpoint that looks after itself")
    output.say(
        f"the contract is models/{MODEL}/model.yaml: {contract.task} of {contract.target}, real rows of 569 biopsies"
    )
    output.say(
        "what is deployed on AWS runs here on a twin: the same template and functions, the cloud in a few processes"
    )
    with own_twin(port=port, keep=keep, say=output.say), tempfile.TemporaryDirectory() as folder:
        story = _Story(output, reach("local"), Path(folder))
        story.tell()
        seconds = time.monotonic() - started
        output.say()
        output.say(f"that was {len(story.steps)} steps in {seconds:.0f} s, nothing of it in an AWS account")
        output.heading("where to look next")
        output.facts(_next_steps(keep))
        output.document({"seconds": seconds, "steps": story.steps})


class _Story:
    """The demo's chapters, in order, on one environment."""

    def __init__(self, output: Output, there: Reach, folder: Path) -> None:
        self.output, self.there, self.folder = output, there, folder
        self.steps: list[dict[str, Any]] = []
        table = tumours().sample(frac=1.0, random_state=7).reset_index(drop=True)
        self.first, self.rest = table[:FIRST_ROWS], table[FIRST_ROWS:]

    def tell(self) -> None:
        self._chapter("1. upload rows: they are judged, trained on, and the best model is released")
        self._must_be_champion(self._upload("first.csv", self.first), version=1)
        self._chapter("2. ask it over HTTP")
        self._predict(version=1)
        self._say_how_to_read_it()
        self._chapter("3. a bad upload is set aside, with its reasons; nothing is lost, nothing is trained")
        self._bad_upload()
        self._chapter("4. more rows: a second version answers if it is not worse than the first")
        self._must_be_champion(self._upload("second.csv", self.rest), version=2)
        self._wait_for_warm_functions()
        self._predict(version=2)
        self._chapter("5. somebody does not like it: back to the first, at once")
        self._roll_back()
        self._wait_for_warm_functions()
        self._predict(version=1)

    def _chapter(self, title: str) -> None:
        self.output.say()
        self.output.say(f"── {title}", style="bold magenta")

    def _upload(self, name: str, frame: pd.DataFrame) -> list[Step]:
        file = self.folder / name
        file.write_bytes(to_csv(frame))
        key = f"uploads/{MODEL}/{name}"
        self.output.say(f"$ serin upload {MODEL} {name} --wait", style="dim")
        version = self.there.cloud.data.put(key, file.read_bytes())
        told = []
        with self.output.waiting("following it"):
            for step in Follower(self.there.cloud, timeout_seconds=120).upload(MODEL, key, version):
                tell(self.output, step)
                self.steps.append(as_document(step))
                told.append(step)
        return told

    def _must_be_champion(self, steps: list[Step], *, version: int) -> None:
        last = steps[-1]
        if not (isinstance(last, Release) and last.status is ReleaseStatus.PROMOTED and last.version == version):
            raise SerinError(f"the demo failed: version {version} of {MODEL} did not become champion")

    def _bad_upload(self) -> None:
        table = self.rest.copy()
        column = table.columns[0]
        table[column] = table[column].astype(str)
        table.loc[table.index[:60], column] = "unknown"
        last = self._upload("bad.csv", table)[-1]
        if not (isinstance(last, Receipt) and last.status is ReceiptStatus.QUARANTINED):
            raise SerinError("the demo failed: the bad upload was not quarantined")

    def _predict(self, *, version: int) -> None:
        contract = project.contracts().load(MODEL)
        rows = json.loads(self.rest[:3][list(contract.features)].to_json(orient="records"))
        self.output.say(f"$ serin predict {MODEL} --rows '[{{…}}, {{…}}, {{…}}]'", style="dim")
        answer = self.there.call("POST", f"/models/{MODEL}/predict", {"rows": rows})
        tell_predictions(self.output, answer)
        truth = ", ".join(str(value) for value in self.rest[:3][contract.target])
        self.output.say(f"  what the biopsies found: {truth}")
        self.steps.append({"step": "answer", **answer})
        if answer["version"] != version:
            raise SerinError(f"the demo failed: version {answer['version']} answered, not {version}")

    def _say_how_to_read_it(self) -> None:
        contract = project.contracts().load(MODEL)
        coverage = f"{contract.serving.coverage:.0%}"
        self.output.say(f"  score: how likely {contract.positive} is; set: holds the truth {coverage} of the time")

    def _roll_back(self) -> None:
        cloud = self.there.cloud
        self.output.say(f"$ serin rollback {MODEL}", style="dim")
        begun = time.monotonic()
        route = take_back(releaser_in(cloud, actor=self.there.caller), MODEL, "the demo shows how")
        milliseconds = (time.monotonic() - begun) * 1000
        name = f"{MODEL}@{route.champion.version}"
        self.output.say(f"champion  {name} again, after {milliseconds:.0f} ms", style="bold green")
        self.output.say(f"  warm functions look who is champion every {MAX_AGE_SECONDS:.0f} s; then {name} answers")
        self.steps.append({"step": "rollback", "version": route.champion.version, "milliseconds": milliseconds})

    def _wait_for_warm_functions(self) -> None:
        """A warm function reads the route again after at most five seconds."""
        with self.output.waiting("warm functions read the route again within 5 s"):
            time.sleep(WARM_SECONDS)


def _next_steps(keep: bool) -> list[tuple[str, str]]:
    steps = [
        (f"serin why {MODEL}@2", "where a version comes from, gate by gate"),
        (f"serin versions {MODEL}", "what there is, and what was taken back"),
        ("serin init mine --data mine.csv --target y", "a contract for a table of yours"),
        ("make synth; make deploy ENV=dev", "the same templates on AWS"),
    ]
    stay = [
        ("serin demo --keep", "the same, and the twin stays, to be asked"),
        ("README.md", "a tour of ten minutes, with a table of yours"),
    ]
    return steps if keep else [*stay, *steps[2:]]
