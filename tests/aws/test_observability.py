"""What a watched handler leaves behind: its answer, its metrics, and a log that names the request."""

from __future__ import annotations

import json
import traceback
from types import SimpleNamespace
from typing import Any

import pytest

from serin.aws import observability
from serin.aws.observability import count, each_in_turn, log, watched
from serin.errors import SerinError

CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn:f", aws_request_id="request-1"
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"SERVICE_NAME": "f", "METRICS_NAMESPACE": "Serin", "TRACE_DISABLED": "true", "LOG_LEVEL": "INFO"}
    for name, value in variables.items():
        monkeypatch.setenv(f"POWERTOOLS_{name}", value)
    log.cache_clear()
    observability._metrics.cache_clear()


@watched
def handler(event: dict[str, Any], context: Any) -> Any:
    log().info("at work")
    count("Done", event["times"])
    if event["times"] > 2:
        raise ValueError("too often")
    return {"times": event["times"]}


def test_it_answers_logs_under_the_requests_id_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert handler({"times": 2}, CONTEXT) == {"times": 2}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (said,) = [line for line in lines if line.get("message") == "at work"]
    assert (said["service"], said["function_request_id"]) == ("f", "request-1")
    (counted,) = [line for line in lines if "_aws" in line]
    assert (counted["Done"], counted["service"]) == ([2.0], "f")
    assert counted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Serin"


def test_what_was_counted_before_a_failure_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match=r"ValueError at observability\.py:\d+ > test_observability\.py:\d+") as caught:
        handler({"times": 3}, CONTEXT)
    assert (type(caught.value).__name__, caught.value.__suppress_context__) == ("ValueError", True)
    assert "too often" not in "".join(traceback.format_exception(caught.value)).replace(
        'raise ValueError("too often")', ""
    )
    assert '"Done":[3.0]' in capsys.readouterr().out.replace(" ", "")


def test_where_one_model_fails_the_others_get_their_turn(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    def do(model: str) -> None:
        if model == "broken":
            raise ValueError("no such thing")
        done.append(model)

    with pytest.raises(SerinError, match="failed for broken; the log says why"):
        each_in_turn(["first", "broken", "last"], do)
    assert done == ["first", "last"]
    (said,) = caplog.records
    assert vars(said)["model"] == "broken"
    assert vars(said)["reason"].startswith("ValueError at observability.py:"), (
        "what others say of an error may quote a value"
    )
    assert said.exc_info is None
