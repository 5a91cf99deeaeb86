"""What changed between the version of Serin that a project was last written by and the one that is installed?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from serin.cli.new import VERSION_FILE, write_what_follows
from serin.client.project import AskedWrongly
from serin.shipped import shipped

PIN = re.compile(r"^serin(?:\[[a-z,]+\])?==([0-9]+(?:\.[0-9]+)*)", re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From which version to which, and what each version in between changed, newest first."""

    before: str
    installed: str
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        if self.before == self.installed:
            return f"nothing to do: this project follows Serin {self.installed} already"
        return f"this project follows Serin {self.installed} now; it followed {self.before}"


def upgrade_project(root: Path) -> Upgrade:
    """Tell what changed since the version that a project followed, and let it follow the one that is installed.

    Raises AskedWrongly where requirements.txt pins another version than is installed, or an older one is.
    """
    installed = metadata.version("serin")
    requirements = root / "requirements.txt"
    pin = PIN.search(requirements.read_text() if requirements.is_file() else "")
    if pin is not None and pin[1] != installed:
        raise AskedWrongly(f"{requirements} pins Serin {pin[1]}, and {installed} is installed; first: make setup")
    place = root / VERSION_FILE
    before = place.read_text().strip() if place.is_file() else "0"
    if _numbers(before) > _numbers(installed):
        raise AskedWrongly(f"this project follows Serin {before}, and {installed}, which is installed, is older")
    write_what_follows(root)
    since, until = _numbers(before), _numbers(installed)
    changes = {version: text for version, text in _changelog().items() if since < _numbers(version) <= until}
    return Upgrade(before, installed, changes)


def _changelog() -> dict[str, str]:
    """Read what each version changed, newest first."""
    _, *parts = HEADING.split(shipped("CHANGELOG.md").read_text())
    return {version.strip(): text.strip() for version, text in zip(parts[::2], parts[1::2], strict=True)}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
