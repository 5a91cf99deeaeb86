"""Writes the account of a batch. Called last by the batch workflow with {model, job, attempt}, and any {error}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, utc_now
from serin.aws.messages import explain_error
from serin.aws.observability import count, watched
from serin.batch.close import BatchCloser
from serin.registry.keys import batch_account_key


@cache
def closer() -> BatchCloser:
    return BatchCloser(Cloud.from_environment().data, utc_now)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    error = explain_error(event["error"]) if "error" in event else None
    account = closer().close(event["model"], event["job"], error, attempt=event.get("attempt", 1))
    count("BatchRowsAnswered", account.answered)
    count("BatchRowsRejected", account.rejected)
    count("BatchRowsFailed", account.failed)
    return {"status": account.status, "manifest": batch_account_key(account.model, account.job)}
