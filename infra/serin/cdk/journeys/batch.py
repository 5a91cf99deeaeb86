"""How is a whole file answered? It is split, its parts are answered side by side, and every row is accounted for.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from serin.aws import variables
from serin.cdk.journeys.parts import Parts
from serin.registry import keys


class Batch:
    """From objects under batch/ to answers under predictions/.

    queue: a message names an object under batch/ that is to be answered, for the first time or again. workflow: one
    execution for each file.
    """

    def __init__(self, parts: Parts) -> None:
        data, artifacts = parts.environment.data_bucket, parts.environment.artifacts_bucket

        self.split_batch = parts.function(
            "SplitBatch",
            name="split_batch",
            bundle="data",
            with_models=False,
            variables=parts.reads_files("split_batch"),
        )
        self.split_batch.may_read(data, keys.BATCH, keys.BATCH_WORK)
        self.split_batch.may_read(artifacts, keys.MODELS)
        self.split_batch.may_write(data, keys.BATCH_WORK, keys.PREDICTIONS)

        self.predict_batch = parts.function(
            "PredictBatch", name="predict_batch", bundle="evaluation", with_models=False
        )
        self.predict_batch.may_read(data, keys.BATCH_WORK)
        self.predict_batch.may_read(artifacts, keys.MODELS)
        self.predict_batch.may_write(data, keys.BATCH_WORK, keys.PREDICTIONS)
        self.predict_batch.may_change_table()

        self.close_batch = parts.function("CloseBatch", name="close_batch", bundle="base", with_models=False)
        self.close_batch.may_read(data, keys.BATCH_WORK, keys.PREDICTIONS)
        self.close_batch.may_write(data, keys.PREDICTIONS)

        self.workflow = parts.workflow(
            "BatchWorkflow",
            name="batch",
            functions=[self.split_batch, self.predict_batch, self.close_batch],
            lists=(data, keys.BATCH_WORK),
        )

        self.queue = parts.queue("Batches", name="batches", reader="start_batch")
        settings = {variables.BATCH_WORKFLOW_ARN: self.workflow.arn}
        self.start_batch = parts.function(
            "StartBatch", name="start_batch", bundle="base", with_models=False, variables=settings
        )
        self.start_batch.may_read(data, keys.BATCH, keys.BATCH_WORK, keys.PREDICTIONS)
        self.start_batch.may_write(data, keys.BATCH_WORK, keys.PREDICTIONS)
        self.start_batch.may_read_table()
        self.start_batch.may_start(self.workflow.arn)
        self.queue.read_by(self.start_batch, batch_size=10, at_once=2)
        parts.send_objects("FileArrived", prefix=keys.BATCH, to=self.queue)
