"""How a function runs in the twin: what it finds, what it may not do, and what is said about its end."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError


def test_answers_and_stays_warm(invoke):
    first, error = invoke("probe", {"a": 1})
    second, _ = invoke("probe", {"a": 2})

    assert error is None
    assert first["event"] == {"a": 1}
    assert second == {"pid": first["pid"], "event": {"a": 2}}


def test_finds_lambdas_environment_and_nothing_of_the_parents(invoke, twin, monkeypatch):
    found, _ = invoke("probe", {"do": "environment"})

    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "probe"
    assert found["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert found["AWS_REGION"] == twin.region
    assert found["AWS_ENDPOINT_URL"] == twin.endpoint_url
    assert found["_HANDLER"] == "handler.handler"
    assert found["GREETING"] == "hello"
    assert 0 < int(found["remaining_ms"]) <= 10_000
    assert found["HOME"] == found["TMPDIR"]
    assert "PYTEST_CURRENT_TEST" not in found
    assert "MOTO_PORT" not in found
    assert str(Path(sys.prefix) / "bin") not in found["PATH"].split(os.pathsep)
    assert str(Path(__file__).parents[2]) not in found["PYTHONPATH"].split(os.pathsep)


def test_layers_are_merged_under_opt(invoke):
    assert invoke("probe", {"do": "import"}) == (["by the library", "by another layer"], None)


def test_a_live_layer_is_read_anew_each_time(invoke, live_models):
    before, _ = invoke("probe", {"do": "read"})
    (live_models / "loans.yaml").write_text("second")
    after, _ = invoke("probe", {"do": "read"})

    assert (before, after) == ("first", "second")


def test_an_error_of_the_code_is_told_by_type_and_message(invoke):
    payload, error = invoke("probe", {"do": "fail", "message": "row 7"})

    assert error == "ValueError"
    assert payload["errorMessage"] == "row 7"
    assert any("as told" in line or "raise ValueError" in line for line in payload["stackTrace"])


def test_is_killed_at_its_time_out(invoke, twin):
    payload, error = invoke("short", {"do": "sleep", "seconds": 30})

    assert error == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert any("Task timed out after 1.00 seconds" in line for line in twin.logs("short"))
    assert invoke("short", {"again": True})[1] is None


def test_is_killed_when_it_takes_more_memory_than_it_has(invoke):
    payload, error = invoke("small", {"do": "eat", "mb": 400})

    assert error == "Runtime.OutOfMemory"
    assert "signal: killed" in payload["errorMessage"]
    assert invoke("small", {"do": "eat", "mb": 1} | {"do": "echo"})[1] is None


def test_memory_of_what_it_started_is_its_own(invoke):
    assert invoke("small", {"do": "have eaten", "mb": 400})[1] == "Runtime.OutOfMemory"


def test_memory_within_the_limit_is_left_alone(invoke):
    assert invoke("small", {"do": "eat", "mb": 30})[1] is None


@pytest.mark.parametrize(
    ("status", "said"), [(3, "exited with error: exit status 3"), (0, "exited without providing a reason")]
)
def test_an_exit_is_an_error(invoke, status, said):
    payload, error = invoke("probe", {"do": "exit", "status": status})

    assert error == "Runtime.ExitError"
    assert said in payload["errorMessage"]


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [("raising", "ValueError", "no TABLE is set"), ("importing", "Runtime.ImportModuleError", "a_module_that_is_not")],
)
def test_a_failed_init_is_told_with_its_type(invoke, function, error, said):
    payload, told = invoke(function, {})

    assert told == error
    assert said in payload["errorMessage"]


def test_what_a_killed_function_started_dies_with_it(invoke):
    child, _ = invoke("short", {"do": "child"})
    os.kill(child, 0)  # it is there

    invoke("short", {"do": "sleep", "seconds": 30})

    end = time.monotonic() + 10  # whoever was killed may take a moment to be gone
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(child)


def test_a_reserved_concurrency_throttles(aws, twin):
    began = threading.Event()

    def occupy():
        began.set()
        aws("lambda").invoke(FunctionName="single", Payload=b'{"do": "sleep", "seconds": 3}')

    aws("lambda").invoke(FunctionName="single", Payload=b"{}")
    thread = threading.Thread(target=occupy)
    thread.start()
    began.wait()
    while [record["outcome"] for record in twin.invocations("single")][-1] != "running":
        pass
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        aws("lambda").invoke(FunctionName="single", Payload=b"{}")
    thread.join()


def test_runs_as_often_at_once_as_it_is_asked_to(invoke):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(invoke("web", {"do": "sleep", "seconds": 1}))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer["pid"] for answer, _ in answers}) == 3


def test_an_event_over_six_megabytes_is_refused(aws):
    with pytest.raises(ClientError, match="RequestEntityTooLarge"):
        aws("lambda").invoke(FunctionName="probe", Payload=json.dumps("x" * (6 * 1024 * 1024)))


def test_an_answer_over_six_megabytes_is_an_error(invoke):
    assert invoke("probe", {"do": "large", "bytes": 7_000_000})[1] == "Function.ResponseSizeTooLarge"
    assert len(invoke("probe", {"do": "large", "bytes": 2_000_000})[0]) == 2_000_000


def test_an_unknown_function_is_not_found(aws):
    with pytest.raises(ClientError, match="ResourceNotFound"):
        aws("lambda").invoke(FunctionName="nobody", Payload=b"{}")


def test_a_changed_configuration_is_taken_up(aws, invoke):
    invoke("web", {})
    aws("lambda").update_function_configuration(FunctionName="web", Environment={"Variables": {"NEW": "yes"}})

    assert invoke("web", {"do": "environment"})[0]["NEW"] == "yes"


def test_logs_hold_what_was_printed_between_start_and_report(invoke, twin, aws):
    invoke("probe", {"do": "print", "text": "a line to look for"})

    record = twin.invocations("probe")[-1]
    lines = twin.logs("probe")
    begin = lines.index(f"START RequestId: {record['request_id']} Version: $LATEST")
    assert lines[begin + 1 : begin + 3] == ["a line to look for", f"END RequestId: {record['request_id']}"]
    assert lines[begin + 3].startswith(f"REPORT RequestId: {record['request_id']}\tDuration: ")
    stored = aws("logs").filter_log_events(logGroupName="/aws/lambda/probe")["events"]
    assert "a line to look for" in [event["message"] for event in stored]


def test_a_line_in_the_embedded_metric_format_becomes_a_metric(invoke, twin, aws):
    line = {
        "_aws": {
            "Timestamp": 1_900_000_000_000,
            "CloudWatchMetrics": [
                {"Namespace": "Serin", "Dimensions": [["service"]], "Metrics": [{"Name": "Rows", "Unit": "Count"}]}
            ],
        },
        "service": "validate",
        "Rows": [3, 4],
    }
    invoke("probe", {"do": "print", "text": json.dumps(line)})
    twin.logs("probe")

    metrics = aws("cloudwatch").list_metrics(Namespace="Serin")["Metrics"]
    assert {"Namespace": "Serin", "MetricName": "Rows", "Dimensions": [{"Name": "service", "Value": "validate"}]} in [
        {key: metric[key] for key in ("Namespace", "MetricName", "Dimensions")} for metric in metrics
    ]
    statistics = aws("cloudwatch").get_metric_statistics(
        Namespace="Serin",
        MetricName="Rows",
        Dimensions=[{"Name": "service", "Value": "validate"}],
        StartTime=1_899_999_000,
        EndTime=1_900_001_000,
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert [(point["Sum"], point["SampleCount"]) for point in statistics] == [(7, 2)]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
