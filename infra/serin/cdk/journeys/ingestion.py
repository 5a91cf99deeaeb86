"""How does an upload become a dataset? Each that arrives is validated, gets a receipt, and may ask for a training.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from serin.aws import variables
from serin.cdk.journeys.parts import Parts
from serin.cdk.journeys.training import Training
from serin.registry import keys


class Ingestion:
    """From objects under uploads/ to receipts, datasets, and what was set aside.

    training: is asked for a run where a dataset is new. queue: a message names an object under uploads/ that is to be
    validated, whether for the first time or again.
    """

    def __init__(self, parts: Parts, *, training: Training) -> None:
        data, topic = parts.environment.data_bucket, parts.alarms.topic
        self.queue = parts.queue("Uploads", name="uploads", reader="validate_data")
        self.queue_settings = {variables.UPLOADS_QUEUE_URL: self.queue.url}
        parts.send_objects("UploadArrived", prefix=keys.UPLOADS, to=self.queue)

        settings = {variables.TOPIC_ARN: topic.topic_arn} | training.queue_settings | parts.reads_files("validate_data")
        self.validate_data = parts.function("ValidateData", name="validate_data", bundle="data", variables=settings)
        self.validate_data.may_read(data, keys.UPLOADS, keys.RECEIPTS, keys.DATASETS)
        self.validate_data.may_write(data, keys.RECEIPTS, keys.DATASETS, keys.QUARANTINE)
        self.validate_data.may_change_table()
        self.validate_data.may_send(training.queue.arn)
        self.validate_data.may_publish(topic.topic_arn)
        # One upload at a time: it has the whole time limit to itself, and a slow one fails alone.
        self.queue.read_by(self.validate_data, batch_size=1, at_once=5)
