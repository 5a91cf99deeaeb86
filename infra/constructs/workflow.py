"""How does a state machine come from its ASL file?"""

from __future__ import annotations

import re
from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.alarms import PERIOD, Alarms
from infra.constructs.function import ServerlessFunction
from infra.constructs.log_group import LogGroup
from infra.environment import Environment

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"


class UnknownTask(Exception):
    """When a workflow names a function that it was not given, or is given one that it does not name."""


class Workflow(Construct):
    """The state machine of infra/workflows/<name>.asl.json, invoking exactly the functions that it names.

    The file says ${TrainModelArn} where it means the function train_model.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        functions: list[ServerlessFunction],
        environment: Environment,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, id)
        definition = (WORKFLOWS / f"{name}.asl.json").read_text()
        arns = {f"{camel_case(function.name)}Arn": function.arn for function in functions}
        if (named := set(re.findall(r"\$\{(\w+)\}", definition))) != arns.keys():
            raise UnknownTask(f"{name}.asl.json names {sorted(named)}, and was given {sorted(arns)}")

        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values()))
        )
        # Names outside /aws/vendedlogs/ would fill up the resource policy of CloudWatch Logs.
        log_group = LogGroup(
            self, "Logs", name=f"/aws/vendedlogs/states/{environment.named(name)}", environment=environment
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=environment.named(name),
            definition_body=sfn.DefinitionBody.from_string(definition),
            definition_substitutions=arns,
            role=role,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ERROR, include_execution_data=True),
            tracing_enabled=environment.tracing,
        )
        alarms.when_any(
            f"{name}-failed",
            metric=self.state_machine.metric_failed(period=PERIOD),
            description=f"An execution of the {name} workflow failed; `serin why` and the history of the model say "
            f"what was done about it. The execution's last event holds the error.",
        )

    @property
    def arn(self) -> str:
        """Name the state machine to others."""
        return self.state_machine.state_machine_arn


def camel_case(name: str) -> str:
    """Turn `train_model` into `TrainModel`."""
    return "".join(word.capitalize() for word in name.split("_"))
