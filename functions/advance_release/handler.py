"""Takes one turn of a release. Called by the release workflow with {model, release, execution, turns}."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.releasing import releaser_in
from serin.aws.watch import count, log, watched
from serin.release.turn import Releaser


@cache
def releaser() -> Releaser:
    return releaser_in(Cloud.from_environment(), actor="advance_release")


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    model, release, execution = event["model"], event["release"], event.get("execution", 1)
    turned = releaser().turn(model, release, execution=execution, turns=event.get("turns", 0))
    decision = turned.decision
    log().info("turn", model=model, release=release, move=decision.move, reason=decision.reason)
    count(f"Move{decision.move.title().replace(' ', '')}")
    return {
        "model": model,
        "release": release,
        "execution": execution,
        "turns": turned.turns,
        "done": turned.is_done,
        "wait_seconds": decision.wait_seconds,
        "move": decision.move,
    }
