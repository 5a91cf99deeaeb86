"""What changed between the version of Serin that a project pins and the one that is installed?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from serin.cli.new import write_schema
from serin.client.project import AskedWrongly
from serin.shipped import shipped

PIN = re.compile(r"^(serin(?:\[[a-z,]+\])?==)([0-9]+(?:\.[0-9]+)*)", re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From which version to which, and what each version in between changed, newest first."""

    pinned: str
    installed: str
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        if self.pinned == self.installed:
            return f"nothing to do: this project pins Serin {self.pinned}, which is installed"
        return f"requirements.txt pins Serin {self.installed} now; it was {self.pinned}"


def upgrade_project(root: Path) -> Upgrade:
    """Pin the version that is installed, and tell what changed since the one that was pinned.

    Raises AskedWrongly where requirements.txt pins no version, or a newer one than is installed.
    """
    place = root / "requirements.txt"
    text = place.read_text() if place.is_file() else ""
    found = PIN.search(text)
    if found is None:
        raise AskedWrongly(f"{place} pins no version of Serin; it should have a line like serin[local]==0.2.0")
    pinned, installed = found[2], metadata.version("serin")
    if _numbers(pinned) > _numbers(installed):
        raise AskedWrongly(f"{place} pins Serin {pinned}, and {installed} is installed; first: make setup")
    place.write_text(PIN.sub(rf"\g<1>{installed}", text))
    write_schema(root)
    since, until = _numbers(pinned), _numbers(installed)
    changes = {version: text for version, text in _changelog().items() if since < _numbers(version) <= until}
    return Upgrade(pinned, installed, changes)


def _changelog() -> dict[str, str]:
    """Read what each version changed, newest first."""
    _, *parts = HEADING.split(shipped("CHANGELOG.md").read_text())
    return {version.strip(): text.strip() for version, text in zip(parts[::2], parts[1::2], strict=True)}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
