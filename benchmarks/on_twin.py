"""How does the twin come to serve the model? The environment `local` as it is, but without a limit of requests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from app import build, read_context
from benchmarks.load import Target
from benchmarks.report import say
from benchmarks.subject import NAME, Subject
from local.twin import Twin
from serin.aws.bucket import S3Objects
from serin.aws.table import DynamoRows
from serin.registry.registry import Registry, put

NO_LIMIT = {"per_second": 1_000_000, "burst": 1_000_000}


@dataclass(frozen=True, slots=True)
class OnTwin:
    """A twin whose route names the model."""

    twin: Twin
    target: Target


@contextmanager
def on_twin(subject: Subject) -> Iterator[OnTwin]:
    """Run a twin of its own, with nothing in it but the model, for as long as the block lasts."""
    context = read_context()
    context["environments"]["local"]["requests"] = NO_LIMIT
    with tempfile.TemporaryDirectory() as scratch:
        say("starting the twin")
        assembly = Path(scratch) / "assembly"
        build(context={**context, "env": "local"}, outdir=str(assembly)).synth()
        with Twin(assembly, state=Path(scratch)) as twin:
            artifacts = S3Objects(_client(twin, "s3"), twin.outputs["ArtifactsBucket"])
            for name in subject.files:
                artifacts.put_once(subject.version.prefix + name, subject.files[name])
            registry = Registry(DynamoRows(_client(twin, "dynamodb"), twin.outputs["Table"]))
            registry.save(put(subject.version, expected_revision=0), put(subject.route, expected_revision=0))
            key = _client(twin, "apigateway").get_api_key(apiKey=twin.outputs["ApiKeyId"], includeValue=True)
            url = f"{twin.http_url.rstrip('/')}/models/{NAME}/predict"
            yield OnTwin(twin, Target(url, subject.body, {"x-api-key": key["value"]}))


def _client(twin: Twin, service: str) -> Any:
    variables = twin.environment
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
