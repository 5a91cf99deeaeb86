"""Who does what, woken by whom, and allowed what? The journey of DESIGN §2, as resources."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from serin.cdk.code_digest import code_digest
from serin.cdk.constructs.alarms import PERIOD, Alarms
from serin.cdk.constructs.capture_pipe import CapturePipe
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.constructs.layers import Layers
from serin.cdk.constructs.queue import WorkQueue
from serin.cdk.constructs.rest_api import RestApi, Routes
from serin.cdk.constructs.schedule import Schedule
from serin.cdk.constructs.workflow import Workflow
from serin.cdk.environment import Environment


class ServiceStack(cdk.Stack):
    """The stateless stack: all of it can be deleted and made again, and nothing is lost.

    project: the folder of models/. routes: what the Chalice app answers.
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
        super().__init__(scope, id, env=env)
        # The CDK lets a function wait for its role by DependsOn too, which is superfluous and harmless.
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": ["W3005"]}}}
        data, artifacts = environment.data_bucket, environment.artifacts_bucket
        code = {"CODE_DIGEST": code_digest()}
        alarms = Alarms(self, "Alarms", environment=environment)
        topic = {"TOPIC_ARN": alarms.topic.topic_arn}
        queue = partial(WorkQueue, self, environment=environment, alarms=alarms)
        workflow = partial(Workflow, self, environment=environment, alarms=alarms)
        layers = Layers(self, "Layers", project=project, environment=environment)
        function = partial(ServerlessFunction, self, environment=environment, layers=layers)

        # uploads -> validate_data -> training
        uploads = queue("Uploads", name="uploads", reader="validate_data")
        training = queue("Training", name="training", reader="start_training")
        training_queue = {"TRAINING_QUEUE_URL": training.queue.queue_url}
        uploads_queue = {"UPLOADS_QUEUE_URL": uploads.queue.queue_url}
        self._send_objects("UploadArrived", "uploads/", environment, to=uploads)

        validate_data = function("ValidateData", name="validate_data", bundle="data", variables=training_queue | topic)
        validate_data.may_read(data, "uploads/", "receipts/", "datasets/")
        validate_data.may_write(data, "receipts/", "datasets/", "quarantine/")
        validate_data.may_change_table()
        validate_data.may_send(training.queue.queue_arn)
        validate_data.may_publish(alarms.topic.topic_arn)
        # One upload at a time: it has the whole time limit to itself, and a slow one fails alone.
        uploads.read_by(validate_data, batch_size=1, at_once=5)

        # the release workflow
        # By name, for the workflow names them: a turn starts the execution that goes on for its own, and who waits.
        release_arn = (
            f"arn:aws:states:{environment.region}:{environment.account}:stateMachine:{environment.named('release')}"
        )
        release_workflow = {"RELEASE_WORKFLOW_ARN": release_arn}
        bus_arn = f"arn:aws:events:{environment.region}:{environment.account}:event-bus/default"
        moves = partial(function, bundle="evaluation", variables=topic | release_workflow)
        advance_release = moves("AdvanceRelease", name="advance_release")
        advance_release.may_read(artifacts, "models/")
        advance_release.may_read(data, "summaries/", "releases/", "captures/")  # captures: for a replay
        advance_release.may_write(data, "releases/")

        abort_release = moves("AbortRelease", name="abort_release")
        for mover in (advance_release, abort_release):
            mover.may_change_table()
            mover.may_publish(alarms.topic.topic_arn)
            mover.may_put_events(bus_arn)
            mover.may_start(release_arn)

        release = workflow("ReleaseWorkflow", name="release", functions=[advance_release, abort_release])

        # the training workflow
        train_model = function("TrainModel", name="train_model", bundle="training")
        train_model.may_read(data, "datasets/", "runs/")
        train_model.may_read(artifacts, "models/")
        train_model.may_write(data, "runs/")
        train_model.may_list_table()

        evaluate_model = function("EvaluateModel", name="evaluate_model", bundle="evaluation")
        evaluate_model.may_read(data, "runs/")
        evaluate_model.may_read(artifacts, "models/")
        evaluate_model.may_write(data, "runs/")
        evaluate_model.may_list_table()

        register_model = function("RegisterModel", name="register_model", bundle="base")
        register_model.may_read(data, "runs/")
        register_model.may_read(artifacts, "models/")
        register_model.may_write(artifacts, "models/")
        register_model.may_change_table()

        start_release = function(
            "StartRelease", name="start_release", bundle="base", variables=topic | release_workflow
        )
        start_release.may_change_table()
        start_release.may_publish(alarms.topic.topic_arn)
        start_release.may_put_events(bus_arn)
        start_release.may_start(release_arn)

        close_run = function("CloseRun", name="close_run", bundle="base", variables=topic | training_queue)
        close_run.may_change_table()
        close_run.may_publish(alarms.topic.topic_arn)
        close_run.may_send(training.queue.queue_arn)

        train = workflow(
            "TrainingWorkflow",
            name="training",
            functions=[train_model, evaluate_model, register_model, start_release, close_run],
        )
        training_workflow = {"TRAINING_WORKFLOW_ARN": train.arn}

        start_training = function(
            "StartTraining", name="start_training", bundle="base", variables=training_workflow | code
        )
        start_training.may_change_table()
        start_training.may_start(train.arn)
        training.read_by(start_training, batch_size=10, at_once=2)

        # by the clock
        tick = function(
            "Tick",
            name="tick",
            bundle="evaluation",
            variables=training_queue | uploads_queue | training_workflow | release_workflow | topic,
        )
        tick.may_list(data, "uploads/")
        tick.may_read(data, "receipts/")
        tick.may_change_table()
        tick.may_start(train.arn, release_arn)  # again, what got lost before it started: a name starts once
        tick.may_publish(alarms.topic.topic_arn)
        tick.may_put_events(bus_arn)
        tick.may_send(training.queue.queue_arn, uploads.queue.queue_arn)
        tick.may_describe_executions("training", "release")
        Schedule(
            self,
            "EveryFiveMinutes",
            every=cdk.Duration.minutes(5),
            function=tick,
            environment=environment,
            alarms=alarms,
        )

        # files to be answered -> batch workflow
        split_batch = function("SplitBatch", name="split_batch", bundle="data", with_models=False)
        split_batch.may_read(data, "batch/", "batch-work/")
        split_batch.may_read(artifacts, "models/")
        split_batch.may_write(data, "batch-work/", "predictions/")

        predict_batch = function("PredictBatch", name="predict_batch", bundle="evaluation", with_models=False)
        predict_batch.may_read(data, "batch-work/")
        predict_batch.may_read(artifacts, "models/")
        predict_batch.may_write(data, "batch-work/", "predictions/")
        predict_batch.may_change_table()

        close_batch = function("CloseBatch", name="close_batch", bundle="base", with_models=False)
        close_batch.may_read(data, "batch-work/", "predictions/")
        close_batch.may_write(data, "predictions/")

        answer_files = workflow(
            "BatchWorkflow",
            name="batch",
            functions=[split_batch, predict_batch, close_batch],
            lists=(data, "batch-work/"),
        )
        batches = queue("Batches", name="batches", reader="start_batch")
        start_batch = function(
            "StartBatch",
            name="start_batch",
            bundle="base",
            with_models=False,
            variables={"BATCH_WORKFLOW_ARN": answer_files.arn},
        )
        start_batch.may_read(data, "batch/", "batch-work/", "predictions/")
        start_batch.may_write(data, "batch-work/", "predictions/")
        start_batch.may_read_table()
        start_batch.may_start(answer_files.arn)
        batches.read_by(start_batch, batch_size=10, at_once=2)
        self._send_objects("FileArrived", "batch/", environment, to=batches)

        check_drift = function("CheckDrift", name="check_drift", bundle="evaluation", variables=training_queue | topic)
        check_drift.may_read(data, "summaries/")
        check_drift.may_read(artifacts, "models/")
        check_drift.may_write(data, "drift/")
        check_drift.may_change_table()
        check_drift.may_publish(alarms.topic.topic_arn)
        check_drift.may_send(training.queue.queue_arn)
        Schedule(
            self,
            "DriftEveryFiveMinutes",
            every=cdk.Duration.minutes(5),
            function=check_drift,
            environment=environment,
            alarms=alarms,
        )

        # over HTTP
        api = function(
            "Api",
            name="api",
            bundle="serving",
            handler="handler.app",
            with_models=False,
            log_days=environment.days.endpoint_logs,
        )
        api.may_read(artifacts, "models/")
        api.may_read_table()
        no_answer = alarms.when_any(
            "no-answer",
            metric=api.metric("NoAnswer"),
            description="The endpoint could not answer a request (status 500 or 503). Its logs say why, by code.",
        )
        alarms.when_any(
            "degraded",
            metric=api.metric("Degraded"),
            description="The endpoint answers by an older route or model: the newest is out of reach or does not "
            "verify. Its logs say which.",
        )
        alarms.when_any(
            "capture-lost",
            metric=api.metric("CaptureLost"),
            description="What was predicted could not be written down, or not its rows: releases and drift checks do "
            "not see it. The endpoint's logs say why.",
        )
        crashed = alarms.when_any(
            "api-failed",
            metric=api.function.metric_errors(period=PERIOD),
            description="The endpoint's function crashed, or ran out of time or memory, in the middle of a request. "
            "Read its logs; if a release is under way, its challenger may be the reason: serin releases.",
        )
        faulty = alarms.note_any(
            "challenger-fault",
            metric=api.metric("ChallengerFault"),
            description="The challenger of a release failed, and the champion answered in its place. Nothing need be "
            "done: the release has a turn at once, and is rolled back where the evidence is enough.",
        )
        self._turn_releases_when(no_answer, crashed, faulty, environment=environment, by=advance_release)
        http = RestApi(self, "Http", routes=routes, function=api, environment=environment)

        # what was predicted -> captures -> summarise -> summaries
        CapturePipe(self, "Captured", source=api, environment=environment, alarms=alarms)
        captures = queue("Captures", name="captures", reader="summarise")
        self._send_objects("CapturesArrived", "captures/", environment, to=captures)

        summarise = function("Summarise", name="summarise", bundle="evaluation", with_models=False)
        summarise.may_read(data, "captures/")
        summarise.may_read(artifacts, "models/")
        summarise.may_write(data, "summaries/")
        summarise.may_read_table()
        captures.read_by(summarise, batch_size=10, at_once=5)

        outputs = {
            "ApiUrl": http.api.url,
            "ApiKeyId": http.key.key_id,
            "DataBucket": data,
            "ArtifactsBucket": artifacts,
            "Table": environment.table,
            "TrainingQueueUrl": training.queue.queue_url,
            "UploadsQueueUrl": uploads.queue.queue_url,
            "BatchesQueueUrl": batches.queue.queue_url,
            "TrainingWorkflowArn": train.arn,
            "ReleaseWorkflowArn": release.arn,
            "TopicArn": alarms.topic.topic_arn,
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)

    def _turn_releases_when(self, *rings: cloudwatch.Alarm, environment: Environment, by: ServerlessFunction) -> None:
        """Have every release under way take a turn as soon as one of the alarms rings. It decides nothing itself."""
        events.Rule(
            self,
            "AlarmRang",
            rule_name=environment.named("alarm-rang"),
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn for alarm in rings],
                detail={"state": {"value": ["ALARM"]}},
            ),
            targets=[targets.LambdaFunction(by.function)],
        )

    def _send_objects(self, id: str, prefix: str, environment: Environment, *, to: WorkQueue) -> None:
        """Put a message into the queue for each object that arrives under a prefix of the data bucket."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", id).lower()
        events.Rule(
            self,
            id,
            rule_name=environment.named(name),
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [environment.data_bucket]},
                    "object": {"key": [{"prefix": prefix}]},
                },
            ),
            targets=[targets.SqsQueue(to.queue, dead_letter_queue=to.dead_letters)],
        )
