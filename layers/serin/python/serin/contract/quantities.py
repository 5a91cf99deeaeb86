"""How are shares, latencies, budgets and labels written in a contract? `1%`, `100ms`, `40 fits`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema


def _parse_share(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
        if not match:
            raise ValueError("write a share like 1%")
        return float(match[1]) / 100
    return value


def _parse_latency(value: object) -> object:
    match = re.fullmatch(r"(\d{1,6})\s*(ms|s)", value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError("write a latency like 100ms or 2s")
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def _parse_fits(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)\s*fits?", value.strip())
        if not match:
            raise ValueError("write a budget like 40 fits")
        return int(match[1])
    return value


Share = Annotated[
    float,
    BeforeValidator(_parse_share),
    Field(ge=0, lt=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            ]
        }
    ),
]
AnyShare = Annotated[
    float,
    BeforeValidator(_parse_share),
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]
Milliseconds = Annotated[
    int,
    BeforeValidator(_parse_latency),
    Field(ge=1, le=30_000),
    PlainSerializer(lambda value: f"{value}ms"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,6}\s*(ms|s)$"}),
]
Fits = Annotated[
    int,
    BeforeValidator(_parse_fits),
    Field(ge=1, le=10_000),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d+\s*fits?$"}, {"type": "integer", "minimum": 1}]}),
]


def _as_text(value: object) -> object:
    """Take a number in a list of texts as it is written; true and false are not, for YAML reads yes and no so."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]
