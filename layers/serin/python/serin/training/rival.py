"""What was prepared to compare a version with another? Written by training, read where versions are judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

ROW = "serin:row"  # in a rival's table: which row of the hold-out it is


class Mode(StrEnum):
    """ASKED: by its judged model. REFITTED: its recipe stands in. NONE: neither is possible."""

    ASKED = "asked"
    REFITTED = "refitted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Rival:
    """One that a version is compared with. table: for ASKED its columns, for REFITTED its scores, each with ROW.

    reason: why it is not asked. labels: for REFITTED, of its scores, in their order. earlier: where rows have a time,
    what it reached on the older rows by which it was judged itself.
    """

    version: int
    is_champion: bool
    is_anchor: bool
    mode: Mode
    reason: str = ""
    labels: tuple[str, ...] = ()
    earlier: float | None = None
    table: bytes | None = None

    @property
    def file(self) -> str:
        return f"rival-{self.version}.npz"


def dump_rivals(rivals: Sequence[Rival]) -> bytes:
    """Write all of them but their tables, which have files of their own."""
    listed = [
        {
            "version": rival.version,
            "is_champion": rival.is_champion,
            "is_anchor": rival.is_anchor,
            "mode": rival.mode,
            "reason": rival.reason,
            "labels": list(rival.labels),
            "earlier": rival.earlier,
        }
        for rival in rivals
    ]
    return json.dumps(listed, indent=1).encode()


def load_rivals(content: bytes, tables: Mapping[str, bytes]) -> list[Rival]:
    """Read what `dump_rivals` wrote. tables: by the names of their files."""
    rivals = []
    for body in json.loads(content):
        rival = Rival(**{**body, "mode": Mode(body["mode"]), "labels": tuple(body["labels"])})
        rivals.append(replace(rival, table=tables.get(rival.file)))
    return rivals


def rival_files(content: bytes) -> list[str]:
    """Name the tables that go with what `dump_rivals` wrote."""
    return [rival.file for rival in load_rivals(content, {}) if rival.mode is not Mode.NONE]
