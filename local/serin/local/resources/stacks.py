"""How does each resource of a template become real?

moto's CloudFormation resolves the references, keeps the order and makes what it knows. For the types it
leaves out, and for the properties it drops, this adds what is missing to its list of types. A type that
nobody makes is an error that names it.
"""

import json
import logging
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import cloudformation_backends
from moto.ssm.models import ssm_backends

from serin.local.assembly import Assembly, Stack
from serin.local.errors import StackFailed, UnsupportedResource
from serin.local.resources import alarms, buckets, functions, rest_apis, rules, streams, topics
from serin.local.resources.maker import Made, Maker, Order
from serin.local.resources.state_machines import make_state_machine
from serin.local.workflows import Workflows

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"

# Types that are taken note of and nothing more, with the reason why that is enough here.
NOT_MADE = {
    "AWS::CDK::Metadata": "statistics for the makers of the CDK",
    "AWS::CloudWatch::Dashboard": "nobody draws it",
    "AWS::Lambda::Permission": "the twin lets every event through: who may invoke is proved on the template",
    "AWS::S3::BucketPolicy": "moto denies by it whatever its conditions say: it is proved on the template",
    "AWS::SNS::TopicPolicy": "policies are not enforced: they are proved on the template",
    "AWS::SQS::QueuePolicy": "policies are not enforced: they are proved on the template",
}

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Resources:
    """Makes the stacks of an assembly.

    outputs: of each stack that was made, by its name.
    """

    assembly: Assembly
    workflows: Workflows
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def make_all(self) -> None:
        """Create every stack, dependencies first.

        Raises UnsupportedResource and StackFailed.
        """
        self._extend_moto()
        account, region = self.assembly.account, self.assembly.region
        ssm_backends[account][region].put_parameter(
            name=BOOTSTRAP_VERSION,
            description="",
            value="30",
            parameter_type="String",
            allowed_pattern="",
            keyid="",
            overwrite=False,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )
        for stack in self.assembly.stacks:
            self._make(stack)

    def _make(self, stack: Stack) -> None:
        check_types(stack, known=parsing.get_model_map())
        backend = cloudformation_backends[self.assembly.account][self.assembly.region]
        try:
            made = backend.create_stack(stack.name, json.dumps(stack.template), {}, tags={})
        except (UnsupportedResource, StackFailed):
            raise
        except Exception as error:
            _LOG.debug("stack %s", stack.name, exc_info=True)
            raise StackFailed(f"stack {stack.name}: {type(error).__name__}: {error}") from error
        self.outputs[stack.name] = {
            output.key: output.value for output in made.output_map.values() if output is not None
        }

    def _extend_moto(self) -> None:
        makers: dict[str, Callable[[Order], Any]] = dict.fromkeys(NOT_MADE, lambda order: Made(order.name))
        for service in (alarms, buckets, functions, rest_apis, rules, streams, topics):
            makers |= service.MAKERS
        makers["AWS::StepFunctions::StateMachine"] = partial(
            make_state_machine, workflows=self.workflows, assets=self.assembly.assets
        )
        parsing.get_model_map().update({kind: Maker(make) for kind, make in makers.items()})  # type: ignore[misc]
        for service in (alarms, rest_apis, streams):
            parsing.get_name_type_map().update(service.NAMED_BY)


def check_types(stack: Stack, *, known: Container[str]) -> None:
    """Raise UnsupportedResource where a template holds types that are not known, naming them."""
    missing = sorted(
        f"{resource['Type']} ({logical_id})"
        for logical_id, resource in stack.template.get("Resources", {}).items()
        if resource["Type"] not in known and resource["Type"] not in parsing.NULL_MODELS
    )
    if missing:
        raise UnsupportedResource(f"stack {stack.name}: the twin cannot make {', '.join(missing)}")
