"""When does an alarm change its state, and who hears of it?"""

import json
import time
from types import SimpleNamespace

import pytest

from serin.local.alarms import check_alarm, state_of
from serin.local.errors import UnsupportedResource

BAD, GOOD, NONE = [2.0, 1.0], [1.0], []


def an_alarm(**said):
    usual = {
        "statistic": "Sum",
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 1.0,
        "evaluation_periods": 1,
        "datapoints_to_alarm": None,
        "treat_missing_data": None,
        "state_value": "OK",
    }
    return SimpleNamespace(**usual | said)


@pytest.mark.parametrize(
    ("said", "periods", "state"),
    [
        ({}, [BAD], "ALARM"),
        ({}, [GOOD], "OK"),
        ({}, [NONE], "INSUFFICIENT_DATA"),
        ({"treat_missing_data": "notBreaching"}, [NONE], "OK"),
        ({"treat_missing_data": "breaching"}, [NONE], "ALARM"),
        ({"treat_missing_data": "ignore", "state_value": "ALARM"}, [NONE], "ALARM"),
        ({"evaluation_periods": 2}, [BAD, GOOD], "OK"),
        ({"evaluation_periods": 2, "datapoints_to_alarm": 1}, [BAD, GOOD], "ALARM"),
        ({"evaluation_periods": 2}, [GOOD, NONE], "OK"),
        ({"statistic": "Maximum", "comparison_operator": "GreaterThanOrEqualToThreshold"}, [GOOD], "ALARM"),
        ({"statistic": "SampleCount", "comparison_operator": "LessThanThreshold"}, [BAD], "OK"),
        ({"statistic": "Average", "comparison_operator": "LessThanOrEqualToThreshold"}, [BAD], "OK"),
    ],
)
def test_what_state_an_alarm_is_in(said, periods, state):
    assert state_of(an_alarm(**said), periods) == state


@pytest.mark.parametrize(
    "said",
    [
        {"Metrics": [{"Id": "m", "Expression": "a / b"}], "Threshold": 1, "ComparisonOperator": "LessThanThreshold"},
        {"ExtendedStatistic": "p99", "Threshold": 1, "ComparisonOperator": "LessThanThreshold"},
        {"Statistic": "Sum", "ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "band"},
    ],
)
def test_an_alarm_that_is_not_evaluated_here_is_named(said):
    with pytest.raises(UnsupportedResource, match="alarm odd: the twin compares"):
        check_alarm({"AlarmName": "odd", **said})


def test_an_alarm_reaches_the_rules_and_its_topic_once_and_is_quiet_again(aws, twin, invoke, ledger):
    metric = {"Namespace": "Probe", "Dimensions": [["service"]], "Metrics": [{"Name": "Trouble", "Unit": "Count"}]}

    def count(*services):
        said = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}, "Trouble": 1}
        invoke("probe", {"do": "print", "text": "\n".join(json.dumps({**said, "service": name}) for name in services)})
        twin.settle(20)

    count("probe", "another", "another")
    assert ledger("trouble rang") == 0, "one of its own is not above one"

    count("probe", "probe", "probe")
    assert ledger("trouble rang") == 1
    read = aws("sqs").receive_message(QueueUrl=twin.outputs["ReadersUrl"], MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(message["Body"]) for message in read]
    assert [(said["AlarmName"], said["OldStateValue"], said["NewStateValue"]) for said in told] == [
        ("trouble", "OK", "ALARM")
    ]

    until = time.monotonic() + 20
    while aws("cloudwatch").describe_alarms(AlarmNames=["trouble"])["MetricAlarms"][0]["StateValue"] != "OK":
        assert time.monotonic() < until, "it never ended, though its minute takes a second"
        time.sleep(0.1)
    assert ledger("trouble rang") == 1


def test_a_function_that_fails_is_counted_as_by_lambda(twin, invoke, ledger):
    invoke("raising", {})
    twin.settle(20)
    assert ledger("failing rang") >= 1
