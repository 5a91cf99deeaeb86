"""Checks for drift each model whose contract says that it is due. Called by a schedule, every five minutes."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.cloud import Cloud
from serin.aws.observability import count, each_in_turn, log, watched
from serin.aws.wiring import checker_in
from serin.monitoring.check import Checker, Due
from serin.monitoring.summary import Served


@cache
def checker() -> Checker:
    return checker_in(Cloud.from_environment(), actor="check_drift")


def compare(due: Due, served: Served) -> None:
    report, model = checker().compare(due, served), due.version.model
    log().info("checked", model=model, version=report.version, verdict=report.verdict, reason=report.reason)
    count(f"Checked{report.verdict.title().replace(' ', '')}")
    with single_metric(name="DriftEffect", unit=MetricUnit.NoUnit, value=report.largest_effect) as metric:
        metric.add_dimension(name="model", value=model)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    due: dict[str, Due] = {}

    def look(model: str) -> None:
        if check := checker().due(model, "clock"):
            due[model] = check

    try:
        each_in_turn(checker().contracts.names(), look)
    finally:  # those that can be checked are, whatever the others suffer from
        served = checker().served(due.values())
        each_in_turn(due, lambda model: compare(due[model], served[model]))
