"""The published JSON Schema is that of the contract."""

from __future__ import annotations

import json
from pathlib import Path

from serin.contract.schema import contract_schema
from tests.golden import check_golden

ROOT = Path(__file__).parents[2]


def test_the_published_schema_is_current() -> None:
    check_golden(ROOT / "docs" / "contract.schema.json", contract_schema())


def test_unknown_keys_are_forbidden_at_every_level() -> None:
    schema = json.loads(contract_schema())
    objects = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in objects if part.get("type") == "object")
