"""Looks for what is due or got lost. Called by a schedule, every five minutes."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import PATIENCE, Cloud, utc_now
from serin.aws.observability import count, each_in_turn, watched
from serin.aws.wiring import releaser_in
from serin.errors import Conflict
from serin.registry.reconcile import LostUploads, OrphanFinder
from serin.registry.registry import put_upload_search
from serin.registry.requests import TrainingRequest, Trigger
from serin.training.close import Closer


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


def look_after(model: str) -> None:
    """Put back what got lost of one model, end what died, and let it ask whether a training is due."""
    here, now = cloud(), utc_now()
    orphans = OrphanFinder(here.registry, here.training_workflow, here.release_workflow, now)
    closer = Closer(here.registry, here.training_requests, here.notifier, utc_now, PATIENCE)
    releaser = releaser_in(here, actor="tick")
    for run in orphans.runs(model):
        error = "its workflow ended without closing it"
        closer.close(model, run.id, attempt=run.attempt, version=run.version, passed=False, error=error)
    for release in orphans.releases(model):
        releaser.abandon(model, release.id, error="its workflow ended, or took no turn, without ending it")
    releaser.start_next(model)
    here.training_requests.send(TrainingRequest(model, Trigger.TICK).to_message())


def resend_lost_uploads() -> None:
    here = cloud()
    last = here.registry.upload_search()
    search, sent = LostUploads(here.data, here.data.bucket, here.upload_events, utc_now()).resend(last.value)
    with suppress(Conflict):  # another tick searched at the same time
        here.registry.save(put_upload_search(search, expected_revision=last.revision))
    count("LostUploads", sent)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    try:
        resend_lost_uploads()
    finally:
        each_in_turn(cloud().contracts.names(), look_after)
