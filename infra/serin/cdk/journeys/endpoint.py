"""Who answers over HTTP? One function behind a REST API, and alarms that say when it does not.

Its resources stand in the stack itself: parts.py says why.
"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch

from serin.cdk.constructs.alarms import PERIOD
from serin.cdk.constructs.rest_api import RestApi, Routes
from serin.cdk.journeys.parts import Parts
from serin.registry import keys


class Endpoint:
    """The endpoint of all models.

    function: writes a line for each captured prediction into its log. http: its REST API, with the key and its limits.
    faults: the alarms that a release should look at, when they ring: what it moves may be the reason.
    """

    def __init__(self, parts: Parts, *, routes: Routes) -> None:
        self.function = parts.function(
            "Api",
            name="api",
            bundle="serving",
            handler="handler.app",
            with_models=False,
            log_days=parts.environment.days.endpoint_logs,
        )
        self.function.may_read(parts.environment.artifacts_bucket, keys.MODELS)
        self.function.may_read_table()
        self.http = RestApi(parts.stack, "Http", routes=routes, function=self.function, environment=parts.environment)
        self._tell_people(parts)
        self.faults = self._watch_for_releases(parts)

    def _tell_people(self, parts: Parts) -> None:
        parts.alarms.when_any(
            "degraded",
            metric=self.function.metric("Degraded"),
            description="The endpoint answers by an older route or model: the newest is out of reach or does not "
            "verify. Its logs say which.",
        )
        parts.alarms.when_any(
            "capture-lost",
            metric=self.function.metric("CaptureLost"),
            description="What was predicted could not be written down, or not its rows: releases and drift checks do "
            "not see it. The endpoint's logs say why.",
        )

    def _watch_for_releases(self, parts: Parts) -> tuple[cloudwatch.Alarm, ...]:
        no_answer = parts.alarms.when_any(
            "no-answer",
            metric=self.function.metric("NoAnswer"),
            description="The endpoint could not answer a request (status 500 or 503). Its logs say why, by code.",
        )
        crashed = parts.alarms.when_any(
            "api-failed",
            metric=self.function.function.metric_errors(period=PERIOD),
            description="The endpoint's function crashed, or ran out of time or memory, in the middle of a request. "
            "Read its logs; if a release is under way, its challenger may be the reason: serin releases.",
        )
        faulty = parts.alarms.note_any(
            "challenger-fault",
            metric=self.function.metric("ChallengerFault"),
            description="The challenger of a release failed, and the champion answered in its place. Nothing need be "
            "done: the release has a turn at once, and is rolled back where the evidence is enough.",
        )
        return no_answer, crashed, faulty
