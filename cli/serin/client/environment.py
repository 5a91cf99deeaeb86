"""How is an environment reached? By its stack's outputs, on the twin or with the caller's credentials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from serin.aws import variables
from serin.aws.cloud import Cloud
from serin.client import project as projects
from serin.client.endpoint import ask
from serin.client.model import ModelClient
from serin.client.project import AskedWrongly, Project, check_name, project_at
from serin.client.twin import running_twin
from serin.errors import NotFound, SerinError, Unavailable

if TYPE_CHECKING:
    import pandas as pd

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


def connect(env: str = "local", project: str | Path | None = None) -> EnvironmentClient:
    """Connect to an environment of a project: `local` is its twin, the others are asked with your AWS credentials.

    project: the folder with cdk.json and models/; where left out, the one that the working folder is in. Raises
    AskedWrongly where there is no such project or environment, Unavailable where the twin is not up or AWS cannot be
    asked, NotFound where the stack is not deployed.
    """
    if project is not None:
        return reach(env, project_at(project))
    try:
        place = projects.here()
    except AskedWrongly as error:
        raise AskedWrongly(f'{error.message}; name it: serin.connect("{env}", project="…/shop")') from None
    return reach(env, place)


def reach(env: str, project: Project | None = None) -> EnvironmentClient:
    """Reach an environment, of the working folder's project where none is named. Raises as `connect`."""
    project = project or projects.here()
    settings = project.environment(env)
    if env == "local":
        twin = running_twin(project)
        environment = twin["environment"]
        session = boto3.session.Session(
            aws_access_key_id=environment[variables.AWS_ACCESS_KEY_ID],
            aws_secret_access_key=environment[variables.AWS_SECRET_ACCESS_KEY],
            region_name=environment[variables.AWS_REGION],
        )
        return EnvironmentClient(
            env, twin["outputs"], AtEndpoint(session, environment[variables.AWS_ENDPOINT_URL]), project
        )
    session = boto3.session.Session(region_name=settings.get("region"))
    return EnvironmentClient(env, _stack_outputs(session, project.stack(env), env), session, project)


@dataclass(frozen=True)
class EnvironmentClient:
    """One environment, as commands and notebooks see it. outputs: of its stack."""

    env: str
    outputs: dict[str, str]
    session: Any
    project: Project

    def model(self, name: str) -> ModelClient:
        """Give one model of this environment; whether there is one is seen when it is used.

        Raises AskedWrongly where this cannot be a model's name.
        """
        return ModelClient(self, check_name(name))

    def init(
        self, model: str, data: str | Path | bytes | pd.DataFrame, target: str, *, force: bool = False, **told: Any
    ) -> Path:
        """Write a contract from a table of examples into the project's folder, to be read and corrected.

        target: the column to predict. force: overwrite one that exists. told: what is known of the table beforehand:
        task, entity, time, decimal, thousands, dates, encoding, names, as the options of `serin init`. The twin follows
        the folder; on AWS a contract comes with the next deployment. Raises AskedWrongly where there is one already,
        Unreadable, Refused.
        """
        from serin.client.contracts import write_contract
        from serin.client.tables import read_content

        content, name = read_content(data)
        return write_contract(self.project, check_name(model), content, name, target, force=force, told=told).file

    def models(self) -> pd.DataFrame:
        """List the project's models, a row each: who answers, since when, what is under way.

        Columns: model, champion (a version, or missing), since, releasing and training (ids, or missing), versions
        (how many), decision (why no training runs). Raises MissingPackage without pandas.
        """
        from serin.client.tables import models_table

        return models_table(self.cloud.registry, self.project.contracts.names())

    def releases(self) -> pd.DataFrame:
        """List all releases of the project's models, the oldest first. Columns: as `ModelClient.releases`."""
        from serin.client.tables import releases_table

        return releases_table(self.cloud.registry, self.project.contracts.names())

    @cached_property
    def cloud(self) -> Cloud:
        """What the environment consists of: registry, buckets, queues."""
        names = {variable: self.outputs[output] for variable, output in _VARIABLES.items()}
        settings = self.project.environment(self.env)
        own = {
            variables.ENVIRONMENT: self.env,
            variables.MODELS_PATH: str(self.project.models_folder),
            variables.SECONDS_PER_PLAN_MINUTE: str(settings["seconds_per_plan_minute"]),
            variables.ARRIVAL_SECONDS: str(settings["arrival_seconds"]),
        }
        return Cloud(names | own, self.session)

    @cached_property
    def api_key(self) -> str:
        """The key that the endpoint asks for, read with the caller's own credentials."""
        client = self.session.client("apigateway")
        return str(client.get_api_key(apiKey=self.outputs["ApiKeyId"], includeValue=True)["value"])

    @cached_property
    def caller(self) -> str:
        """Who is asking, by AWS's word, for the history."""
        return str(self.session.client("sts").get_caller_identity()["Arn"])

    @property
    def url(self) -> str:
        """Where the endpoint is, without a slash at the end."""
        return self.outputs["ApiUrl"].rstrip("/")

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask the endpoint. Raises what its error means."""
        return ask(self.url + path, method, body, api_key=self.api_key)

    def __repr__(self) -> str:
        return f"<environment {self.env} of {self.project.root}>"


@dataclass(frozen=True)
class AtEndpoint:
    """A session whose clients speak to the twin."""

    session: Any
    endpoint_url: str

    def client(self, service: str, **options: Any) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url, **options)


def _stack_outputs(session: Any, stack: str, env: str) -> dict[str, str]:
    try:
        described = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotFound(f"the stack {stack} is not deployed; deploy it with: make deploy ENV={env}") from error
        raise SerinError(f"AWS refused to describe {stack}: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS cannot be asked about {stack}: {error}; check your AWS credentials") from error
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
