"""Takes one turn of a release. Called by the release workflow, again and again, with {model, release}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud, new_ulid, utc_now
from serin.aws.watch import count, log, watched
from serin.release.turn import Releaser


@cache
def releaser() -> Releaser:
    cloud = Cloud.from_environment()
    return Releaser(cloud.registry, cloud.artifacts, cloud.notifier, utc_now, new_ulid, actor="advance_release")


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    decision = releaser().turn(event["model"], event["release"])
    log().info("turn", model=event["model"], release=event["release"], move=decision.move, reason=decision.reason)
    count(f"Move{decision.move.title()}")
    return {
        "model": event["model"],
        "release": event["release"],
        "done": True,
        "wait_seconds": 0,
        "move": decision.move,
    }
