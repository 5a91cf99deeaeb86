"""How does a command reach an environment? By its stack's outputs, on the twin or with the caller's credentials."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from serin.aws import variables
from serin.aws.cloud import Cloud
from serin.cli import project
from serin.cli.twin import running_twin
from serin.errors import InvalidRows, NotFound, Refused, RowProblem, SerinError, Unavailable

_VARIABLES = {
    variables.TABLE: "Table",
    variables.DATA_BUCKET: "DataBucket",
    variables.ARTIFACTS_BUCKET: "ArtifactsBucket",
    variables.TRAINING_QUEUE_URL: "TrainingQueueUrl",
    variables.UPLOADS_QUEUE_URL: "UploadsQueueUrl",
    variables.BATCHES_QUEUE_URL: "BatchesQueueUrl",
    variables.TRAINING_WORKFLOW_ARN: "TrainingWorkflowArn",
    variables.RELEASE_WORKFLOW_ARN: "ReleaseWorkflowArn",
    variables.TOPIC_ARN: "TopicArn",
}
MOST_NAMED = 6  # problems of rows
_PROBLEM = ("row", "field", "code", "message")


@dataclass(frozen=True)
class EnvironmentClient:
    """One environment as a command sees it."""

    env: str
    outputs: dict[str, str]
    session: Any

    @cached_property
    def cloud(self) -> Cloud:
        names = {variable: self.outputs[output] for variable, output in _VARIABLES.items()}
        settings = project.environments()[self.env]
        here = {
            variables.ENVIRONMENT: self.env,
            variables.MODELS_PATH: str(project.models_folder()),
            variables.SECONDS_PER_PLAN_MINUTE: str(settings["seconds_per_plan_minute"]),
            variables.ARRIVAL_SECONDS: str(settings["arrival_seconds"]),
        }
        return Cloud(names | here, self.session)

    @cached_property
    def api_key(self) -> str:
        """The key that the endpoint asks for, read with the caller's own credentials."""
        client = self.session.client("apigateway")
        return str(client.get_api_key(apiKey=self.outputs["ApiKeyId"], includeValue=True)["value"])

    @cached_property
    def caller(self) -> str:
        """Who is asking, by AWS's word, for the history."""
        return str(self.session.client("sts").get_caller_identity()["Arn"])

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask the endpoint. Raises what its error means."""
        request = urllib.request.Request(  # the address comes from the stack's own output
            self.outputs["ApiUrl"].rstrip("/") + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"x-api-key": self.api_key, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # as above
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise _http_error(error) from error
        except OSError as error:
            raise Unavailable(f"the endpoint {request.full_url} does not answer: {error}") from error


def reach(env: str) -> EnvironmentClient:
    """Reach an environment. Raises Unavailable where the twin is not up or the stack is not deployed."""
    project.check_environment(env)
    if env == "local":
        twin = running_twin()
        found = twin["environment"]
        session = boto3.session.Session(
            aws_access_key_id=found[variables.AWS_ACCESS_KEY_ID],
            aws_secret_access_key=found[variables.AWS_SECRET_ACCESS_KEY],
            region_name=found[variables.AWS_REGION],
        )
        return EnvironmentClient(env, twin["outputs"], AtEndpoint(session, found[variables.AWS_ENDPOINT_URL]))
    region = project.environments()[env].get("region")
    session = boto3.session.Session(region_name=region)
    return EnvironmentClient(env, _stack_outputs(session, env), session)


@dataclass(frozen=True)
class AtEndpoint:
    """A session whose clients speak to the twin."""

    session: Any
    endpoint_url: str

    def client(self, service: str, **options: Any) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url, **options)


def _stack_outputs(session: Any, env: str) -> dict[str, str]:
    stack = project.stack_name(env)
    try:
        described = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotFound(f"the stack {stack} is not deployed; deploy it with: make deploy ENV={env}") from error
        raise SerinError(f"AWS refused to describe {stack}: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS cannot be asked about {stack}: {error}; check your AWS credentials") from error
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}


def _http_error(error: urllib.error.HTTPError) -> SerinError:
    """Turn the endpoint's error into one with its code and message."""
    try:
        body = json.loads(error.read())["error"]
        message, code = body["message"], body["code"]
    except (ValueError, KeyError, TypeError):
        return SerinError(f"the endpoint answers {error.code}", code="HTTP")
    if problems := body.get("problems"):
        invalid = InvalidRows([RowProblem(*(each[key] for key in _PROBLEM)) for each in problems])
        others = [f"\n  row {each.row}, {each.field}: {each.message}" for each in invalid.problems[1:MOST_NAMED]]
        invalid.message = message + "".join(others)
        return invalid
    kind = NotFound if error.code == 404 else Refused if error.code < 500 else Unavailable
    return kind(message, code=code)
