"""Are a version's files what was registered? Each stored object is read once by a process; it never changes."""

from __future__ import annotations

from serin.registry.ports import Objects
from serin.registry.records import ModelVersion
from serin.registry.register import verify_version

MOST_VERSIONS = 100


class Verified:
    """Remembers of some versions which objects were found to be theirs, key by key and under which version of S3's."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], frozenset[tuple[str, str]]] = {}

    def check(self, version: ModelVersion, artifacts: Objects) -> None:
        """Check a version as `verify_version` does, and raise as it does; files that are known are listed only."""
        name = version.model, version.number, version.manifest_sha256
        stored = frozenset((file.key, file.version) for file in artifacts.list(version.prefix))
        if self._known.get(name) == stored:
            return
        self._known.pop(name, None)
        verify_version(version, artifacts)
        while len(self._known) >= MOST_VERSIONS:
            del self._known[next(iter(self._known))]
        self._known[name] = stored
