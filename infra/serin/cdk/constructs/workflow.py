"""How does a state machine come from its ASL file?"""

from __future__ import annotations

import re
from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from serin.cdk.constructs.alarms import PERIOD, Alarms
from serin.cdk.constructs.function import ServerlessFunction
from serin.cdk.constructs.log_group import LogGroup
from serin.cdk.environment import Environment

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"


class UnknownTask(Exception):
    """When a workflow names a function that it was not given, or is given one that it does not name."""


class Workflow(Construct):
    """The state machine of infra/workflows/<name>.asl.json, invoking exactly the functions that it names.

    The file says ${TrainModelArn} where it means the function train_model. lists: what its distributed maps list, the
    bucket and the prefix; the file then says ${DataBucket}.
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
        lists: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(scope, id)
        definition = (WORKFLOWS / f"{name}.asl.json").read_text()
        arns = {f"{camel_case(function.name)}Arn": function.arn for function in functions}
        substitutions = arns | ({"DataBucket": lists[0]} if lists else {})
        if (named := set(re.findall(r"\$\{(\w+)\}", definition))) != substitutions.keys():
            raise UnknownTask(f"{name}.asl.json names {sorted(named)}, and was given {sorted(substitutions)}")

        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(arns.values()))
        )
        if lists:
            _let_map(role, environment, name=name, bucket=lists[0], prefix=lists[1])
        # Names outside /aws/vendedlogs/ would fill up the resource policy of CloudWatch Logs.
        log_group = LogGroup(
            self, "Logs", name=f"/aws/vendedlogs/states/{environment.named(name)}", environment=environment
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=environment.named(name),
            definition_body=sfn.DefinitionBody.from_string(definition),
            definition_substitutions=substitutions,
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


def _let_map(role: iam.Role, environment: Environment, *, name: str, bucket: str, prefix: str) -> None:
    """Allow a workflow to list objects and to run a child execution for each: what a distributed map does."""
    here = f"arn:aws:states:{environment.region}:{environment.account}"
    own = environment.named(name)
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[f"arn:aws:s3:::{bucket}"],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*"]}},
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["states:StartExecution"], resources=[f"{here}:stateMachine:{own}"])
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["states:DescribeExecution", "states:StopExecution"], resources=[f"{here}:execution:{own}/*"]
        )
    )


def camel_case(name: str) -> str:
    """Turn `train_model` into `TrainModel`."""
    return "".join(word.capitalize() for word in name.split("_"))
