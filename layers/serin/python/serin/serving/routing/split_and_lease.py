"""Whom does a challenger answer? A share of the entities, the same ones as it grows, while its lease lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from serin.registry.records import Challenger


@dataclass(slots=True)
class Split:
    """How entities are split between a champion and its challenger. lease_until: in seconds since 1970."""

    challenger: Challenger
    salt: str
    lease_until: float

    def takes(self, key: str, now: float) -> bool:
        """Tell whether the challenger is to answer for an entity. now: seconds since 1970."""
        weight = self.challenger.weight
        return weight > 0 and now < self.lease_until and bucket(self.salt, key) < weight


def bucket(salt: str, key: str) -> float:
    """Give a key its place from 0 up to 1, 1 left out: evenly, and always the same under one salt."""
    digest = blake2b((salt + key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def read_lease(moment: str) -> float:
    """Read a time of ISO 8601; without one, or one that is none, the lease has run out."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return -math.inf
