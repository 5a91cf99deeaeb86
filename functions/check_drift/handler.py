"""Checks for drift each model whose contract says that it is due. Called by a schedule, every five minutes."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.aws.checking import checker_in
from serin.aws.cloud import Cloud
from serin.aws.watch import count, each_in_turn, log, watched
from serin.monitoring.check import Checker


@cache
def checker() -> Checker:
    return checker_in(Cloud.from_environment(), actor="check_drift")


def check(model: str) -> None:
    report = checker().check(model, "clock")
    if report is None:
        return
    log().info("checked", model=model, version=report.version, verdict=report.verdict, reason=report.reason)
    count(f"Checked{report.verdict.title().replace(' ', '')}")
    with single_metric(name="DriftEffect", unit=MetricUnit.NoUnit, value=report.largest_effect) as metric:
        metric.add_dimension(name="model", value=model)


@watched
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    each_in_turn(checker().contracts.names(), check)
