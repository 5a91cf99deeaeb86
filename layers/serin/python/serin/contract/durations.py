"""How is a duration written in a contract, and how long does it last where minutes are shorter, as on the twin?"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

SECONDS_PER_MINUTE = 60.0
"""How long a minute of a contract lasts, where an environment does not say otherwise."""


def _parse_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([smhd])", value.strip()) if isinstance(value, str) else None
    if not match or int(match[1]) == 0 or len(match[1]) > 9:
        raise ValueError("write a duration like 15m, 6h or 7d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,9}\s*[smhd]$"}),
]


def scale_duration(duration: timedelta, *, seconds_per_minute: float) -> timedelta:
    """Give a duration of a contract as it lasts where one of its minutes has so many seconds."""
    return duration * (seconds_per_minute / SECONDS_PER_MINUTE)


def in_hours(duration: timedelta) -> str:
    return f"{duration / timedelta(hours=1):,.4g} h"
