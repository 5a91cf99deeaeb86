"""What may editors complete and check? The contract as a JSON Schema, published in docs/contract.schema.json."""

from __future__ import annotations

import json

from serin.contract.model import Contract


def contract_schema() -> str:
    """Render the JSON Schema of a contract, stable from run to run, with a newline at its end."""
    schema = Contract.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Serin contract"
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
