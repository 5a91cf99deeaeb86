"""How does a state machine come to be?"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.local.errors import StackFailed
from serin.local.resources.maker import Order
from serin.local.workflows import Workflows


def make_state_machine(order: Order, *, workflows: Workflows, assets: Mapping[str, Path]) -> Any:
    """Make a state machine, its definition spelled out or an asset."""
    properties = order.properties
    if "DefinitionS3Location" in properties:
        file = assets[properties["DefinitionS3Location"]["Key"]]
        definition = file.read_text()
    else:
        definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace("${" + name + "}", str(value))
    left = re.search(r"\$\{[\w.]+\}", definition)
    if left:
        raise StackFailed(f"{order.name}: nothing is substituted for {left[0]} in its definition")
    return workflows.create(
        name=properties.get("StateMachineName", order.name),
        definition=definition,
        role=properties.get("RoleArn", ""),
        kind=properties.get("StateMachineType", "STANDARD"),
    )
