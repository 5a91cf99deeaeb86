"""Takes one turn of a release. Called by the release workflow with {model, release, execution, turns}.

When an alarm of the endpoint rings, EventBridge calls it too: then every release under way has a turn at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import count, each_in_turn, log, watched
from serin.aws.wiring import releaser_in
from serin.release.next_step import Decision
from serin.release.turn import Releaser


@cache
def cloud() -> Cloud:
    return Cloud.from_environment()


@cache
def releaser(actor: str) -> Releaser:
    return releaser_in(cloud(), actor=actor)


def note(model: str, decision: Decision) -> None:
    log().info("turn", model=model, move=decision.move, reason=decision.reason)
    count(f"Move{decision.move.title().replace(' ', '')}")


def turn_all(alarm: str) -> None:
    """Look at every model, for an alarm does not say which one it is about; the judge does."""
    by = releaser(f"advance_release, for the alarm {alarm}")

    def turn(model: str) -> None:
        if decision := by.turn_now(model):
            note(model, decision)

    each_in_turn(cloud().contracts.names(), turn)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    if event.get("detail-type") == "CloudWatch Alarm State Change":
        return turn_all(event["detail"]["alarmName"])
    model, release, execution = event["model"], event["release"], event.get("execution", 1)
    turned = releaser("advance_release").turn(model, release, execution=execution, turns=event.get("turns", 0))
    note(model, turned.decision)
    task = {"model": model, "release": release, "execution": execution, "turns": turned.turns}
    return {**task, "done": turned.is_done, "wait_seconds": turned.decision.wait_seconds, "move": turned.decision.move}
