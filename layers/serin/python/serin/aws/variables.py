"""What are the environment variables of functions called? Written by the stacks, read by functions and commands.

This module imports nothing.
"""

from __future__ import annotations

ENVIRONMENT = "ENVIRONMENT"  # its name, as in cdk.json
TABLE = "TABLE"
DATA_BUCKET = "DATA_BUCKET"
ARTIFACTS_BUCKET = "ARTIFACTS_BUCKET"
TRAINING_QUEUE_URL = "TRAINING_QUEUE_URL"
UPLOADS_QUEUE_URL = "UPLOADS_QUEUE_URL"
BATCHES_QUEUE_URL = "BATCHES_QUEUE_URL"
TRAINING_WORKFLOW_ARN = "TRAINING_WORKFLOW_ARN"
RELEASE_WORKFLOW_ARN = "RELEASE_WORKFLOW_ARN"
BATCH_WORKFLOW_ARN = "BATCH_WORKFLOW_ARN"
TOPIC_ARN = "TOPIC_ARN"
MODELS_PATH = "MODELS_PATH"  # the folder of contracts
CODE_DIGEST = "CODE_DIGEST"  # of all that makes a model besides its data and contract
TRIES = "TRIES"  # how often a queue delivers a message before it is set aside
SECONDS_PER_PLAN_MINUTE = "SECONDS_PER_PLAN_MINUTE"  # how long a minute of a contract lasts: 60, but on the twin
ARRIVAL_SECONDS = "ARRIVAL_SECONDS"  # how long captures take from the endpoint into a summary
DISK_MB = "DISK_MB"  # of a function that reads files: how large its temporary disk is
TIMEOUT_SECONDS = "TIMEOUT_SECONDS"  # and how long it may take

# Of Lambda's and AWS's own:
AWS_LAMBDA_FUNCTION_MEMORY_SIZE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"  # in MB
AWS_REGION = "AWS_REGION"
AWS_ENDPOINT_URL = "AWS_ENDPOINT_URL"  # where AWS is elsewhere, as on the twin
AWS_ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
AWS_SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"
AWS_SESSION_TOKEN = "AWS_SESSION_TOKEN"
