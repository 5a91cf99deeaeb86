"""How does serving read its row and its files without boto3, whose import costs more than onnxruntime's?

botocore signs (SigV4), urllib3 carries; both come with the Lambda runtime. Short deadlines: an older copy of the
route is better than a late one.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from serin.aws import variables
from serin.contract.notation import MODEL_NAME
from serin.errors import NotFound, Unavailable
from serin.registry.keys import MODELS
from serin.registry.ports import KeptAnswer
from serin.registry.records import ModelVersion, Route
from serin.registry.registry import answer_key, decode, number_key, partition
from serin.serving.capture.recorder import Recorder
from serin.serving.endpoint import Endpoint
from serin.serving.prediction_id import prediction_ids
from serin.serving.report import Report
from serin.serving.routing.router import Router

_TABLE_TIMEOUT = urllib3.Timeout(connect=0.5, read=1.0)
_FILE_TIMEOUT = urllib3.Timeout(connect=0.5, read=5.0)


class LeanReader:
    """Reads routes from the table and files from the artifacts bucket."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """environment: the function's. Where AWS is elsewhere, it says so in AWS_ENDPOINT_URL."""
        self._table = environment[variables.TABLE]
        self._bucket = environment[variables.ARTIFACTS_BUCKET]
        self._region = environment[variables.AWS_REGION]
        self._endpoint = environment.get(variables.AWS_ENDPOINT_URL)
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(1, backoff_factor=0.05, raise_on_status=False))

    def route(self, model: str) -> Route | None:
        """Read a model's route, consistently. Raises Unavailable."""
        row = self._body(partition(model), "ROUTE")
        return decode(Route, row) if row else None

    def version(self, model: str, number: int) -> ModelVersion | None:
        """Read the row of a version, consistently. Raises Unavailable."""
        row = self._body(partition(model), f"VERSION#{number_key(number)}")
        return decode(ModelVersion, row) if row else None

    def kept_answer(self, model: str, entity: str) -> KeptAnswer | None:
        """Read what a batch kept for an entity, consistently, expired or not. Raises Unavailable."""
        key = answer_key(model, entity)
        item = self._item(*key) if key else None
        if item is None:
            return None
        return KeptAnswer(entity, item["at"]["S"], int(item["expires"]["N"]), json.loads(item["body"]["S"]))

    def file(self, key: str) -> bytes:
        """Read an artifact. Raises NotFound, Unavailable."""
        response = self._get_object(quote(key))
        if response.status == 404:
            raise NotFound(f"the artifact {key} is gone")
        if response.status != 200:
            raise Unavailable(f"the artifact {key} cannot be read: S3 answers {response.status}")
        return bytes(response.data)

    def models(self) -> list[str]:
        """List the models that have a version, at most the first 1,000. Raises Unavailable."""
        response = self._get_object(f"?delimiter=%2F&list-type=2&prefix={quote(MODELS, safe='')}")
        if response.status != 200:
            raise Unavailable(f"the models cannot be listed: S3 answers {response.status}")
        return re.findall(f"<Prefix>{MODELS}({MODEL_NAME})/</Prefix>", response.data.decode())

    def _get_object(self, path: str) -> urllib3.BaseHTTPResponse:
        host = self._endpoint or f"https://s3.{self._region}.amazonaws.com"
        request = AWSRequest("GET", f"{host}/{self._bucket}/{path}")
        S3SigV4Auth(self._credentials(), "s3", self._region).add_auth(request)
        return self._send(request, None, _FILE_TIMEOUT, what="the bucket of models")

    def _body(self, key: str, sort: str) -> dict[str, Any] | None:
        item = self._item(key, sort)
        body: dict[str, Any] | None = json.loads(item["body"]["S"]) if item else None
        return body

    def _item(self, key: str, sort: str) -> dict[str, Any] | None:
        query = {"TableName": self._table, "Key": {"PK": {"S": key}, "SK": {"S": sort}}, "ConsistentRead": True}
        body = json.dumps(query).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"}
        host = self._endpoint or f"https://dynamodb.{self._region}.amazonaws.com"
        request = AWSRequest("POST", f"{host}/", data=body, headers=headers)
        SigV4Auth(self._credentials(), "dynamodb", self._region).add_auth(request)
        response = self._send(request, body, _TABLE_TIMEOUT, what="the table")
        if response.status != 200:
            raise Unavailable(f"the table cannot be read: DynamoDB answers {response.status}")
        try:
            item: dict[str, Any] | None = json.loads(response.data).get("Item")
        except (ValueError, AttributeError) as error:
            raise Unavailable("the table cannot be read: what answers is not DynamoDB") from error
        return item

    def _send(
        self, request: AWSRequest, body: bytes | None, timeout: urllib3.Timeout, *, what: str
    ) -> urllib3.BaseHTTPResponse:
        method, url = str(request.method), str(request.url)
        try:
            return self._pool.request(method, url, body=body, headers=dict(request.headers), timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
            is_slow = isinstance(reason, urllib3.exceptions.TimeoutError)
            why = "it did not answer in time" if is_slow else "the connection failed"
            raise Unavailable(f"{what} is out of reach for now: {why}; send the request again") from error

    def _credentials(self) -> Credentials:
        """The function's own, read each time: after a snapshot is restored they are others."""
        return Credentials(
            os.environ[variables.AWS_ACCESS_KEY_ID],
            os.environ[variables.AWS_SECRET_ACCESS_KEY],
            os.environ.get(variables.AWS_SESSION_TOKEN),
        )


def _print(line: bytes) -> None:
    """Write a line to stdout, past Python's own buffer. Raises OSError where only a part of it was taken."""
    if (written := os.write(1, line)) != len(line):
        raise OSError(f"{written} of {len(line)} bytes were taken")


def make_endpoint(environment: Mapping[str, str], *, report: Report) -> Endpoint:
    """Make the endpoint of a function that answers predictions; its captures go to stdout, and so into its log."""
    reader = LeanReader(environment)
    router = Router(reader.route, reader.file, time.monotonic, versions=reader.version, report=report)
    recorder = Recorder(_print, wall_clock=time.time, report=report)
    return Endpoint(
        router,
        prediction_ids(),
        names=reader.models,
        kept=reader.kept_answer,
        recorder=recorder,
        report=report,
    )
