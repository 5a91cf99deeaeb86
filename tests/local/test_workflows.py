"""How state machines run in the twin: the same ASL, with real processes for its tasks."""

import json
import uuid

import pytest


@pytest.fixture
def run(aws, twin):
    """Run a state machine to its end."""

    def execute(output, event):
        arn = aws("stepfunctions").start_execution(
            stateMachineArn=twin.outputs[output], name=str(uuid.uuid4()), input=json.dumps(event)
        )["executionArn"]
        twin.settle(30)
        return aws("stepfunctions").describe_execution(executionArn=arn)

    return execute


def test_a_loop_waits_as_long_as_its_path_says_and_ends(run, twin):
    before = len(twin.invocations("probe"))
    ended = run("LoopArn", {"do": "turn"})

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["turns"] == 3
    assert [r["event"].get("turns") for r in twin.invocations("probe")[before:]] == [None, 1, 2]
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() >= 2  # two waits of a second


def test_a_task_is_retried_until_it_succeeds(run, ledger):
    key = str(uuid.uuid4())
    ended = run("CatchArn", {"do": "fail_times", "key": key, "times": 1})

    assert ended["status"] == "SUCCEEDED"
    assert ledger(key) == 2


def test_an_error_that_stays_is_caught_by_its_name(run, ledger):
    key = str(uuid.uuid4())
    ended = run("CatchArn", {"do": "fail_times", "key": key, "times": 9})

    assert ended["status"] == "FAILED"
    assert ended["error"] == "ValueError"
    assert ledger(key) == 3


def test_a_killed_process_fails_its_task(run, twin):
    twin.kill("probe", call=1)
    ended = run("CatchArn", {"do": "count", "key": "killed"})

    assert ended["status"] == "FAILED"
    assert ended["error"] == "Runtime.ExitError"


def test_a_task_is_run_twice_when_asked(run, twin, ledger):
    key = str(uuid.uuid4())
    twin.deliver_twice("probe")
    ended = run("CatchArn", {"do": "count", "key": key})

    assert ended["status"] == "SUCCEEDED"
    assert ledger(key) == 2


def test_unnamed_executions_do_not_collide(aws, twin):
    for _ in range(2):
        aws("stepfunctions").start_execution(stateMachineArn=twin.outputs["CatchArn"], input="{}")
    twin.settle(20)

    executions = aws("stepfunctions").list_executions(stateMachineArn=twin.outputs["CatchArn"])["executions"]
    assert len({execution["executionArn"] for execution in executions}) == len(executions)


def test_a_name_used_again_with_other_input_is_refused(aws, twin):
    name = str(uuid.uuid4())
    client = aws("stepfunctions")
    client.start_execution(stateMachineArn=twin.outputs["LoopArn"], name=name, input='{"do": "turn"}')
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(stateMachineArn=twin.outputs["LoopArn"], name=name, input='{"do": "other"}')
    again = client.start_execution(stateMachineArn=twin.outputs["LoopArn"], name=name, input='{"do": "turn"}')
    assert again["executionArn"].endswith(name)
    twin.settle(20)
