"""Does every path through a workflow end where it must?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from serin.cdk.constructs.workflow import WORKFLOWS, camel_case
from serin.errors import Refused, Unavailable
from serin.release.renewal import LEASE
from tests.infra.conftest import Synthesised

FUNCTIONS = {path.parent.name for path in (Path(__file__).resolve().parents[2] / "functions").glob("*/handler.py")}
LAST = {"training": "CloseRun", "release": "AbortRelease", "batch": "CloseBatch"}  # where every error leads


def states(workflow: str) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads((WORKFLOWS / f"{workflow}.asl.json").read_text())
    found: dict[str, Any] = definition["States"]
    return found


def tasks(workflow: str) -> dict[str, Any]:
    """Every task, those within maps too."""
    found = states(workflow)
    inner = [state["ItemProcessor"]["States"] for state in found.values() if state["Type"] == "Map"]
    every = dict(item for part in [found, *inner] for item in part.items())
    return {name: state for name, state in every.items() if state["Type"] == "Task"}


def next_states(state: dict[str, Any]) -> Iterator[str]:
    yield from (part["Next"] for part in [state, *state.get("Choices", []), *state.get("Catch", [])] if "Next" in part)
    if "Default" in state:
        yield state["Default"]


@pytest.mark.parametrize("workflow", LAST)
def test_every_task_is_a_function_that_exists(workflow: str) -> None:
    named = {state["Parameters"]["FunctionName"] for state in tasks(workflow).values()}
    assert named <= {f"${{{camel_case(function)}Arn}}" for function in FUNCTIONS}


@pytest.mark.parametrize("workflow", LAST)
def test_every_error_leads_to_who_puts_it_right(workflow: str) -> None:
    last = LAST[workflow]
    for name, state in states(workflow).items():
        if state["Type"] in ("Task", "Map") and name != last:
            assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": last}]


@pytest.mark.parametrize("workflow", ["training", "release"])
def test_an_error_is_still_there_when_the_end_is_chosen(workflow: str) -> None:
    assert tasks(workflow)[LAST[workflow]]["ResultPath"] is None


def test_one_part_of_a_batch_that_fails_does_not_stop_the_others() -> None:
    maps = [state for state in states("batch").values() if state["Type"] == "Map"]
    assert [(state["ToleratedFailurePercentage"], state["ResultPath"]) for state in maps] == [(100, None)] * 2


@pytest.mark.parametrize("workflow", LAST)
def test_every_task_is_timed_and_one_that_fails_is_tried_again_twice(workflow: str) -> None:
    for state in tasks(workflow).values():
        assert state["TimeoutSeconds"] > 0
        *_, again = state["Retry"]
        assert again["ErrorEquals"] == ["States.TaskFailed", "States.Timeout"]
        assert (again["MaxAttempts"], again["JitterStrategy"]) == (2, "FULL")


@pytest.mark.parametrize("workflow", LAST)
def test_a_service_that_is_out_of_reach_or_throttles_is_waited_for(workflow: str) -> None:
    """Developer Guide, "Handle Lambda service exceptions"; the last name is how the library words the other services'.

    However the draws fall, the waits end before the lease of a release does: nobody gives it up meanwhile.
    """
    for state in tasks(workflow).values():
        *_, wait, _ = state["Retry"]
        assert wait["ErrorEquals"] == [
            *("Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException"),
            *("Lambda.SdkClientException", "Lambda.ClientExecutionTimeoutException", Unavailable.__name__),
        ]
        assert wait["JitterStrategy"] == "FULL"
        waits = [min(wait["MaxDelaySeconds"], wait["IntervalSeconds"] * wait["BackoffRate"] ** n) for n in range(8)]
        assert wait["MaxAttempts"] == len(waits)
        assert timedelta(minutes=4) < timedelta(seconds=sum(waits)) < LEASE


def test_what_a_training_refuses_is_not_tried_again() -> None:
    """Step Functions knows an error by the name of its class; the first rule that has it counts."""
    for name in ("TrainModel", "EvaluateModel"):
        assert states("training")[name]["Retry"][0] == {"ErrorEquals": [Refused.__name__], "MaxAttempts": 0}


@pytest.mark.parametrize("workflow", LAST)
def test_every_state_is_reached_and_leads_on(workflow: str) -> None:
    found = states(workflow)
    reached = {json.loads((WORKFLOWS / f"{workflow}.asl.json").read_text())["StartAt"]}
    while more := {name for state in reached for name in next_states(found[state])} - reached:
        reached |= more
    assert reached == set(found)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ({"passed": True}, "Done"),
        ({"passed": False}, "Rejected"),
        ({"error": {}}, "Failed"),
        ({"passed": True, "error": {}}, "Failed"),
    ],
)
def test_a_training_ends_as_it_went(answer: dict[str, Any], end: str) -> None:
    choice = states("training")["HowDidItEnd"]
    chosen = next((rule["Next"] for rule in choice["Choices"] if holds(rule, answer)), choice["Default"])
    assert chosen == end


def holds(rule: dict[str, Any], given: dict[str, Any]) -> bool:
    key = rule["Variable"].removeprefix("$.")
    return key in given if "IsPresent" in rule else given.get(key) is rule["BooleanEquals"]


def test_a_task_waits_longer_than_its_function_may_take(each: Synthesised) -> None:
    for workflow in LAST:
        for state in tasks(workflow).values():
            named = state["Parameters"]["FunctionName"].removeprefix("${").removesuffix("Arn}")
            function = next(name for name in FUNCTIONS if camel_case(name) == named)
            assert state["TimeoutSeconds"] > each.function(function)["Timeout"]


def test_a_workflow_may_invoke_its_own_functions_and_no_others(each: Synthesised) -> None:
    machines = each.properties("AWS::StepFunctions::StateMachine")
    assert len(machines) == len(LAST)
    for machine in machines:
        role = {"Ref": machine["RoleArn"]["Fn::GetAtt"][0]}
        (allowed,) = (
            statement["Resource"]
            for policy in each.properties("AWS::IAM::Policy")
            if role in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Action"] == "lambda:InvokeFunction"
        )
        arns = [arn for name, arn in machine["DefinitionSubstitutions"].items() if name.endswith("Arn")]
        assert sorted(map(str, allowed)) == sorted(map(str, arns))
