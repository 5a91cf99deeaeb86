"""What does moto's CloudFormation ask of whoever makes a resource, and what does it want back?"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serin.local.errors import StackFailed, UnsupportedResource

_LOG = logging.getLogger(__name__)


class Made:
    """A resource, as moto's CloudFormation wants to hold it."""

    def __init__(self, physical_id: str, **attributes: str) -> None:
        self.physical_resource_id = physical_id
        self._attributes = attributes

    def get_cfn_attribute(self, name: str) -> str:
        """Answer Fn::GetAtt."""
        return self._attributes.get(name, self.physical_resource_id)

    def is_created(self) -> bool:
        """Say that it is there."""
        return True


@dataclass(frozen=True, slots=True)
class Order:
    """What a template asks for: one resource, its references resolved."""

    name: str
    properties: dict[str, Any]
    account: str
    region: str


class Maker:
    """Stands where moto's CloudFormation expects a class that makes resources of one type."""

    def __init__(self, make: Callable[[Order], Any]) -> None:
        self._make = make

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **about: Any
    ) -> Any:
        """Make the resource."""
        properties = cloudformation_json.get("Properties") or {}
        try:
            return self._make(Order(resource_name, properties, account_id, region_name))
        except (UnsupportedResource, StackFailed):
            raise
        except Exception as error:
            _LOG.debug("%s", resource_name, exc_info=True)
            raise StackFailed(f"{about['LogicalId']}: {type(error).__name__}: {error}") from error

    def has_cfn_attr(self, _attr: str) -> bool:
        """Let every attribute pass: get_cfn_attribute answers it."""
        return True
