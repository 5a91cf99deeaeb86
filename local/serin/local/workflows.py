"""How do state machines run here?

moto has an interpreter of the Amazon States Language. This makes it the one in use, gives it clients that
are made once, and knows which executions are still running.
"""

import os
import threading
import uuid
from functools import lru_cache
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.config import Config
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

_KEPT_EXECUTIONS = 200  # of one state machine


class Workflows:
    """Starts executions, and counts those that run."""

    def __init__(self, *, account: str, region: str, endpoint_url: str) -> None:
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        os.environ["MOTO_PORT"] = str(urlparse(endpoint_url).port)  # where the interpreter makes its calls
        self._backend = stepfunctions_parser_backends[account][region]
        _name_executions_and_start_each_once()
        _reuse_lambda_clients(endpoint_url)

    def create(self, *, name: str, definition: str, role: str, kind: str) -> Any:
        """Create a state machine. Raises moto's InvalidDefinition where the definition does not parse."""
        return self._backend.create_state_machine(name=name, definition=definition, roleArn=role, sm_type=kind)

    def start(self, arn: str, event: str, *, name: str | None = None) -> None:
        """Start an execution."""
        self._backend.start_execution(arn, name or str(uuid.uuid4()), execution_input=event)

    def running(self) -> list[str]:
        """Name the executions that have not ended."""
        return [execution.name for execution in self.running_executions()]

    def running_executions(self) -> list[Any]:
        """List the executions that have not ended."""
        return [
            execution
            for machine in list(self._backend.state_machines)
            for execution in list(machine.executions)
            if execution.status == "RUNNING"
        ]


def _name_executions_and_start_each_once() -> None:
    """Close two gaps of moto: a second unnamed execution collides, and a name is checked without a lock."""
    lock = threading.Lock()
    original = StepFunctionsParserBackend.start_execution

    def start_execution(
        self: StepFunctionsParserBackend,
        state_machine_arn: str,
        name: Any = None,
        execution_input: Any = None,
        trace_header: Any = None,
    ) -> Any:
        with lock:
            execution = original(self, state_machine_arn, name or str(uuid.uuid4()), execution_input, trace_header)
            _forget_old(self.describe_state_machine(state_machine_arn).executions)
            return execution

    StepFunctionsParserBackend.start_execution = start_execution  # type: ignore[method-assign]


def _forget_old(executions: list[Any]) -> None:
    """Let go of the oldest executions that have ended, where there are many: each holds its whole history."""
    if len(executions) > 2 * _KEPT_EXECUTIONS:
        kept = executions[-_KEPT_EXECUTIONS:]
        executions[:] = [
            execution for execution in executions[:-_KEPT_EXECUTIONS] if execution.status == "RUNNING"
        ] + kept


def _reuse_lambda_clients(endpoint_url: str) -> None:
    """Keep the interpreter from making a new boto3 client for each task, which takes longer than the task."""
    lock = threading.Lock()
    config = Config(
        parameter_validation=False,
        retries={"max_attempts": 0, "total_max_attempts": 1},
        read_timeout=1000,
        max_pool_connections=100,
    )

    @lru_cache
    def client(region: str) -> Any:
        return boto3.Session().client(
            "lambda",
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id="workflow",
            aws_secret_access_key="workflow",
            config=config,
        )

    def client_for(region: str, **_: Any) -> Any:
        with lock:
            return client(region)

    lambda_eval_utils.boto_client_for = client_for  # type: ignore[attr-defined,assignment]
