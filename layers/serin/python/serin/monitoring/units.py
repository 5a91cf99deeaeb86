"""Who was asked first? The first request of an entity in a release, which alone is evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import msgspec

KEPT_UNITS = 20_000  # of each release: some 2 MB


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """The first request of an entity in a release. at: milliseconds since 1970; id: of the prediction.

    predicted: what its version answered to the first row, a label as text or a value; None where it did not answer.
    delta, is_flipped: how far the challenger's scores are from the champion's, the mean over rows and outputs, and
    whether any row would get another label; None where the two were not compared.
    """

    at: int
    id: str
    arm: str
    is_error: bool
    ms: float
    is_cold: bool
    is_unsure: bool
    delta: float | None = None
    is_flipped: bool | None = None
    predicted: str | float | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """The first requests of a release's entities, by the entities' hashes; past a bound, of the lowest hashes.

    Which entities are kept does not depend on the order of merging, nor does which request was the first.
    last: when anybody asked last, first request or not, in milliseconds since 1970; 0 where that was not counted.
    """

    firsts: dict[str, Unit]
    last: int = 0

    def __add__(self, other: Self) -> Self:
        firsts = dict(self.firsts)
        for name, unit in other.firsts.items():
            firsts[name] = first_of(unit, firsts[name]) if name in firsts else unit
        kept = {name: firsts[name] for name in sorted(firsts)[:KEPT_UNITS]}
        return replace(self, firsts=kept, last=max(self.last, other.last))

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.firsts.values())

    @property
    def is_full(self) -> bool:
        """Whether there may have been more entities than are kept."""
        return len(self.firsts) >= KEPT_UNITS


def first_of(one: Unit, other: Unit) -> Unit:
    """Choose the first of two requests of an entity, whichever is named first."""
    return min(one, other, key=lambda unit: (unit.at, unit.id, repr(unit)))
