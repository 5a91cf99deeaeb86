"""Who does what, woken by whom, and allowed what? The journeys of the data, composed."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from serin.cdk.code_digest import code_digest
from serin.cdk.constructs.alarms import Alarms
from serin.cdk.constructs.layers import Layers
from serin.cdk.constructs.rest_api import Routes
from serin.cdk.environment import Environment
from serin.cdk.journeys.batch import Batch
from serin.cdk.journeys.endpoint import Endpoint
from serin.cdk.journeys.ingestion import Ingestion
from serin.cdk.journeys.monitoring import Monitoring
from serin.cdk.journeys.parts import Parts
from serin.cdk.journeys.releases import Releases
from serin.cdk.journeys.training import Training


class ServiceStack(cdk.Stack):
    """The stateless stack: all of it can be deleted and made again, and nothing is lost.

    project: the folder of models/. routes: what the Chalice app answers.

    alarms, releases, training, ingestion, batch, endpoint, monitoring: its parts, which an app can build upon.
    `alarms.topic.add_subscription(…)` tells more people; `training.queue.queue.grant_send_messages(role)` lets another
    pipeline ask for a run; `endpoint.http.key.grant_read(role)` lets a client read the API's key; and what a function
    may do is for its `role` to say: `bucket.grant_read(training.train_model.role)`. Buckets and table: StateStack.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        project: Path,
        routes: Routes,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, stack_name=environment.stack, env=env)
        # The CDK lets a function wait for its role by DependsOn too, which is superfluous and harmless.
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": ["W3005"]}}}
        self.alarms = Alarms(self, "Alarms", environment=environment)
        layers = Layers(self, "Layers", project=project, environment=environment)
        parts = Parts(stack=self, environment=environment, alarms=self.alarms, layers=layers)

        self.releases = Releases(parts)
        self.training = Training(parts, start_release=self.releases.start_release, code_digest=code_digest())
        self.ingestion = Ingestion(parts, training=self.training)
        self.batch = Batch(parts)
        self.endpoint = Endpoint(parts, routes=routes)
        self.monitoring = Monitoring(
            parts,
            endpoint=self.endpoint.function,
            training=self.training,
            ingestion=self.ingestion,
            releases=self.releases,
        )
        self.releases.take_a_turn_when(*self.endpoint.faults)
        self._say_where_things_are(environment)

    def _say_where_things_are(self, environment: Environment) -> None:
        """Put out what the commands need to know."""
        outputs = {
            "ApiUrl": self.endpoint.http.api.url,
            "ApiKeyId": self.endpoint.http.key.key_id,
            "DataBucket": environment.data_bucket,
            "ArtifactsBucket": environment.artifacts_bucket,
            "Table": environment.table,
            "TrainingQueueUrl": self.training.queue.url,
            "UploadsQueueUrl": self.ingestion.queue.url,
            "BatchesQueueUrl": self.batch.queue.url,
            "TrainingWorkflowArn": self.training.workflow.arn,
            "ReleaseWorkflowArn": self.releases.workflow.arn,
            "TopicArn": self.alarms.topic.topic_arn,
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)
