"""Of what are the schemas of JSON made? Objects that have these keys and no other, lists, and references."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
TRUE: dict[str, Any] = {"const": True}
NUMBER: dict[str, Any] = {"type": "number"}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def without(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The same object without one of its keys."""
    properties = {key: value for key, value in schema["properties"].items() if key != name}
    return {**schema, "properties": properties, "required": [key for key in schema["required"] if key != name]}


def object_of(optional: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """An object that has these keys, and no other; all of them but the optional."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def list_of(items: dict[str, Any], *, least: int = 0, most: int | None = None) -> dict[str, Any]:
    return {
        "type": "array",
        "items": items,
        **({"minItems": least} if least else {}),
        **({"maxItems": most} if most else {}),
    }
