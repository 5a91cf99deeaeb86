"""How does the twin come to serve the model? The environment `local` as it is, but without a limit of requests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from benchmarks.load import Target
from benchmarks.report import say
from benchmarks.subject import CONTRACT, NAME, Subject
from serin.aws.cloud import Cloud
from serin.cdk.app import SerinApp, read_context
from serin.client.environment import AtEndpoint, EnvironmentClient
from serin.client.project import Project
from serin.local.twin import Twin
from serin.registry.registry import put

NO_LIMIT = {"per_second": 1_000_000, "burst": 1_000_000}


@dataclass(frozen=True, slots=True)
class OnTwin:
    """A twin whose route names the model. cloud: reaches what is in it."""

    twin: Twin
    target: Target
    cloud: Cloud

    def processes(self, function: str) -> int:
        """Count the processes of a function that printed anything: each has a log stream of its own."""
        group = f"/aws/lambda/serin-local-{function}"
        return len(self.cloud.session.client("logs").describe_log_streams(logGroupName=group)["logStreams"])


ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def on_twin(subject: Subject) -> Iterator[OnTwin]:
    """Run a twin of its own, with nothing in it but the model, for as long as the block lasts."""
    context = read_context(ROOT)
    context["environments"]["local"]["requests"] = NO_LIMIT
    with tempfile.TemporaryDirectory() as scratch:
        say("starting the twin")
        assembly = Path(scratch) / "assembly"
        SerinApp(ROOT, context={**context, "env": "local"}, outdir=str(assembly)).synth()
        model = Path(scratch) / "models" / NAME / "model.yaml"  # by which functions know that there is such a model
        model.parent.mkdir(parents=True)
        model.write_text(json.dumps(CONTRACT.model_dump(mode="json", exclude_unset=True)))
        with Twin(assembly, live={"models": model.parents[1]}, state=Path(scratch)) as twin:
            known = boto3.session.Session("twin", "twin", region_name=twin.region)
            reach = EnvironmentClient("local", twin.outputs, AtEndpoint(known, twin.endpoint_url), Project(ROOT))
            for name in subject.files:
                reach.cloud.artifacts.put_once(subject.version.prefix + name, subject.files[name])
            reach.cloud.registry.save(
                put(subject.version, expected_revision=0), put(subject.route, expected_revision=0)
            )
            url = f"{twin.http_url.rstrip('/')}/models/{NAME}/predict"
            yield OnTwin(twin, Target(url, subject.body, {"x-api-key": reach.api_key}), reach.cloud)
