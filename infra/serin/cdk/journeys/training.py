"""How does a dataset become a version? A message asks for a run, and a workflow trains, judges and registers it.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from serin.aws import variables
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.journeys.parts import Parts
from serin.registry import keys


class Training:
    """The queue that asks for runs, and the training workflow. A version that passes its gates is released.

    start_release: begins that release. code_digest: of the code that trains, so that the same inputs are known to be
    the same run. queue: whoever may send to it can ask for a run. workflow: its executions are named by their inputs.
    """

    def __init__(self, parts: Parts, *, start_release: ServerlessFunction, code_digest: str) -> None:
        data, artifacts = parts.environment.data_bucket, parts.environment.artifacts_bucket
        topic = parts.alarms.topic
        self.queue = parts.queue("Training", name="training", reader="start_training")
        self.queue_settings = {variables.TRAINING_QUEUE_URL: self.queue.url}

        self.train_model = parts.function("TrainModel", name="train_model", bundle="training")
        self.train_model.may_read(data, keys.DATASETS, keys.RUNS)
        self.train_model.may_read(artifacts, keys.MODELS)
        self.train_model.may_write(data, keys.RUNS)
        self.train_model.may_list_table()

        self.evaluate_model = parts.function("EvaluateModel", name="evaluate_model", bundle="evaluation")
        self.evaluate_model.may_read(data, keys.RUNS)
        self.evaluate_model.may_read(artifacts, keys.MODELS)
        self.evaluate_model.may_write(data, keys.RUNS)
        self.evaluate_model.may_list_table()

        self.register_model = parts.function("RegisterModel", name="register_model", bundle="base")
        self.register_model.may_read(data, keys.RUNS)
        self.register_model.may_read(artifacts, keys.MODELS)
        self.register_model.may_write(artifacts, keys.MODELS)
        self.register_model.may_change_table()

        settings = {variables.TOPIC_ARN: topic.topic_arn} | self.queue_settings
        self.close_run = parts.function("CloseRun", name="close_run", bundle="base", variables=settings)
        self.close_run.may_change_table()
        self.close_run.may_publish(topic.topic_arn)
        self.close_run.may_send(self.queue.arn)

        self.workflow = parts.workflow(
            "TrainingWorkflow",
            name="training",
            functions=[self.train_model, self.evaluate_model, self.register_model, start_release, self.close_run],
        )
        self.workflow_settings = {variables.TRAINING_WORKFLOW_ARN: self.workflow.arn}

        settings = self.workflow_settings | {variables.CODE_DIGEST: code_digest}
        self.start_training = parts.function("StartTraining", name="start_training", bundle="base", variables=settings)
        self.start_training.may_change_table()
        self.start_training.may_start(self.workflow.arn)
        self.queue.read_by(self.start_training, batch_size=10, at_once=2)
