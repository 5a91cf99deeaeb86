"""How is a function watched? By Powertools: its log, its metrics and its trace, set up once for every function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from serin.errors import SerinError, loggable

Handler = Callable[[dict[str, Any], LambdaContext], Any]


def watched(handler: Handler) -> Handler:
    """Log each call of a handler under its request's id, send the metrics that it counted, and trace it."""

    @cache
    def whole() -> Handler:
        counted = _metrics().log_metrics(_discreet(handler), raise_on_empty_metrics=False)
        traced: Handler = log().inject_lambda_context(Tracer().capture_lambda_handler(counted))
        return traced

    # Made at the first call: importing a handler reads no environment.
    @wraps(handler)
    def call(event: dict[str, Any], context: LambdaContext) -> Any:
        return whole()(event, context)

    return call


def _discreet(handler: Handler) -> Handler:
    """Let an error that nobody foresaw say its place and no more: what is raised is logged, and kept by workflows."""

    @wraps(handler)
    def call(event: dict[str, Any], context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        except SerinError:
            raise
        except Exception as error:
            # Under its own name, by which workflows tell errors apart.
            raise type(type(error).__name__, (Exception,), {})(loggable(error)) from None

    return call


@cache
def log() -> Logger:
    """Get the log; what is said in it carries the id of the request."""
    return Logger()


def count(name: str, number: int = 1) -> None:
    """Add to a metric, inside a watched handler."""
    _metrics().add_metric(name, MetricUnit.Count, number)


def log_failure(metric: str, code: str, reason: str) -> None:
    """Log what went wrong and count it, outside of a watched handler. code: into the log, and beside the metric."""
    log().error(reason, code=code)
    with single_metric(name=metric, unit=MetricUnit.Count, value=1, default_dimensions={"service": "api"}) as counted:
        counted.add_metadata("code", code)  # no dimension: an alarm watches all codes together


def each_in_turn(models: Iterable[str], do: Callable[[str], None]) -> None:
    """Do something for each model. Whatever one suffers from, the others get their turn.

    Raises SerinError with the names of those for which it failed; why, is in the log.
    """
    failed = []
    for model in models:
        try:
            do(model)
        except Exception as error:
            log().error("failed for a model", model=model, reason=loggable(error))
            failed.append(model)
    if failed:
        raise SerinError(f"failed for {', '.join(failed)}; the log says why")


@cache
def _metrics() -> Metrics:
    return Metrics()
